-- What every sale line brought, and what was given back of it. A return is booked on its own day.
{{ config(materialized='view') }}

with
    lines as (
        select * from {{ ref('int_sales__unioned') }}
    ),

    products as (
        select
            product_id,
            unit_cost
        from {{ ref('stg_shop__products') }}
    ),

    categories as (
        select
            product_id,
            category
        from {{ ref('int_products__collected') }}
    ),

    joined as (
        select
            lines.*,
            -- a product has one category, whatever single lines say
            coalesce(categories.category, lines.category, 'Uncategorised') as final_category,
            products.unit_cost,
            case when lines.is_return then 0 else lines.amount end as gross_revenue,
            case
                -- the sign may stand on the quantity, on the amount or on both
                when lines.is_return then abs(lines.amount)
                when lines.returned_at is not null then lines.amount
                else 0
            end as returned_revenue
        from lines
        left join products on lines.product_id = products.product_id
        left join categories on lines.product_id = categories.product_id
    )

select
    sale_id,
    order_id,
    customer_id,
    product_id,
    final_category as category,
    channel,
    sold_at,
    sold_on,
    is_order_line,
    is_return,
    quantity,
    unit_price,
    discount_rate,
    unit_cost,
    gross_revenue,
    case
        -- nothing is given back before it was sold, whatever the export says
        when is_return or returned_at is not null
            then greatest(sold_on, coalesce(cast(returned_at as date), sold_on))
    end as returned_on,
    returned_at,
    returned_revenue,
    gross_revenue - returned_revenue as net_revenue,
    case
        when is_return then unit_cost * abs(coalesce(quantity, 1)) - returned_revenue
        when returned_at is not null then 0 * unit_cost
        else gross_revenue - unit_cost * coalesce(quantity, 1)
    end as gross_margin,
    _batch
from joined
