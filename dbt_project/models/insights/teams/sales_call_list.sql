-- Whom to call first, why, and with what: customers worth a call who have not refused to be contacted.
with
    customers as (
        select
            *,
            case
                when is_at_risk then 'at risk'
                when next_order_on <= {{ add_days(as_of(), var('call_ahead_days')) }} then 'order due'
                when intent_score >= {{ var('call_intent_score') }} then 'ready to buy'
            end as occasion
        from {{ ref('customer_360') }}
        where
            purchase_count is not null
            and coalesce(marketing_consent, true)
            and net_revenue_365d > 0
    ),

    weighed as (
        select
            *,
            case
                -- of 90 days, both: what will be missing by the pace of the last year, or what is expected to come
                when occasion = 'at risk' then churn_probability * cast(net_revenue_365d as double) * 90 / 365
                else expected_orders_90d * expected_order_value
            end as money_at_stake
        from customers
        where occasion is not null
    ),

    ranked as (
        select
            *,
            row_number() over (order by money_at_stake desc nulls last, customer_id asc nulls last) as position
        from weighed
    )

select
    cast(position as bigint) as position,
    cast(customer_id as string) as customer_id,
    cast(name as string) as name,
    cast(email as string) as email,
    cast(region as string) as region,
    cast(city as string) as city,
    cast(occasion as string) as occasion,
    {{ money(rounded('money_at_stake', 4)) }} as money_at_stake,
    cast(coalesce(marketing_consent, false) as boolean) as is_contactable,
    cast(segment as string) as segment,
    cast(value_tier as string) as value_tier,
    {{ money('net_revenue_365d') }} as net_revenue_365d,
    cast(clv_365d as double) as clv_365d,
    cast(last_purchase_at as date) as last_purchase_on,
    cast(days_since_last_purchase as bigint) as days_since_last_purchase,
    cast(next_order_on as date) as next_order_on,
    cast(churn_probability as double) as churn_probability,
    cast(risk_tier as string) as risk_tier,
    cast(reason_1 as string) as reason_1,
    cast(intent_score as double) as intent_score,
    cast(open_ticket_count as bigint) as open_ticket_count,
    cast(next_action as string) as next_action,
    cast(next_action_reason as string) as next_action_reason
from ranked
where position <= {{ var('call_list_length') }}
