with
    source as (
        select * from {{ source('ml', 'customer_intent') }}
    ),

    renamed as (
        select
            customer_id,
            best_session_id,
            model_version,
            intent_score,
            session_count,
            last_session_on,
            as_of
        from source
    )

select * from renamed
