-- Customers by the month of their first order, and what they did in every month since: no month is missing.
with
    sales as (
        select
            *,
            {{ month_start('sold_on') }} as sold_month,
            {{ month_start('returned_on') }} as returned_month
        from {{ ref('fct_sales') }}
        where customer_id is not null
    ),

    cohorts as (
        select
            customer_id,
            min(sold_month) as cohort_month
        from sales
        where is_order_line
        group by customer_id
    ),

    sizes as (
        select
            cohort_month,
            count(*) as customers
        from cohorts
        group by cohort_month
    ),

    months as (
        {{ months_from_to('(select min(cohort_month) from cohorts)', month_start(as_of())) }}
    ),

    -- a return is booked in its own month; one from before the first order counts in the first month
    booked as (
        select
            customer_id,
            sold_month as month,
            case when is_order_line then customer_id end as active_customer_id,
            gross_revenue as net_revenue,
            case when not is_return then gross_revenue - unit_cost * coalesce(quantity, 1) end as gross_margin
        from sales
        union all
        select
            customer_id,
            returned_month as month,
            cast(null as string) as active_customer_id,
            -returned_revenue as net_revenue,
            unit_cost * abs(coalesce(quantity, 1)) - returned_revenue as gross_margin
        from sales
        where returned_month is not null
    ),

    customer_months as (
        select
            customer_id,
            month,
            count(active_customer_id) > 0 as is_active,
            sum(net_revenue) as net_revenue,
            sum(gross_margin) as gross_margin
        from booked
        group by customer_id, month
    ),

    activity as (
        select
            cohorts.cohort_month,
            greatest(customer_months.month, cohorts.cohort_month) as active_month,
            -- nobody is active before the first order, so that a customer counts once a month
            sum(case when customer_months.is_active then 1 else 0 end) as active_customers,
            sum(customer_months.net_revenue) as net_revenue,
            sum(customer_months.gross_margin) as gross_margin
        from customer_months
        inner join cohorts on customer_months.customer_id = cohorts.customer_id
        group by cohorts.cohort_month, greatest(customer_months.month, cohorts.cohort_month)
    )

select
    cast(sizes.cohort_month as date) as cohort_month,
    cast(
        12 * (extract(year from months.calendar_month) - extract(year from sizes.cohort_month))
        + extract(month from months.calendar_month) - extract(month from sizes.cohort_month) as bigint
    ) as months_since_first,
    cast(months.calendar_month as date) as month,
    cast({{ add_months('months.calendar_month', 1) }} <= {{ add_days(as_of(), 1) }} as boolean) as is_complete,
    cast(sizes.customers as bigint) as customers,
    cast(coalesce(activity.active_customers, 0) as bigint) as active_customers,
    cast({{ ratio('coalesce(activity.active_customers, 0)', 'sizes.customers') }} as double) as retention_rate,
    {{ money('coalesce(activity.net_revenue, 0)') }} as net_revenue,
    {{ money('activity.gross_margin') }} as gross_margin
from sizes
inner join months on sizes.cohort_month <= months.calendar_month
left join activity
    on
        sizes.cohort_month = activity.cohort_month
        and months.calendar_month = activity.active_month
