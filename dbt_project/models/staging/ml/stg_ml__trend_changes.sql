with
    source as (
        select * from {{ source('ml', 'trend_changes') }}
    ),

    renamed as (
        select
            product_id,
            category,
            direction,
            change_number,
            units_per_week_before,
            units_per_week_after,
            change_ratio,
            p_value,
            q_value,
            is_change,
            changed_on,
            changed_until,
            as_of
        from source
    )

select * from renamed
