-- The sale lines that differ between raw and fct_sales as it stands before this build: as they were, and as they are.
-- Empty where fct_sales is built anew; everything that goes by this list is then built anew as well.
{% set fact = adapter.get_relation(target.database, schema_named('marts'), 'fct_sales') %}
{% set carry = {'rows': 'int_sales__unioned', 'key': 'sale_id', 'day': 'sold_at'} %}
{% set since = none if flags.FULL_REFRESH else carried_state(fact, carry) %}
{% set columns = [
    'sale_id', 'order_id', 'customer_id', 'product_id', 'category', 'channel', 'sold_at', 'sold_on', 'is_order_line',
    'is_return', 'quantity', 'unit_price', 'discount_rate', 'unit_cost', 'gross_revenue', 'returned_on',
    'returned_revenue', 'net_revenue', 'gross_margin', '_batch'
] %}
{{ config(post_hook="{{ record_sales_changes() }}") }}

-- depends_on: {{ ref('int_sales__unioned') }}
-- depends_on: {{ ref('int_products__collected') }}
-- depends_on: {{ ref('stg_shop__products') }}

{% if not since %}
    select
        true as is_current,
        {{ columns | join(', ') }}
    from {{ ref('int_sales__classified') }}
    where 1 = 0
{% else %}
    {% set known_until = "cast('" ~ since.as_of ~ "' as date)" %}
    with
        -- each its own scan: only so can months of files without anything new be skipped
        arrived as (
            select *
            from {{ ref('int_sales__classified') }}
            where _batch > {{ since.refresh }}
        ),

        -- there before, but dated after the day that was computed for
        came_due as (
            select *
            from {{ ref('int_sales__classified') }}
            where
                _batch <= {{ since.refresh }}
                and sold_at >= cast({{ add_days(known_until, 1) }} as timestamp)
        ),

        -- a product's category and cost are on all its lines
        products as (
            select
                collected.product_id,
                coalesce(collected.category, 'Uncategorised') as category,
                records.unit_cost
            from {{ ref('int_products__collected') }} as collected
            left join {{ ref('stg_shop__products') }} as records on collected.product_id = records.product_id
        ),

        products_before as (
            select
                product_id,
                max(category) as category,
                max(unit_cost) as unit_cost
            from {{ fact }}
            where product_id is not null
            group by product_id
        ),

        changed_products as (
            select products.product_id
            from products
            inner join products_before on products.product_id = products_before.product_id
            where
                products.category <> products_before.category
                or coalesce(products.unit_cost, -1) <> coalesce(products_before.unit_cost, -1)
        ),

        came_back as (
            select *
            from {{ ref('int_sales__classified') }}
            where
                _batch <= {{ since.refresh }}
                and sold_at < cast({{ add_days(known_until, 1) }} as timestamp)
                and returned_at >= cast({{ add_days(known_until, 1) }} as timestamp)
        ),

        -- lines whose product changed; asked of the lines that did not come back, so that none is listed twice
        reclassified as (
            select *
            from {{ ref('int_sales__classified') }}
            where
                _batch <= {{ since.refresh }}
                and sold_at < cast({{ add_days(known_until, 1) }} as timestamp)
                and product_id in (select changed_products.product_id from changed_products)
                and coalesce(returned_at < cast({{ add_days(known_until, 1) }} as timestamp), true)
        ),

        as_they_are as (
            select * from arrived
            union all
            select * from came_due
            union all
            select * from came_back
            union all
            select * from reclassified
        )

    select
        true as is_current,
        {{ columns | join(', ') }}
    from as_they_are
    union all
    select
        false as is_current,
        {{ columns | join(', ') }}
    from {{ fact }}
    where sale_id in (select sale_id from as_they_are)
{% endif %}
