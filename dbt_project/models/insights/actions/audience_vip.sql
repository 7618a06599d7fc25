-- The customers worth most who are here to stay.
select
    cast(customer_id as string) as customer_id,
    cast(clv_365d as double) as clv_365d,
    cast(order_count as bigint) as order_count,
    cast(churn_probability as double) as churn_probability,
    cast(is_contactable as boolean) as is_contactable,
    cast(is_control as boolean) as is_control
from {{ ref('customer_situation') }}
where is_high_value and not is_at_risk and order_count >= 2
