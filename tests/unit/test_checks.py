"""The verdict on a churn model, and small tables as Markdown."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from orchestration.checks import churn_quality
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
        (metrics(auc=0.99), ["AUC 0.990 is implausible: look for a leak."], "implausible"),
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
