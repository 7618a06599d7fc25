with
    source as (
        select * from {{ source('ml', 'churn_scores') }}
    ),

    renamed as (
        select
            customer_id,
            risk_tier,
            reason_1,
            reason_2,
            reason_3,
            model_version,
            horizon_days,
            churn_probability,
            as_of
        from source
    )

select * from renamed
