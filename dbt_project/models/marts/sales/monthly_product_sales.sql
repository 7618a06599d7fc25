-- Every product in every month from its first sale to as_of, months without sales included.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'carry': {'through': 'int_sales__changed'}},
    pre_hook="{{ delete_touched('(product_id, month) in (' ~ touched_product_months() ~ ') or not is_complete') }}",
    post_hook=[
        "{{ delete_months_before_the_first_sale() }}",
        "{{ record_state() }}"
    ]
) }}

-- depends_on: {{ ref('int_sales__changed') }}
with
    sales as (
        select
            *,
            {{ month_start('sold_on') }} as sold_month,
            {{ month_start('returned_on') }} as returned_month
        from {{ ref('fct_sales') }}
        where product_id is not null
    ),

    starts as (
        select
            product_id,
            min(sold_month) as first_month
        from sales
        group by product_id
    ),

    months as (
        {{ months_from_to('(select min(first_month) from starts)', month_start(as_of())) }}
    ),

    wanted as (
        select
            starts.product_id,
            months.calendar_month
        from starts
        inner join months on starts.first_month <= months.calendar_month
        {% if is_incremental() %}
            where (starts.product_id, months.calendar_month) not in (select product_id, month from {{ this }})
        {% endif %}
    ),

    sold as (
        select
            sales.product_id,
            sales.sold_month,
            sum(case when sales.is_order_line then coalesce(sales.quantity, 1) else 0 end) as units,
            sum(sales.gross_revenue) as gross_revenue,
            count(distinct case when sales.is_order_line then sales.order_id end) as order_count,
            count(distinct case when sales.is_order_line then sales.customer_id end) as customer_count
        from sales
        {% if is_incremental() %}
            inner join wanted on sales.product_id = wanted.product_id and sales.sold_month = wanted.calendar_month
        {% endif %}
        group by sales.product_id, sales.sold_month
    ),

    returned as (
        select
            sales.product_id,
            sales.returned_month,
            sum(sales.returned_revenue) as returned_revenue
        from sales
        {% if is_incremental() %}
            inner join wanted on sales.product_id = wanted.product_id and sales.returned_month = wanted.calendar_month
        {% endif %}
        where sales.returned_month is not null
        group by sales.product_id, sales.returned_month
    )

select
    cast(wanted.product_id as string) as product_id,
    cast(wanted.calendar_month as date) as month,
    cast({{ add_months('wanted.calendar_month', 1) }} <= {{ add_days(as_of(), 1) }} as boolean) as is_complete,
    cast(coalesce(sold.units, 0) as decimal(18, 4)) as units,
    {{ money('coalesce(sold.gross_revenue, 0)') }} as gross_revenue,
    {{ money('coalesce(returned.returned_revenue, 0)') }} as returned_revenue,
    {{ money('coalesce(sold.gross_revenue, 0) - coalesce(returned.returned_revenue, 0)') }} as net_revenue,
    cast(coalesce(sold.order_count, 0) as bigint) as order_count,
    cast(coalesce(sold.customer_count, 0) as bigint) as customer_count
from wanted
left join sold on wanted.product_id = sold.product_id and wanted.calendar_month = sold.sold_month
left join returned on wanted.product_id = returned.product_id and wanted.calendar_month = returned.returned_month
