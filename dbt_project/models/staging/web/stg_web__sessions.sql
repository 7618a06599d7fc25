with
    source as (
        select * from {{ source('web', 'sessions') }}
    ),

    renamed as (
        select
            -- ids
            session_id,
            {{ personal('customer_id', 'customer') }},
            order_id,

            -- strings
            {{ lowered('device_type') }} as device_type,

            -- numbers
            pages_visited,
            time_on_site_seconds,
            {{ money('cart_value') }} as cart_value,
            _batch,

            -- timestamps
            started_at
        from source
        where cast(started_at as date) <= {{ as_of() }}
    )

select * from renamed
