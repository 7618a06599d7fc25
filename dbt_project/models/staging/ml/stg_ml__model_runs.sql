with
    source as (
        select * from {{ source('ml', 'model_runs') }}
    ),

    renamed as (
        select
            model,
            version,
            metrics,
            notes,
            horizon_days,
            champion,
            as_of,
            test_cutoff
        from source
    )

select * from renamed
