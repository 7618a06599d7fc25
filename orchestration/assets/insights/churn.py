"""Who is leaving, as an asset: one score a customer and horizon, with reasons in words and a verdict on the model."""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from orchestration.artefacts import save_card, save_model
from orchestration.assets.insights.tables import MlTables, model_run, warn
from orchestration.checks import CHURN_QUALITY, churn_quality
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings

if TYPE_CHECKING:
    from ml.churn_results import ChurnResult

HORIZONS = (30, 90, 180)
"""Days without an order that count as having left."""

REASONS = {
    "days_since_last_order": "no order for {days_since_last_order:.0f} days",
    "days_since_first_order": "customer for {days_since_first_order:.0f} days",
    "order_count": "{order_count:.0f} orders so far",
    "order_day_count": "ordered on {order_day_count:.0f} days so far",
    "average_gap_days": "usually {average_gap_days:.0f} days between orders",
    "recency_to_gap_ratio": "silent for {recency_to_gap_ratio:.1f} times the usual gap",
    "orders_30d": "{orders_30d:.0f} orders in 30 days",
    "orders_90d": "{orders_90d:.0f} orders in 90 days",
    "orders_180d": "{orders_180d:.0f} orders in 180 days",
    "orders_365d": "{orders_365d:.0f} orders in 365 days",
    "net_revenue": "spent {net_revenue:,.2f} so far",
    "gross_revenue_90d": "spent {gross_revenue_90d:,.2f} in 90 days",
    "average_order_value": "{average_order_value:,.2f} an order",
    "largest_line_revenue": "most expensive purchase {largest_line_revenue:,.2f}",
    "unit_count": "{unit_count:.0f} units so far",
    "product_count": "{product_count:.0f} different products",
    "category_count": "{category_count:.0f} different categories",
    "discounted_line_rate": "{discounted_line_rate:.0%} bought at a discount",
    "returned_line_rate": "{returned_line_rate:.0%} given back",
    "ticket_count_180d": "{ticket_count_180d:.0f} tickets in 180 days",
    "negative_ticket_count_180d": "{negative_ticket_count_180d:.0f} negative tickets in 180 days",
    "unresolved_ticket_count": "{unresolved_ticket_count:.0f} unresolved tickets",
    "session_count_90d": "{session_count_90d:.0f} visits in 90 days",
    "abandoned_cart_count_90d": "{abandoned_cart_count_90d:.0f} abandoned carts in 90 days",
    "email_open_count_180d": "{email_open_count_180d:.0f} e-mails opened in 180 days",
    "email_click_count_180d": "{email_click_count_180d:.0f} e-mail clicks in 180 days",
    "activity_count_90d": "{activity_count_90d:.0f} usage records in 90 days",
    "activity_count_before_90d": "{activity_count_before_90d:.0f} usage records in the 90 days before",
    "industry": "industry {industry}",
    "region": "region {region}",
    "age_group": "age group {age_group}",
    "acquisition_channel": "won through {acquisition_channel}",
}
"""Words for the features of customer_features, as reasons of a churn score."""


def build_churn_scores(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.churn_scores`: trained, judged and scored for every horizon."""
    quality = dg.AssetCheckSpec(
        CHURN_QUALITY,
        asset=["ml", "churn_scores"],
        description="On the test cutoff: better than the base rate, better than recency alone, and calibrated.",
        blocking=False,
    )

    @dg.asset(**tables.described("churn_scores", ["marts.customer_features"], "scikitlearn"), check_specs=[quality])
    def churn_scores(context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from ml.churn_protocol import evaluate_and_score

        as_of, refresh = raw.folder.clock()
        features = warehouse.read("select * from marts.customer_features order by cutoff_date, customer_id")
        results = [
            evaluate_and_score(features, as_of, horizon, reason_texts=REASONS, random_state=settings.seed)
            for horizon in HORIZONS
        ]
        for result in results:
            warn(context, [f"{result.horizon_days} days: {message}" for message in result.messages])
            save_model(settings.models, f"churn_{result.horizon_days}d", result.model)
        runs = [_churn_run(result, settings.seed) for result in results]
        save_card(settings.models, "churn", runs)
        scores = pd.concat([result.scores for result in results], ignore_index=True)
        details = tables.store(warehouse, "churn_scores", scores, refresh)

        verdicts = {result.horizon_days: churn_quality(result.metrics, result.messages) for result in results}
        passed = all(verdict.passed for verdict in verdicts.values())
        message = " ".join(f"{horizon} days: {verdict.message}" for horizon, verdict in verdicts.items())
        warehouse.record_check(
            CHURN_QUALITY, "churn_scores", severity="warn", passed=passed, message=message, refresh=refresh
        )
        # Numbers by themselves, so that Dagster draws them over time.
        headline = {
            f"{figure}_{run['horizon_days']}d": run["metrics"][figure]
            for run in runs
            for figure in ("auc", "brier", "ece")
            if run["metrics"].get(figure) is not None
        }
        return dg.MaterializeResult(
            metadata={**details, **headline},
            check_results=[
                dg.AssetCheckResult(
                    check_name=CHURN_QUALITY, passed=passed, severity=dg.AssetCheckSeverity.WARN, description=message
                )
            ],
        )

    return churn_scores


def _churn_run(result: "ChurnResult", seed: int) -> dict[str, Any]:
    """One horizon as a row of ml.model_runs: the model's own figures first, the baselines' beside them."""
    metrics = {
        **result.metrics.get("model", {}),
        **{name: value for name, value in result.metrics.items() if name != "model"},
        "training_cutoffs": result.training_cutoffs,
        "scoring_cutoffs": result.scoring_cutoffs,
        "features": result.features,
        "seed": seed,
    }
    run = model_run("churn", result.model_version, result.as_of, metrics, result.messages)
    return {**run, "horizon_days": result.horizon_days, "test_cutoff": result.test_cutoff}
