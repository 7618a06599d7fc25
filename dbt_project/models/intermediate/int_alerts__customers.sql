-- Customers somebody should look at: unusually many negative tickets, and risk jumps of the valuable ones.
{{ config(materialized='table' if target.type == 'spark' else 'ephemeral', tags=['insights']) }}

with
    customers as (
        select * from {{ ref('customer_360') }}
    ),

    totals as (
        select
            (select sum(net_revenue_365d) from customers) as net_revenue_365d,
            (select sum(negative_count) from {{ ref('customer_sentiment') }}) as negative_count
    ),

    negative_days as (
        select
            tickets.customer_id,
            tickets.opened_on,
            tickets.is_negative,
            anomalies.expected_rate,
            count(*) over running as scored_so_far,
            count(*) filter (where tickets.is_negative) over running as negative_so_far
        from {{ ref('fct_tickets') }} as tickets
        inner join {{ ref('stg_ml__ticket_anomalies') }} as anomalies on tickets.customer_id = anomalies.customer_id
        where anomalies.is_anomaly and tickets.sentiment_score is not null
        window running as (
            partition by tickets.customer_id
            order by tickets.opened_at asc nulls last, tickets.ticket_id asc nulls last
            rows between unbounded preceding and current row
        )
    ),

    -- when it could first be seen: five tickets, and two more of them negative than to be expected
    moods as (
        select
            customer_id,
            min(opened_on) filter (where is_negative) as first_negative_on,
            max(opened_on) filter (where is_negative) as last_negative_on,
            min(opened_on) filter (
                where scored_so_far >= 5 and negative_so_far - expected_rate * scored_so_far >= 2
            ) as first_seen_on
        from negative_days
        group by customer_id
    ),

    sentiment as (
        select
            anomalies.*,
            {{ rounded('anomalies.expected_rate * anomalies.ticket_count', 4) }} as expected_count,
            moods.first_negative_on,
            moods.last_negative_on,
            coalesce(moods.first_seen_on, moods.last_negative_on) as first_seen_on,
            customers.net_revenue_365d,
            totals.negative_count as all_negative_count
        from {{ ref('stg_ml__ticket_anomalies') }} as anomalies
        inner join moods on anomalies.customer_id = moods.customer_id
        inner join customers on anomalies.customer_id = customers.customer_id
        cross join totals
        where
            anomalies.is_anomaly
            and moods.last_negative_on > {{ add_days(as_of(), '-' ~ var('alert_recent_days')) }}
    ),

    risk as (
        select
            customers.*,
            earlier.churn_probability as probability_before,
            earlier.cutoff_date,
            totals.net_revenue_365d as all_net_revenue_365d
        from customers
        inner join {{ ref('stg_ml__churn_scores_before') }} as earlier
            on
                customers.customer_id = earlier.customer_id
                and customers.churn_horizon_days = earlier.horizon_days
                and customers.scores_as_of = earlier.as_of
        cross join totals
        where
            (customers.value_tier = 'High' or customers.m_score = 5)
            and customers.days_since_last_purchase < {{ var('at_risk_recent_days') }}
            and customers.risk_tier <> 'Low'
            and customers.churn_probability - earlier.churn_probability >= {{ var('alert_min_risk_jump') }}
    )

select
    'unusual_sentiment' as kind,
    customer_id as finding,
    'customer' as subject_type,
    customer_id as subject_id,
    'Customer ' || customer_id || ': ' || {{ in_words('negative_count', 0) }} || ' of '
    || {{ in_words('ticket_count', 0) }} || ' tickets are negative' as title,
    {{ in_words('expected_count', 1) }} || ' were to be expected; the last negative one on '
    || cast(last_negative_on as string) as evidence,
    'tickets' as unit,
    cast(negative_count as double) as value,
    expected_count as expected_value,
    {{ ratio('negative_count - expected_count', 'expected_count') }} as change_ratio,
    q_value,
    ticket_count as row_count,
    0 as related_count,
    cast(null as double) as driver_share,
    {{ money('net_revenue_365d') }} as value_at_stake,
    {{ ratio('negative_count - expected_count', 'all_negative_count') }} as measure,
    first_negative_on as started_on,
    last_negative_on as ended_on,
    first_seen_on
from sentiment
union all
select
    'churn_risk_jump' as kind,
    customer_id || ':' || cast(cutoff_date as string) as finding,
    'customer' as subject_type,
    customer_id as subject_id,
    'Customer ' || customer_id || ': churn risk up from ' || {{ percent_text('probability_before') }} || ' to '
    || {{ percent_text('churn_probability') }} || ' since ' || cast(cutoff_date as string) as title,
    {{ in_words('net_revenue_365d', 2) }} || ' net revenue in the last 365 days'
    || coalesce('; ' || reason_1, '') as evidence,
    'probability' as unit,
    churn_probability as value,
    probability_before as expected_value,
    {{ ratio('churn_probability - probability_before', 'probability_before') }} as change_ratio,
    cast(null as double) as q_value,
    purchase_count as row_count,
    0 as related_count,
    cast(null as double) as driver_share,
    {{ money('net_revenue_365d') }} as value_at_stake,
    {{ ratio(
        '(churn_probability - probability_before) * cast(net_revenue_365d as double)', 'all_net_revenue_365d'
    ) }} as measure,
    {{ add_days('cutoff_date', 1) }} as started_on,
    scores_as_of as ended_on,
    {{ add_days('cutoff_date', 1) }} as first_seen_on
from risk
