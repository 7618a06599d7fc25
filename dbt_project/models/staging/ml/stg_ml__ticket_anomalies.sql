with
    source as (
        select * from {{ source('ml', 'ticket_anomalies') }}
    ),

    renamed as (
        select
            customer_id,
            ticket_count,
            negative_count,
            negative_rate,
            expected_rate,
            p_value,
            q_value,
            is_anomaly,
            as_of
        from source
    )

select * from renamed
