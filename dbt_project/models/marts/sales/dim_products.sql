with
    collected as (
        select product_id from {{ ref('int_products__collected') }}
    ),

    products as (
        select * from {{ ref('stg_shop__products') }}
    ),

    -- a product without a record of its own takes the category its lines most often carry
    line_categories as (
        select
            product_id,
            category
        from {{ ref('stg_shop__sales') }}
        where product_id is not null and category is not null
        group by product_id, category
        qualify
            row_number() over (
                partition by product_id
                order by count(*) desc nulls last, category asc nulls last
            ) = 1
    )

select
    cast(collected.product_id as varchar) as product_id,
    cast(products.name as varchar) as name,
    cast(coalesce(products.category, line_categories.category, 'Uncategorised') as varchar) as category,
    {{ money('products.list_price') }} as list_price,
    {{ money('products.unit_cost') }} as unit_cost,
    cast(products.launched_on as date) as launched_on,
    cast(products.product_id is not null as boolean) as has_record
from collected
left join products on collected.product_id = products.product_id
left join line_categories on collected.product_id = line_categories.product_id
