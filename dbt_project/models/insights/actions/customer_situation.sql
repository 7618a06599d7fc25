-- What is known of each customer when it is decided what to do next: one place, so that actions and audiences agree.
{{ config(database='work', schema='intermediate', access='private') }}

with
    customers as (
        select * from {{ ref('dim_customers') }}
    ),

    churn as (
        select *
        from {{ ref('stg_ml__churn_scores') }}
        where horizon_days = {{ var('churn_horizon_days') }}
    ),

    shop as (
        select
            cast(sum(gross_revenue) as double) / nullif(sum(purchase_count), 0) as order_revenue,
            -- lines without a unit cost earn what the others do
            case
                when count(gross_margin) > 0
                    then
                        cast(sum(gross_margin) as double)
                        / nullif(cast(sum(case when gross_margin is not null then net_revenue end) as double), 0)
            end as margin_rate
        from (
            select
                gross_revenue,
                total_spend as net_revenue,
                gross_margin,
                purchase_count
            from {{ ref('customer_metrics') }}
        ) as metrics
    ),

    tickets as (
        select
            customer_id,
            count(*) as open_negative_ticket_count
        from {{ ref('fct_tickets') }}
        where customer_id is not null and is_negative and state <> 'resolved'
        group by customer_id
    ),

    contacted as (
        select
            customer_id,
            max(case when was_sent then coalesce(cast(sent_at as date), assigned_on) end) as last_contacted_on
        from {{ ref('int_contacts__outcomes') }}
        group by customer_id
    ),

    bought as (
        select
            customer_id,
            product_id
        from {{ ref('int_purchases__summed') }}
        where customer_id is not null and product_id is not null and line_count > 0
    ),

    associations as (
        select
            product_id_a as product_id,
            product_id_b as other_product_id,
            association_ratio
        from {{ ref('stg_ml__product_associations') }}
        where is_associated
        union all
        select
            product_id_b as product_id,
            product_id_a as other_product_id,
            association_ratio
        from {{ ref('stg_ml__product_associations') }}
        where is_associated
    ),

    suggested as (
        select
            bought.customer_id,
            associations.other_product_id as product_id,
            row_number() over (
                partition by bought.customer_id
                order by associations.association_ratio desc nulls last, associations.other_product_id asc nulls last
            ) as place
        from bought
        inner join associations on bought.product_id = associations.product_id
        left join bought as already
            on bought.customer_id = already.customer_id and associations.other_product_id = already.product_id
        where already.product_id is null
        -- two of the customer's products may suggest the same one
        qualify place = 1
    ),

    joined as (
        select
            customers.customer_id,
            coalesce(customers.marketing_consent, false) as is_contactable,
            {{ is_held_back('customers.customer_id', var('action_control_share')) }} as is_control,
            coalesce(metrics.purchase_count, 0) as order_count,
            metrics.days_since_last_purchase as days_since_last_order,
            -- own orders weigh n / (n + 1), as in ml/uplift.py
            (
                coalesce(metrics.purchase_count, 0)
                * coalesce(metrics.gross_revenue / nullif(cast(metrics.purchase_count as double), 0), 0)
                + shop.order_revenue
            ) / nullif(1.0 + coalesce(metrics.purchase_count, 0), 0) as order_revenue,
            lifetime.expected_order_value,
            shop.margin_rate,
            case when shop.margin_rate is null then 'revenue' else 'margin' end as profit_basis,
            coalesce(
                lifetime.expected_orders_90d,
                -- without a model the customer's own pace so far, over at least a quarter
                cast(90 * metrics.purchase_count as double)
                / nullif(greatest(metrics.lifetime_days + metrics.days_since_last_purchase, 90), 0),
                0
            ) as expected_orders_90d,
            coalesce(churn.churn_probability, delivered.churn_probability) as churn_probability,
            case when churn.churn_probability is not null then churn.horizon_days end as churn_horizon_days,
            lifetime.next_order_on,
            lifetime.clv_365d,
            coalesce(lifetime.clv_365d, cast(metrics.total_spend as double)) as worth,
            rfm.segment,
            intent.intent_score,
            intent.last_session_on,
            coalesce(tickets.open_negative_ticket_count, 0) as open_negative_ticket_count,
            suggested.product_id as suggested_product_id,
            coalesce(products.name, suggested.product_id) as suggested_product_name,
            contacted.last_contacted_on,
            uplift.uplift_probability,
            uplift.uplift_low,
            uplift.uplift_high,
            uplift.model_version as uplift_version,
            coalesce(uplift.as_of, churn.as_of, lifetime.as_of) as scores_as_of
        from customers
        cross join shop
        left join {{ ref('customer_metrics') }} as metrics on customers.customer_id = metrics.customer_id
        left join {{ ref('customer_rfm') }} as rfm on customers.customer_id = rfm.customer_id
        left join {{ ref('stg_ml__customer_lifetime_value') }} as lifetime
            on customers.customer_id = lifetime.customer_id
        left join churn on customers.customer_id = churn.customer_id
        left join {{ ref('stg_scores__churn_scores') }} as delivered on customers.customer_id = delivered.customer_id
        left join {{ ref('stg_ml__customer_intent') }} as intent on customers.customer_id = intent.customer_id
        left join {{ ref('stg_ml__customer_uplift') }} as uplift on customers.customer_id = uplift.customer_id
        left join tickets on customers.customer_id = tickets.customer_id
        left join suggested on customers.customer_id = suggested.customer_id
        left join {{ ref('dim_products') }} as products on suggested.product_id = products.product_id
        left join contacted on customers.customer_id = contacted.customer_id
    ),

    -- fifths of value as in customer_360: equal customers, equal tiers
    value_cuts as (
        select {{ quintile_cuts('worth', 'value') }}
        from joined
        where order_count > 0
    ),

    ranked as (
        select
            joined.*,
            joined.expected_orders_90d * {{ var('offer_valid_days') }} / 90 as expected_orders_in_window,
            joined.order_count > 0 and ({{ cuts_below('joined.worth', 'value_cuts.value') }}) = 4 as is_high_value
        from joined
        cross join value_cuts
    )

