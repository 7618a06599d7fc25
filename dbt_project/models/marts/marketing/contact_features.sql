-- What was known of each contact's customer on the day before it was drawn, and what came of it; and what is known of
-- every customer now, from the same lines, so that a model's training and its use cannot differ.
with
    outcomes as (
        select * from {{ ref('int_contacts__outcomes') }}
    ),

    customers as (
        select * from {{ ref('dim_customers') }}
    ),

    moments as (
        select
            customer_id,
            {{ add_days('assigned_on', -1) }} as known_on
        from outcomes
        union
        select
            customer_id,
            {{ as_of() }} as known_on
        from customers
    ),

    -- what is known now has been counted already, for the latest cutoff; counted here is what was known of contacts.
    -- Counting an order's lines together first is far cheaper than counting distinct orders among them
    orders as (
        select
            moments.customer_id,
            moments.known_on,
            sales.order_id,
            min(sales.sold_on) as first_line_on,
            max(sales.sold_on) as last_line_on,
            sum(sales.gross_revenue) as gross_revenue
        from moments
        inner join {{ ref('fct_sales') }} as sales
            on
                moments.customer_id = sales.customer_id
                and moments.known_on >= sales.sold_on
        where
            sales.is_order_line
            and moments.known_on < {{ as_of() }}
            and sales.customer_id in (select outcomes.customer_id from outcomes)
        group by moments.customer_id, moments.known_on, sales.order_id
    ),

    ordered as (
        select
            customer_id,
            known_on,
            min(first_line_on) as first_order_on,
            max(last_line_on) as last_order_on,
            count(*) as order_count,
            {% for days in [30, 90, 365] %}
                count(*) filter (where last_line_on > {{ add_days('known_on', -days) }}) as orders_{{ days }}d,
            {% endfor %}
            sum(gross_revenue) as gross_revenue
        from orders
        group by customer_id, known_on
        union all
        select
            customer_id,
            cutoff_date as known_on,
            first_order_on,
            last_order_on,
            order_count,
            orders_30d,
            orders_90d,
            orders_365d,
            gross_revenue
        from {{ ref('int_features__sales') }}
        where cutoff_date = {{ as_of() }}
    ),

    visited as (
        select
            moments.customer_id,
            moments.known_on,
            max(sessions.started_on) as last_session_on,
            count(*) filter (where sessions.started_on > {{ add_days('moments.known_on', -30) }}) as session_count_30d,
            count(*) filter (where sessions.started_on > {{ add_days('moments.known_on', -90) }}) as session_count_90d
        from moments
        inner join {{ ref('fct_sessions') }} as sessions
            on
                moments.customer_id = sessions.customer_id
                and moments.known_on >= sessions.started_on
        group by moments.customer_id, moments.known_on
    ),

    mailed as (
        select
            moments.customer_id,
            moments.known_on,
            count(*) as message_count,
            count(*) filter (where cast(contacts.opened_at as date) <= moments.known_on) as email_open_count,
            count(*) filter (where cast(contacts.clicked_at as date) <= moments.known_on) as email_click_count
        from moments
        inner join outcomes as contacts
            on
                moments.customer_id = contacts.customer_id
                and moments.known_on >= cast(contacts.sent_at as date)
        group by moments.customer_id, moments.known_on
    ),

    described as (
        select
            moments.customer_id,
            moments.known_on,
            {{ days_between('ordered.last_order_on', 'moments.known_on') }} as days_since_last_order,
            {{ days_between('ordered.first_order_on', 'moments.known_on') }} as days_since_first_order,
            {{ days_between('visited.last_session_on', 'moments.known_on') }} as days_since_last_session,
            {{ days_between('customers.signed_up_at', 'moments.known_on') }} as days_since_sign_up,
            coalesce(ordered.order_count, 0) as order_count,
            coalesce(ordered.orders_30d, 0) as orders_30d,
            coalesce(ordered.orders_90d, 0) as orders_90d,
            coalesce(ordered.orders_365d, 0) as orders_365d,
            {{ ratio('ordered.gross_revenue', 'ordered.order_count') }} as average_order_value,
            coalesce(visited.session_count_30d, 0) as session_count_30d,
            coalesce(visited.session_count_90d, 0) as session_count_90d,
            coalesce(mailed.message_count, 0) as message_count,
            coalesce(mailed.email_open_count, 0) as email_open_count,
            coalesce(mailed.email_click_count, 0) as email_click_count,
            customers.industry,
            customers.region,
            customers.age_group,
            customers.acquisition_channel
        from moments
        left join ordered
            on moments.customer_id = ordered.customer_id and moments.known_on = ordered.known_on
        left join visited
            on moments.customer_id = visited.customer_id and moments.known_on = visited.known_on
        left join mailed
            on moments.customer_id = mailed.customer_id and moments.known_on = mailed.known_on
        -- a profile is known from its sign-up on
        left join customers
            on
                moments.customer_id = customers.customer_id
                and (customers.signed_up_at is null or cast(customers.signed_up_at as date) <= moments.known_on)
    ),

    wanted as (
        select
            contact_id,
            campaign_id,
            customer_id,
            {{ add_days('assigned_on', -1) }} as known_on,
            is_control,
            is_closed,
            order_count as orders_after_30d,
            net_revenue as net_revenue_after_30d,
            gross_margin as gross_margin_after_30d
        from outcomes
        union all
        select
            cast(null as string) as contact_id,
            cast(null as string) as campaign_id,
            customer_id,
            {{ as_of() }} as known_on,
            cast(null as boolean) as is_control,
            cast(null as boolean) as is_closed,
            cast(null as bigint) as orders_after_30d,
            cast(null as decimal(18, 4)) as net_revenue_after_30d,
            cast(null as decimal(18, 4)) as gross_margin_after_30d
        from customers
    )

select
    cast(wanted.contact_id as string) as contact_id,
    cast(wanted.campaign_id as string) as campaign_id,
    cast(wanted.customer_id as string) as customer_id,
    cast(wanted.known_on as date) as known_on,
    cast(wanted.is_control as boolean) as is_control,
    cast(wanted.is_closed as boolean) as is_closed,
    cast(described.days_since_last_order as bigint) as days_since_last_order,
    cast(described.days_since_first_order as bigint) as days_since_first_order,
    cast(described.days_since_last_session as bigint) as days_since_last_session,
    cast(described.days_since_sign_up as bigint) as days_since_sign_up,
    cast(described.order_count as bigint) as order_count,
    cast(described.orders_30d as bigint) as orders_30d,
    cast(described.orders_90d as bigint) as orders_90d,
    cast(described.orders_365d as bigint) as orders_365d,
    cast(described.average_order_value as double) as average_order_value,
    cast(described.session_count_30d as bigint) as session_count_30d,
    cast(described.session_count_90d as bigint) as session_count_90d,
    cast(described.message_count as bigint) as message_count,
    cast(described.email_open_count as bigint) as email_open_count,
    cast(described.email_click_count as bigint) as email_click_count,
    cast(described.industry as string) as industry,
    cast(described.region as string) as region,
    cast(described.age_group as string) as age_group,
    cast(described.acquisition_channel as string) as acquisition_channel,
    cast(case when wanted.is_closed then wanted.orders_after_30d end as bigint) as orders_after_30d,
    cast(case when wanted.is_closed then wanted.net_revenue_after_30d end as decimal(18, 4)) as net_revenue_after_30d,
    cast(case when wanted.is_closed then wanted.gross_margin_after_30d end as decimal(18, 4)) as gross_margin_after_30d
from wanted
inner join described
    on
        wanted.customer_id = described.customer_id
        and wanted.known_on = described.known_on
