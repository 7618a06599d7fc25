with
    source as (
        select * from {{ source('ml', 'customer_lifetime_value') }}
    ),

    renamed as (
        select
            customer_id,
            clv_basis,
            model_version,
            probability_alive,
            expected_orders_90d,
            expected_order_value,
            clv_365d,
            clv_365d_low,
            clv_365d_high,
            next_order_on,
            as_of
        from source
    )

select * from renamed
