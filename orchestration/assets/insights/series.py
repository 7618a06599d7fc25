"""What happens over time, as assets: unusual days, lasting changes of products, and the revenue to come."""

import dagster as dg

from orchestration.artefacts import save_card
from orchestration.assets.insights.tables import MlTables, model_run, plain_figures, warn
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings

DAILY_COUNTS = """
select 'business' as kind, 'all' as series, sales_date as day, order_count as value
from marts.daily_sales
where order_count > 0
union all
select 'category', category, sold_on, count(distinct order_id)
from marts.fct_sales
where is_order_line
group by category, sold_on
union all
select 'product', product_id, sold_on, count(distinct order_id)
from marts.fct_sales
where is_order_line and product_id is not null
group by product_id, sold_on
union all
select 'region', customers.region, sales.sold_on, count(distinct sales.order_id)
from marts.fct_sales as sales
inner join marts.dim_customers as customers on sales.customer_id = customers.customer_id
where sales.is_order_line and customers.region is not null
group by customers.region, sales.sold_on
union all
select 'tickets', 'all', opened_on, count(*)
from marts.fct_tickets
group by opened_on
union all
select 'topic', coalesce(topic, 'unknown'), opened_on, count(*)
from marts.fct_tickets
group by coalesce(topic, 'unknown'), opened_on
"""
"""Orders and tickets a day, of the whole business and of its parts; what DuckDB counts is all that is read."""

CAMPAIGN_STARTS = "select starts_on from marts.campaign_performance where starts_on is not null order by starts_on"
"""Days on which campaigns began."""

WEEKLY_UNITS = """
with weeks as (
    select
        product_id,
        category,
        cast(date_trunc('week', sold_on) as date) as week,
        sum(coalesce(quantity, 1)) as units
    from marts.fct_sales
    where is_order_line and product_id is not null
    group by all
)

select product_id, category, week, cast(units as double) as units
from weeks
-- the first week counts only when the shop was open from its Monday
where week >= (select min(sold_on) from marts.fct_sales)
"""
"""Units a product and week that begins on a Monday."""

DAILY_REVENUE = "select sales_date as day, cast(net_revenue as double) as value from marts.daily_sales order by day"


def build_sales_anomalies(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.sales_anomalies`: days on which orders or tickets are unlike what the other days let one expect."""
    deps = [
        "marts.daily_sales",
        "marts.fct_sales",
        "marts.fct_tickets",
        "marts.dim_customers",
        "marts.campaign_performance",
    ]

    @dg.asset(**tables.described("sales_anomalies", deps, "scipy"))
    def sales_anomalies(context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from ml.unusual_days import unusual_days

        as_of, refresh = raw.folder.clock()
        campaigns = warehouse.read(CAMPAIGN_STARTS)["starts_on"]
        result = unusual_days(warehouse.read(DAILY_COUNTS), as_of, campaigns)
        warn(context, result.messages)
        run = model_run("sales_anomalies", f"baseline-{as_of}", as_of, result.metrics, result.messages)
        save_card(settings.models, "sales_anomalies", [run])
        details = tables.store(warehouse, "sales_anomalies", result.days.assign(as_of=as_of), refresh)
        return dg.MaterializeResult(metadata={**details, **plain_figures(result.metrics)})

    return sales_anomalies


def build_trend_changes(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.trend_changes`: when lasting changes of products' demand began."""

    @dg.asset(**tables.described("trend_changes", ["marts.fct_sales"], "scipy"))
    def trend_changes(context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from ml.trends import trend_changes as found_changes

        as_of, refresh = raw.folder.clock()
        result = found_changes(warehouse.read(WEEKLY_UNITS), as_of, random_state=settings.seed)
        warn(context, result.messages)
        run = model_run("trend_changes", f"change-point-{as_of}", as_of, result.metrics, result.messages)
        save_card(settings.models, "trend_changes", [run])
        details = tables.store(warehouse, "trend_changes", result.changes.assign(as_of=as_of), refresh)
        return dg.MaterializeResult(metadata={**details, **plain_figures(result.metrics)})

    return trend_changes


def build_revenue_forecast(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.revenue_forecast`: net revenue of the next 90 days."""

    @dg.asset(**tables.described("revenue_forecast", ["marts.daily_sales"], "scikitlearn"))
    def revenue_forecast(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from ml.forecast import HORIZON_DAYS, forecast_revenue

        as_of, refresh = raw.folder.clock()
        result = forecast_revenue(warehouse.read(DAILY_REVENUE), as_of)
        warn(context, result.messages)
        run = model_run("revenue_forecast", f"{result.method}-{as_of}", as_of, result.metrics, result.messages)
        save_card(settings.models, "revenue_forecast", [{**run, "horizon_days": HORIZON_DAYS}])
        details = tables.store(warehouse, "revenue_forecast", result.days.assign(as_of=as_of), refresh)
        return dg.MaterializeResult(metadata={**details, **plain_figures(result.metrics), "method": result.method})

    return revenue_forecast
