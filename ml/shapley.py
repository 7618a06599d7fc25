"""Exact Shapley values of shallow boosted trees, in log-odds. Turning them into words happens elsewhere."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from math import factorial

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor


def tree_shapley(model: HistGradientBoostingClassifier, X: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """What each feature adds to the log-odds of each row.

    A feature that is left out of a coalition sends a row down both branches, in the proportions of the training rows:
    the tree-dependent game of Lundberg et al., "From local explanations to global understanding with explainable AI for
    trees" (Nature Machine Intelligence, 2020). A tree is the sum of its leaves, and a leaf the product of the
    conditions on its path, at most one a feature after merging; so the values of a leaf depend only on which of its few
    conditions a row meets, and are looked up. Cost: rows x leaves, each row with as many comparisons as the tree has
    splits.

    Args:
        model: Two classes; categorical features are columns of codes 0, 1, ... that stand before all others, as the
            model keeps them. At most 6 features on a path.
        X: Shape (n, features), as given to the model.

    Returns:
        The mean log-odds of the training rows, and contributions of shape (n, features): a row's sum plus the mean is
        its decision function.

    Raises:
        ValueError: A path has more than 6 features.
    """
    mean = float(model._baseline_prediction[0, 0])
    # Everything goes by columns: in memory they must lie together.
    X = np.asfortranarray(X)
    contributions = np.zeros(X.shape, dtype=float, order="F")
    for (tree,) in model._predictors:
        mean += _add_tree(tree, X, contributions)
    return mean, contributions


def _add_tree(tree: TreePredictor, X: NDArray[np.float64], contributions: NDArray[np.float64]) -> float:
    """Add one tree's values to the contributions; returns its mean over the training rows."""
    nodes = tree.nodes
    goes_left = {
        i: _goes_left(tree, i, X[:, nodes[i]["feature_idx"]]) for i in np.flatnonzero(nodes["is_leaf"] == 0).tolist()
    }
    mean = 0.0
    for leaf, path in _paths(nodes):
        shares: dict[int, float] = {}
        meets: dict[int, NDArray[np.bool_]] = {}
        for node, left in path:
            feature = int(nodes[node]["feature_idx"])
            child = nodes[node]["left" if left else "right"]
            share = float(nodes[child]["count"]) / float(nodes[node]["count"])
            met = goes_left[node] if left else ~goes_left[node]
            shares[feature] = shares.get(feature, 1.0) * share
            meets[feature] = meets[feature] & met if feature in meets else met
        features = list(shares)
        if len(features) > 6:
            raise ValueError("Shapley values are computed for at most 6 features on a path")
        value = float(nodes[leaf]["value"])
        mean += value * float(np.prod(list(shares.values())))
        # Which conditions a row meets, as a binary number.
        pattern = np.zeros(len(X), dtype=np.uint8)
        for bit, feature in enumerate(features):
            pattern |= meets[feature].view(np.uint8) << np.uint8(bit)
        table = value * _leaf_values(tuple(shares.values()))
        for bit, feature in enumerate(features):
            contributions[:, feature] += table[:, bit].take(pattern)
    return mean


def _paths(nodes: NDArray[np.void]) -> list[tuple[int, list[tuple[int, bool]]]]:
    """Every leaf with the (node, went left) above it."""
    found = []
    open_paths: list[tuple[int, list[tuple[int, bool]]]] = [(0, [])]
    while open_paths:
        node, path = open_paths.pop()
        if nodes[node]["is_leaf"]:
            found.append((node, path))
        else:
            open_paths.append((int(nodes[node]["right"]), [*path, (node, False)]))
            open_paths.append((int(nodes[node]["left"]), [*path, (node, True)]))
    return found


def _goes_left(tree: TreePredictor, i: int, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    node = tree.nodes[i]
    missing = np.isnan(values)
    if node["is_categorical"]:
        bits = tree.raw_left_cat_bitsets[node["bitset_idx"]]
        codes = np.where(missing, 0, values).astype(np.int64)
        left = (bits[codes >> 5] >> (codes & 31).astype(np.uint32)) & 1 == 1
    else:
        left = values <= node["num_threshold"]
    return np.where(missing, bool(node["missing_go_to_left"]), left)


@cache
def _weights(n: int) -> tuple[tuple[tuple[int, ...], float], ...]:
    """Coalitions of n - 1 players and their weights in Shapley's mean over all orders."""
    return tuple(
        (coalition, factorial(size) * factorial(n - size - 1) / factorial(n))
        for size in range(n)
        for coalition in combinations(range(n - 1), size)
    )


def _leaf_values(shares: tuple[float, ...]) -> NDArray[np.float64]:
    """Shapley values of a leaf of value 1, shape (2 ** n, n), by the pattern of met conditions.

    The game: the product over features in the coalition of whether the condition is met, times the product over the
    others of the share of training rows that meet it.
    """
    n = len(shares)
    table = np.zeros((2**n, n))
    for pattern in range(2**n):
        met = [float(pattern >> bit & 1) for bit in range(n)]
        for i in range(n):
            others = [j for j in range(n) if j != i]
            total = 0.0
            for coalition, weight in _weights(n):
                inside = {others[j] for j in coalition}
                rest = np.prod([met[j] if j in inside else shares[j] for j in others])
                total += weight * float(rest)
            table[pattern, i] = (met[i] - shares[i]) * total
    return table
