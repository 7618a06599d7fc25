"""Charts of model quality on hand-made figures: every number in a title is worked out by hand here."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from reports.blocks import Chart, Stamp, Table
from reports.figures.churn_models import NO_MODEL, backtest, calibration, contact_profit, gains
from reports.figures.model_quality import (
    against_baselines,
    drift,
    forecast_accuracy,
    lifetime_holdout,
    scorecard,
    scorecard_by_effect,
)
from reports.models import models_page
from reports.page import render

CUTOFF = pd.Timestamp("2026-03-31")


def drawn(chart: Chart) -> go.Figure:
    assert chart.figure is not None
    return chart.figure


def curve(name: str, horizon: int, rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([{"horizon_days": horizon, "test_cutoff": CUTOFF, "curve": name, **row} for row in rows])


def bin_of(number: int, customers: int, predicted: float, came: float, ends: tuple[float, float]) -> dict[str, Any]:
    return {
        "bin": number,
        "customers": customers,
        "mean_probability": predicted,
        "churn_rate": came,
        "churn_rate_low": ends[0],
        "churn_rate_high": ends[1],
    }


BINS = [bin_of(1, 100, 0.05, 0.06, (0.03, 0.12)), bin_of(10, 300, 0.95, 0.90, (0.86, 0.93))]
TENTHS = [
    {"bin": 1, "customers": 10, "churned": 10.0, "captured_rate": 0.5, "lift": 2.0},
    {"bin": 2, "customers": 10, "churned": 6.0, "captured_rate": 0.8, "lift": 1.6},
    {"bin": 3, "customers": 10, "churned": 3.0, "captured_rate": 0.95, "lift": 1.27},
    {"bin": 4, "customers": 10, "churned": 1.0, "captured_rate": 1.0, "lift": 1.0},
]
STEPS = [
    {"bin": 50, "customers": 20, "profit": 120.4, "expected_profit": 110.0},
    {"bin": 100, "customers": 40, "profit": 80.0, "expected_profit": 90.0},
]
ASSUMED = pd.DataFrame({"horizon_days": [90], "value": [122.594], "cost": [6.13], "success_rate": [0.1]})
NOTHING = curve("calibration", 90, BINS).head(0)


class TestCalibration:
    def test_how_far_off_and_how_many_bins_agree(self) -> None:
        chart = calibration(curve("calibration", 90, BINS))
        # (100 x 1 + 300 x 5) / 400 = 4 points; the second bin's interval ends at 93 %
        assert (
            chart.title == "90 days: probabilities are off by 4.0 points on average; 1 of 2 bins agree with what came"
        )
        assert chart.note.startswith("400 customers of 31 March 2026, judged on the 90 days after it")
        line, dots = drawn(chart).data
        assert (line.x, dots.x, dots.y) == ((0, 1), (0.05, 0.95), (0.06, 0.9))

    def test_horizons_to_choose_from_begin_with_90_days(self) -> None:
        both = pd.concat([curve("calibration", 30, BINS[:1]), curve("calibration", 90, BINS)])
        chart = calibration(both)
        assert [option.name for option in chart.options] == ["90 days", "30 days"]
        assert chart.options[1].title == (
            "30 days: probabilities are off by 1.0 points on average; 1 of 1 bin agrees with what came"
        )
        assert chart.options[1].traces[1]["x"] == [0.05]

    def test_nothing(self) -> None:
        assert calibration(NOTHING).note == NO_MODEL


class TestGains:
    def test_the_likeliest_three_tenths(self) -> None:
        chart = gains(curve("gains", 90, TENTHS))
        assert chart.title == "90 days: the likeliest 75% hold 95% of those who left, 1.27 times as many as by lot"
        assert "40 customers of 31 March 2026, 20 of whom placed no order" in chart.note
        model, best, lot = drawn(chart).data
        assert model.y == (0, 0.5, 0.8, 0.95, 1.0)
        assert best.x == (0, 0.5, 1)
        assert lot.x == (0, 1)

    def test_nobody_left(self) -> None:
        stayed = [{**tenth, "churned": 0.0, "captured_rate": None, "lift": None} for tenth in TENTHS]
        chart = gains(curve("gains", 90, stayed))
        assert chart.figure is None
        assert chart.title == "90 days: nobody left, so nobody could be found"

    def test_nothing(self) -> None:
        assert gains(NOTHING).note == NO_MODEL


class TestContactProfit:
    def test_the_best_share_and_what_is_assumed(self) -> None:
        chart = contact_profit(curve("profit", 90, STEPS), ASSUMED)
        assert (
            chart.title == "90 days: contacting the likeliest 50% would have brought most, 120 against 80 from everyone"
        )
        assert chart.note.endswith(
            "Assumed, not measured: a contact costs 6.13 and keeps 10% of those who would leave, each worth 122.59."
        )

    def test_everyone_or_nobody(self) -> None:
        assert contact_profit(curve("profit", 90, STEPS[1:]), ASSUMED).title == (
            "90 days: contacting everyone would have been best and brought 80"
        )
        loss = [{**step, "profit": -1.0} for step in STEPS]
        assert contact_profit(curve("profit", 90, loss), ASSUMED).title == (
            "90 days: contacting nobody would have been best"
        )

    def test_nothing(self) -> None:
        assert contact_profit(NOTHING, ASSUMED).note == NO_MODEL


TESTS = pd.DataFrame(
    {
        "horizon_days": 90,
        "test_cutoff": pd.to_datetime(["2026-03-31", "2026-02-28"]),
        "customers": [1200, 1000],
        "base_rate": 0.75,
        "auc": [0.8801, 0.8702],
        "brier": 0.12,
        "ece": 0.02,
        "base_rate_brier": 0.19,
        "recency_frequency_auc": [0.85, 0.8702],
        "recency_frequency_brier": 0.13,
    }
)


class TestBacktest:
    def test_as_good_is_not_better(self) -> None:
        chart = backtest(TESTS)
        assert chart.title == "90 days: AUC 0.870 to 0.880, better than recency and frequency at 1 of 2 cutoffs"
        assert drawn(chart).data[0].x == ("2026-02-28", "2026-03-31")
        assert "1,000 to 1,200 customers a cutoff" in chart.note

    def test_one_cutoff(self) -> None:
        assert backtest(TESTS.head(1)).title == (
            "90 days: AUC 0.880, better than recency and frequency at 1 of 1 cutoff"
        )

    def test_nothing(self) -> None:
        assert backtest(TESTS.head(0)).note == NO_MODEL


def brier(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["task", "rival", "brier"]).assign(rows=100)


class TestAgainstBaselines:
    def test_every_model_is_better(self) -> None:
        scores = brier(("a", "model", 0.1), ("a", "base rate", 0.2), ("b", "model", 0.05), ("b", "base rate", 0.06))
        assert against_baselines(scores).title == "Each of 2 models beats its plain rules"
        assert against_baselines(scores.head(2)).title == "1 model beats its plain rules"

    def test_a_rule_that_does_as_well_is_named(self) -> None:
        scores = brier(("a", "model", 0.2), ("a", "base rate", 0.2), ("b", "model", 0.05), ("b", "base rate", 0.06))
        assert against_baselines(scores).title == "A plain rule does as well for a"

    def test_nothing(self) -> None:
        assert against_baselines(brier()).figure is None


LIFETIME = {
    "basis": "margin",
    "holdout": {
        "customers": 50,
        "days": 365,
        "orders": {"actual": 100.0, "expected": 103.3, "correlation": 0.7, "group_coverage": 0.9},
        "value": {"actual": 2000.0, "expected": 1962.0, "correlation": None, "group_coverage": None},
    },
}


FORECAST = {
    "method": "recent_level",
    "mase_recent_level": 0.981,
    "mase_seasonal_naive": 1.25,
    "origins": 16,
    "days": 731,
}


class TestForetold:
    def test_lifetime_value(self) -> None:
        chart = lifetime_holdout(LIFETIME, "", CUTOFF)
        assert chart.title == "Lifetime value, foretold against what came: orders 3.3% too high, value 1.9% too low"
        came, expected = drawn(chart).data
        assert (came.y, expected.y) == ((1.0, 1.0), (1.033, 0.981))
        assert "the 365 days after 31 March 2026" in chart.note

    def test_without_a_window_its_own_words(self) -> None:
        assert lifetime_holdout({}, "Too short.", None).note == "Too short."
        assert "held back" not in lifetime_holdout({}, "", None).title

    def test_a_window_without_orders(self) -> None:
        empty = {"holdout": {"customers": 5, "days": 7, "orders": {"actual": 0.0, "expected": 1.0}}}
        assert lifetime_holdout(empty, "", CUTOFF).figure is None

    def test_forecast(self) -> None:
        chart = forecast_accuracy({**FORECAST, "coverage": 0.868}, "")
        assert chart.title == (
            "Revenue forecast by recent level: error 0.98, against 1.25 of the same weekday a week before; 87% of days "
            "within the 90 % interval"
        )
        assert drawn(chart).data[0].y == ("seasonal naive", "recent level")

    def test_the_naive_method_is_not_compared_with_itself(self) -> None:
        chart = forecast_accuracy({**FORECAST, "method": "seasonal_naive", "coverage": None}, "It is no better.")
        assert chart.title == "Revenue forecast by seasonal naive: error 1.25"
        assert chart.note.endswith("It is no better.")

    def test_too_short_a_history(self) -> None:
        assert forecast_accuracy({"method": "flat", "days": 3}, "Three days.").note == "Three days."


class TestDrift:
    SHIFTS = pd.DataFrame(
        {
            "horizon_days": 90,
            "feature": ["order_count", "days_since_last_order", "days_since_first_order"],
            "psi": [0.1, 0.331, 2.0],
            "bound": 0.25,
            "grows_by_itself": [False, False, True],
        }
    )

    def test_what_moved(self) -> None:
        chart = drift(self.SHIFTS)
        assert chart.title == "90 days: 1 feature moved away from training: days since last order"
        assert chart.note.endswith("Left out, as it grows with the calendar alone: days since first order.")
        assert drawn(chart).data[0].y == ("order count", "days since last order")

    def test_nothing_moved(self) -> None:
        assert drift(self.SHIFTS.head(1)).title == (
            "90 days: no feature moved away from training; order count did most, PSI 0.100"
        )

    def test_nothing(self) -> None:
        assert drift(self.SHIFTS.head(0)).figure is None


def graded(
    detector: str, effect: str, recall: tuple[int, int], precision: tuple[int, int] | None, *, passed: bool | None
) -> dict[str, Any]:
    (hit, planted), (true, found) = recall, precision or (None, None)

    def rate(part: int | None, whole: int | None) -> float | None:
        return part / whole if part is not None and whole else None

    return {
        "detector": detector,
        "effect": effect,
        "planted": planted,
        "planted_found": hit,
        "recall": rate(hit, planted),
        "recall_low": 0.0,
        "recall_high": 1.0,
        "found": found,
        "true_found": true,
        "precision": rate(true, found),
        "precision_low": 0.0,
        "precision_high": 1.0,
        "measure": None,
        "value": None,
        "value_low": None,
        "value_high": None,
        "bound": None if passed is None else 0.9,
        "passed": passed,
    }


GRADES = pd.DataFrame(
    [
        graded("ticket_anomalies", "all", (3, 6), (3, 4), passed=True),
        graded("ticket_anomalies", "0.1 to 0.2", (0, 3), None, passed=None),
        graded("ticket_anomalies", "0.3 to 0.9", (3, 3), None, passed=None),
        graded("campaign_roi", "all", (0, 2), (0, 0), passed=False),
        {**graded("churn_scores", "", (0, 0), None, passed=True), "effect": None, "measure": "AUC", "value": 0.9},
    ]
)


class TestScorecard:
    def test_how_many_grades_are_in_their_bounds(self) -> None:
        chart = scorecard(GRADES)
        assert chart.title == "Planted truth: 2 of 3 grades in their bounds; not campaign roi; precision 75%"
        assert [option.name for option in chart.options] == ["Precision", "Recall"]
        assert chart.options[0].note.startswith("Precision: findings that are true, 3 of 4 over 2 detectors")
        assert chart.options[1].note.startswith("Recall: planted effects that were found, 3 of 8 over 2 detectors")
        assert chart.options[1].title.endswith("; recall 38%")
        # Without a finding there is no precision to draw.
        assert drawn(chart).data[0].y == ("ticket anomalies",)

    def test_by_size(self) -> None:
        chart = scorecard_by_effect(GRADES)
        assert (
            chart.title
            == "Planted effects found by their size: 0 of 3 in the smallest third, 3 of 3 in the middle third"
        )

    def test_real_data_has_no_grades_and_the_page_says_why(self) -> None:
        chart = scorecard(GRADES.head(0))
        assert chart.figure is None
        assert "This is real data" in chart.note
        assert scorecard_by_effect(GRADES.head(0)).figure is None


def run(model: str, metrics: dict[str, Any], horizon: int | None = None) -> dict[str, Any]:
    return {
        "model": model,
        "version": f"{model}-2026-06-30",
        "horizon_days": horizon,
        "as_of": pd.Timestamp("2026-06-30"),
        "test_cutoff": CUTOFF if horizon else pd.NaT,
        "metrics": metrics,
        "notes": "",
    }


CHURN = {
    "auc": 0.8941,
    "brier": 0.1051,
    "ece": 0.0127,
    "n": 3972,
    "baselines": {"base_rate": {"brier": 0.17}, "recency_frequency": {"brier": 0.12}, "tier_rule": {"auc": 0.8}},
    "drift": {"order_count": {"psi": 0.1, "bound": 0.25}},
    "profit": {"value": 100.0, "cost": 5.0, "success_rate": 0.1, "threshold": 0.5},
}


class TestPage:
    def test_whole(self) -> None:
        runs = [
            run("churn", CHURN, 90),
            run("customer_lifetime_value", {**LIFETIME, "customers": 50}, 365),
            run("revenue_forecast", FORECAST, 90),
            run("ticket_anomalies", {"tested": 90, "anomalies": 9}),
        ]
        curves = pd.concat([curve("calibration", 90, BINS), curve("gains", 90, TENTHS), curve("profit", 90, STEPS)])
        page = models_page(
            runs=runs, curves=curves, backtests=TESTS, grades=GRADES, grows_by_itself=("days_since_first_order",)
        )
        blocks = [block for section in page.sections for block in section.blocks]
        charts = [block for block in blocks if isinstance(block, Chart)]
        assert [chart.title for chart in charts if chart.figure is None] == []
        measures, models = [block for block in blocks if isinstance(block, Table)]
        assert measures.rows["verdict"].tolist() == ["within"]
        assert models.rows["figures"].tolist() == [
            "AUC 0.894, Brier 0.1051, off by 0.013",
            "50 customers",
            "16 origins",
            "90 customers tested, 9 unusual",
        ]
        assert "models.html" in render(page, Stamp(CUTOFF.date(), 1))

    @pytest.mark.parametrize("metrics", [{}, {"auc": None, "brier": None}])
    def test_without_a_model_every_part_says_so(self, metrics: dict[str, Any]) -> None:
        page = models_page(
            runs=[run("churn", metrics, 90)] if metrics else [],
            curves=NOTHING,
            backtests=TESTS.head(0),
            grades=GRADES.head(0),
            grows_by_itself=(),
        )
        charts = [block for section in page.sections for block in section.blocks if isinstance(block, Chart)]
        assert len(charts) == 9
        assert all(chart.figure is None and chart.note for chart in charts)
        assert 'class="plot"' not in render(page, Stamp(CUTOFF.date(), 1))["models.html"]
