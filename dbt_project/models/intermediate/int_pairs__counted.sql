-- In how many orders two products stand together, by the month of the order's first line; a product with itself counts
-- its own orders. Nothing is pruned here, so that months add up.
{{ config(
    group='sales',
    access='private',
    materialized='incremental',
    incremental_strategy='append',
    meta={'carry': {'through': 'int_sales__changed'}},
    pre_hook="{{ delete_touched('month in (' ~ touched_order_months() ~ ')') }}",
    post_hook="{{ record_state() }}"
) }}

-- depends_on: {{ ref('int_sales__changed') }}
-- with all lines of an order that reaches into a month computed again: the first one may lie before it
{% set reaches = "order_id in (select order_id from " ~ ref('fct_sales') ~ " where " ~ month_start('sold_on') ~ " in ("
    ~ touched_order_months() ~ "))" %}
with
    sales as (
        select
            order_id,
            product_id,
            sold_on
        from {{ ref('fct_sales') }}
        where is_order_line and product_id is not null and {{ reaches if is_incremental() else "1 = 1" }}
    ),

    lines as (
        select distinct
            order_id,
            product_id
        from sales
    ),

    orders as (
        select
            order_id,
            {{ month_start('min(sold_on)') }} as month
        from sales
        group by order_id
    )

select
    orders.month,
    a.product_id as product_id_a,
    b.product_id as product_id_b,
    count(*) as pair_orders
from orders
inner join lines as a on orders.order_id = a.order_id
inner join lines as b on a.order_id = b.order_id and a.product_id <= b.product_id
where {{ "orders.month in (" ~ touched_order_months() ~ ")" if is_incremental() else "1 = 1" }}
group by orders.month, a.product_id, b.product_id
