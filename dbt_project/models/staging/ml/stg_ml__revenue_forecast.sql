with
    source as (
        select * from {{ source('ml', 'revenue_forecast') }}
    ),

    renamed as (
        select
            model_version,
            forecast,
            lower,
            upper,
            day,
            as_of
        from source
    )

select * from renamed
