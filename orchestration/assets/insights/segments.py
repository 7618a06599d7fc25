"""Groups of customers as an asset: clusters of the RFM measures."""

import dagster as dg

from orchestration.artefacts import save_card, save_model
from orchestration.assets.insights.tables import MlTables, model_run, plain_figures, training_sample, warn
from orchestration.preview import preview_markdown
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings

_CUSTOMERS = """
select customer_id, days_since_last_order, frequency, cast(monetary as double) as monetary
from marts.customer_rfm
where {sampled}
order by customer_id
"""


def build_clusters(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.customer_clusters`: k-means on recency, frequency and spend."""

    @dg.asset(**tables.described("customer_clusters", ["marts.customer_rfm"], "scikitlearn"))
    def customer_clusters(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from ml.segments import cluster_customers

        as_of, refresh = raw.folder.clock()
        sample = training_sample(settings, warehouse, "marts.customer_rfm")
        frame = warehouse.read(_CUSTOMERS.format(sampled=sample.condition("customer_id")))
        result = cluster_customers(frame, random_state=settings.seed)
        warn(context, result.messages)
        save_model(settings.models, "customer_clusters", result.model)
        version = f"kmeans-{as_of}"
        metrics = {**result.metrics, "trained_share": sample.share}
        run = model_run("customer_clusters", version, as_of, metrics, result.messages)
        save_card(settings.models, "customer_clusters", [run])
        clusters = result.clusters
        if settings.target == "spark" and result.scorer is not None:
            from orchestration.spark.scoring import score_on_executors

            everyone = _CUSTOMERS.format(sampled="true")
            columns = tables.typed("customer_clusters", "model_version", "as_of")
            clusters = score_on_executors(settings, result.scorer, everyone, columns=columns)
        clusters = clusters.assign(model_version=version, as_of=as_of)
        details = tables.store(warehouse, "customer_clusters", clusters, refresh)
        profile = dg.MetadataValue.md(preview_markdown(result.profile, rows=12))
        return dg.MaterializeResult(metadata={**details, **plain_figures(metrics), "profile": profile})

    return customer_clusters
