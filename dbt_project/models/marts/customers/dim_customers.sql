with
    collected as (
        select customer_id from {{ ref('int_customers__collected') }}
    ),

    customers as (
        select * from {{ ref('stg_shop__customers') }}
    )

select
    cast(collected.customer_id as string) as customer_id,
    cast(customers.name as string) as name,
    cast(customers.email as string) as email,
    cast(customers.industry as string) as industry,
    cast(customers.region as string) as region,
    cast(customers.city as string) as city,
    cast(customers.age_group as string) as age_group,
    cast(customers.loyalty_tier as string) as loyalty_tier,
    cast(customers.acquisition_channel as string) as acquisition_channel,
    cast(customers.signed_up_at as timestamp) as signed_up_at,
    cast(customers.marketing_consent as boolean) as marketing_consent,
    cast(customers.customer_id is not null as boolean) as has_profile
from collected
left join customers on collected.customer_id = customers.customer_id
