-- What each customer did on the site and with e-mails in the 90 days up to as_of.
{{ config(group='rfm', access='private') }}

with
    sessions as (
        select
            customer_id,
            count(*) as session_count
        from {{ ref('stg_web__sessions') }}
        where
            customer_id is not null
            and cast(started_at as date) > {{ add_days(as_of(), -90) }}
        group by customer_id
    ),

    events as (
        select
            customer_id,
            count(*) filter (where event_type = 'add_to_cart') as cart_count,
            count(*) filter (where event_type = 'review') as review_count,
            count(*) filter (where event_type = 'email_open') as email_open_count,
            count(*) filter (where event_type = 'email_click') as email_click_count
        from {{ ref('stg_web__events') }}
        where
            customer_id is not null
            and cast(occurred_at as date) > {{ add_days(as_of(), -90) }}
        group by customer_id
    ),

    contacts as (
        select
            customer_id,
            count(*) filter (where cast(opened_at as date) > {{ add_days(as_of(), -90) }}) as email_open_count,
            count(*) filter (where cast(clicked_at as date) > {{ add_days(as_of(), -90) }}) as email_click_count
        from {{ ref('stg_marketing__contacts') }}
        group by customer_id
    ),

    customers as (
        select customer_id from {{ ref('int_customers__collected') }}
    )

select
    customers.customer_id,
    coalesce(sessions.session_count, 0) as session_count,
    coalesce(events.cart_count, 0) as cart_count,
    coalesce(events.review_count, 0) as review_count,
    -- the same opens and clicks may be delivered as events, as contacts, or as both
    greatest(coalesce(events.email_open_count, 0), coalesce(contacts.email_open_count, 0)) as email_open_count,
    greatest(coalesce(events.email_click_count, 0), coalesce(contacts.email_click_count, 0)) as email_click_count
from customers
left join sessions on customers.customer_id = sessions.customer_id
left join events on customers.customer_id = events.customer_id
left join contacts on customers.customer_id = contacts.customer_id
