"""What sells together beyond what the demand for each product and for the categories explains.

Statistical tests with control of the false-discovery rate, frames in and a frame out. How orders are counted, and the
measures of association that need no model (support, confidence, lift), belong to the marts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import nbinom, poisson

from ml.metrics import benjamini_hochberg

LARGEST_Q = 0.05
"""An association has a q-value of at most this."""
FEWEST_EXPECTED = 1.0
"""Pairs expected in fewer orders than this are not tested: a single order would be a finding."""

_SETTLED = 5.0  # expected orders from which residuals tell the dispersion
_MEDIAN_OF_CHI2 = 0.4549  # of the square of a standard normal value
_ROUNDS = 4
_FITTING_ROUNDS = 200


@dataclass(frozen=True)
class Associations:
    """Pairs of products that were tested.

    Args:
        pairs: product_id_a < product_id_b, pair_orders, expected_orders, association_ratio (the first over the second),
            p_value, q_value, is_associated; pairs that were not tested have null in the last three.
        metrics: products, tested (pairs, those in no order included), associated, dispersion.
        messages: What a reader must know.
    """

    pairs: pd.DataFrame
    metrics: dict[str, Any]
    messages: list[str]


def associated_pairs(
    pairs: pd.DataFrame, products: pd.DataFrame, blocks: pd.DataFrame, months: pd.DataFrame
) -> Associations:
    """Pairs of products in more orders than the products' and their categories' demand lets one expect.

    Lift compares with independence, which no shop has: customers have tastes, so that two products of one category are
    bought together more often, and of two categories less often, whatever the pair; and products that are on sale at
    the same time meet more often than those that are not. Here the number of orders with both is Poisson with mean
    a x b x c x s: a and b for the two products, c for the two categories, fitted by maximum likelihood (the
    degree-corrected block model of Karrer and Newman, Physical Review E 2011, section III), and s the sum over months
    of the product of both products' shares of the month's sales and of these sales. Pairs found are left out of a
    second fit, so that they do not hide one another. Where the other pairs vary more than a Poisson count, the test is
    negative binomial with their dispersion. q-values control the false-discovery rate over all pairs that are
    expected in an order or more, those in no order included (Benjamini and Hochberg 1995).

    Args:
        pairs: product_id_a, product_id_b, pair_orders: orders with both. Rare pairs may be left out.
        products: product_id, category, pair_orders: sum over all its pairs, rare ones included.
        blocks: category_a, category_b, pair_orders: sum over all pairs of these two categories, either order.
        months: product_id, month, orders: orders with the product in each month with any.

    Returns:
        One row a pair given, in their order.

    Raises:
        ValueError: A pair's product is not among the products.
    """
    ids = pd.Index(products["product_id"])
    first, second = (ids.get_indexer(pd.Index(pairs[f"product_id_{side}"])) for side in ("a", "b"))
    if (first < 0).any() or (second < 0).any():
        absent = pairs.loc[(first < 0) | (second < 0), ["product_id_a", "product_id_b"]].iloc[0].tolist()
        raise ValueError(f"a product of the pair {absent} is not among the products")
    category, names = pd.factorize(products["category"].fillna(""), sort=True)
    totals = np.zeros((len(names), len(names)))
    places = pd.Index(names)
    a, b = (places.get_indexer(blocks[f"category_{side}"].fillna("")) for side in ("a", "b"))
    np.add.at(totals, (np.minimum(a, b), np.maximum(a, b)), blocks["pair_orders"].to_numpy(dtype=float))
    orders = pairs["pair_orders"].to_numpy(dtype=float)
    sold = _monthly(months, ids)
    demand = products["pair_orders"].to_numpy(dtype=float)

    expected, dispersion, tests = np.zeros(len(pairs)), 1.0, 0
    p = q = np.full(len(pairs), np.nan)
    odd = np.zeros(len(pairs), dtype=bool)
    for _ in range(_ROUNDS):
        model = _Model(
            sold=sold,
            category=category,
            demand=demand,
            totals=totals,
            first=first,
            second=second,
            orders=orders,
            odd=odd,
        )
        expected, tests = model.expected, model.count_above(FEWEST_EXPECTED)
        tested = expected >= FEWEST_EXPECTED
        dispersion = _dispersion(orders, expected, odd)
        p = np.where(tested, _upper_tail(orders, expected, dispersion), np.nan)
        q = _q_values(p, tests)
        now = q <= LARGEST_Q
        if (now == odd).all():
            break
        odd = now
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(expected > 0, orders / expected, np.nan)
    found = pd.DataFrame(
        {
            "product_id_a": pairs["product_id_a"].to_numpy(),
            "product_id_b": pairs["product_id_b"].to_numpy(),
            "pair_orders": orders.astype("int64"),
            "expected_orders": np.round(expected, 4),
            "association_ratio": np.round(ratio, 6),
            "p_value": p,
            "q_value": q,
            "is_associated": pd.Series(q <= LARGEST_Q, dtype="boolean").mask(np.isnan(q)),
        }
    )
    metrics = {
        "products": len(products),
        "tested": int(tests),
        "associated": int(odd.sum()),
        "dispersion": round(float(dispersion), 4),
    }
    messages = [] if tests else ["No pair of products is expected in as much as one order: none was tested."]
    return Associations(found, metrics, messages)


def _monthly(months: pd.DataFrame, ids: pd.Index) -> NDArray[np.float64]:
    """(products, months) so that the product of two rows is what independence within months lets one expect."""
    month, names = pd.factorize(months["month"], sort=True)
    sold = np.zeros((len(ids), len(names)))
    rows = ids.get_indexer(pd.Index(months["product_id"]))
    known = rows >= 0
    np.add.at(sold, (rows[known], month[known]), months["orders"].to_numpy(dtype=float)[known])
    return np.asarray(sold / np.sqrt(np.maximum(sold.sum(axis=0), 1.0)))


class _Model:
    """The fitted means, by iterative proportional fitting, from sums over all pairs less those over the odd ones.

    An odd pair takes part neither in the counts nor in what the fitted means must add up to. No matrix of all pairs is
    made: means are products of short vectors, whose sums are products of sums.
    """

    def __init__(
        self,
        *,
        sold: NDArray[np.float64],
        category: NDArray[np.intp],
        demand: NDArray[np.float64],
        totals: NDArray[np.float64],
        first: NDArray[np.intp],
        second: NDArray[np.intp],
        orders: NDArray[np.float64],
        odd: NDArray[np.bool_],
    ) -> None:
        count = len(totals)
        low = np.minimum(category[first], category[second])
        high = np.maximum(category[first], category[second])
        block = totals.copy()
        np.subtract.at(block, (low[odd], high[odd]), orders[odd])
        margin = demand.copy()
        np.subtract.at(margin, first[odd], orders[odd])
        np.subtract.at(margin, second[odd], orders[odd])
        margin = np.maximum(margin, 0.0)
        of_category = np.eye(count)[:, category] if len(category) else np.zeros((count, 0))
        meet = (sold[first[odd]] * sold[second[odd]]).sum(axis=1)
        weight = np.ones(len(category))
        both = np.zeros_like(totals)
        for _ in range(_FITTING_ROUNDS):
            vectors = weight[:, None] * sold
            sums = of_category @ vectors
            possible = sums @ sums.T
            np.fill_diagonal(possible, (np.diag(possible) - of_category @ (vectors**2).sum(axis=1)) / 2)
            possible = np.triu(possible)
            np.subtract.at(possible, (low[odd], high[odd]), weight[first[odd]] * weight[second[odd]] * meet)
            rate = np.divide(block, possible, out=np.zeros_like(block), where=possible > 1e-12)
            both = rate + np.triu(rate, 1).T
            own = np.diag(both)[category] * (sold * vectors).sum(axis=1)
            reach = (sold * (both @ sums)[category]).sum(axis=1) - own
            between = both[category[first[odd]], category[second[odd]]] * meet
            np.subtract.at(reach, first[odd], between * weight[second[odd]])
            np.subtract.at(reach, second[odd], between * weight[first[odd]])
            before, weight = weight, np.divide(margin, reach, out=np.zeros_like(weight), where=reach > 1e-12)
            # Half a step on the logarithmic scale: a full one swings between two solutions.
            weight = np.sqrt(weight * before)
            if np.allclose(before, weight, rtol=1e-5, atol=1e-9):
                break
        self._category, self._rate = category, both
        self._vectors = weight[:, None] * sold
        self.expected = both[category[first], category[second]] * (self._vectors[first] * self._vectors[second]).sum(
            axis=1
        )

    def count_above(self, least: float) -> int:
        """How many of all pairs of products are expected in at least so many orders."""
        norms = np.sqrt((self._vectors**2).sum(axis=1))
        order = np.argsort(-norms, kind="stable")
        norms, vectors, category = norms[order], self._vectors[order], self._category[order]
        highest = self._rate.max(initial=0.0)
        count = 0
        for row in range(len(order)):
            # No product of vectors is longer than the product of their lengths.
            reach = int(np.searchsorted(-norms, -least / max(highest * norms[row], 1e-300), side="right"))
            if reach <= row + 1:
                if row == 0 or norms[row] ** 2 * highest < least:
                    break
                continue
            others = slice(row + 1, reach)
            means = self._rate[category[row], category[others]] * (vectors[others] @ vectors[row])
            count += int(np.count_nonzero(means >= least))
        return count


def _dispersion(orders: NDArray[np.float64], expected: NDArray[np.float64], odd: NDArray[np.bool_]) -> float:
    """Variance over mean of ordinary pairs, by the median, which the odd ones do not move."""
    settled = (expected >= _SETTLED) & ~odd
    if not settled.any():
        return 1.0
    squares = (orders[settled] - expected[settled]) ** 2 / expected[settled]
    return max(1.0, float(np.median(squares)) / _MEDIAN_OF_CHI2)


def _upper_tail(orders: NDArray[np.float64], expected: NDArray[np.float64], dispersion: float) -> NDArray[np.float64]:
    """P(K >= orders) of a count with that mean and variance over mean."""
    mean = np.maximum(expected, 1e-12)
    if dispersion <= 1.0:
        return np.asarray(poisson.sf(orders - 1, mean))
    return np.asarray(nbinom.sf(orders - 1, mean / (dispersion - 1), 1 / dispersion))


def _q_values(p: NDArray[np.float64], tests: int) -> NDArray[np.float64]:
    """Benjamini-Hochberg over all tests; those of pairs that are not listed would all have a p-value near 1."""
    listed = ~np.isnan(p)
    unlisted = max(0, tests - int(listed.sum()))
    q = np.full(len(p), np.nan)
    q[listed] = benjamini_hochberg(np.concatenate([p[listed], np.ones(unlisted)]))[: listed.sum()]
    return q
