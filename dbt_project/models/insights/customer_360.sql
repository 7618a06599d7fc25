with
    customers as (
        select * from {{ ref('dim_customers') }}
    ),

    metrics as (
        select * from {{ ref('customer_metrics') }}
    ),

    rfm as (
        select * from {{ ref('customer_rfm') }}
    ),

    clusters as (
        select * from {{ ref('stg_ml__customer_clusters') }}
    ),

    churn as (
        select *
        from {{ ref('stg_ml__churn_scores') }}
        where horizon_days = {{ var('churn_horizon_days') }}
    ),

    delivered_churn as (
        select * from {{ ref('stg_scores__churn_scores') }}
    ),

    anomalies as (
        select * from {{ ref('stg_ml__ticket_anomalies') }}
    ),

    sentiment as (
        select * from {{ ref('customer_sentiment') }}
    ),

    lifetime_value as (
        select * from {{ ref('stg_ml__customer_lifetime_value') }}
    ),

    -- fifths of value as of RFM: equal customers, equal tiers
    value_cuts as (
        select {{ quintile_cuts('clv_365d', 'value') }}
        from lifetime_value
    ),

    intent as (
        select * from {{ ref('stg_ml__customer_intent') }}
    ),

    visits as (
        select
            customer_id,
            max(started_on) as last_session_on
        from {{ ref('fct_sessions') }}
        where customer_id is not null
        group by customer_id
    ),

    personas as (
        select * from {{ ref('stg_ml__customer_personas') }}
    ),

    uplift as (
        select * from {{ ref('stg_ml__customer_uplift') }}
    ),

    behaviour as (
        select * from {{ ref('customer_behaviour') }}
    ),

    actions as (
        select * from {{ ref('next_best_actions') }}
    ),

    offers as (
        select * from {{ ref('offers') }}
    ),

    last_year as (
        select
            customer_id,
            sum(case when sold_on > {{ add_days(as_of(), -365) }} then gross_revenue else 0 end)
            - sum(case when returned_on > {{ add_days(as_of(), -365) }} then returned_revenue else 0 end) as net_revenue
        from {{ ref('fct_sales') }}
        where
            customer_id is not null
            and (sold_on > {{ add_days(as_of(), -365) }} or returned_on > {{ add_days(as_of(), -365) }})
        group by customer_id
    ),

    joined as (
        select
            customers.*,
            metrics.purchase_count,
            metrics.total_spend,
            metrics.average_transaction_value,
            metrics.first_purchase_at,
            metrics.last_purchase_at,
            metrics.days_since_last_purchase,
            metrics.lifetime_days,
            rfm.r_score,
            rfm.f_score,
            rfm.m_score,
            rfm.rfm_index,
            rfm.engagement_score,
            rfm.segment,
            rfm.recommended_action,
            clusters.cluster_id,
            clusters.cluster_name,
            coalesce(churn.churn_probability, delivered_churn.churn_probability) as churn_probability,
            case
                when churn.churn_probability is not null then 'model'
                when delivered_churn.churn_probability is not null then 'delivered'
                when churn.customer_id is not null then 'rule'
            end as churn_source,
            churn.risk_tier as model_risk_tier,
            churn.horizon_days as churn_horizon_days,
            churn.reason_1,
            churn.reason_2,
            churn.reason_3,
            churn.model_version,
            churn.as_of as scores_as_of,
            sentiment.ticket_count,
            sentiment.negative_count,
            sentiment.negative_rate,
            sentiment.average_sentiment,
            sentiment.unresolved_count,
            coalesce(anomalies.is_anomaly, false) as has_unusual_sentiment,
            last_year.net_revenue as net_revenue_365d,
            lifetime_value.probability_alive,
            lifetime_value.expected_orders_90d,
            lifetime_value.expected_order_value,
            lifetime_value.clv_365d,
            lifetime_value.clv_365d_low,
            lifetime_value.clv_365d_high,
            lifetime_value.clv_basis,
            lifetime_value.next_order_on,
            {{ cuts_below('lifetime_value.clv_365d', 'value_cuts.value') }} as value_cuts_below,
            intent.intent_score,
            visits.last_session_on,
            personas.persona,
            uplift.uplift_probability,
            uplift.uplift_low,
            uplift.uplift_high,
            behaviour.behaviour_score,
            behaviour.activity_trend,
            behaviour.risk_signals,
            actions.action as next_action,
            actions.channel as next_action_channel,
            actions.reason as next_action_reason,
            actions.expected_incremental_profit as next_action_expected_profit,
            actions.deadline_on as next_action_deadline_on,
            actions.is_control as next_action_is_control,
            offers.offer_type,
            offers.discount_rate as offer_discount_rate,
            offers.message as offer_message,
            offers.valid_until as offer_valid_until
        from customers
        cross join value_cuts
        left join metrics on customers.customer_id = metrics.customer_id
        left join rfm on customers.customer_id = rfm.customer_id
        left join clusters on customers.customer_id = clusters.customer_id
        left join churn on customers.customer_id = churn.customer_id
        left join delivered_churn on customers.customer_id = delivered_churn.customer_id
        left join anomalies on customers.customer_id = anomalies.customer_id
        left join sentiment on customers.customer_id = sentiment.customer_id
        left join last_year on customers.customer_id = last_year.customer_id
        left join lifetime_value on customers.customer_id = lifetime_value.customer_id
        left join intent on customers.customer_id = intent.customer_id
        left join visits on customers.customer_id = visits.customer_id
        left join personas on customers.customer_id = personas.customer_id
        left join uplift on customers.customer_id = uplift.customer_id
        left join behaviour on customers.customer_id = behaviour.customer_id
        left join actions on customers.customer_id = actions.customer_id
        left join offers on customers.customer_id = offers.customer_id
    )

