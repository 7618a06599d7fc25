with
    source as (
        select * from {{ source('marketing', 'contacts') }}
    ),

    renamed as (
        select
            -- ids
            contact_id,
            campaign_id,
            {{ personal('customer_id', 'customer') }},
            converted_order_id,

            -- numbers
            _batch,

            -- booleans
            is_control,

            -- timestamps
            assigned_at,
            {{ known_by('sent_at') }} as sent_at,
            {{ known_by('opened_at') }} as opened_at,
            {{ known_by('clicked_at') }} as clicked_at
        from source
        where cast(assigned_at as date) <= {{ as_of() }}
    )

select * from renamed
