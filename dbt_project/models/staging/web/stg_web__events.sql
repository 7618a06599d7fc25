with
    source as (
        select * from {{ source('web', 'events') }}
    ),

    renamed as (
        select
            -- ids
            event_id,
            session_id,
            {{ personal('customer_id', 'customer') }},
            product_id,
            campaign_id,

            -- strings
            event_type,

            -- numbers
            _batch,

            -- timestamps
            occurred_at
        from source
        where cast(occurred_at as date) <= {{ as_of() }}
    )

select * from renamed
