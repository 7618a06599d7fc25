"""How the detectors did, as an asset: what they found in the synthetic business beside what was planted there."""

from datetime import timedelta

import dagster as dg
import pandas as pd

from orchestration.assets.insights.tables import MlTables
from orchestration.preview import preview_markdown
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings
from orchestration.sources import is_synthetic, synthetic_start

FOUND = {
    "ticket_anomalies": "select customer_id, ticket_count, is_anomaly from ml.ticket_anomalies",
    "sales_anomalies": """
        select distinct
            stretch_starts_on as starts_on,
            stretch_ends_on as ends_on,
            direction,
            (select min(day) from ml.sales_anomalies where kind = 'business' and q_value is not null) as tested_from
        from ml.sales_anomalies
        where kind = 'business' and is_anomaly
    """,
    "trend_changes": """
        select product_id, direction, changed_on as starts_on, changed_until as ends_on
        from ml.trend_changes
        where is_change
    """,
    "product_trends": """
        select product_id, direction, month as starts_on, last_day(month) as ends_on
        from marts.product_trends
        where is_significant
    """,
    "product_associations": "select product_id_a, product_id_b from ml.product_associations where is_associated",
    "campaign_roi": """
        select
            campaign_id,
            incremental_orders / treated_count as effect,
            incremental_orders_low / treated_count as low,
            incremental_orders_high / treated_count as high
        from marts.campaign_roi
        where treated_count > 0
    """,
    "churn_scores": """
        select scores.customer_id, scores.churn_probability, metrics.days_since_last_purchase as days_since_last_order
        from ml.churn_scores as scores
        inner join marts.customer_metrics as metrics on scores.customer_id = metrics.customer_id
        where scores.horizon_days = 90
    """,
    "customer_lifetime_value": "select customer_id, probability_alive from ml.customer_lifetime_value",
    "churn_reasons": """
        select
            scores.customer_id,
            coalesce(contains(concat_ws(' | ', reason_1, reason_2, reason_3), 'ticket'), false) as names_tickets,
            coalesce(features.negative_ticket_count_180d > 0, false) as had_tickets
        from ml.churn_scores as scores
        inner join marts.customer_features as features
            on scores.customer_id = features.customer_id and scores.as_of = features.cutoff_date
        where scores.horizon_days = 90 and scores.churn_probability is not null
    """,
    "orders": "select order_id, min(sold_on) as sold_on from marts.fct_sales group by order_id",
    "customer_uplift": "select customer_id, uplift_probability from ml.customer_uplift",
}
"""What each detector found, as the scorecard reads it."""

GRADED = tuple(name for name in FOUND if name not in ("orders", "churn_reasons"))
_CHECKS = (*GRADED, "churn_reasons")


def build_scorecard(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.scorecard`: every detector graded against the planted truth; empty for a business that is real."""
    deps = ["marts.fct_sales", "marts.customer_metrics", "marts.customer_features", *map(_table, GRADED)]
    described = tables.described("scorecard", deps, "scipy")
    checks = [
        dg.AssetCheckSpec(
            _check(name),
            asset=["ml", "scorecard"],
            description=f"On the synthetic business, {name} finds what is planted and little else.",
            blocking=False,
        )
        for name in _CHECKS
    ]

    @dg.asset(**described, check_specs=checks)
    def scorecard(raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from orchestration.scorecard import COLUMNS
        from orchestration.scorecard import scorecard as graded
        from sources.synthetic import SyntheticSource

        as_of, refresh = raw.folder.clock()
        rows = pd.DataFrame(columns=COLUMNS)
        if is_synthetic(settings):
            start = synthetic_start(raw.folder.state().began_on, as_of + timedelta(days=1))
            source = SyntheticSource(settings.seed, settings.scale, start)
            found = warehouse.read_all(FOUND)
            rows = graded(found, source.truth(as_of), as_of)
        results = []
        for name in _CHECKS:
            passed, message = _verdict(rows[rows["detector"] == name])
            results.append(
                dg.AssetCheckResult(
                    check_name=_check(name),
                    passed=passed,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=message,
                )
            )
        warehouse.record_checks("scorecard", results, refresh)
        details = tables.store(warehouse, "scorecard", rows.assign(as_of=as_of), refresh)
        shown = rows[rows["effect"].fillna("all") == "all"].dropna(axis=1, how="all")
        preview = dg.MetadataValue.md(preview_markdown(shown, rows=len(shown)))
        return dg.MaterializeResult(metadata={**details, "grades": preview}, check_results=results)

    return scorecard


def _table(name: str) -> str:
    return f"{'marts' if name in ('product_trends', 'campaign_roi') else 'ml'}.{name}"


def _check(name: str) -> str:
    return f"{name}_against_the_truth"


def _verdict(rows: pd.DataFrame) -> tuple[bool, str]:
    """Whether none of a detector's figures fails, and what they are."""
    told = []
    for row in rows.to_dict("records"):
        if row["effect"] == "all":
            told.append(
                f"{row['planted_found']:.0f} of {row['planted']:.0f} planted found, "
                f"{row['true_found']:.0f} of {row['found']:.0f} findings true"
            )
        elif pd.notna(row["measure"]) and pd.notna(row["value"]):
            told.append(f"{row['measure']}: {row['value']:.3f}")
    failed = rows["passed"].eq(False).any()
    return not failed, "; ".join(told) or "Nothing was planted: nothing to grade."
