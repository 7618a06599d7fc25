"""The page of how good the models are. Frames in, a page out; planted truth is known on synthetic data alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from reports.blocks import Block, Column, Page, Section, Table, Tile
from reports.figures.churn_models import backtest, calibration, contact_profit, gains
from reports.figures.findings import beside, counted
from reports.figures.model_quality import (
    against_baselines,
    drift,
    forecast_accuracy,
    lifetime_holdout,
    scorecard,
    scorecard_by_effect,
)

Run = Mapping[str, Any]
"""A row of ml.model_runs, its metrics as a mapping."""

_HEADLINES: Mapping[str, Sequence[tuple[str, str]]] = {
    "churn": (("auc", "AUC {:.3f}"), ("brier", "Brier {:.4f}"), ("ece", "off by {:.3f}")),
    "session_purchase": (("auc", "AUC {:.3f}"), ("brier", "Brier {:.4f}"), ("ece", "off by {:.3f}")),
    "customer_clusters": (("n_clusters", "{} clusters"), ("stability", "stability {:.2f}")),
    "customer_personas": (("rows", "{:,} customers"), ("stability", "stability {:.2f}")),
    "customer_intent": (("customers", "{:,} customers"), ("mean_intent_score", "mean score {:.1f}")),
    "customer_uplift": (("contacts", "{:,} contacts"), ("campaigns", "{} campaigns")),
    "customer_lifetime_value": (("customers", "{:,} customers"), ("clv_total", "worth {:,.0f} in a year")),
    "product_associations": (("tested", "{:,} pairs tested"), ("associated", "{:,} associated")),
    "revenue_forecast": (("origins", "{} origins"), ("coverage", "{:.0%} of days within 90 %")),
    "sales_anomalies": (("tested_days", "{:,} days tested"), ("anomalous_days", "{:,} unusual")),
    "ticket_anomalies": (("tested", "{:,} customers tested"), ("anomalies", "{:,} unusual")),
    "trend_changes": (("tested", "{:,} products tested"), ("changes", "{:,} changes")),
}
_RULES = {
    "recency_frequency": "recency and frequency",
    "cart_rule": "rule of the cart",
    "base_rate": "base rate",
}


def models_page(
    *,
    runs: Sequence[Run],
    curves: pd.DataFrame,
    backtests: pd.DataFrame,
    grades: pd.DataFrame,
    grows_by_itself: Sequence[str],
) -> Page:
    """The page.

    Args:
        runs: Rows of ml.model_runs in use: model, version, horizon_days, as_of, test_cutoff, metrics, notes.
        curves: As ml.churn_curves.
        backtests: As ml.churn_backtest.
        grades: As ml.scorecard.
        grows_by_itself: Features that the calendar alone makes larger, which are no drift.
    """
    value = next((run for run in runs if run["model"] == "customer_lifetime_value"), _NO_RUN)
    forecast = next((run for run in runs if run["model"] == "revenue_forecast"), _NO_RUN)
    cutoff: pd.Timestamp | None = None if pd.isna(value["test_cutoff"]) else pd.Timestamp(value["test_cutoff"])
    return Page(
        name="models",
        heading="Model quality",
        lead=_lead(runs, curves, grades),
        sections=[
            Section("", [_tiles(runs)]),
            Section(
                "Who will leave", [*beside(calibration(curves), gains(curves)), contact_profit(curves, _contacts(runs))]
            ),
            Section("Judged again and again", beside(backtest(backtests), against_baselines(_brier(runs)))),
            Section(
                "What came, against what was foretold",
                beside(
                    lifetime_holdout(value["metrics"], value["notes"], cutoff),
                    forecast_accuracy(forecast["metrics"], forecast["notes"]),
                ),
            ),
            Section("Planted truth", _truth(grades)),
            Section("Has the data moved?", [drift(_drift(runs, grows_by_itself))]),
            Section("All models", [_table(runs)]),
        ],
        source="From ml.model_runs, churn_curves, churn_backtest and scorecard in pulse.duckdb.",
    )


_NO_RUN: Run = {"metrics": {}, "notes": "", "test_cutoff": None}


def _lead(runs: Sequence[Run], curves: pd.DataFrame, grades: pd.DataFrame) -> str:
    if not runs:
        return "No model has been trained yet."
    if curves.empty:
        return f"{counted(len(runs), 'model')} in use; there is too little history to judge who will leave."
    told = "graded on planted truth as well" if len(grades) else "real data, so that no truth is known to grade them on"
    return f"{counted(len(runs), 'model')} in use, judged on data they had not seen; {told}."


def _tiles(runs: Sequence[Run]) -> list[Tile]:
    churn = [run for run in runs if run["model"] == "churn" and run["metrics"].get("auc") is not None]
    tiles = [
        Tile(
            f"Churn, {run['horizon_days']:.0f} days",
            f"AUC {run['metrics']['auc']:.3f}",
            note=f"off by {100 * run['metrics']['ece']:.1f} points, {run['metrics']['n']:,} customers",
        )
        for run in churn
    ]
    return tiles or [Tile("Churn", "by recency", note="too few customers for a model")]


def _contacts(runs: Sequence[Run]) -> pd.DataFrame:
    rows = [
        {"horizon_days": run["horizon_days"], **{name: profit[name] for name in ("value", "cost", "success_rate")}}
        for run in runs
        if run["model"] == "churn" and (profit := run["metrics"].get("profit"))
    ]
    return pd.DataFrame(rows, columns=["horizon_days", "value", "cost", "success_rate"])


def _brier(runs: Sequence[Run]) -> pd.DataFrame:
    rows = [row for run in runs for row in _brier_of(run)]
    return pd.DataFrame(rows, columns=["task", "rival", "brier", "rows"])


def _brier_of(run: Run) -> Iterator[dict[str, Any]]:
    metrics = run["metrics"]
    if run["model"] not in ("churn", "session_purchase") or metrics.get("brier") is None:
        return
    task = f"leaving in {run['horizon_days']:.0f} days" if run["model"] == "churn" else "order of a visit"
    yield {"task": task, "rival": "model", "brier": metrics["brier"], "rows": metrics["n"]}
    baselines = metrics.get("baselines") or {}
    for name, rival in _RULES.items():
        if baselines.get(name, {}).get("brier") is not None:
            yield {"task": task, "rival": rival, "brier": baselines[name]["brier"], "rows": metrics["n"]}


def _drift(runs: Sequence[Run], grows_by_itself: Sequence[str]) -> pd.DataFrame:
    rows = [
        {
            "horizon_days": int(run["horizon_days"]),
            "feature": feature,
            "psi": figures["psi"],
            "bound": figures["bound"],
            "grows_by_itself": feature in grows_by_itself,
        }
        for run in runs
        if run["model"] == "churn"
        for feature, figures in (run["metrics"].get("drift") or {}).items()
    ]
    return pd.DataFrame(rows, columns=["horizon_days", "feature", "psi", "bound", "grows_by_itself"])


def _truth(grades: pd.DataFrame) -> list[Block]:
    if grades.empty:
        return [scorecard(grades)]
    return [*beside(scorecard(grades), scorecard_by_effect(grades)), *_measures(grades)]


def _measures(grades: pd.DataFrame) -> list[Table]:
    measures = grades[grades["measure"].notna()]
    if measures.empty:
        return []
    verdicts = ["no bound" if pd.isna(passed) else ("within" if passed else "outside") for passed in measures["passed"]]
    rows = measures.assign(detector=measures["detector"].str.replace("_", " "), verdict=verdicts)
    return [
        Table(
            "measures",
            "Further grades against planted truth",
            "Intervals are 95 %. Whether a grade is to reach its bound or to stay below depends on what it measures.",
            [
                Column("detector", "Detector", width=22),
                Column("measure", "Measure", width=44),
                Column("value", "Value", "number", decimals=3, width=8),
                Column("value_low", "From", "number", decimals=3, width=8),
                Column("value_high", "To", "number", decimals=3, width=8),
                Column("bound", "Bound", "number", decimals=3, width=8),
                Column("verdict", "Verdict", "category", tones={"outside": "bad", "within": "good"}, width=10),
            ],
            rows,
            "grades",
        )
    ]


def _table(runs: Sequence[Run]) -> Table:
    rows = pd.DataFrame(
        [
            {
                "model": run["model"].replace("_", " "),
                "horizon": run["horizon_days"],
                "version": run["version"],
                "as_of": run["as_of"],
                "test_cutoff": run["test_cutoff"],
                "figures": _figures(run),
                "notes": run["notes"],
            }
            for run in runs
        ],
        columns=["model", "horizon", "version", "as_of", "test_cutoff", "figures", "notes"],
    )
    return Table(
        "models",
        f"{counted(len(rows), 'model')} in use" if len(rows) else "No model has been trained yet",
        "A row opens to show what a reader has to know about the run." if len(rows) else "",
        [
            Column("model", "Model", is_searched=True, width=24),
            Column("horizon", "Horizon, days", "number", width=9),
            Column("version", "Version", is_searched=True, width=30),
            Column("as_of", "Trained for", "date", width=12),
            Column("test_cutoff", "Judged on", "date", width=12),
            Column("figures", "Figures", width=40),
            Column("notes", "Notes", is_detail=True),
        ],
        rows,
        "models",
    )


def _figures(run: Run) -> str:
    known = [
        pattern.format(run["metrics"][name])
        for name, pattern in _HEADLINES.get(run["model"], ())
        if run["metrics"].get(name) is not None
    ]
    return ", ".join(known)
