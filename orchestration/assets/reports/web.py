"""The web page: the queries that give its frames."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from orchestration.assets.reports.report_page import CLOCK, ReportPage

if TYPE_CHECKING:
    from reports.blocks import Page


def _page(frames: Mapping[str, pd.DataFrame]) -> "Page":
    from reports.web import web_page

    return web_page(**frames)


_SCORED = """
    select
        intent.customer_id, intent.intent_score, intent.session_count, intent.last_session_on, rfm.segment,
        rfm.days_since_last_order,
        coalesce(rfm.days_since_last_order <= intent.as_of - intent.last_session_on, false) as has_ordered
    from ml.customer_intent as intent
    left join marts.customer_rfm as rfm on intent.customer_id = rfm.customer_id
    where intent.intent_score is not null
"""

PAGE = ReportPage(
    name="web",
    description="From visit to order by device, carts left behind, personas and who came close to an order.",
    queries={
        "clock": CLOCK,
        "days": """
            select
                session_date, coalesce(device_type, 'unknown') as device_type, session_count, product_view_count,
                cart_count, purchase_count
            from marts.funnel_daily
            order by session_date, device_type
        """,
        "abandonment": """
            select
                month, coalesce(device_type, 'unknown') as device_type, cart_count, abandoned_cart_count,
                cast(abandoned_cart_value as double) as abandoned_cart_value, recovered_cart_count
            from marts.cart_abandonment
            order by month, device_type
        """,
        "people": """
            select
                persona, display_order, description, colour, customer_count, customer_share, session_count,
                conversion_rate, cast(net_revenue as double) as net_revenue, average_lifetime_value
            from marts.persona_distribution
            order by display_order
        """,
        # By the day: an order of the day of the last visit came of it.
        "bands": f"""
            with scored as ({_SCORED})
            select
                cast(least(floor(intent_score / 10) * 10, 90) as bigint) as lower,
                has_ordered,
                count(*) as customer_count
            from scored
            group by 1, 2
            order by 1, 2
        """,
        "likely": f"""
            with scored as ({_SCORED})
            select
                scored.customer_id, customers.name, scored.segment, personas.persona, scored.intent_score,
                scored.session_count, scored.last_session_on, scored.days_since_last_order
            from scored
            left join marts.dim_customers as customers on scored.customer_id = customers.customer_id
            left join ml.customer_personas as personas on scored.customer_id = personas.customer_id
            where not scored.has_ordered
            order by scored.intent_score desc, scored.customer_id
            limit 1000
        """,
    },
    make=_page,
)
