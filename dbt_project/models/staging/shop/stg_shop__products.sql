with
    source as (
        select * from {{ source('shop', 'products') }}
    ),

    renamed as (
        select
            -- ids
            product_id,

            -- strings
            name,
            category,

            -- numbers
            {{ money('list_price') }} as list_price,
            {{ money('unit_cost') }} as unit_cost,
            _batch,

            -- dates
            launched_on
        from source
    )

select * from renamed
