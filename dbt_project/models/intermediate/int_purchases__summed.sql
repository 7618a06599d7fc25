-- What each customer bought of each product, guests together: one pass over the lines instead of one a mart.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'carry': {'through': 'int_sales__changed'}},
    pre_hook="{{ delete_touched('customer_id in (' ~ touched_customers() ~ ') or customer_id is null') }}",
    post_hook="{{ record_state() }}"
) }}

-- depends_on: {{ ref('int_sales__changed') }}
{# the lines of all guests are few enough to be summed again #}
{% set is_wanted = "(customer_id in (" ~ touched_customers() ~ ") or customer_id is null)" %}
select
    customer_id,
    product_id,
    category,
    min(sold_on) as first_sold_on,
    max(sold_on) as last_sold_on,
    min(case when is_order_line then sold_on end) as first_ordered_on,
    cast(sum(case when is_order_line then 1 else 0 end) as bigint) as line_count,
    cast(sum(case when is_order_line and discount_rate > 0 then 1 else 0 end) as bigint) as discounted_line_count,
    cast(sum(case when is_return then 1 else 0 end) as bigint) as return_line_count,
    cast(sum(case when returned_on is not null then 1 else 0 end) as bigint) as returned_line_count,
    cast(sum(case when is_order_line then coalesce(quantity, 1) else 0 end) as decimal(18, 4)) as unit_count,
    {{ money('sum(gross_revenue)') }} as gross_revenue,
    {{ money('sum(returned_revenue)') }} as returned_revenue,
    {{ money('sum(net_revenue)') }} as net_revenue,
    {{ money('sum(gross_margin)') }} as gross_margin,
    {{ money('sum(case when gross_margin is not null then net_revenue end)') }} as costed_revenue
from {{ ref('fct_sales') }}
where {{ is_wanted if is_incremental() else "1 = 1" }}
group by customer_id, product_id, category
