"""The ml tables as assets: frames out of the marts, through a pure estimator, into a table.

How an estimator works is the business of `ml`; here is which frame it gets and what is kept of its result. Estimators
are imported inside the assets, because scikit-learn costs seconds.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from orchestration.assets.insights.churn import build_churn_scores
from orchestration.assets.insights.lifetime import build_lifetime_value
from orchestration.assets.insights.products import build_product_associations
from orchestration.assets.insights.registry import build_model_runs
from orchestration.assets.insights.scorecard import build_scorecard
from orchestration.assets.insights.segments import build_clusters
from orchestration.assets.insights.series import (
    build_revenue_forecast,
    build_sales_anomalies,
    build_trend_changes,
)
from orchestration.assets.insights.tables import MlTables
from orchestration.assets.insights.tickets import build_ticket_anomalies
from orchestration.assets.insights.uplift import build_customer_uplift
from orchestration.assets.insights.visits import (
    build_customer_intent,
    build_customer_personas,
    build_session_purchase_predictions,
)
from orchestration.settings import Settings

MODELS = (
    build_clusters,
    build_churn_scores,
    build_lifetime_value,
    build_ticket_anomalies,
    build_product_associations,
    build_sales_anomalies,
    build_trend_changes,
    build_revenue_forecast,
    build_session_purchase_predictions,
    build_customer_intent,
    build_customer_personas,
    build_customer_uplift,
)


def build_ml_assets(settings: Settings, manifest: Mapping[str, Any]) -> list[dg.AssetsDefinition]:
    """Every model's tables, and the record of their runs.

    Args:
        settings: The settings.
        manifest: dbt's manifest: it declares the columns of the ml tables.
    """
    tables = MlTables(manifest, settings.home)
    models = [build(settings, tables) for build in MODELS]
    written = [".".join(key.path) for model in models for key in model.keys]
    return [*models, build_model_runs(settings, tables, written), build_scorecard(settings, tables)]
