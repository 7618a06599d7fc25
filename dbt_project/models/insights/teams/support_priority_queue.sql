-- Which unresolved ticket to take next, whoever's queue it is in: its urgency, whom it comes from, and what is overdue.
with
    tickets as (
        select
            routing.*,
            tickets.first_response_at,
            {{ minutes_between('routing.opened_at', 'cast(' ~ add_days(as_of(), 1) ~ ' as timestamp)') }} as age_minutes
        from {{ ref('ticket_routing') }} as routing
        inner join {{ ref('fct_tickets') }} as tickets on routing.ticket_id = tickets.ticket_id
    ),

    customers as (
        select * from {{ ref('customer_360') }}
    ),

    weighed as (
        select
            tickets.*,
            customers.segment,
            customers.value_tier,
            customers.churn_probability,
            customers.has_unusual_sentiment,
            coalesce(customers.is_at_risk, false) as is_at_risk,
            coalesce(customers.net_revenue_365d, 0) as net_revenue_365d,
            targets.resolution_minutes as target_minutes,
            -- around the clock, as the promise to the customer is; the first answer counts until there is one
            coalesce(
                tickets.age_minutes > case
                    when tickets.first_response_at is null then targets.first_response_minutes
                    else targets.resolution_minutes
                end,
                false
            ) as is_overdue
        from tickets
        left join customers on tickets.customer_id = customers.customer_id
        left join {{ ref('sla_targets') }} as targets on tickets.priority = targets.priority
    ),

    scored as (
        select
            *,
            urgency
            + case when is_overdue then 1 else 0 end
            + case when value_tier = 'High' then 1 else 0 end
            + case when is_at_risk then 1 else 0 end as priority_score
        from weighed
    )

select
    cast(
        row_number() over (
            order by
                priority_score desc nulls last,
                net_revenue_365d desc nulls last,
                opened_at asc nulls last,
                ticket_id asc nulls last
        ) as bigint
    ) as position,
    cast(ticket_id as string) as ticket_id,
    cast(customer_id as string) as customer_id,
    cast(priority_score as bigint) as priority_score,
    cast(urgency as bigint) as urgency,
    cast(priority as string) as priority,
    cast(topic as string) as topic,
    cast(state as string) as state,
    cast(queue as string) as queue,
    cast(opened_at as timestamp) as opened_at,
    cast(floor(age_minutes / 60) as bigint) as age_hours,
    cast(is_overdue as boolean) as is_overdue,
    cast(sentiment_score as double) as sentiment_score,
    cast(segment as string) as segment,
    cast(value_tier as string) as value_tier,
    {{ money('net_revenue_365d') }} as net_revenue_365d,
    cast(churn_probability as double) as churn_probability,
    cast(is_at_risk as boolean) as is_at_risk,
    cast(coalesce(has_unusual_sentiment, false) as boolean) as has_unusual_sentiment,
    cast(routing_hint as string) as routing_hint
from scored
