"""The ml tables as assets: frames out of the marts, through a pure estimator, into a table.

How an estimator works is the business of `ml`; here is which frame it gets and what is kept of its result. Estimators
are imported inside the assets, because scikit-learn costs seconds.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pandas as pd

from orchestration.artefacts import load_cards, save_card, save_model
from orchestration.checks import CHURN_QUALITY, Verdict, churn_quality
from orchestration.preview import preview_markdown
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings

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


def build_ml_assets(settings: Settings, manifest: Mapping[str, Any]) -> list[dg.AssetsDefinition]:
    """Clusters, churn scores, ticket anomalies, and the record of their runs.

    Args:
        settings: The settings.
        manifest: dbt's manifest: it declares the columns of the ml tables.
    """

    def described(table: str, deps: list[str], kinds: set[str]) -> dict[str, Any]:
        source = manifest["sources"][f"source.customer_pulse.ml.{table}"]
        columns = [
            dg.TableColumn(column["name"], column["data_type"], column["description"])
            for column in source["columns"].values()
        ]
        return {
            "key": ["ml", table],
            "deps": [dg.AssetKey(dep.split(".")) for dep in deps],
            "description": source["description"],
            "group_name": "ml",
            "owners": ["team:data-science"],
            "kinds": {"python", "duckdb", *kinds},
            "metadata": {"dagster/column_schema": dg.TableSchema(columns=columns)},
        }

    def store(warehouse: Warehouse, table: str, frame: pd.DataFrame) -> dict[str, Any]:
        source = manifest["sources"][f"source.customer_pulse.ml.{table}"]
        columns = [(column["name"], column["data_type"]) for column in source["columns"].values()]
        rows = warehouse.replace(f"ml.{table}", columns, frame)
        return {"dagster/row_count": rows, "preview": dg.MetadataValue.md(preview_markdown(frame))}

    @dg.asset(**described("customer_clusters", ["marts.customer_rfm"], {"scikitlearn"}))
    def customer_clusters(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from ml.segments import cluster_customers

        as_of, _ = raw.folder.clock()
        frame = warehouse.read(
            """
            select customer_id, days_since_last_order, frequency, cast(monetary as double) as monetary
            from marts.customer_rfm
            order by customer_id
            """
        )
        result = cluster_customers(frame, random_state=settings.seed)
        _say(context, result.messages)
        version = f"kmeans-{as_of}"
        if result.model is not None:
            save_model(settings.models, "customer_clusters", result.model)
        save_card(
            settings.models,
            "customer_clusters",
            [_run("customer_clusters", version, as_of, result.metrics, result.messages)],
        )
        details = store(warehouse, "customer_clusters", result.clusters.assign(as_of=as_of))
        profile = dg.MetadataValue.md(preview_markdown(result.profile, rows=12))
        return dg.MaterializeResult(metadata={**details, **_figures(result.metrics), "profile": profile})

    @dg.asset(
        **described("churn_scores", ["marts.customer_features"], {"scikitlearn"}),
        check_specs=[
            dg.AssetCheckSpec(
                CHURN_QUALITY,
                asset=["ml", "churn_scores"],
                description="On the test cutoff the model is better than the base rate and than recency alone, and calibrated.",
                blocking=False,
            )
        ],
    )
    def churn_scores(context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from ml.churn import evaluate_and_score

        as_of, refresh = raw.folder.clock()
        features = warehouse.read("select * from marts.customer_features order by cutoff_date, customer_id")
        scores, runs, verdicts = [], [], {}
        for horizon in HORIZONS:
            result = evaluate_and_score(
                features, as_of, horizon, reason_texts=REASONS, random_state=settings.seed
            )
            scores.append(result.scores)
            _say(context, [f"{horizon} days: {message}" for message in result.messages])
            if result.model is not None:
                save_model(settings.models, f"churn_{horizon}d", result.model)
            metrics = {
                **result.metrics.get("model", {}),
                **{name: value for name, value in result.metrics.items() if name != "model"},
                "training_cutoffs": result.training_cutoffs,
                "scoring_cutoffs": result.scoring_cutoffs,
                "features": result.features,
                "seed": settings.seed,
            }
            runs.append(
                _run(
                    "churn", result.model_version, as_of, metrics, result.messages,
                    horizon_days=horizon, test_cutoff=result.test_cutoff,
                )
            )
            verdicts[horizon] = churn_quality(result.metrics, result.messages)
        save_card(settings.models, "churn", runs)
        details = store(warehouse, "churn_scores", pd.concat(scores, ignore_index=True))
        verdict = Verdict(
            all(each.passed for each in verdicts.values()),
            " ".join(f"{horizon} days: {each.message}" for horizon, each in verdicts.items()),
        )
        warehouse.record_check(
            CHURN_QUALITY, "churn_scores", severity="warn", passed=verdict.passed, message=verdict.message,
            refresh=refresh,
        )
        headline = {f"{run['horizon_days']}d": _figures(run["metrics"]) for run in runs}
        return dg.MaterializeResult(
            metadata={**details, "metrics": dg.MetadataValue.json(headline)},
            check_results=[
                dg.AssetCheckResult(
                    check_name=CHURN_QUALITY,
                    passed=verdict.passed,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=verdict.message,
                )
            ],
        )

    @dg.asset(**described("ticket_anomalies", ["marts.customer_sentiment"], {"scipy"}))
    def ticket_anomalies(raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from ml.anomalies import unusual_sentiment

        as_of, _ = raw.folder.clock()
        frame = warehouse.read(
            """
            select customer_id, scored_ticket_count as ticket_count, negative_count
            from marts.customer_sentiment
            order by customer_id
            """
        )
        result = unusual_sentiment(frame)
        found = int(result["is_anomaly"].sum())
        tested = int(result["q_value"].notna().sum())
        metrics = {"customers": len(result), "tested": tested, "anomalies": found}
        save_card(
            settings.models, "ticket_anomalies", [_run("ticket_anomalies", f"beta-binomial-{as_of}", as_of, metrics, [])]
        )
        details = store(warehouse, "ticket_anomalies", result.assign(as_of=as_of))
        return dg.MaterializeResult(metadata={**details, **metrics})

    @dg.asset(
        **described("model_runs", ["ml.customer_clusters", "ml.churn_scores", "ml.ticket_anomalies"], set()),
    )
    def model_runs(warehouse: Warehouse) -> dg.MaterializeResult:
        import json

        columns = manifest["sources"]["source.customer_pulse.ml.model_runs"]["columns"]
        runs = [{**run, "metrics": json.dumps(run["metrics"], sort_keys=True)} for run in load_cards(settings.models)]
        return dg.MaterializeResult(
            metadata=store(warehouse, "model_runs", pd.DataFrame(runs, columns=list(columns)))
        )

    return [customer_clusters, churn_scores, ticket_anomalies, model_runs]


def _run(
    model: str,
    version: str,
    as_of: Any,
    metrics: Mapping[str, Any],
    messages: list[str],
    horizon_days: int | None = None,
    test_cutoff: Any = None,
) -> dict[str, Any]:
    """One row of ml.model_runs."""
    return {
        "model": model,
        "version": version,
        "horizon_days": horizon_days,
        "as_of": as_of,
        "test_cutoff": test_cutoff,
        "metrics": dict(metrics),
        "champion": True,
        "notes": " ".join(messages) or None,
    }


def _figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The plain numbers among a model's metrics."""
    return {
        name: float(value) if isinstance(value, float) else int(value)
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _say(context: dg.AssetExecutionContext, messages: list[str]) -> None:
    for message in messages:
        context.log.warning(message)
