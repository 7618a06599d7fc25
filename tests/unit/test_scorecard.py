"""The scorecard: findings beside truths, by hand."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest

from orchestration.scorecard import COLUMNS, scorecard

AS_OF = date(2025, 12, 31)


def days(*texts: str) -> pd.Series:
    return pd.Series(pd.to_datetime(list(texts)), dtype="datetime64[ns]")


def truth() -> dict[str, pd.DataFrame]:
    ids = [f"C{i}" for i in range(12)]
    return {
        "customers": pd.DataFrame(
            {"customer_id": ids, "left_on": days(*["2025-06-01"] * 4, *["2026-02-01"], *[None] * 7)}
        ),
        "anomalous_customers": pd.DataFrame(
            {"customer_id": ["C0", "C1", "C2", "C3"], "sentiment_shift": [-1, -2, -3, -4.0]}
        ),
        "product_pairs": pd.DataFrame(
            {"product_id_a": ["a", "a", "b"], "product_id_b": ["b", "c", "c"], "pull_probability": [0.1, 0.2, 0.3]}
        ),
        "product_trends": pd.DataFrame(
            {
                "product_id": ["a", "b", "c"],
                "direction": ["up", "down", "up"],
                "starts_on": days("2025-03-01", "2025-03-01", "2025-09-01"),
                "ends_on": days("2025-05-01", "2025-05-01", "2025-10-01"),
                "factor": [2.0, 0.5, 1.2],
            }
        ),
        "spikes": pd.DataFrame(
            {
                "starts_on": days("2024-02-01", "2025-05-01", "2025-07-01", "2025-12-30"),
                "ends_on": days("2024-02-02", "2025-05-03", "2025-07-01", "2026-01-02"),
                "factor": [2.0, 2.0, 0.5, 3.0],
            }
        ),
        "contact_effects": pd.DataFrame(
            {
                "campaign_id": ["M1", "M1", "M2", "M2"] * 5,
                "customer_id": [f"C{i % 12}" for i in range(20)],
                "effect_probability": [0.1, 0.3, 0.05, 0.15] * 5,
            }
        ),
        "bad_experiences": pd.DataFrame({"order_id": ["o1", "o2", "o3"], "customer_id": ["C0", "C1", "C2"]}),
    }


def found() -> dict[str, pd.DataFrame]:
    ids = [f"C{i}" for i in range(12)]
    return {
        "ticket_anomalies": pd.DataFrame(
            {
                "customer_id": ids,
                "ticket_count": [9, 9, 9, 4, *[9] * 8],
                "is_anomaly": [True, False, True, True, True, *[False] * 7],
            }
        ),
        "sales_anomalies": pd.DataFrame(
            {
                "starts_on": days("2025-05-02", "2025-07-01", "2025-08-01"),
                "ends_on": days("2025-05-05", "2025-07-01", "2025-08-01"),
                "direction": ["up", "up", "down"],
                "tested_from": days(*["2025-01-01"] * 3),
            }
        ),
        "trend_changes": pd.DataFrame(
            {
                "product_id": ["a", "b"],
                "direction": ["up", "up"],
                "starts_on": days("2025-02-03", "2025-03-03"),
                "ends_on": days("2025-02-10", "2025-04-28"),
            }
        ),
        "product_trends": pd.DataFrame(
            {
                "product_id": ["a", "c"],
                "direction": ["up", "down"],
                "starts_on": days("2025-04-01", "2025-09-01"),
                "ends_on": days("2025-04-30", "2025-09-30"),
            }
        ),
        "product_associations": pd.DataFrame({"product_id_a": ["a", "b"], "product_id_b": ["b", "d"]}),
        "campaign_roi": pd.DataFrame(
            {"campaign_id": ["M1", "M2"], "effect": [0.22, -0.05], "low": [0.1, -0.2], "high": [0.3, 0.08]}
        ),
        "churn_scores": pd.DataFrame(
            {
                "customer_id": ids,
                "churn_probability": [0.9] * 4 + [0.5] * 8,
                "days_since_last_order": [1, 2, 3, 99] + [50] * 8,
            }
        ),
        "customer_lifetime_value": pd.DataFrame({"customer_id": ids, "probability_alive": [0.0] * 4 + [1.0] * 8}),
        "churn_reasons": pd.DataFrame(
            {
                "customer_id": ids,
                "names_tickets": [True, False, True, True, *[False] * 8],
                "had_tickets": [True, True, False, True, *[False] * 8],
            }
        ),
        "orders": pd.DataFrame(
            {"order_id": ["o1", "o2", "o3"], "sold_on": days("2025-12-01", "2025-11-01", "2025-12-01")}
        ),
        "customer_uplift": pd.DataFrame({"customer_id": ids, "uplift_probability": [i / 100 for i in range(12)]}),
    }


@pytest.fixture
def card() -> pd.DataFrame:
    return scorecard(found(), truth(), AS_OF)


def row(card: pd.DataFrame, detector: str, effect: str = "all") -> dict:
    (one,) = card[(card["detector"] == detector) & (card["effect"] == effect)].to_dict("records")
    return {name: one[name] for name in ("planted", "planted_found", "found", "true_found")}


def test_counts_are_those_of_the_hand(card: pd.DataFrame):
    # C3 has too few tickets to be judged, C4 was never planted
    assert row(card, "ticket_anomalies") == {"planted": 3, "planted_found": 2, "found": 3, "true_found": 2}
    # the first spike lies before the days tested, the last one ends after as_of; a lull called a spike is not found
    assert row(card, "sales_anomalies") == {"planted": 2, "planted_found": 1, "found": 3, "true_found": 1}
    assert row(card, "trend_changes") == {"planted": 3, "planted_found": 1, "found": 2, "true_found": 1}
    assert row(card, "product_trends") == {"planted": 3, "planted_found": 1, "found": 2, "true_found": 1}
    assert row(card, "product_associations") == {"planted": 3, "planted_found": 1, "found": 2, "true_found": 1}
    assert row(card, "campaign_roi") == {"planted": 2, "planted_found": 1, "found": 1, "true_found": 1}


def test_recall_is_told_by_the_size_of_the_effect(card: pd.DataFrame):
    bands = card[(card["detector"] == "product_associations") & (card["effect"] != "all")]
    assert bands["effect"].tolist() == ["0.1 to 0.1", "0.2 to 0.2", "0.3 to 0.3"]
    assert bands["recall"].tolist() == [1.0, 0.0, 0.0]


def measures(card: pd.DataFrame) -> dict[str, tuple[float, object]]:
    told = card.dropna(subset=["measure"])
    return {m: (v, p) for m, v, p in zip(told["measure"], told["value"], told["passed"], strict=True)}


def test_measures_are_those_of_the_hand(card: pd.DataFrame):
    told = measures(card)
    # M2's interval does not reach 0.1
    assert told["intervals that hold the planted effect"] == (0.5, True)  # one of two: chance may do that
    # C4 leaves only after as_of; recency ranks one of the four above the others
    assert told["AUC for having left for good, against recency's"] == (1.0, True)
    assert told["AUC of the probability of being alive"][0] == 1.0
    assert told["calibration error of that probability"][0] == 0.0
    # C0 and C1 were hurt and wrote; of the nine without a bad experience C3 alone is told of tickets
    assert told["share of those with a bad experience whose reasons name tickets"] == (0.5, True)
    share, passed = told["share of the others whose reasons name tickets"]
    assert (share, passed) == (pytest.approx(1 / 9), True)
    assert "rank correlation with planted effects" in told


def test_a_detector_that_finds_what_is_not_there_fails():
    frames = found()
    frames["product_associations"] = pd.DataFrame(
        {"product_id_a": ["x"] * 40, "product_id_b": [f"y{i}" for i in range(40)]}
    )
    frames["churn_scores"]["churn_probability"] = [0.1] * 4 + [0.5] * 8
    card = scorecard(frames, truth(), AS_OF)
    assert row(card, "product_associations")["true_found"] == 0
    assert card.loc[card["detector"] == "product_associations", "passed"].iloc[0] is False
    assert measures(card)["AUC for having left for good, against recency's"] == (0.0, False)


def test_nothing_planted_and_nothing_found_is_typed():
    empty_truth = {name: frame.head(0) for name, frame in truth().items()}
    empty_found = {name: frame.head(0) for name, frame in found().items()}
    card = scorecard(empty_found, empty_truth, AS_OF)
    assert list(card) == COLUMNS
    assert not card["passed"].eq(False).any()
