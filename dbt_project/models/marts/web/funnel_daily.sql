-- How far the visits of a day came, by device.
select
    cast(started_on as date) as session_date,
    cast(device_type as string) as device_type,
    cast(count(*) as bigint) as session_count,
    cast(count(*) filter (where has_product_view) as bigint) as product_view_count,
    cast(count(*) filter (where has_cart) as bigint) as cart_count,
    cast(count(*) filter (where is_converted) as bigint) as purchase_count,
    cast({{ ratio('count(*) filter (where has_product_view)', 'count(*)') }} as double) as product_view_rate,
    cast({{ ratio('count(*) filter (where has_cart)', 'count(*) filter (where has_product_view)') }} as double)
        as cart_rate,
    cast({{ ratio('count(*) filter (where is_converted)', 'count(*) filter (where has_cart)') }} as double)
        as purchase_rate,
    cast({{ ratio('count(*) filter (where is_converted)', 'count(*)') }} as double) as conversion_rate
from {{ ref('fct_sessions') }}
group by started_on, device_type
