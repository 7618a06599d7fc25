with
    source as (
        select * from {{ source('ml', 'sales_anomalies') }}
    ),

    renamed as (
        select
            kind,
            series,
            direction,
            driver_kind,
            driver_series,
            driver,
            value,
            expected,
            lower,
            upper,
            p_value,
            q_value,
            driver_share,
            is_anomaly,
            is_settled,
            day,
            stretch_starts_on,
            stretch_ends_on,
            as_of
        from source
    )

select * from renamed
