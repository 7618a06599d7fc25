"""What customers are worth over the next year, as an asset: purchases and values from the sale lines."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from orchestration.artefacts import save_card
from orchestration.assets.insights.tables import MlTables, model_run, warn
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings

BOOKINGS = """
with
    lines as (
        select
            customer_id,
            sold_on,
            returned_on,
            is_order_line,
            gross_revenue,
            returned_revenue,
            is_return,
            unit_cost * abs(coalesce(quantity, 1)) as cost
        from marts.fct_sales
        where customer_id is not null
    ),

    -- a return is booked on its own day, so that no past day knows of it
    booked as (
        select
            customer_id,
            sold_on as booked_on,
            is_order_line as has_order,
            gross_revenue as revenue,
            case when not is_return then gross_revenue - cost end as margin
        from lines
        union all
        select
            customer_id,
            returned_on as booked_on,
            false as has_order,
            -returned_revenue as revenue,
            cost - returned_revenue as margin
        from lines
        where returned_on is not null
    )

select
    customer_id,
    booked_on,
    bool_or(has_order) as has_order,
    -- decimals are added up exactly, in whatever order
    cast(sum(revenue) as double) as revenue,
    cast(sum(margin) as double) as margin,
    cast(coalesce(sum(revenue) filter (where margin is not null), 0) as double) as costed_revenue
from booked
group by customer_id, booked_on
order by customer_id, booked_on
"""
"""What customers booked a day: sold less given back, and the margin where unit costs are known."""


def build_lifetime_value(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.customer_lifetime_value`: chosen, corrected and graded on past windows, then told for everyone."""

    @dg.asset(**tables.described("customer_lifetime_value", ["marts.fct_sales"], "scipy"))
    def customer_lifetime_value(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from ml.lifetime import estimate_lifetime_value

        as_of, refresh = raw.folder.clock()
        result = estimate_lifetime_value(warehouse.read(BOOKINGS), as_of, random_state=settings.seed)
        warn(context, result.messages)
        run = model_run("customer_lifetime_value", result.model_version, as_of, result.metrics, result.messages)
        horizon = result.metrics.get("horizon_days")
        save_card(
            settings.models,
            "customer_lifetime_value",
            [{**run, "horizon_days": horizon, "test_cutoff": result.test_cutoff}],
        )
        details = tables.store(warehouse, "customer_lifetime_value", result.customers.assign(as_of=as_of), refresh)
        return dg.MaterializeResult(metadata={**details, **_headline(result.metrics)})

    return customer_lifetime_value


def _headline(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The figures that Dagster draws over time."""
    figures = {name: metrics.get(name) for name in ("customers", "repeaters", "clv_total", "log_likelihood")}
    for name in ("orders", "value"):
        graded = (metrics.get("holdout") or {}).get(name, {})
        for figure in ("bias", "rmse", "correlation", "pit_ks", "group_coverage"):
            figures[f"holdout_{name}_{figure}"] = graded.get(figure)
    return {name: float(value) for name, value in figures.items() if value is not None}
