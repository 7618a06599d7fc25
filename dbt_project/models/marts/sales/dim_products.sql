with
    collected as (
        select
            product_id,
            category
        from {{ ref('int_products__collected') }}
    ),

    products as (
        select * from {{ ref('stg_shop__products') }}
    )

select
    cast(collected.product_id as string) as product_id,
    cast(products.name as string) as name,
    cast(coalesce(collected.category, 'Uncategorised') as string) as category,
    {{ money('products.list_price') }} as list_price,
    {{ money('products.unit_cost') }} as unit_cost,
    cast(products.launched_on as date) as launched_on,
    cast(products.product_id is not null as boolean) as has_record
from collected
left join products on collected.product_id = products.product_id
