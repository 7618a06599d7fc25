-- Carts of a month, by device: how many were left, what they were worth, and how many the customer came back for.
with
    carts as (
        select
            *,
            {{ month_start('started_on') }} as month
        from {{ ref('fct_sessions') }}
        where has_cart
    ),

    recovered as (
        select distinct carts.session_id
        from carts
        inner join {{ ref('fct_sales') }} as sales
            on
                carts.customer_id = sales.customer_id
                and carts.started_at < sales.sold_at
                and sales.sold_on <= {{ add_days('carts.started_on', 7) }}
        where carts.is_abandoned and sales.is_order_line
    )

select
    cast(carts.month as date) as month,
    cast(carts.device_type as string) as device_type,
    cast(count(*) as bigint) as cart_count,
    cast(count(*) filter (where carts.is_abandoned) as bigint) as abandoned_cart_count,
    cast({{ ratio('count(*) filter (where carts.is_abandoned)', 'count(*)') }} as double) as abandonment_rate,
    {{ money('coalesce(sum(carts.cart_value), 0)') }} as cart_value,
    {{ money('coalesce(sum(carts.cart_value) filter (where carts.is_abandoned), 0)') }} as abandoned_cart_value,
    cast(count(recovered.session_id) as bigint) as recovered_cart_count,
    cast({{ ratio('count(recovered.session_id)', 'count(*) filter (where carts.is_abandoned)') }} as double)
        as recovery_rate
from carts
left join recovered on carts.session_id = recovered.session_id
group by carts.month, carts.device_type