select
    cast(customer_id as string) as customer_id,
    cast(name as string) as name,
    cast(email as string) as email,
    cast(industry as string) as industry,
    cast(region as string) as region,
    cast(city as string) as city,
    cast(age_group as string) as age_group,
    cast(loyalty_tier as string) as loyalty_tier,
    cast(acquisition_channel as string) as acquisition_channel,
    cast(signed_up_at as timestamp) as signed_up_at,
    cast(marketing_consent as boolean) as marketing_consent,
    cast(purchase_count as bigint) as purchase_count,
    {{ money('total_spend') }} as total_spend,
    cast(average_transaction_value as double) as average_transaction_value,
    cast(first_purchase_at as timestamp) as first_purchase_at,
    cast(last_purchase_at as timestamp) as last_purchase_at,
    cast(days_since_last_purchase as bigint) as days_since_last_purchase,
    cast(lifetime_days as bigint) as lifetime_days,
    cast(r_score as bigint) as r_score,
    cast(f_score as bigint) as f_score,
    cast(m_score as bigint) as m_score,
    cast(rfm_index as double) as rfm_index,
    cast(engagement_score as double) as engagement_score,
    cast(segment as string) as segment,
    cast(
        {{ rounded(
            'case when churn_probability is null then rfm_index else (rfm_index + 100 * (1 - churn_probability)) / 2 end', 6
        ) }} as double
    ) as segment_score,
    cast(recommended_action as string) as recommended_action,
    cast(cluster_id as bigint) as cluster_id,
    cast(cluster_name as string) as cluster_name,
    cast(churn_probability as double) as churn_probability,
    cast(
        case
            when churn_source = 'delivered' then {{ probability_tier('churn_probability') }}
            when churn_source is null and purchase_count is not null
                then {{ recency_tier('days_since_last_purchase') }}
            else model_risk_tier
        end as string
    ) as risk_tier,
    cast(
        coalesce(
            days_since_last_purchase < {{ var('at_risk_recent_days') }}
            and churn_probability >= {{ var('at_risk_probability') }},
            false
        ) as boolean
    ) as is_at_risk,
    cast(reason_1 as string) as reason_1,
    cast(reason_2 as string) as reason_2,
    cast(reason_3 as string) as reason_3,
    cast(churn_source as string) as churn_source,
    cast(case when churn_source = 'model' then churn_horizon_days end as bigint) as churn_horizon_days,
    -- a delivered score carries neither version nor day
    cast(case when churn_source <> 'delivered' then model_version end as string) as model_version,
    cast(case when churn_source <> 'delivered' then scores_as_of end as date) as scores_as_of,
    cast(coalesce(ticket_count, 0) as bigint) as ticket_count,
    cast(coalesce(negative_count, 0) as bigint) as negative_count,
    cast(negative_rate as double) as negative_rate,
    cast(average_sentiment as double) as average_sentiment,
    cast(has_unusual_sentiment as boolean) as has_unusual_sentiment,
    cast(coalesce(unresolved_count, 0) as bigint) as open_ticket_count,
    {{ money("case when purchase_count is not null then coalesce(net_revenue_365d, 0) end") }} as net_revenue_365d,
    cast(probability_alive as double) as probability_alive,
    cast(expected_orders_90d as double) as expected_orders_90d,
    cast(expected_order_value as double) as expected_order_value,
    cast(clv_365d as double) as clv_365d,
    cast(clv_365d_low as double) as clv_365d_low,
    cast(clv_365d_high as double) as clv_365d_high,
    cast(clv_basis as string) as clv_basis,
    cast(
        case
            when clv_365d is null then null
            when value_cuts_below = 4 then 'High'
            when value_cuts_below >= 2 then 'Medium'
            else 'Low'
        end as string
    ) as value_tier,
    cast(next_order_on as date) as next_order_on,
    cast(intent_score as double) as intent_score,
    cast(last_session_on as date) as last_session_on,
    cast(persona as string) as persona,
    cast(uplift_probability as double) as uplift_probability,
    cast(uplift_low as double) as uplift_low,
    cast(uplift_high as double) as uplift_high,
    cast(behaviour_score as bigint) as behaviour_score,
    cast(activity_trend as string) as activity_trend,
    cast(risk_signals as string) as risk_signals,
    cast(next_action as string) as next_action,
    cast(next_action_channel as string) as next_action_channel,
    cast(next_action_reason as string) as next_action_reason,
    {{ money('next_action_expected_profit') }} as next_action_expected_profit,
    cast(next_action_deadline_on as date) as next_action_deadline_on,
    cast(next_action_is_control as boolean) as next_action_is_control,
    cast(offer_type as string) as offer_type,
    cast(offer_discount_rate as double) as offer_discount_rate,
    cast(offer_message as string) as offer_message,
    cast(offer_valid_until as date) as offer_valid_until
from joined
