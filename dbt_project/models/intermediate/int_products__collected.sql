-- Every product id seen anywhere, once.
with
    seen as (
        select product_id from {{ ref('stg_shop__products') }}
        union
        select product_id from {{ ref('stg_shop__sales') }}
        union
        select product_id from {{ ref('stg_helpdesk__tickets') }}
        union
        select product_id from {{ ref('stg_web__events') }}
    )

select product_id
from seen
where product_id is not null
