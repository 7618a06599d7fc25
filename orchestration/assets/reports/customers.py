"""The customers page: its queries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from orchestration.assets.reports.report_page import ReportPage

if TYPE_CHECKING:
    from reports.blocks import Page


def _page(frames: Mapping[str, pd.DataFrame]) -> "Page":
    from reports.customers import customers_page

    return customers_page(**frames)


PAGE = ReportPage(
    name="customers",
    description="Segments, movements, risk, value, retention, and a table of every customer.",
    queries={
        "customers": """
            select
                customer_id, name, region, segment, risk_tier, churn_probability, is_at_risk, value_tier, clv_365d,
                clv_365d_low, clv_365d_high, clv_basis, cast(total_spend as double) as total_spend, purchase_count,
                cast(last_purchase_at as date) as last_order_on, next_order_on, next_action,
                next_action_expected_profit, cluster_id, cluster_name, persona, reason_1, reason_2, reason_3,
                open_ticket_count,
                case marketing_consent when true then 'yes' when false then 'no' else 'not known' end as contactable
            from marts.customer_360
            order by clv_365d desc nulls last, total_spend desc nulls last, customer_id
        """,
        "history": """
            select cutoff_date, segment, count(*) as customers
            from marts.customer_rfm_history
            group by cutoff_date, segment
            order by cutoff_date, segment
        """,
        "migration": """
            select from_date, to_date, from_segment, to_segment, customer_count
            from marts.segment_migration
            order by from_date, from_segment, to_segment
        """,
        "cohorts": """
            select cohort_month, months_since_first, customers, active_customers, retention_rate
            from marts.cohort_retention
            where is_complete
            order by cohort_month, months_since_first
        """,
    },
    make=_page,
)
