-- What was known of a visit's customer when the visit began, and of the visit itself: nothing from after it.
with
    sessions as (
        select * from {{ ref('fct_sessions') }}
    ),

    bought as (
        select
            customer_id,
            order_id,
            min(sold_at) as sold_at
        from {{ ref('fct_sales') }}
        where is_order_line and customer_id in (select sessions.customer_id from sessions)
        group by customer_id, order_id
    ),

    made_in as (
        select
            order_id,
            max(started_at) as started_at
        from sessions
        where order_id is not null
        group by order_id
    ),

    -- Orders and visits of a customer in one line of time; an order counts for what comes after it, and after the visit
    -- that it was made in, even where its record has the day without the hour or another clock
    moments as (
        select
            customer_id,
            started_at as happened_at,
            session_id,
            0 as is_order,
            case when is_abandoned then 1 else 0 end as is_abandoned
        from sessions
        where customer_id is not null
        union all
        select
            bought.customer_id,
            case when made_in.started_at > bought.sold_at then made_in.started_at else bought.sold_at end
                as happened_at,
            cast(null as string) as session_id,
            1 as is_order,
            0 as is_abandoned
        from bought
        left join made_in on bought.order_id = made_in.order_id
    ),

    -- of moments at the same instant none knows of the other
    known as (
        select
            session_id,
            count(session_id) over earlier as sessions_before,
            coalesce(sum(is_order) over earlier, 0) as orders_before,
            coalesce(sum(is_abandoned) over earlier, 0) as abandoned_before,
            max(case when session_id is not null then happened_at end) over earlier as last_session_at,
            max(case when is_order = 1 then happened_at end) over earlier as last_order_at
        from moments
        window earlier as (
            partition by customer_id order by happened_at asc nulls last
            range between unbounded preceding and interval '1' microsecond preceding
        )
    ),

    -- when a visit was decided: by its purchase event, else by the first line of its order
    purchases as (
        select
            session_id,
            min(occurred_at) as purchased_at
        from {{ ref('stg_web__events') }}
        where event_type = 'purchase'
        group by session_id
    ),

    orders as (
        select
            order_id,
            min(sold_at) as sold_at
        from {{ ref('fct_sales') }}
        where is_order_line and order_id in (select sessions.order_id from sessions)
        group by order_id
    ),

    decided as (
        select
            sessions.session_id,
            {{ minutes_between('sessions.started_at', 'coalesce(purchases.purchased_at, orders.sold_at)') }}
                as minutes_to_purchase
        from sessions
        left join purchases on sessions.session_id = purchases.session_id
        left join orders on sessions.order_id = orders.order_id
        where sessions.is_converted
    )

select
    cast(sessions.session_id as string) as session_id,
    cast(sessions.customer_id as string) as customer_id,
    cast(sessions.started_at as timestamp) as started_at,
    cast(sessions.device_type as string) as device_type,
    cast(extract(hour from sessions.started_at) as bigint) as started_hour,
    cast({{ weekday('sessions.started_at') }} as bigint) as started_weekday,
    cast(sessions.pages_visited as bigint) as pages_visited,
    cast(sessions.time_on_site_seconds as bigint) as time_on_site_seconds,
    cast({{ ratio('sessions.time_on_site_seconds', 'sessions.pages_visited') }} as double) as seconds_per_page,
    -- clocks of two systems differ: a purchase outside its visit counts as its start or end
    cast(
        case
            when decided.minutes_to_purchase < 0 then 0
            when 60 * decided.minutes_to_purchase < sessions.time_on_site_seconds
                then round(60 * decided.minutes_to_purchase)
            else sessions.time_on_site_seconds
        end as bigint
    ) as seconds_to_decision,
    {{ money('sessions.cart_value') }} as cart_value,
    cast(sessions.product_view_count as bigint) as product_view_count,
    cast(sessions.product_count as bigint) as product_count,
    cast(sessions.add_to_cart_count as bigint) as add_to_cart_count,
    cast(sessions.customer_id is not null as boolean) as is_known_customer,
    cast(coalesce(known.sessions_before, 0) as bigint) as sessions_before,
    cast(coalesce(known.orders_before, 0) as bigint) as orders_before,
    cast(coalesce(known.abandoned_before, 0) as bigint) as abandoned_before,
    cast({{ days_between('known.last_session_at', 'sessions.started_at') }} as bigint) as days_since_last_session,
    cast({{ days_between('known.last_order_at', 'sessions.started_at') }} as bigint) as days_since_last_order,
    cast(sessions.is_converted as boolean) as is_converted
from sessions
left join known on sessions.session_id = known.session_id
left join decided on sessions.session_id = decided.session_id
