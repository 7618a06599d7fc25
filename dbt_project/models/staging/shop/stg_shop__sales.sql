with
    source as (
        select * from {{ source('shop', 'sales') }}
    ),

    renamed as (
        select
            -- ids
            sale_id,
            order_id,
            {{ personal('customer_id', 'customer') }},
            product_id,

            -- strings
            category,
            channel,

            -- numbers
            cast(quantity as decimal(18, 4)) as quantity,
            {{ money('unit_price') }} as unit_price,
            cast(discount_rate as double) as discount_rate,
            {{ money('amount') }} as amount,
            _batch,

            -- timestamps
            sold_at,
            {{ known_by('returned_at') }} as returned_at
        from source
        where cast(sold_at as date) <= {{ as_of() }}
    )

select * from renamed
