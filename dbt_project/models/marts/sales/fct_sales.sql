{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='sale_id',
    meta={'carry': {'through': 'int_sales__changed'}},
    post_hook="{{ record_state() }}"
) }}

-- depends_on: {{ ref('int_sales__changed') }}
select
    cast(sale_id as string) as sale_id,
    cast(order_id as string) as order_id,
    cast(customer_id as string) as customer_id,
    cast(product_id as string) as product_id,
    cast(category as string) as category,
    cast(channel as string) as channel,
    cast(sold_at as timestamp) as sold_at,
    cast(sold_on as date) as sold_on,
    cast(is_order_line as boolean) as is_order_line,
    cast(is_return as boolean) as is_return,
    cast(quantity as decimal(18, 4)) as quantity,
    {{ money('unit_price') }} as unit_price,
    cast(discount_rate as double) as discount_rate,
    {{ money('unit_cost') }} as unit_cost,
    {{ money('gross_revenue') }} as gross_revenue,
    cast(returned_on as date) as returned_on,
    {{ money('returned_revenue') }} as returned_revenue,
    {{ money('net_revenue') }} as net_revenue,
    {{ money('gross_margin') }} as gross_margin,
    cast(_batch as bigint) as _batch
{% if is_incremental() %}
    from {{ ref('int_sales__changed') }}
    where is_current
{% else %}
    from {{ ref('int_sales__classified') }}
{% endif %}
