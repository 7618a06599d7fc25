"""Pairs of products: what taste and time on sale explain is no finding, what nothing explains is one."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from ml.pairs import associated_pairs

MONTHS = [f"2025-{month:02d}" for month in range(1, 13)]


def counted(both: dict[tuple[str, str], int], category: dict[str, str], sold: dict[str, dict[str, int]]) -> tuple:
    """The frames that `associated_pairs` takes."""
    pairs = pd.DataFrame([(a, b, n) for (a, b), n in both.items()], columns=["product_id_a", "product_id_b", "n"])
    pairs = pairs.rename(columns={"n": "pair_orders"}).astype({"pair_orders": "int64"})
    totals = {p: sum(n for pair, n in both.items() if p in pair) for p in category}
    products = pd.DataFrame(
        {"product_id": list(category), "category": list(category.values()), "pair_orders": list(totals.values())}
    )
    blocks = pairs.assign(
        category_a=pairs["product_id_a"].map(category), category_b=pairs["product_id_b"].map(category)
    )
    blocks = blocks.groupby(["category_a", "category_b"], as_index=False)["pair_orders"].sum()
    months = pd.DataFrame(
        [(p, month, n) for p, by_month in sold.items() for month, n in by_month.items()],
        columns=["product_id", "month", "orders"],
    )
    return pairs, products, blocks, months


def shop(seed: int, products: int = 24, scale: float = 4.0, late: tuple[str, ...] = ()) -> tuple:
    """Two categories, demand that differs fivefold, own categories three times as likely; `late` in the last months."""
    rng = np.random.default_rng(seed)
    names = [f"p{i:02d}" for i in range(products)]
    category = {name: "ab"[i % 2] for i, name in enumerate(names)}
    demand = dict(zip(names, rng.uniform(1, 5, products), strict=True))
    on_sale = {name: MONTHS[-2:] if name in late else MONTHS for name in names}
    both = {}
    for a, b in combinations(names, 2):
        shared = len(set(on_sale[a]) & set(on_sale[b]))
        # as many orders a product, in fewer months
        density = 144 / (len(on_sale[a]) * len(on_sale[b])) * shared / 12
        taste = 3 if category[a] == category[b] else 1
        both[a, b] = int(rng.poisson(scale * demand[a] * demand[b] * taste * density / 3))
    sold = {name: dict.fromkeys(on_sale[name], round(1200 * demand[name] / len(on_sale[name]))) for name in names}
    return both, category, sold


def found(result: pd.DataFrame) -> set[tuple[str, str]]:
    hits = result[result["is_associated"].fillna(False)]
    return set(zip(hits["product_id_a"], hits["product_id_b"], strict=True))


def test_taste_and_demand_are_no_finding():
    frames = [associated_pairs(*counted(*shop(seed))).pairs for seed in range(10)]
    assert sum(len(found(frame)) for frame in frames) <= 1
    # lift, which compares with independence, would call most pairs of one category associated
    assert np.mean([frame["association_ratio"].mean() for frame in frames]) == pytest.approx(1, abs=0.05)


def test_being_on_sale_in_the_same_months_is_no_finding():
    late = ("p00", "p03", "p05", "p08")
    both, category, sold = shop(1, late=late)
    together = [both[pair] for pair in combinations(late, 2)]
    assert min(together) > 0
    result = associated_pairs(*counted(both, category, sold))
    assert not found(result.pairs)
    blind = {name: dict.fromkeys(MONTHS, sum(by_month.values()) // 12) for name, by_month in sold.items()}
    assert found(associated_pairs(*counted(both, category, blind)).pairs) >= {("p03", "p05"), ("p00", "p08")}


def test_planted_pairs_are_found_and_nothing_else():
    both, category, sold = shop(2)
    planted = {("p00", "p01"): 40, ("p04", "p06"): 90, ("p04", "p07"): 60}
    for pair, more in planted.items():
        both[pair] += more
    result = associated_pairs(*counted(both, category, sold))
    assert found(result.pairs) == set(planted)
    row = result.pairs.set_index(["product_id_a", "product_id_b"]).loc[("p04", "p06")]
    assert row["pair_orders"] - row["expected_orders"] == pytest.approx(90, abs=25)
    assert result.metrics["tested"] == 24 * 23 // 2


def test_the_means_are_those_of_maximum_likelihood():
    both, category, sold = shop(3, products=7, scale=6)
    result = associated_pairs(*counted(both, category, sold)).pairs
    assert not found(result)
    names, k = list(category), result["pair_orders"].to_numpy(dtype=float)
    sides = np.array([[names.index(a), names.index(b)] for a, b in both])
    same = np.array([category[a] == category[b] for a, b in both])
    kind = np.where(same, [1 + (category[a] == "b") for a, _ in both], 0)

    def loss(x: np.ndarray) -> float:
        log_mean = x[sides[:, 0]] + x[sides[:, 1]] + x[7 + kind]
        return float(np.exp(log_mean).sum() - k @ log_mean)

    best = minimize(loss, np.zeros(10), method="BFGS")
    means = np.exp(best.x[sides[:, 0]] + best.x[sides[:, 1]] + best.x[7 + kind])
    np.testing.assert_allclose(result["expected_orders"], means, rtol=2e-3)


def test_order_of_rows_and_names_changes_nothing():
    both, category, sold = shop(4)
    both["p02", "p05"] += 50
    frames = counted(both, category, sold)
    first = associated_pairs(*frames).pairs
    shuffled = [frame.sample(frac=1, random_state=7).reset_index(drop=True) for frame in frames]
    second = associated_pairs(*shuffled).pairs
    key = ["product_id_a", "product_id_b"]
    pd.testing.assert_frame_equal(
        first.sort_values(key, ignore_index=True), second.sort_values(key, ignore_index=True), rtol=1e-9
    )


def test_tests_of_pairs_that_are_not_listed_count():
    both, category, sold = shop(5, products=40, scale=0.5)
    frames = counted(both, category, sold)
    whole = associated_pairs(*frames)
    listed = associated_pairs(frames[0][frames[0]["pair_orders"] >= 2].reset_index(drop=True), *frames[1:])
    assert listed.metrics["tested"] == whole.metrics["tested"] == (whole.pairs["expected_orders"] >= 1).sum()
    both_ways = whole.pairs.merge(listed.pairs, on=["product_id_a", "product_id_b"], suffixes=("", "_listed"))
    np.testing.assert_allclose(both_ways["expected_orders"], both_ways["expected_orders_listed"])
    assert (both_ways["q_value_listed"].dropna() >= both_ways["q_value"].dropna() - 1e-12).all()


def test_more_variation_than_chance_widens_the_test():
    both, category, sold = shop(6, products=40)
    rng = np.random.default_rng(6)
    restless = {pair: int(rng.negative_binomial(n / 5 + 0.1, 1 / 6)) for pair, n in both.items()}
    result = associated_pairs(*counted(restless, category, sold))
    assert result.metrics["dispersion"] > 3
    assert len(found(result.pairs)) <= 3


@pytest.mark.parametrize("products", [0, 1, 2])
def test_next_to_nothing_is_typed(products: int):
    names = [f"p{i}" for i in range(products)]
    both = {("p0", "p1"): 3} if products == 2 else {}
    result = associated_pairs(*counted(both, dict.fromkeys(names, "a"), {n: {"2025-01": 3} for n in names}))
    assert list(result.pairs.dtypes.astype(str)) == [
        *("object", "object", "int64", "float64", "float64", "float64", "float64", "boolean")
    ]
    assert not found(result.pairs)
    assert result.messages or products == 2


def test_a_product_without_category_and_months_is_no_obstacle():
    both, category, sold = shop(8, products=10)
    pairs, products, blocks, months = counted(both, category, sold)
    products.loc[products["product_id"] == "p00", "category"] = None
    result = associated_pairs(pairs, products, blocks, months[months["product_id"] != "p01"])
    assert np.isfinite(result.pairs["expected_orders"]).all()


def test_a_pair_of_an_unknown_product_is_refused():
    pairs, products, blocks, months = counted(*shop(9, products=6))
    with pytest.raises(ValueError, match="p05"):
        associated_pairs(pairs, products[products["product_id"] != "p05"], blocks, months)
