-- Customers who have stayed away for more than half a year, but not yet for two.
select
    cast(customer_id as string) as customer_id,
    cast(days_since_last_order as bigint) as days_since_last_order,
    cast(order_count as bigint) as order_count,
    cast(clv_365d as double) as clv_365d,
    cast(is_contactable as boolean) as is_contactable,
    cast(is_control as boolean) as is_control
from {{ ref('customer_situation') }}
where days_since_last_order > 180 and days_since_last_order <= 730
