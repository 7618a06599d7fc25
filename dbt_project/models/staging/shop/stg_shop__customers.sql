with
    source as (
        select * from {{ source('shop', 'customers') }}
    ),

    renamed as (
        select
            -- ids
            {{ personal('customer_id', 'customer') }},

            -- strings
            {{ personal('name', 'name') }},
            {{ personal('email', 'email') }},
            industry,
            region,
            city,
            age_group,
            loyalty_tier,
            acquisition_channel,

            -- numbers
            _batch,

            -- booleans
            marketing_consent,

            -- timestamps
            signed_up_at
        from source
        where signed_up_at is null or cast(signed_up_at as date) <= {{ as_of() }}
    )

select * from renamed
