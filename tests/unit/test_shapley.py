"""ml.shapley: against the definition, by enumerating every coalition on the trees themselves."""

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from ml.shapley import tree_shapley


def table(n=400, seed=0):
    """Two codes in front, then numbers with missing values; the label depends on pairs of them."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 40, n).astype(float)
    X = np.column_stack([codes, rng.integers(0, 3, n), rng.normal(size=(n, 3))])
    X[rng.random(n) < 0.2, 3] = np.nan
    X[rng.random(n) < 0.1, 0] = np.nan
    score = np.where(codes % 2 == 0, 1, -1) * np.nan_to_num(X[:, 3], nan=1.0) + X[:, 1] * X[:, 4]
    return X, (rng.random(n) < 1 / (1 + np.exp(-score))).astype(int)


def fitted(depth=3):
    X, y = table()
    model = HistGradientBoostingClassifier(
        max_iter=12, max_leaf_nodes=8, max_depth=depth, categorical_features=[0, 1], early_stopping=False
    )
    return model.fit(X, y), X


def value(model, row, coalition):
    """The game: the mean over training rows of the trees, known features as in the row, by walking every branch."""
    total = float(model._baseline_prediction[0, 0])
    for (tree,) in model._predictors:
        total += walk(tree, 0, row, coalition)
    return total


def walk(tree, i, row, coalition):
    node = tree.nodes[i]
    if node["is_leaf"]:
        return float(node["value"])
    left, right = int(node["left"]), int(node["right"])
    if node["feature_idx"] not in coalition:
        counts = tree.nodes["count"][[left, right]].astype(float)
        return float(
            (counts[0] * walk(tree, left, row, coalition) + counts[1] * walk(tree, right, row, coalition))
            / counts.sum()
        )
    x = row[node["feature_idx"]]
    if np.isnan(x):
        goes_left = bool(node["missing_go_to_left"])
    elif node["is_categorical"]:
        bits = tree.raw_left_cat_bitsets[node["bitset_idx"]]
        goes_left = bool(int(bits[int(x) // 32]) >> (int(x) % 32) & 1)
    else:
        goes_left = x <= node["num_threshold"]
    return walk(tree, left if goes_left else right, row, coalition)


def test_values_are_those_of_the_definition():
    model, X = fitted()
    mean, values = tree_shapley(model, X[:6])
    features = range(X.shape[1])
    for row, found in zip(X[:6], values, strict=True):
        assert mean == pytest.approx(value(model, row, set()))
        for j in features:
            others = [k for k in features if k != j]
            expected = sum(
                factorial(size)
                * factorial(len(others) - size)
                / factorial(len(others) + 1)
                * (value(model, row, {*chosen, j}) - value(model, row, set(chosen)))
                for size in range(len(others) + 1)
                for chosen in combinations(others, size)
            )
            assert found[j] == pytest.approx(expected, abs=1e-12)


def test_they_add_up_to_the_log_odds_and_to_nothing_on_average():
    model, X = fitted()
    mean, values = tree_shapley(model, X)
    np.testing.assert_allclose(mean + values.sum(axis=1), model.decision_function(X), atol=1e-12)
    assert mean == pytest.approx(model.decision_function(X).mean())


def test_trees_too_deep_are_refused():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 8))
    y = (X.sum(axis=1) > 0).astype(int)
    model = HistGradientBoostingClassifier(max_iter=3, max_leaf_nodes=200).fit(X, y)
    with pytest.raises(ValueError, match="at most 6 features"):
        tree_shapley(model, X[:2])
