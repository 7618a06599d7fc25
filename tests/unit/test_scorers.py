"""The law that lets scores be made anywhere: a row's score is the same whatever other rows come with it.

Each scorer sees a table at once, and in batches of all sizes and in another order; the published values must be equal.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml.churn import ChurnClassifier
from ml.churn_protocol import evaluate_and_score
from ml.churn_results import ChurnScorer
from ml.intent import evaluate_and_score as learn_visits
from ml.lifetime import LifetimeResult, estimate_lifetime_value
from ml.lifetime.forecast import CommonFactor, Reach
from ml.lifetime.orders import histories_at, read_bookings
from ml.personas import SESSION_ROLES, VisitNamer, fit_personas
from ml.segments import cluster_customers
from tests.unit.test_churn import AS_OF, CUTOFFS, features
from tests.unit.test_intent import AS_OF as VISITS_UNTIL
from tests.unit.test_intent import split, visits

DAY = date(2025, 6, 30)
Scorer = Callable[[pd.DataFrame], pd.DataFrame]


def in_parts(scorer: Scorer, rows: pd.DataFrame, key: str, seed: int) -> pd.DataFrame:
    """The table of a scorer that sees keys in random order and batches, the first of one key; unpacked as on Spark."""
    elsewhere = pickle.loads(pickle.dumps(scorer))  # noqa: S301 - our own, a line ago
    rng = np.random.default_rng(seed)
    keys = rng.permutation(rows[key].unique())
    cuts = np.unique([1, *rng.integers(1, len(keys), 6)])
    parts = [rows[rows[key].isin(part)].sample(frac=1, random_state=seed) for part in np.split(keys, cuts)]
    return pd.concat([elsewhere(part.reset_index(drop=True)) for part in parts if len(part)])


def check(scorer: Scorer, rows: pd.DataFrame, key: str, expected: pd.DataFrame, turns: int = 2) -> None:
    for seed in range(turns):
        found = in_parts(scorer, rows, key, seed).sort_values(key, ignore_index=True)[list(expected.columns)]
        pd.testing.assert_frame_equal(found, expected, check_exact=True)


def today(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["cutoff_date"] == AS_OF].reset_index(drop=True)


def test_churn_scores_are_made_row_by_row() -> None:
    frame = features(150, cutoffs=CUTOFFS[8:])
    result = evaluate_and_score(frame, AS_OF, 30)
    assert result.model_version.startswith("logistic")
    check(result.scorer, today(frame), "customer_id", result.scores)
    earlier = result.scorer.earlier(today(frame))
    check(result.scorer.earlier, today(frame), "customer_id", earlier)
    assert earlier["churn_probability"].tolist() == result.scores["churn_probability"].tolist()


def test_churn_scores_of_trees_are_made_row_by_row() -> None:
    frame = features()
    rows = frame[frame["churned_30d"].notna()]
    columns = ["days_since_last_order", "order_count", "region"]
    model = ChurnClassifier(model="boosting", n_trees=25, cv=2, random_state=0)
    model.fit(rows[columns], rows["churned_30d"].astype(bool))
    scorer = ChurnScorer(30, AS_OF, "boosting", model, columns, None, {})
    expected = scorer(today(frame))
    assert expected["churn_probability"].nunique() > 20
    assert expected["reason_1"].notna().any()
    check(scorer, today(frame), "customer_id", expected)


def test_churn_scores_without_a_model_are_made_row_by_row() -> None:
    frame = features(20)
    by_rule = evaluate_and_score(frame, AS_OF, 30)
    assert by_rule.model_version == "recency_rule"
    check(by_rule.scorer, today(frame), "customer_id", by_rule.scores)
    everybody = ChurnScorer(30, AS_OF, "baseline", None, [], 1 / 3, {})
    found = everybody(today(frame))
    assert set(found["churn_probability"]) == {0.333333}
    assert set(found["risk_tier"]) == {"Low"}
    assert by_rule.scorer.earlier(today(frame)).empty


def test_clusters_are_told_row_by_row() -> None:
    rng = np.random.default_rng(0)
    n = 300
    rows = pd.DataFrame(
        {
            "customer_id": [f"c{i:04}" for i in range(n)],
            "days_since_last_order": rng.exponential(60, n).round(),
            "frequency": 1 + rng.poisson(3, n),
            "monetary": rng.lognormal(4, 1, n).round(2),
        }
    )
    result = cluster_customers(rows)
    assert result.scorer is not None
    assert result.metrics["n_clusters"] > 1
    check(result.scorer, rows, "customer_id", result.clusters)
    # one that nobody had seen is told as well, and of nobody nothing
    other = pd.DataFrame({"customer_id": ["x"], "days_since_last_order": [900], "frequency": [1], "monetary": [0.5]})
    assert result.scorer(other)["cluster_name"].item() in set(result.profile["cluster_name"])
    assert result.scorer(other.head(0)).dtypes.astype(str).tolist() == result.clusters.dtypes.astype(str).tolist()
    assert cluster_customers(rows.head(0)).scorer is None


def test_visits_are_scored_and_named_row_by_row() -> None:
    frame, _ = visits(900)
    earlier, later = split(frame)
    result = learn_visits(earlier, [later], VISITS_UNTIL)
    assert result.model is not None
    personas = fit_personas(later, SESSION_ROLES, key="session_id")
    assert personas is not None
    published = result.scores.drop(columns=["customer_id", "started_on"])
    named = published.assign(persona=personas.predict(later.sort_values("session_id")))
    check(VisitNamer(result.scorer, personas), later, "session_id", named)
    unnamed = published.assign(persona=np.full(len(published), None, dtype=object))
    check(VisitNamer(result.scorer, None), later, "session_id", unnamed)
    few = learn_visits(earlier.head(20), [later], VISITS_UNTIL)
    assert few.model_version == "cart_rule"
    check(few.scorer, later, "session_id", few.scores.drop(columns=["customer_id", "started_on"]))


@cache
def shoppers() -> pd.DataFrame:
    """Bookings of 120 customers over three years, some with returns and with lines of unknown cost."""
    rng = np.random.default_rng(1)
    rows: list[dict[str, Any]] = []
    for i in range(120):
        first = int(rng.integers(1, 1000))
        gap = float(rng.gamma(2, 40))
        ago = [first, *(first - np.cumsum(1 + rng.exponential(gap, rng.geometric(0.25) - 1)).astype(int))]
        for day in sorted({d for d in ago if d >= 0}, reverse=True):
            revenue = round(float(rng.gamma(4, 10)), 2)
            booked = {"customer_id": f"c{i:03}", "booked_on": DAY - timedelta(days=int(day)), "has_order": True}
            rows.append({**booked, "revenue": revenue, "margin": round(0.3 * revenue, 2), "costed_revenue": revenue})
            if rng.random() < 0.1 and day - 3 not in ago and day > 3:
                back = {"booked_on": DAY - timedelta(days=int(day) - 3), "has_order": False, "revenue": -revenue}
                rows.append({**rows[-1], **back, "margin": -round(0.3 * revenue, 2), "costed_revenue": -revenue})
    frame = pd.DataFrame(rows)
    unknown = np.arange(len(frame)) % 5 == 0
    return frame.assign(
        margin=frame["margin"].where(~unknown), costed_revenue=frame["costed_revenue"].where(~unknown, 0.0)
    )


@cache
def estimated() -> tuple[LifetimeResult, pd.DataFrame]:
    """What is told of the shoppers, and their histories."""
    rows = shoppers()
    return estimate_lifetime_value(rows, DAY), histories_at(read_bookings(rows, DAY), DAY)


def test_lifetime_values_are_told_customer_by_customer(monkeypatch: pytest.MonkeyPatch) -> None:
    result, histories = estimated()
    assert set(result.customers["clv_basis"]) == {"margin"}
    rows = shoppers()
    check(result.scorer.for_parts(histories), rows, "customer_id", result.customers, turns=1)
    # several blocks for a number of orders, as with a million customers
    monkeypatch.setattr("ml.lifetime.forecast._MOST_CELLS", 300)
    scorer = result.scorer.for_parts(histories)
    assert scorer.reach is not None
    assert max(len(most) for _, most in scorer.reach.blocks.values()) > 1
    check(scorer, rows, "customer_id", result.scorer(rows), turns=1)


def test_parts_alone_would_settle_otherwise_how_far_sums_go(monkeypatch: pytest.MonkeyPatch) -> None:
    result, histories = estimated()
    assert result.forecast is not None
    # sums that end where it is plain to see
    monkeypatch.setattr("ml.lifetime.forecast._TAIL", 0.05)
    forecast = replace(result.forecast, speed=CommonFactor())
    reach = forecast.reach(histories, 365.0)
    whole = forecast.value_quantiles(histories, 365.0, (0.05, 0.95))
    parts = np.array_split(np.random.default_rng(0).permutation(len(histories)), 20)
    settled, alone = np.empty_like(whole), np.empty_like(whole)
    for part in parts:
        settled[part] = forecast.value_quantiles(histories.iloc[part], 365.0, (0.05, 0.95), reach)
        alone[part] = forecast.value_quantiles(histories.iloc[part], 365.0, (0.05, 0.95))
    np.testing.assert_allclose(settled, whole, rtol=1e-14)
    assert (np.abs(alone - whole) > 1e-6 * whole).any()


def test_whoever_nobody_was_like_is_told_by_an_own_bound() -> None:
    result, histories = estimated()
    scorer = result.scorer.for_parts(histories)
    keen = pd.DataFrame(
        {
            "customer_id": "keen",
            "booked_on": [DAY - timedelta(days=3 * i) for i in range(60)],
            "has_order": True,
            "revenue": 20.0,
            "margin": np.nan,
            "costed_revenue": 0.0,
        }
    )
    assert scorer.reach is not None
    assert 59.0 not in scorer.reach.blocks
    (found,) = scorer(keen).to_dict("records")
    assert found == result.scorer(keen).to_dict("records")[0]
    assert found["expected_orders_90d"] > 2


def test_with_nothing_to_fit_everybody_is_told_to_be_unknown() -> None:
    rows = shoppers()
    first = rows[rows["has_order"]].groupby("customer_id", as_index=False).first().assign(booked_on=DAY)
    result = estimate_lifetime_value(first, DAY)
    assert result.forecast is None
    scorer = result.scorer.for_parts(histories_at(read_bookings(first, DAY), DAY))
    assert scorer.reach is None
    check(scorer, first, "customer_id", result.customers)


def test_a_block_begins_where_its_first_history_stands() -> None:
    from ml.lifetime.histories import unique_histories

    histories = unique_histories(pd.DataFrame({"frequency": [1.0, 1, 2], "recency": [5.0, 6, 5], "T": [9.0, 9, 9]}))
    begins = np.array([[3.0, 1, 5, 9], [4.0, 1, 6, 9]])
    reach = Reach({1.0: (begins, np.array([4, 7]))})
    assert reach.most(1.0, histories, np.array([3.0, 4.0, 9.0])).tolist() == [4, 7, 9]
    assert reach.most(1.0, histories, np.array([4.0, 3.0, 3.0])).tolist() == [4, 4, 4]
    assert reach.most(2.0, histories, np.array([4.0, 3.0, 3.0])).tolist() == [4, 3, 3]
