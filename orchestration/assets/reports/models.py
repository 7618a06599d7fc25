"""The page of how good the models are: its queries."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from orchestration.assets.reports.report_page import ReportPage
from orchestration.checks import GROWS_BY_ITSELF

if TYPE_CHECKING:
    from reports.blocks import Page


def _page(frames: Mapping[str, pd.DataFrame]) -> "Page":
    from reports.models import models_page

    runs = [
        {**{str(name): value for name, value in run.items()}, "metrics": json.loads(run["metrics"] or "{}")}
        for run in frames["runs"].assign(notes=frames["runs"]["notes"].fillna("")).to_dict("records")
    ]
    curves, backtests, grades = (frames[name] for name in ("curves", "backtests", "grades"))
    return models_page(runs=runs, curves=curves, backtests=backtests, grades=grades, grows_by_itself=GROWS_BY_ITSELF)


PAGE = ReportPage(
    name="models",
    description="Calibration, gains, profit and backtests of churn; lifetime and forecast against what came; drift.",
    queries={
        "runs": """
            select model, version, horizon_days, as_of, test_cutoff, metrics, notes
            from ml.model_runs
            where champion
            order by model, horizon_days
        """,
        "curves": "select * from ml.churn_curves order by horizon_days, curve, bin",
        "backtests": "select * from ml.churn_backtest order by horizon_days, test_cutoff",
        "grades": "select * from ml.scorecard",
    },
    make=_page,
)
