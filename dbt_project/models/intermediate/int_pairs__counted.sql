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

    orders as (
        select
            order_id,
            {{ month_start('min(sold_on)') }} as month,
            min(product_id) as first_product_id,
            max(product_id) as last_product_id,
            count(*) as line_count
        from sales
        group by order_id
    ),

    wanted as (
        select *
        from orders
        where {{ "month in (" ~ touched_order_months() ~ ")" if is_incremental() else "1 = 1" }}
    ),

    -- most orders have a line or two: their least and greatest product are all there is, and nothing needs joining
    small as (
        select
            month,
            first_product_id,
            last_product_id,
            count(*) as order_count
        from wanted
        where line_count <= 2
        group by month, first_product_id, last_product_id
    ),

    lines as (
        select distinct
            wanted.order_id,
            wanted.month,
            sales.product_id
        from sales
        inner join wanted on sales.order_id = wanted.order_id
        where wanted.line_count > 2
    ),

    counted as (
        select
            month,
            first_product_id as product_id_a,
            last_product_id as product_id_b,
            order_count
        from small
        union all
        select
            month,
            first_product_id as product_id_a,
            first_product_id as product_id_b,
            order_count
        from small
        where first_product_id <> last_product_id
        union all
        select
            month,
            last_product_id as product_id_a,
            last_product_id as product_id_b,
            order_count
        from small
        where first_product_id <> last_product_id
        union all
        select
            a.month,
            a.product_id as product_id_a,
            b.product_id as product_id_b,
            count(*) as order_count
        from lines as a
        inner join lines as b on a.order_id = b.order_id and a.product_id <= b.product_id
        group by a.month, a.product_id, b.product_id
    )

select
    month,
    product_id_a,
    product_id_b,
    cast(sum(order_count) as bigint) as pair_orders
from counted
group by month, product_id_a, product_id_b
