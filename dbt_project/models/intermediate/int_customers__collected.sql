-- Every customer id seen anywhere, once.
with
    seen as (
        select customer_id from {{ ref('stg_shop__customers') }}
        union
        select customer_id from {{ ref('stg_shop__sales') }}
        union
        select customer_id from {{ ref('stg_helpdesk__tickets') }}
        union
        select customer_id from {{ ref('stg_web__sessions') }}
        union
        select customer_id from {{ ref('stg_web__events') }}
        union
        select customer_id from {{ ref('stg_marketing__contacts') }}
        union
        select customer_id from {{ ref('stg_usage__activities') }}
        union
        select customer_id from {{ ref('stg_scores__churn_scores') }}
    )

select customer_id
from seen
where customer_id is not null
