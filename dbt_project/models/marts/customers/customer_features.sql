-- One row a customer and cutoff, from events at or before the cutoff only; labels look beyond it.
{% set horizons = [30, 90, 180] %}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'carry': {'through': 'int_sales__changed'}},
    pre_hook=[
        "{{ delete_touched(outdated_cutoffs([30, 90, 180]) ~ ' or customer_id in (' ~ touched_customers() ~ ')') }}",
        "{{ delete_features_known_otherwise() }}"
    ],
    post_hook="{{ record_state() }}"
) }}

-- depends_on: {{ ref('int_sales__changed') }}
-- depends_on: {{ ref('int_cutoffs__listed') }}
with
    sales as (
        select * from {{ ref('int_features__sales') }}
        {% if is_incremental() %}
            as current_features
            where not exists (
                select 1
                from {{ this }} as kept
                where
                    current_features.customer_id = kept.customer_id
                    and current_features.cutoff_date = kept.cutoff_date
            )
        {% endif %}
    ),

    service as (
        select * from {{ ref('int_features__service') }}
    ),

    customers as (
        select * from {{ ref('stg_shop__customers') }}
    ),

    measured as (
        select
            sales.*,
            {{ days_between('sales.last_order_on', 'sales.cutoff_date') }} as days_since_last_order,
            {{ days_between('sales.first_order_on', 'sales.cutoff_date') }} as days_since_first_order,
            {{ ratio(days_between('sales.first_order_on', 'sales.last_order_on'), 'sales.order_day_count - 1') }}
                as average_gap_days
        from sales
    )

select
    cast(measured.customer_id as string) as customer_id,
    cast(measured.cutoff_date as date) as cutoff_date,
    cast(measured.days_since_last_order as bigint) as days_since_last_order,
    cast(measured.days_since_first_order as bigint) as days_since_first_order,
    cast(measured.order_count as bigint) as order_count,
    cast(measured.order_day_count as bigint) as order_day_count,
    cast(measured.average_gap_days as double) as average_gap_days,
    cast({{ ratio('measured.days_since_last_order', 'measured.average_gap_days') }} as double) as recency_to_gap_ratio,
    cast(measured.orders_30d as bigint) as orders_30d,
    cast(measured.orders_90d as bigint) as orders_90d,
    cast(measured.orders_180d as bigint) as orders_180d,
    cast(measured.orders_365d as bigint) as orders_365d,
    {{ money('measured.gross_revenue - measured.returned_revenue') }} as net_revenue,
    {{ money('measured.gross_revenue_90d') }} as gross_revenue_90d,
    cast({{ ratio('measured.gross_revenue', 'measured.order_count') }} as double) as average_order_value,
    {{ money('measured.largest_line_revenue') }} as largest_line_revenue,
    cast(measured.unit_count as decimal(18, 4)) as unit_count,
    cast(measured.product_count as bigint) as product_count,
    cast(measured.category_count as bigint) as category_count,
    cast({{ ratio('measured.discounted_line_count', 'measured.line_count') }} as double) as discounted_line_rate,
    cast({{ ratio('measured.returned_line_count', 'measured.line_and_return_count') }} as double) as returned_line_rate,
    cast(coalesce(service.ticket_count_180d, 0) as bigint) as ticket_count_180d,
    cast(coalesce(service.negative_ticket_count_180d, 0) as bigint) as negative_ticket_count_180d,
    cast(coalesce(service.unresolved_ticket_count, 0) as bigint) as unresolved_ticket_count,
    cast(coalesce(service.session_count_90d, 0) as bigint) as session_count_90d,
    cast(coalesce(service.abandoned_cart_count_90d, 0) as bigint) as abandoned_cart_count_90d,
    cast(coalesce(service.email_open_count_180d, 0) as bigint) as email_open_count_180d,
    cast(coalesce(service.email_click_count_180d, 0) as bigint) as email_click_count_180d,
    cast(coalesce(service.activity_count_90d, 0) as bigint) as activity_count_90d,
    cast(coalesce(service.activity_count_before_90d, 0) as bigint) as activity_count_before_90d,
    cast(customers.industry as string) as industry,
    cast(customers.region as string) as region,
    cast(customers.age_group as string) as age_group,
    cast(customers.acquisition_channel as string) as acquisition_channel,
    {% for horizon in horizons %}
        cast(
            -- the first order after the cutoff decides every horizon
            case
                when {{ add_days('measured.cutoff_date', horizon) }} <= {{ as_of() }}
                    then coalesce(measured.next_order_on > {{ add_days('measured.cutoff_date', horizon) }}, true)
            end as boolean
        ) as churned_{{ horizon }}d
        {% if not loop.last %},{% endif %}
    {% endfor %}
from measured
left join service
    on
        measured.customer_id = service.customer_id
        and measured.cutoff_date = service.cutoff_date
-- a profile is known from its sign-up on
left join customers
    on
        measured.customer_id = customers.customer_id
        and (customers.signed_up_at is null or cast(customers.signed_up_at as date) <= measured.cutoff_date)
