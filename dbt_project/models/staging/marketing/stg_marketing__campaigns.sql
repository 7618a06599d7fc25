with
    source as (
        select * from {{ source('marketing', 'campaigns') }}
    ),

    renamed as (
        select
            -- ids
            campaign_id,

            -- strings
            name,
            offer_type,
            target_segment,

            -- numbers
            cast(discount_rate as double) as discount_rate,
            {{ money('fixed_cost') }} as fixed_cost,
            {{ money('cost_per_contact') }} as cost_per_contact,
            _batch,

            -- dates
            starts_on,
            ends_on
        from source
    )

select * from renamed
