{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'carry': {'through': 'int_sales__changed'}},
    pre_hook="{{ delete_touched('customer_id in (' ~ touched_customers() ~ ')') }}",
    post_hook=[
        "{{ age_customers() }}",
        "{{ record_state() }}"
    ]
) }}

-- depends_on: {{ ref('int_sales__changed') }}
with
    sales as (
        select *
        from {{ ref('fct_sales') }}
        where {{ "customer_id in (" ~ touched_customers() ~ ")" if is_incremental() else "customer_id is not null" }}
    ),

    orders as (
        select
            customer_id,
            count(distinct order_id) as purchase_count,
            min(sold_at) as first_purchase_at,
            max(sold_at) as last_purchase_at
        from sales
        where is_order_line
        group by customer_id
    ),

    spend as (
        select
            customer_id,
            sum(gross_revenue) as gross_revenue,
            sum(returned_revenue) as returned_revenue,
            sum(net_revenue) as net_revenue,
            sum(gross_margin) as gross_margin
        from sales
        group by customer_id
    ),

    joined as (
        select
            orders.*,
            spend.gross_revenue,
            spend.returned_revenue,
            spend.net_revenue,
            spend.gross_margin,
            {{ days_between('orders.last_purchase_at', as_of()) }} as days_since_last_purchase,
            {{ days_between('orders.first_purchase_at', 'orders.last_purchase_at') }} as lifetime_days
        from orders
        inner join spend on orders.customer_id = spend.customer_id
    )

select
    cast(customer_id as string) as customer_id,
    cast(purchase_count as bigint) as purchase_count,
    {{ money('net_revenue') }} as total_spend,
    {{ money('gross_revenue') }} as gross_revenue,
    {{ money('returned_revenue') }} as returned_revenue,
    {{ money('gross_margin') }} as gross_margin,
    cast({{ ratio('net_revenue', 'purchase_count') }} as double) as average_transaction_value,
    cast(first_purchase_at as timestamp) as first_purchase_at,
    cast(last_purchase_at as timestamp) as last_purchase_at,
    cast(days_since_last_purchase as bigint) as days_since_last_purchase,
    cast(lifetime_days as bigint) as lifetime_days,
    cast({{ recency_tier('days_since_last_purchase') }} as string) as churn_risk_tier
from joined
