with
    source as (
        select * from {{ source('ml', 'churn_scores_before') }}
    ),

    renamed as (
        select
            customer_id,
            model_version,
            horizon_days,
            churn_probability,
            cutoff_date,
            as_of
        from source
    )

select * from renamed
