"""A hand-made published file of customers whose names would do harm anywhere but in a name."""

from __future__ import annotations

from pathlib import Path

import duckdb

NAMES = (
    "<script>alert(1)</script>",
    "\"';-- drop table customers",
    "=1+1",
    "{{7*7}}{% raw %}",
    "[red]x[/red][/]",
    "\x1b[31mred\x07\x9b2J",
    "a|b `c` ![p](http://example.org/p.png) <b>",
    "\u202eelpmaxe",
    "@SUM(A1)\r\nBcc: all@example.org",
    "李雷",
)
"""One customer each."""


def publish(path: Path) -> Path:
    """Write the file; customer n is called ``NAMES[n]``, and so are e-mail, ticket topic and reasons.

    Args:
        path: Where to.
    """
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts; create schema ml; create schema meta")
        connection.execute("create temp table names (place bigint, said varchar)")
        connection.executemany("insert into names values (?, ?)", list(enumerate(NAMES)))
        for statement in _TABLES:
            connection.execute(statement)
    return path


_TABLES = (
    """
    create table marts.dim_customers as
    select 'C' || place as customer_id, said as name, said as email
    from names
    """,
    """
    create table marts.customer_360 as
    select
        *,
        name as city, cast(null as varchar) as region, true as marketing_consent, 3 as purchase_count,
        cast(-5.5 as decimal(18, 4)) as total_spend, date '2026-01-01' as next_order_on, name as segment,
        50.0::double as segment_score, 1 as r_score, 2 as f_score, 3 as m_score, 25.0::double as rfm_index,
        cast(null as double) as engagement_score, 0 as cluster_id, name as cluster_name, name as persona,
        'High' as value_tier, 'High' as risk_tier, true as is_at_risk, 0.9996::double as churn_probability,
        90 as churn_horizon_days, name as reason_1, name as recommended_action, 1 as ticket_count, 1 as negative_count,
        1 as open_ticket_count, 62.4::double as intent_score,
        name as next_action_reason, 'retention' as next_action, 'email' as next_action_channel,
        'discount' as offer_type, 0.15::double as offer_discount_rate, name as offer_message
    from marts.dim_customers
    """,
    """
    create table marts.fct_sales as
    select
        customer_id, 'O' || customer_id as order_id, 'P' || customer_id as product_id,
        date '2025-12-24' as sold_on, true as is_order_line,
        cast(2 as decimal(18, 4)) as quantity, cast(-5.5 as decimal(18, 4)) as net_revenue
    from marts.dim_customers
    """,
    """
    create table marts.dim_products as
    select 'P' || customer_id as product_id, name, name as category
    from marts.dim_customers
    """,
    """
    create table marts.fct_tickets as
    select
        'T' || customer_id as ticket_id, customer_id, timestamp '2025-12-24' as opened_at,
        date '2025-12-24' as opened_on, name as topic, name as priority, 'open' as state,
        -0.5::double as sentiment_score
    from marts.dim_customers
    """,
    """
    create table marts.alerts as
    select
        'sentiment/' || customer_id as alert_id,
        case customer_id when 'C0' then 'critical' when 'C1' then 'warning' else 'info' end as severity,
        'sentiment' as kind, 'customer' as subject_type, customer_id as subject_id, name as title, name as evidence,
        1.5::double as value, cast(null as double) as expected_value, date '2025-12-24' as first_seen_on,
        'support.html' as page, row_number() over (order by customer_id) as display_order
    from marts.dim_customers
    """,
    "create table marts.audience_win_back as select customer_id, name, -7.25::double as score from marts.dim_customers",
    "create table marts.next_best_actions as select customer_id, reason_1 as reason from marts.customer_360",
    "create table marts.offers as select customer_id, '' as message, null::varchar as note from marts.dim_customers",
    "create table ml.customer_intent as select customer_id, 'nan'::double as intent_score from marts.dim_customers",
    "create table ml.churn_scores as select customer_id, reason_1 from marts.customer_360",
    "create table ml.customer_lifetime_value as select customer_id, 1.5::double as clv_365d from marts.dim_customers",
    """
    create table meta.refreshes as
    select 4 as refresh, date '2025-12-31' as as_of, 'published' as status
    union all
    select 5, null, 'failed'
    """,
    """
    create table meta.check_results as
    select said as check_name, said as asset, 'warn' as status, 2 as failures, cast(null as varchar) as message,
        4 as refresh, timestamp '2026-01-01' as recorded_at
    from names
    where place = 5
    union all
    select 'mended', 'a', 'warn', 1, null, 4, timestamp '2026-01-01'
    union all
    select 'mended', 'a', 'pass', 0, null, 4, timestamp '2026-01-02'
    union all
    select 'of the failed refresh', 'a', 'fail', 1, null, 5, timestamp '2026-01-03'
    """,
)
