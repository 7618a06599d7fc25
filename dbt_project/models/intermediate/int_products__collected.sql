-- Every product id seen anywhere, once, with its category: of its record, else the one its lines most often carry.
with
    seen as (
        select product_id from {{ ref('stg_shop__products') }}
        union
        select product_id from {{ ref('stg_shop__sales') }}
        union
        select product_id from {{ ref('stg_helpdesk__tickets') }}
        union
        select product_id from {{ ref('stg_web__events') }}
    ),

    records as (
        select
            product_id,
            category
        from {{ ref('stg_shop__products') }}
    ),

    counted_categories as (
        select
            product_id,
            category,
            count(*) as line_count
        from {{ ref('stg_shop__sales') }}
        where product_id is not null and category is not null
        group by product_id, category
    ),

    line_categories as (
        select
            product_id,
            category
        from counted_categories
        qualify
            row_number() over (
                partition by product_id
                order by line_count desc nulls last, category asc nulls last
            ) = 1
    )

select
    seen.product_id,
    coalesce(records.category, line_categories.category) as category
from seen
left join records on seen.product_id = records.product_id
left join line_categories on seen.product_id = line_categories.product_id
where seen.product_id is not null
