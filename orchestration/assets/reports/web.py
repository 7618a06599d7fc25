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


PAGE = ReportPage(
    name="web",
    description="From visit to order by device, carts left behind, personas and who is about to buy.",
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
        "bands": """
            select
                cast(least(floor(intent_score / 10) * 10, 90) as bigint) as lower,
                count(*) as customer_count
            from ml.customer_intent
            where intent_score is not null
            group by 1
            order by 1
        """,
        "likely": """
            select
                intent.customer_id, customers.name, rfm.segment, personas.persona, intent.intent_score,
                intent.session_count, intent.last_session_on, rfm.days_since_last_order as days_since_last_purchase
            from ml.customer_intent as intent
            left join marts.dim_customers as customers on intent.customer_id = customers.customer_id
            left join marts.customer_rfm as rfm on intent.customer_id = rfm.customer_id
            left join ml.customer_personas as personas on intent.customer_id = personas.customer_id
            where intent.intent_score is not null
            order by intent.intent_score desc, intent.customer_id
            limit 1000
        """,
    },
    make=_page,
)
