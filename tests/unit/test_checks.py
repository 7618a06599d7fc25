"""The verdict on a churn model, and small tables as Markdown."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from orchestration.checks import IMPLAUSIBLE_AUC, churn_drift, churn_quality
from orchestration.preview import preview_markdown


def metrics(auc: float | None = 0.84, brier: float = 0.09, ece: float = 0.01) -> dict[str, Any]:
    return {
        "model": {"auc": auc, "brier": brier, "ece": ece},
        "baselines": {
            "base_rate": {"brier": 0.12},
            "recency": {"auc": 0.82},
            "recency_frequency": {"brier": 0.0905},
        },
    }


def test_a_good_model_passes_with_its_figures() -> None:
    verdict = churn_quality(metrics(), [])
    assert verdict.passed
    assert verdict.message == "AUC 0.8400, Brier 0.0900, ECE 0.010, against a base rate's Brier score of 0.1200."


@pytest.mark.parametrize(
    ("figures", "messages", "words"),
    [
        (metrics(brier=0.12), [], "the base rate alone has a Brier score of 0.1200"),
        (metrics(brier=0.091), [], "recency and frequency alone have 0.0905"),
        (metrics(auc=0.81), [], "recency alone has an AUC of 0.8200"),
        (metrics(ece=0.051), [], "off by 0.051 on average"),
        (metrics(auc=0.99), [], "implausible: look for a leak of the label"),
        ({}, ["Too few customers have left."], "Too few customers have left."),
    ],
)
def test_each_fault_is_named(figures: dict[str, Any], messages: list[str], words: str) -> None:
    verdict = churn_quality(figures, messages)
    assert not verdict.passed
    assert words in verdict.message


def test_a_preview_shows_no_personal_column_and_survives_odd_values() -> None:
    frame = pd.DataFrame(
        {
            "customer_id": ["a|b", "line\nbreak"],
            "name": ["Ada", "Grace"],
            "email": ["a@example.com", None],
            "consent": pd.array([True, pd.NA], dtype="boolean"),
            "at": [pd.NaT, pd.Timestamp("2024-01-01")],
        }
    )
    assert preview_markdown(frame) == (
        "| customer_id | consent | at |\n|---|---|---|\n| a\\|b | True |  |\n| line break |  | 2024-01-01 |"
    )
    assert preview_markdown(frame.head(0)) == "no rows"


def test_a_planted_leak_is_caught_by_the_check() -> None:
    """From the frame to the verdict: a feature that knows the label passes every baseline and fails the check."""
    from ml import churn_protocol
    from tests.unit.test_churn import AS_OF, features, trained

    assert churn_protocol.IMPLAUSIBLE_AUC == IMPLAUSIBLE_AUC
    assert "implausible" not in churn_quality(trained().metrics, trained().messages).message
    frame = features()
    frame["orders_next_month"] = (~frame["churned_30d"].fillna(value=False)).astype(int)
    leaking = churn_protocol.evaluate_and_score(frame, AS_OF, 30)
    verdict = churn_quality(leaking.metrics, leaking.messages)
    assert not verdict.passed
    assert verdict.message.endswith("an AUC of 0.98 or more is implausible: look for a leak of the label.")


def test_drift_names_what_moved_furthest() -> None:
    still = {"days": {"psi": 0.1, "bound": 0.25}, "churn_probability": {"psi": 0.2, "bound": 0.25}}
    assert churn_drift(still).passed
    assert churn_drift(still).message == "The largest shift is that of churn_probability, PSI 0.20."
    gone = {name: {"psi": 0.3 + i / 10, "bound": 0.25} for i, name in enumerate("abcd")}
    verdict = churn_drift({**still, **gone})
    assert not verdict.passed
    assert verdict.message == "Moved away from training: d (PSI 0.60), c (PSI 0.50), b (PSI 0.40) and 1 more."
    # what grows with the calendar is no drift, nor is what few customers look like
    grown = {name: {"psi": 2.0, "bound": 0.25} for name in ("days_since_first_order", "days_since_last_order")}
    assert churn_drift(grown).passed
    assert not churn_drift({**grown, "orders_90d": {"psi": 0.3, "bound": 0.25}}).passed
    assert churn_drift({"days": {"psi": 0.6, "bound": 0.7}}).passed
    assert churn_drift({}).passed
