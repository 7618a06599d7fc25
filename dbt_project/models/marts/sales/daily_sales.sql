with
    sales as (
        select * from {{ ref('fct_sales') }}
    ),

    calendar as (
        {{ days_from_to('(select min(sold_on) from sales)', as_of()) }}
    ),

    sold as (
        select
            sold_on,
            sum(gross_revenue) as gross_revenue,
            count(distinct case when is_order_line then order_id end) as order_count,
            sum(case when is_order_line then coalesce(quantity, 1) else 0 end) as unit_count,
            count(distinct case when is_order_line then customer_id end) as customer_count
        from sales
        group by sold_on
    ),

    returned as (
        select
            returned_on,
            sum(returned_revenue) as returned_revenue
        from sales
        where returned_on is not null
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
