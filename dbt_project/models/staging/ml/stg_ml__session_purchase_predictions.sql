with
    source as (
        select * from {{ source('ml', 'session_purchase_predictions') }}
    ),

    renamed as (
        select
            session_id,
            persona,
            model_version,
            purchase_probability,
            confidence,
            will_buy,
            as_of
        from source
    )

select * from renamed
