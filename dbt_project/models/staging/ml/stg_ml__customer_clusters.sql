with
    source as (
        select * from {{ source('ml', 'customer_clusters') }}
    ),

    renamed as (
        select
            customer_id,
            cluster_name,
            model_version,
            cluster_id,
            as_of
        from source
    )

select * from renamed
