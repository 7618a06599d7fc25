"""Whom to contact, as an asset: the effect of a message on every customer, and how well it is known."""

import dagster as dg

from orchestration.artefacts import save_card, save_model
from orchestration.assets.insights.tables import MlTables, model_run, warn
from orchestration.preview import preview_markdown
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings


def build_customer_uplift(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.customer_uplift`: learned from campaigns with a control group."""

    @dg.asset(**tables.described("customer_uplift", ["marts.contact_features", "marts.fct_sales"], "scikitlearn"))
    def customer_uplift(context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from ml.uplift import evaluate_and_score

        as_of, refresh = raw.folder.clock()
        frame = warehouse.read("select * from marts.contact_features order by contact_id, customer_id")
        # As in campaign_roi: on margin, or on revenue where no unit cost is known.
        has_costs = warehouse.read("select count(unit_cost) > 0 as has_costs from marts.fct_sales")["has_costs"].iloc[0]
        basis = "margin" if has_costs else "revenue"
        value = {"margin": "gross_margin_after_30d", "revenue": "net_revenue_after_30d"}[basis]
        result = evaluate_and_score(frame, as_of, value=value, random_state=settings.seed)
        warn(context, result.messages)
        save_model(settings.models, "customer_uplift", result.model)
        groups = result.groups.to_dict("records")
        run = model_run(
            "customer_uplift", result.model_version, as_of, {**result.metrics, "groups": groups}, result.messages
        )
        save_card(settings.models, "customer_uplift", [run])
        scores = result.scores.assign(value_basis=basis, as_of=as_of)
        details = tables.store(warehouse, "customer_uplift", scores, refresh)
        figures = {
            f"{name}_{end}": float(found[end])
            for name in ("average_effect", "qini", "qini_above_churn")
            for end in ("estimate", "low", "high")
            if (found := result.metrics.get(name))
        }
        counts = {name: int(result.metrics[name]) for name in ("contacts", "treated", "control", "campaigns")}
        calibration = dg.MetadataValue.md(preview_markdown(result.groups, rows=len(result.groups)))
        return dg.MaterializeResult(metadata={**details, **counts, **figures, "groups": calibration})

    return customer_uplift
