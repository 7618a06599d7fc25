"""The overview page: its queries."""

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
    description="Key figures, revenue, segments and risk on one page.",
    queries={
        "daily_sales": """
            select sales_date, cast(net_revenue as double) as net_revenue, order_count
            from marts.daily_sales
            order by sales_date
        """,
        "customers": """
            select
                segment, is_at_risk, has_unusual_sentiment, churn_probability,
                cast(total_spend as double) as total_spend
            from marts.customer_360
            where purchase_count is not null
            order by customer_id
        """,
    },
    make=_page,
)
