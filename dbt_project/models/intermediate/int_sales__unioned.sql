-- Every sale line, from shop.sales or, where a business has none, from activity that brought money.
{{ config(materialized='view') }}

with
    shop_sales as (
        select
            sale_id,
            order_id,
            customer_id,
            product_id,
            category,
            channel,
            quantity,
            unit_price,
            discount_rate,
            amount,
            sold_at,
            returned_at,
            _batch
        from {{ ref('stg_shop__sales') }}
    ),

    activity_sales as (
        select
            activity_id as sale_id,
            cast(null as string) as order_id,
            customer_id,
            cast(null as string) as product_id,
            activity_type as category,
            cast(null as string) as channel,
            cast(1 as decimal(18, 4)) as quantity,
            revenue_impact as unit_price,
            cast(null as double) as discount_rate,
            revenue_impact as amount,
            cast(occurred_on as timestamp) as sold_at,
            cast(null as timestamp) as returned_at,
            _batch
        from {{ ref('stg_usage__activities') }}
        where
            revenue_impact > 0
            and not exists (select 1 from {{ ref('stg_shop__sales') }})
    ),

    unioned as (
        select * from shop_sales
        union all
        select * from activity_sales
    ),

    decided as (
        select
            *,
            cast(sold_at as date) as sold_on,
            coalesce(amount < 0 or quantity < 0, false) as is_return,
            -- a free item is still an order; a line with neither units nor money is not
            coalesce(amount >= 0 and coalesce(quantity, 1) >= 0 and (amount > 0 or coalesce(quantity, 1) > 0), false)
                as is_order_line
        from unioned
    )

select
    sale_id,
    coalesce(
        order_id,
        'day-' || customer_id || '-' || cast(sold_on as string),
        'guest-' || sale_id
    ) as order_id,
    customer_id,
    product_id,
    category,
    channel,
    quantity,
    unit_price,
    discount_rate,
    amount,
    is_return,
    is_order_line,
    sold_at,
    sold_on,
    returned_at,
    _batch
from decided
