with
    sales as (
        select * from {{ ref('fct_sales') }}
    ),

    aggregated as (
        select
            category,
            count(distinct case when is_order_line then order_id end) as transaction_count,
            sum(net_revenue) as revenue,
            count(distinct case when is_order_line then customer_id end) as customer_count
        from sales
        group by category
    )

select
    cast(category as string) as category,
    cast(transaction_count as bigint) as transaction_count,
    {{ money('revenue') }} as revenue,
    cast({{ ratio('revenue', 'transaction_count') }} as double) as average_transaction_value,
    cast(customer_count as bigint) as customer_count
from aggregated
