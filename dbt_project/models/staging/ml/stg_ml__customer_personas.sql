with
    source as (
        select * from {{ source('ml', 'customer_personas') }}
    ),

    renamed as (
        select
            customer_id,
            persona,
            model_version,
            session_count,
            conversion_rate,
            as_of
        from source
    )

select * from renamed
