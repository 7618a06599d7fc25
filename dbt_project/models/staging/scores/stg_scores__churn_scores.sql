with
    source as (
        select * from {{ source('scores', 'churn') }}
    ),

    renamed as (
        select
            -- ids
            {{ personal('customer_id', 'customer') }},

            -- numbers
            cast(churn_score as double) as churn_probability,
            _batch
        from source
    )

select * from renamed
