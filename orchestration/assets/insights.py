"""The ml tables as assets: frames out of the marts, through a pure estimator, into a table.

How an estimator works is the business of `ml`; here is which frame it gets and what is kept of its result. Estimators
are imported inside the assets, because scikit-learn costs seconds.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from orchestration.artefacts import load_cards, save_card, save_model
from orchestration.checks import CHURN_QUALITY, churn_quality
from orchestration.preview import preview_markdown
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings

if TYPE_CHECKING:
    from ml.churn import ChurnResult

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


class MlTables:
    """The ml tables as dbt's sources declare them.

    Args:
        manifest: dbt's manifest as a dictionary.
    """

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self._sources = {
            source["name"]: source for source in manifest["sources"].values() if source["source_name"] == "ml"
        }

    def described(self, table: str, deps: list[str], *kinds: str) -> dict[str, Any]:
        """Arguments of the asset that writes a table.

        Args:
            table: Its name.
            deps: Keys of what it reads, as ``schema.table``.
            *kinds: Further kinds, shown in the UI.
        """
        columns = [dg.TableColumn(name, kind, doc) for name, kind, doc in self._columns(table)]
        return {
            "key": ["ml", table],
            "deps": [dg.AssetKey(dep.split(".")) for dep in deps],
            "description": self._sources[table]["description"],
            "group_name": "ml",
            "owners": ["team:data-science"],
            "kinds": {"python", "duckdb", *kinds},
            "metadata": {"dagster/column_schema": dg.TableSchema(columns=columns)},
        }

    def store(self, warehouse: Warehouse, table: str, frame: pd.DataFrame, refresh: int) -> dict[str, Any]:
        """Replace a table; returns row count and preview as metadata."""
        columns = [(name, kind) for name, kind, _ in self._columns(table)]
        rows = warehouse.replace(f"ml.{table}", columns, frame, refresh)
        return {"dagster/row_count": rows, "preview": dg.MetadataValue.md(preview_markdown(frame))}

    def names(self, table: str) -> list[str]:
        """A table's columns in order."""
        return [name for name, _, _ in self._columns(table)]

    def _columns(self, table: str) -> list[tuple[str, str, str]]:
        columns = self._sources[table]["columns"].values()
        return [(column["name"], column["data_type"], column["description"]) for column in columns]


def build_ml_assets(settings: Settings, manifest: Mapping[str, Any]) -> list[dg.AssetsDefinition]:
    """Clusters, churn scores, ticket anomalies, and the record of their runs.

    Args:
        settings: The settings.
        manifest: dbt's manifest: it declares the columns of the ml tables.
    """
    tables = MlTables(manifest)
    return [build(settings, tables) for build in (_clusters, _churn, _anomalies, _model_runs)]


def _clusters(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    @dg.asset(**tables.described("customer_clusters", ["marts.customer_rfm"], "scikitlearn"))
    def customer_clusters(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from ml.segments import cluster_customers

        as_of, refresh = raw.folder.clock()
        frame = warehouse.read(
            """
            select customer_id, days_since_last_order, frequency, cast(monetary as double) as monetary
            from marts.customer_rfm
            order by customer_id
            """
        )
        result = cluster_customers(frame, random_state=settings.seed)
        _say(context, result.messages)
        save_model(settings.models, "customer_clusters", result.model)
        save_card(
            settings.models,
            "customer_clusters",
            [_run("customer_clusters", f"kmeans-{as_of}", as_of, result.metrics, result.messages)],
        )
        details = tables.store(warehouse, "customer_clusters", result.clusters.assign(as_of=as_of), refresh)
        profile = dg.MetadataValue.md(preview_markdown(result.profile, rows=12))
        return dg.MaterializeResult(metadata={**details, **_figures(result.metrics), "profile": profile})

    return customer_clusters


def _churn(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    quality = dg.AssetCheckSpec(
        CHURN_QUALITY,
        asset=["ml", "churn_scores"],
        description="On the test cutoff: better than the base rate, better than recency alone, and calibrated.",
        blocking=False,
    )

    @dg.asset(**tables.described("churn_scores", ["marts.customer_features"], "scikitlearn"), check_specs=[quality])
    def churn_scores(context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from ml.churn import evaluate_and_score

        as_of, refresh = raw.folder.clock()
        features = warehouse.read("select * from marts.customer_features order by cutoff_date, customer_id")
        results = [
            evaluate_and_score(features, as_of, horizon, reason_texts=REASONS, random_state=settings.seed)
            for horizon in HORIZONS
        ]
        for result in results:
            _say(context, [f"{result.horizon_days} days: {message}" for message in result.messages])
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


def _anomalies(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    @dg.asset(**tables.described("ticket_anomalies", ["marts.customer_sentiment"], "scipy"))
    def ticket_anomalies(raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from ml.anomalies import unusual_sentiment

        as_of, refresh = raw.folder.clock()
        frame = warehouse.read(
            """
            select customer_id, scored_ticket_count as ticket_count, negative_count
            from marts.customer_sentiment
            order by customer_id
            """
        )
        result = unusual_sentiment(frame)
        metrics = {
            "customers": len(result),
            "tested": int(result["q_value"].notna().sum()),
            "anomalies": int(result["is_anomaly"].sum()),
        }
        run = _run("ticket_anomalies", f"beta-binomial-{as_of}", as_of, metrics, [])
        save_card(settings.models, "ticket_anomalies", [run])
        details = tables.store(warehouse, "ticket_anomalies", result.assign(as_of=as_of), refresh)
        return dg.MaterializeResult(metadata={**details, **metrics})

    return ticket_anomalies


def _model_runs(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    models = ["ml.customer_clusters", "ml.churn_scores", "ml.ticket_anomalies"]

    @dg.asset(**tables.described("model_runs", models))
    def model_runs(raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        _, refresh = raw.folder.clock()
        runs = [{**run, "metrics": json.dumps(run["metrics"], sort_keys=True)} for run in load_cards(settings.models)]
        frame = pd.DataFrame(runs, columns=tables.names("model_runs"))
        return dg.MaterializeResult(metadata=tables.store(warehouse, "model_runs", frame, refresh))

    return model_runs


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
    run = _run("churn", result.model_version, result.as_of, metrics, result.messages)
    return {**run, "horizon_days": result.horizon_days, "test_cutoff": result.test_cutoff}


def _run(model: str, version: str, as_of: date, metrics: Mapping[str, Any], messages: list[str]) -> dict[str, Any]:
    """One row of ml.model_runs."""
    return {
        "model": model,
        "version": version,
        "horizon_days": None,
        "as_of": as_of,
        "test_cutoff": None,
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
