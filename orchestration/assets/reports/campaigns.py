"""The page of campaigns and what they earned: its queries."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from orchestration.assets.reports.report_page import ReportPage

if TYPE_CHECKING:
    from reports.blocks import Page


def _page(frames: Mapping[str, pd.DataFrame]) -> "Page":
    from reports.campaigns import campaigns_page

    runs = frames["runs"]
    uplift = {
        "metrics": json.loads(runs["metrics"].iloc[0]) if len(runs) else {},
        "notes": (runs["notes"].iloc[0] if len(runs) else None) or "",
    }
    return campaigns_page(**{name: frame for name, frame in frames.items() if name != "runs"}, uplift=uplift)


PAGE = ReportPage(
    name="campaigns",
    description="What campaigns earned with intervals, over time, by offer and segment; costs; whom to write to.",
    queries={
        "campaigns": """
            select
                * replace (
                    cast(fixed_cost as double) as fixed_cost,
                    cast(contact_cost as double) as contact_cost,
                    cast(discount_given as double) as discount_given,
                    cast(total_cost as double) as total_cost
                )
            from marts.campaign_roi
            order by campaign_id
        """,
        "messages": "select * from marts.campaign_performance order by campaign_id",
        "profits": """
            select * replace (cast(total_cost as double) as total_cost)
            from marts.campaign_profit
            order by breakdown, part
        """,
        "incentives": """
            select * replace (cast(total_cost as double) as total_cost)
            from marts.incentive_performance
            order by offer_type
        """,
        "deciles": """
            select
                uplift.uplift_decile,
                count(*) as customer_count,
                count(*) filter (where customers.marketing_consent) as contactable_count,
                avg(uplift.uplift_probability) as uplift,
                avg(uplift.uplift_low) as uplift_low,
                avg(uplift.uplift_high) as uplift_high,
                avg(uplift.uplift_value) as uplift_value
            from ml.customer_uplift as uplift
            left join marts.dim_customers as customers on uplift.customer_id = customers.customer_id
            group by uplift.uplift_decile
            order by uplift.uplift_decile
        """,
        "runs": "select metrics, notes from ml.model_runs where model = 'customer_uplift' and champion",
        "simple": """
            select
                customer_count, cast(spend as double) as spend, cast(cost as double) as cost,
                cast(net_profit as double) as net_profit, roi
            from marts.simple_retention_roi
        """,
    },
    make=_page,
)
