-- Customers whose first order is recent enough for a second one to follow.
select
    cast(customer_id as string) as customer_id,
    cast(order_count as bigint) as order_count,
    cast(days_since_last_order as bigint) as days_since_last_order,
    cast(clv_365d as double) as clv_365d,
    cast(is_contactable as boolean) as is_contactable,
    cast(is_control as boolean) as is_control
from {{ ref('customer_situation') }}
where order_count = 1 and days_since_last_order <= 90
