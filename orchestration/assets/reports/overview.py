"""The overview: its queries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from orchestration.assets.reports.report_page import ReportPage

if TYPE_CHECKING:
    from reports.blocks import Page


def _page(frames: Mapping[str, pd.DataFrame]) -> "Page":
    from reports.overview import overview_page

    return overview_page(**frames)


PAGE = ReportPage(
    name="overview",
    description="Key figures with their change, alerts, what to do next, revenue with forecast, segments.",
    queries={
        "figures": """
            select
                metric, label, unit, description, value, previous_value, change_ratio, direction_is_good,
                year_before_value, period_start, period_end, previous_period_end
            from marts.overview
            order by display_order
        """,
        "snapshots": """
            select snapshot_on, metric, value
            from marts.kpi_snapshots
            order by snapshot_on, metric
        """,
        "alerts": """
            select severity, kind, title, evidence, subject_type, subject_id, first_seen_on, page
            from marts.alerts
            order by display_order
        """,
        "actions": """
            select
                action, count(*) as customers, count(*) filter (where is_contactable) as contactable,
                count(*) filter (where is_selected) as selected,
                cast(sum(expected_incremental_profit) filter (where is_selected) as double) as expected_profit
            from marts.next_best_actions
            group by action
            order by action
        """,
        "daily_sales": """
            select sales_date, cast(net_revenue as double) as net_revenue
            from marts.daily_sales
            order by sales_date
        """,
        "forecast": """
            select day, forecast, lower, upper
            from ml.revenue_forecast
            order by day
        """,
        "unusual": """
            select day, value, expected, direction
            from ml.sales_anomalies
            where kind = 'business' and is_anomaly
            order by day
        """,
        "customers": """
            select segment, cast(total_spend as double) as total_spend
            from marts.customer_360
            where purchase_count is not null
            order by customer_id
        """,
    },
    make=_page,
)
