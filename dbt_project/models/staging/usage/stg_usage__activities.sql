with
    source as (
        select * from {{ source('usage', 'activity') }}
    ),

    renamed as (
        select
            -- ids
            activity_id,
            {{ personal('customer_id', 'customer') }},

            -- strings
            {{ lowered('activity_type') }} as activity_type,

            -- numbers
            cast(quantity as decimal(18, 4)) as quantity,
            {{ money('revenue_impact') }} as revenue_impact,
            _batch,

            -- dates
            occurred_on
        from source
        where occurred_on <= {{ as_of() }}
    )

select * from renamed
