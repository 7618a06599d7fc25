-- What tickets, site visits, e-mails and usage up to each cutoff say of each customer; no row where there was nothing.
{{ config(group='customers', access='private') }}

with
    cutoffs as (
        select cutoff_date from {{ ref('int_cutoffs__listed') }}
    ),

    tickets as (
        select
            tickets.customer_id,
            cutoffs.cutoff_date,
            count(*) filter (where tickets.opened_on > {{ add_days('cutoffs.cutoff_date', -180) }})
                as ticket_count_180d,
            count(*) filter (
                where tickets.is_negative and tickets.opened_on > {{ add_days('cutoffs.cutoff_date', -180) }}
            ) as negative_ticket_count_180d,
            count(*) filter (
                where tickets.resolved_at is null or cast(tickets.resolved_at as date) > cutoffs.cutoff_date
            ) as unresolved_ticket_count
        from {{ ref('int_tickets__classified') }} as tickets
        inner join cutoffs on tickets.opened_on <= cutoffs.cutoff_date
        where tickets.customer_id is not null
        group by tickets.customer_id, cutoffs.cutoff_date
    ),

    -- as in fct_sessions, by what was known at the cutoff
    carts as (
        select
            session_id,
            min(case when event_type = 'add_to_cart' then occurred_at end) as first_cart_at,
            min(case when event_type = 'purchase' then occurred_at end) as first_purchase_at
        from {{ ref('stg_web__events') }}
        where event_type in ('add_to_cart', 'purchase')
        group by session_id
    ),

    sessions as (
        select
            sessions.customer_id,
            cutoffs.cutoff_date,
            count(*) as session_count_90d,
            count(*) filter (
                where
                (sessions.cart_value > 0 or cast(carts.first_cart_at as date) <= cutoffs.cutoff_date)
                and sessions.order_id is null
                and (
                    carts.first_purchase_at is null
                    or cast(carts.first_purchase_at as date) > cutoffs.cutoff_date
                )
            ) as abandoned_cart_count_90d
        from {{ ref('stg_web__sessions') }} as sessions
        inner join cutoffs
            on
                cast(sessions.started_at as date) <= cutoffs.cutoff_date
                and cast(sessions.started_at as date) > {{ add_days('cutoffs.cutoff_date', -90) }}
        left join carts on sessions.session_id = carts.session_id
        where sessions.customer_id is not null
        group by sessions.customer_id, cutoffs.cutoff_date
    ),

    emails as (
        select
            contacts.customer_id,
            cutoffs.cutoff_date,
            count(*) filter (
                where
                cast(contacts.opened_at as date) <= cutoffs.cutoff_date
                and cast(contacts.opened_at as date) > {{ add_days('cutoffs.cutoff_date', -180) }}
            ) as email_open_count_180d,
            count(*) filter (
                where
                cast(contacts.clicked_at as date) <= cutoffs.cutoff_date
                and cast(contacts.clicked_at as date) > {{ add_days('cutoffs.cutoff_date', -180) }}
            ) as email_click_count_180d
        from {{ ref('stg_marketing__contacts') }} as contacts
        inner join cutoffs on cast(contacts.assigned_at as date) <= cutoffs.cutoff_date
        group by contacts.customer_id, cutoffs.cutoff_date
    ),

    activities as (
        select
            activities.customer_id,
            cutoffs.cutoff_date,
            count(*) filter (where activities.occurred_on > {{ add_days('cutoffs.cutoff_date', -90) }})
                as activity_count_90d,
            count(*) filter (where activities.occurred_on <= {{ add_days('cutoffs.cutoff_date', -90) }})
                as activity_count_before_90d
        from {{ ref('stg_usage__activities') }} as activities
        inner join cutoffs
            on
                activities.occurred_on <= cutoffs.cutoff_date
                and activities.occurred_on > {{ add_days('cutoffs.cutoff_date', -180) }}
        group by activities.customer_id, cutoffs.cutoff_date
    ),

    touched as (
        select
            customer_id,
            cutoff_date
        from tickets
        union
        select
            customer_id,
            cutoff_date
        from sessions
        union
        select
            customer_id,
            cutoff_date
        from emails
        union
        select
            customer_id,
            cutoff_date
        from activities
    )

select
    touched.customer_id,
    touched.cutoff_date,
    coalesce(tickets.ticket_count_180d, 0) as ticket_count_180d,
    coalesce(tickets.negative_ticket_count_180d, 0) as negative_ticket_count_180d,
    coalesce(tickets.unresolved_ticket_count, 0) as unresolved_ticket_count,
    coalesce(sessions.session_count_90d, 0) as session_count_90d,
    coalesce(sessions.abandoned_cart_count_90d, 0) as abandoned_cart_count_90d,
    coalesce(emails.email_open_count_180d, 0) as email_open_count_180d,
    coalesce(emails.email_click_count_180d, 0) as email_click_count_180d,
    coalesce(activities.activity_count_90d, 0) as activity_count_90d,
    coalesce(activities.activity_count_before_90d, 0) as activity_count_before_90d
from touched
left join tickets on touched.customer_id = tickets.customer_id and touched.cutoff_date = tickets.cutoff_date
left join sessions on touched.customer_id = sessions.customer_id and touched.cutoff_date = sessions.cutoff_date
left join emails on touched.customer_id = emails.customer_id and touched.cutoff_date = emails.cutoff_date
left join activities on touched.customer_id = activities.customer_id and touched.cutoff_date = activities.cutoff_date
