with
    purchases as (
        select * from {{ ref('int_purchases__summed') }}
    ),

    revenues as (
        select
            category,
            sum(net_revenue) as revenue
        from purchases
        group by category
    ),

    -- distinct rows counted: cheaper than a distinct count in each group
    orders as (
        select
            category,
            count(*) as transaction_count
        from (
            select distinct
                category,
                order_id
            from {{ ref('fct_sales') }}
            where is_order_line
        ) as ordered
        group by category
    ),

    customers as (
        select
            category,
            count(*) as customer_count
        from (
            select distinct
                category,
                customer_id
            from purchases
            where line_count > 0 and customer_id is not null
        ) as bought
        group by category
    ),

    aggregated as (
        select
            revenues.category,
            revenues.revenue,
            coalesce(orders.transaction_count, 0) as transaction_count,
            coalesce(customers.customer_count, 0) as customer_count
        from revenues
        left join orders on revenues.category = orders.category
        left join customers on revenues.category = customers.category
    )

select
    cast(category as string) as category,
    cast(transaction_count as bigint) as transaction_count,
    {{ money('revenue') }} as revenue,
    cast({{ ratio('revenue', 'transaction_count') }} as double) as average_transaction_value,
    cast(customer_count as bigint) as customer_count
from aggregated