select
    cast(customer_id as string) as customer_id,
    cast(is_contactable as boolean) as is_contactable,
    cast(is_control as boolean) as is_control,
    cast(order_count as bigint) as order_count,
    cast(days_since_last_order as bigint) as days_since_last_order,
    cast(segment as string) as segment,
    cast({{ rounded('order_revenue', 4) }} as double) as order_revenue,
    cast(
        {{ rounded('coalesce(expected_order_value, order_revenue * coalesce(margin_rate, 1))', 4) }} as double
    ) as order_worth,
    cast(profit_basis as string) as profit_basis,
    cast({{ rounded('expected_orders_90d', 6) }} as double) as expected_orders_90d,
    cast({{ rounded('expected_orders_in_window', 6) }} as double) as expected_orders_in_window,
    cast(expected_orders_in_window >= {{ var('likely_orders_in_window') }} as boolean) as would_order_anyway,
    cast(churn_probability as double) as churn_probability,
    cast(churn_horizon_days as bigint) as churn_horizon_days,
    cast(
        coalesce(
            days_since_last_order < {{ var('at_risk_recent_days') }}
            and churn_probability >= {{ var('at_risk_probability') }},
            false
        ) as boolean
    ) as is_at_risk,
    cast(is_high_value as boolean) as is_high_value,
    cast(clv_365d as double) as clv_365d,
    cast(next_order_on as date) as next_order_on,
    cast(intent_score as double) as intent_score,
    cast(last_session_on as date) as last_session_on,
    cast(open_negative_ticket_count as bigint) as open_negative_ticket_count,
    cast(suggested_product_id as string) as suggested_product_id,
    cast(suggested_product_name as string) as suggested_product_name,
    cast(last_contacted_on as date) as last_contacted_on,
    cast(uplift_probability as double) as uplift_probability,
    cast(uplift_low as double) as uplift_low,
    cast(uplift_high as double) as uplift_high,
    cast(uplift_version as string) as uplift_version,
    cast(scores_as_of as date) as scores_as_of
from ranked
