-- Customers worth most of whom most will not come back by themselves.
select
    cast(customer_id as string) as customer_id,
    cast(clv_365d as double) as clv_365d,
    cast(churn_probability as double) as churn_probability,
    cast(days_since_last_order as bigint) as days_since_last_order,
    cast(is_contactable as boolean) as is_contactable,
    cast(is_control as boolean) as is_control
from {{ ref('customer_situation') }}
where is_at_risk and is_high_value
