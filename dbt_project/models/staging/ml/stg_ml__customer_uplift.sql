with
    source as (
        select * from {{ source('ml', 'customer_uplift') }}
    ),

    renamed as (
        select
            customer_id,
            value_basis,
            model_version,
            uplift_probability,
            uplift_low,
            uplift_high,
            uplift_value,
            uplift_decile,
            as_of
        from source
    )

select * from renamed
