with
    collected as (
        select customer_id from {{ ref('int_customers__collected') }}
    ),

    customers as (
        select * from {{ ref('stg_shop__customers') }}
    )

select
    cast(collected.customer_id as varchar) as customer_id,
    cast(customers.name as varchar) as name,
    cast(customers.email as varchar) as email,
    cast(customers.industry as varchar) as industry,
    cast(customers.region as varchar) as region,
    cast(customers.city as varchar) as city,
    cast(customers.age_group as varchar) as age_group,
    cast(customers.loyalty_tier as varchar) as loyalty_tier,
    cast(customers.acquisition_channel as varchar) as acquisition_channel,
    cast(customers.signed_up_at as timestamp) as signed_up_at,
    cast(customers.marketing_consent as boolean) as marketing_consent,
    cast(customers.customer_id is not null as boolean) as has_profile
from collected
left join customers on collected.customer_id = customers.customer_id
