-- Customers whose recent visits look like an order that has not come yet.
select
    cast(customer_id as string) as customer_id,
    cast(intent_score as double) as intent_score,
    cast(last_session_on as date) as last_session_on,
    cast(days_since_last_order as bigint) as days_since_last_order,
    cast(is_contactable as boolean) as is_contactable,
    cast(is_control as boolean) as is_control
from {{ ref('customer_situation') }}
where
    intent_score >= 50
    and coalesce(days_since_last_order > {{ days_between('last_session_on', as_of()) }}, true)
