-- Every product that was sold, over the whole history.
with
    purchases as (
        select *
        from {{ ref('int_purchases__summed') }}
        where product_id is not null
    ),

    aggregated as (
        select
            product_id,
            min(first_sold_on) as first_sold_on,
            max(last_sold_on) as last_sold_on,
            sum(unit_count) as unit_count,
            -- a product has one category, and so one row a customer
            count(case when line_count > 0 then customer_id end) as customer_count,
            sum(line_count) as line_count,
            sum(discounted_line_count) as discounted_line_count,
            sum(return_line_count) as return_line_count,
            sum(returned_line_count) as returned_line_count,
            sum(gross_revenue) as gross_revenue,
            sum(returned_revenue) as returned_revenue,
            sum(net_revenue) as net_revenue,
            sum(gross_margin) as gross_margin,
            sum(costed_revenue) as costed_revenue
        from purchases
        group by product_id
    ),

    -- a product with itself: the orders it stands in
    orders as (
        select
            product_id_a as product_id,
            sum(pair_orders) as order_count
        from {{ ref('int_pairs__counted') }}
        where product_id_a = product_id_b
        group by product_id_a
    ),

    shared as (
        select
            aggregated.*,
            coalesce(orders.order_count, 0) as order_count,
            sum(aggregated.net_revenue) over () as total_revenue,
            row_number() over (
                order by aggregated.net_revenue desc nulls last, aggregated.product_id asc nulls last
            ) as revenue_rank
        from aggregated
        left join orders on aggregated.product_id = orders.product_id
    )

select
    cast(shared.product_id as string) as product_id,
    cast(products.name as string) as name,
    cast(products.category as string) as category,
    cast(shared.revenue_rank as bigint) as revenue_rank,
    {{ money('shared.gross_revenue') }} as gross_revenue,
    {{ money('shared.returned_revenue') }} as returned_revenue,
    {{ money('shared.net_revenue') }} as net_revenue,
    cast({{ ratio('shared.net_revenue', 'shared.total_revenue') }} as double) as revenue_share,
    {{ money('shared.gross_margin') }} as gross_margin,
    cast({{ ratio('shared.gross_margin', 'shared.costed_revenue') }} as double) as margin_rate,
    cast(shared.unit_count as decimal(18, 4)) as unit_count,
    cast(shared.order_count as bigint) as order_count,
    cast(shared.customer_count as bigint) as customer_count,
    -- a return that is a line of its own is one more line, or the share could exceed 1
    cast({{ ratio('shared.returned_line_count', 'shared.line_count + shared.return_line_count') }} as double)
        as return_rate,
    cast({{ ratio('shared.discounted_line_count', 'shared.line_count') }} as double) as discount_rate,
    cast(shared.first_sold_on as date) as first_sold_on,
    cast(shared.last_sold_on as date) as last_sold_on
from shared
inner join {{ ref('dim_products') }} as products on shared.product_id = products.product_id
