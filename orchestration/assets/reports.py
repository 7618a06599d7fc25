"""The pages as an asset: written to a temporary folder, put in place by publish."""

import dagster as dg

from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings


def build_report_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The overview page."""

    @dg.asset(
        key=["reports", "overview"],
        deps=[["marts", "daily_sales"], ["marts", "customer_360"], ["ml", "model_runs"]],
        description="One page on revenue, segments and risk, to be opened in a browser without a network.",
        group_name="reports",
        owners=["team:analytics-engineering"],
        kinds={"plotly", "html"},
    )
    def overview(raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from reports.overview import overview_page
        from reports.site import write_site

        as_of, refresh = raw.folder.clock()
        page = overview_page(
            daily_sales=warehouse.read(
                """
                select sales_date, cast(net_revenue as double) as net_revenue, order_count
                from marts.daily_sales
                order by sales_date
                """
            ),
            customers=warehouse.read(
                """
                select
                    segment, is_at_risk, has_unusual_sentiment, churn_probability,
                    cast(total_spend as double) as total_spend
                from marts.customer_360
                where purchase_count is not null
                """
            ),
            as_of=as_of,
            refresh=refresh,
        )
        folder = write_site(settings.home, refresh, {"index.html": page})
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(settings.reports / "index.html"),
                "size_bytes": sum(file.stat().st_size for file in folder.iterdir()),
            }
        )

    return [overview]
