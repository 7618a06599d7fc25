with
    source as (
        select * from {{ source('ml', 'product_associations') }}
    ),

    renamed as (
        select
            product_id_a,
            product_id_b,
            pair_orders,
            expected_orders,
            association_ratio,
            p_value,
            q_value,
            is_associated,
            as_of
        from source
    )

select * from renamed
