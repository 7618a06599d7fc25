-- Every day from the first sale to as_of.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'carry': {'through': 'int_sales__changed'}},
    pre_hook="{{ delete_touched('sales_date in (' ~ touched_days() ~ ')') }}",
    post_hook=[
        "{{ delete_where('sales_date < (select min(sold_on) from ' ~ ref('fct_sales') ~ ')') }}",
        "{{ record_state() }}"
    ]
) }}

-- depends_on: {{ ref('int_sales__changed') }}
{% set of_touched_days = "in (" ~ touched_days() ~ ")" if is_incremental() else "is not null" %}
with
    sales as (
        select * from {{ ref('fct_sales') }}
    ),

    calendar as (
        select calendar_date
        from (
            {{ days_from_to('(select min(sold_on) from sales)', as_of()) }}
        ) as calendar_days
        where {{ "calendar_date not in (select sales_date from " ~ this ~ ")" if is_incremental() else "1 = 1" }}
    ),

    sold as (
        select
            sold_on,
            sum(gross_revenue) as gross_revenue,
            count(distinct case when is_order_line then order_id end) as order_count,
            sum(case when is_order_line then coalesce(quantity, 1) else 0 end) as unit_count,
            count(distinct case when is_order_line then customer_id end) as customer_count
        from sales
        where sold_on {{ of_touched_days }}
        group by sold_on
    ),

    returned as (
        select
            returned_on,
            sum(returned_revenue) as returned_revenue
        from sales
        where returned_on {{ of_touched_days }}
        group by returned_on
    )

select
    cast(calendar.calendar_date as date) as sales_date,
    {{ money('coalesce(sold.gross_revenue, 0)') }} as gross_revenue,
    {{ money('coalesce(returned.returned_revenue, 0)') }} as returned_revenue,
    {{ money('coalesce(sold.gross_revenue, 0) - coalesce(returned.returned_revenue, 0)') }} as net_revenue,
    cast(coalesce(sold.order_count, 0) as bigint) as order_count,
    cast(coalesce(sold.unit_count, 0) as decimal(18, 4)) as unit_count,
    cast(coalesce(sold.customer_count, 0) as bigint) as customer_count
from calendar
left join sold on calendar.calendar_date = sold.sold_on
left join returned on calendar.calendar_date = returned.returned_on
