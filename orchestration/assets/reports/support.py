"""The support page: the queries that give its frames."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from orchestration.assets.reports.report_page import CLOCK, ReportPage

if TYPE_CHECKING:
    from reports.blocks import Page


def _page(frames: Mapping[str, pd.DataFrame]) -> "Page":
    from reports.support import support_page

    return support_page(**frames)


PAGE = ReportPage(
    name="support",
    description="Mood of the tickets, promised times, topics, unusually unhappy customers, backlog and what waits.",
    queries={
        "clock": CLOCK,
        # Free text can make any number of topics; those beyond the first dozen are drawn as one.
        "days": """
            with topics as (
                select topic, row_number() over (order by count(*) desc, topic) as place
                from marts.fct_tickets
                group by topic
            )
            select
                tickets.opened_on,
                case when topics.place <= 12 then coalesce(tickets.topic, 'unknown') else 'all others' end as topic,
                coalesce(tickets.priority, 'unknown') as priority,
                count(*) as ticket_count,
                count(tickets.sentiment_score) as scored_count,
                count(*) filter (where tickets.is_negative) as negative_count,
                count(tickets.is_first_response_within_business_target) as answered_count,
                count(*) filter (where tickets.is_first_response_within_business_target) as answered_in_time_count,
                count(tickets.is_resolution_within_business_target) as resolved_count,
                count(*) filter (where tickets.is_resolution_within_business_target) as resolved_in_time_count
            from marts.fct_tickets as tickets
            left join topics on tickets.topic is not distinct from topics.topic
            group by 1, 2, 3
            order by 1, 2, 3
        """,
        "targets": """
            select priority, first_response_minutes, resolution_minutes
            from work.seeds.sla_targets
            order by priority
        """,
        "topics": """
            select
                topic as name,
                cast(sum(scored_ticket_count) as bigint) as scored_count,
                cast(sum(negative_count) as bigint) as negative_count
            from marts.ticket_topics
            group by topic
            order by topic
        """,
        "products": """
            select
                coalesce(max(product_name), product_id) as name,
                cast(sum(scored_ticket_count) as bigint) as scored_count,
                cast(sum(negative_count) as bigint) as negative_count
            from marts.ticket_topics
            where product_id is not null
            group by product_id
            order by product_id
        """,
        "backlog": """
            select backlog_date, opened_count, resolved_count, backlog_count
            from marts.ticket_backlog_daily
            order by backlog_date
        """,
        "sentiment": """
            select
                found.customer_id, customers.name, found.ticket_count, found.negative_count, found.expected_rate,
                found.q_value, found.is_anomaly
            from ml.ticket_anomalies as found
            left join marts.dim_customers as customers on found.customer_id = customers.customer_id
            where found.q_value is not null
            order by found.customer_id
        """,
        "waits": """
            select queue, cast(opened_at as date) as opened_on, is_overdue, count(*) as ticket_count
            from marts.support_priority_queue
            group by 1, 2, 3
            order by 1, 2, 3
        """,
        "queue": """
            select
                position, ticket_id, customer_id, queue, coalesce(priority, 'unknown') as priority, is_overdue,
                value_tier, is_at_risk, coalesce(topic, 'unknown') as topic, cast(opened_at as date) as opened_on,
                segment, routing_hint
            from marts.support_priority_queue
            order by position
            limit 5000
        """,
    },
    make=_page,
)
