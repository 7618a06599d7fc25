-- Products that are bought together, in enough orders to speak of.
with
    counted as (
        select
            product_id_a,
            product_id_b,
            sum(pair_orders) as pair_orders
        from {{ ref('int_pairs__counted') }}
        group by product_id_a, product_id_b
    ),

    orders as (
        select count(distinct order_id) as order_count
        from {{ ref('fct_sales') }}
        where is_order_line
    ),

    measured as (
        select
            counted.product_id_a,
            counted.product_id_b,
            counted.pair_orders,
            own_a.pair_orders as orders_a,
            own_b.pair_orders as orders_b,
            orders.order_count,
            cast(counted.pair_orders as double) / nullif(orders.order_count, 0) as support,
            cast(own_a.pair_orders as double) / nullif(orders.order_count, 0) as support_a,
            cast(own_b.pair_orders as double) / nullif(orders.order_count, 0) as support_b
        from counted
        inner join counted as own_a
            on counted.product_id_a = own_a.product_id_a and own_a.product_id_a = own_a.product_id_b
        inner join counted as own_b
            on counted.product_id_b = own_b.product_id_a and own_b.product_id_a = own_b.product_id_b
        cross join orders
        where counted.product_id_a < counted.product_id_b
    )

select
    cast(product_id_a as string) as product_id_a,
    cast(product_id_b as string) as product_id_b,
    cast(pair_orders as bigint) as pair_orders,
    cast(orders_a as bigint) as orders_a,
    cast(orders_b as bigint) as orders_b,
    cast({{ rounded('support', 6) }} as double) as support,
    cast({{ ratio('pair_orders', 'orders_a') }} as double) as confidence_a_to_b,
    cast({{ ratio('pair_orders', 'orders_b') }} as double) as confidence_b_to_a,
    cast({{ ratio('support', 'support_a * support_b') }} as double) as lift,
    cast({{ rounded('support - support_a * support_b', 6) }} as double) as leverage
from measured
where
    pair_orders >= {{ var('pair_min_orders') }}
    and pair_orders >= {{ var('pair_min_support') }} * order_count
