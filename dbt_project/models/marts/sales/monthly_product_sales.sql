-- Every product in every month from its first sale to as_of, months without sales included.
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

    sold as (
        select
            product_id,
            sold_month,
            sum(case when is_order_line then coalesce(quantity, 1) else 0 end) as units,
            sum(gross_revenue) as gross_revenue,
            count(distinct case when is_order_line then order_id end) as order_count,
            count(distinct case when is_order_line then customer_id end) as customer_count
        from sales
        group by product_id, sold_month
    ),

    returned as (
        select
            product_id,
            returned_month,
            sum(returned_revenue) as returned_revenue
        from sales
        where returned_month is not null
        group by product_id, returned_month
    )

select
    cast(starts.product_id as varchar) as product_id,
    cast(months.calendar_month as date) as month,
    cast({{ add_months('months.calendar_month', 1) }} <= {{ add_days(as_of(), 1) }} as boolean) as is_complete,
    cast(coalesce(sold.units, 0) as decimal(18, 4)) as units,
    {{ money('coalesce(sold.gross_revenue, 0)') }} as gross_revenue,
    {{ money('coalesce(returned.returned_revenue, 0)') }} as returned_revenue,
    {{ money('coalesce(sold.gross_revenue, 0) - coalesce(returned.returned_revenue, 0)') }} as net_revenue,
    cast(coalesce(sold.order_count, 0) as bigint) as order_count,
    cast(coalesce(sold.customer_count, 0) as bigint) as customer_count
from starts
inner join months on starts.first_month <= months.calendar_month
left join sold on starts.product_id = sold.product_id and months.calendar_month = sold.sold_month
left join returned on starts.product_id = returned.product_id and months.calendar_month = returned.returned_month
