-- In how many orders two products stand together, by the month of the order's first line; a product with itself counts
-- its own orders. Nothing is pruned here, so that months add up.
{{ config(group='sales', access='private') }}

with
    lines as (
        select distinct
            order_id,
            product_id
        from {{ ref('fct_sales') }}
        where is_order_line and product_id is not null
    ),

    orders as (
        select
            order_id,
            {{ month_start('min(sold_on)') }} as month
        from {{ ref('fct_sales') }}
        where is_order_line and product_id is not null
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
group by orders.month, a.product_id, b.product_id
