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
            coalesce(anomalies.is_anomaly, false) as has_unusual_sentiment
        from customers
        left join metrics on customers.customer_id = metrics.customer_id
        left join rfm on customers.customer_id = rfm.customer_id
        left join clusters on customers.customer_id = clusters.customer_id
        left join churn on customers.customer_id = churn.customer_id
        left join delivered_churn on customers.customer_id = delivered_churn.customer_id
        left join anomalies on customers.customer_id = anomalies.customer_id
        left join sentiment on customers.customer_id = sentiment.customer_id
    )

select
    cast(customer_id as varchar) as customer_id,
    cast(name as varchar) as name,
    cast(email as varchar) as email,
    cast(industry as varchar) as industry,
    cast(region as varchar) as region,
    cast(city as varchar) as city,
    cast(age_group as varchar) as age_group,
    cast(loyalty_tier as varchar) as loyalty_tier,
    cast(acquisition_channel as varchar) as acquisition_channel,
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
    cast(segment as varchar) as segment,
    cast(
        round(
            case
                when churn_probability is null then rfm_index
                else (rfm_index + 100 * (1 - churn_probability)) / 2
            end,
            6
        ) as double
    ) as segment_score,
    cast(recommended_action as varchar) as recommended_action,
    cast(cluster_id as bigint) as cluster_id,
    cast(cluster_name as varchar) as cluster_name,
    cast(churn_probability as double) as churn_probability,
    cast(
        case
            when churn_source = 'delivered' then {{ probability_tier('churn_probability') }}
            when churn_source is null and purchase_count is not null
                then {{ recency_tier('days_since_last_purchase') }}
            else model_risk_tier
        end as varchar
    ) as risk_tier,
    cast(
        coalesce(
            days_since_last_purchase < {{ var('at_risk_recent_days') }}
            and churn_probability >= {{ var('at_risk_probability') }},
            false
        ) as boolean
    ) as is_at_risk,
    cast(reason_1 as varchar) as reason_1,
    cast(reason_2 as varchar) as reason_2,
    cast(reason_3 as varchar) as reason_3,
    cast(churn_source as varchar) as churn_source,
    cast(case when churn_source = 'model' then churn_horizon_days end as bigint) as churn_horizon_days,
    -- a delivered score carries neither version nor day
    cast(case when churn_source <> 'delivered' then model_version end as varchar) as model_version,
    cast(case when churn_source <> 'delivered' then scores_as_of end as date) as scores_as_of,
    cast(coalesce(ticket_count, 0) as bigint) as ticket_count,
    cast(coalesce(negative_count, 0) as bigint) as negative_count,
    cast(negative_rate as double) as negative_rate,
    cast(average_sentiment as double) as average_sentiment,
    cast(has_unusual_sentiment as boolean) as has_unusual_sentiment
from joined
