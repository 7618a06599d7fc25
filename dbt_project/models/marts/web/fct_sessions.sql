{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='session_id',
    meta={
        'carry': {
            'rows': 'stg_web__sessions', 'key': 'session_id', 'day': 'started_at',
            'basis': 'stg_web__events', 'basis_day': 'occurred_at'
        }
    },
    post_hook="{{ record_state(basis='stg_web__events') }}"
) }}
{% set since = carried() %}

{% if since %}
    {% set next_day = "cast(" ~ add_days("cast('" ~ since.as_of ~ "' as date)", 1) ~ " as timestamp)" %}
    {% set known_then, unknown_then = "< " ~ next_day, ">= " ~ next_day %}
{% endif %}

with
    sessions as (
        select *
        from {{ ref('stg_web__sessions') }}
        {% if since %}
            where
                _batch > {{ since.refresh }}
                -- what an earlier as_of did not show
                or started_at {{ unknown_then }}
                or session_id in (
                    select session_id
                    from {{ ref('stg_web__events') }}
                    where _batch > {{ since.refresh }} or occurred_at {{ unknown_then }}
                )
                {% if not since.basis_is_kept %}
                    -- an event was restated: it may be missing from the visit that it was counted in
                    or session_id in (
                        select counted.session_id
                        from {{ this }} as counted
                        left join (
                            select
                                session_id,
                                count(*) as event_count
                            from {{ ref('stg_web__events') }}
                            where _batch <= {{ since.refresh }} and occurred_at {{ known_then }}
                            group by session_id
                        ) as kept
                            on counted.session_id = kept.session_id
                        where counted.event_count <> coalesce(kept.event_count, 0)
                    )
                {% endif %}
        {% endif %}
    ),

    events as (
        select
            session_id,
            count(*) as event_count,
            count(*) filter (where event_type = 'page_view') as page_view_count,
            count(*) filter (where event_type = 'product_view') as product_view_count,
            count(*) filter (where event_type = 'add_to_cart') as add_to_cart_count,
            count(*) filter (where event_type = 'purchase') as purchase_count,
            count(*) filter (where event_type = 'review') as review_count,
            count(distinct product_id) as product_count
        from {{ ref('stg_web__events') }}
        where {% if since %}session_id in (select session_id from sessions){% else %}session_id is not null{% endif %}
        group by session_id
    ),

    decided as (
        select
            sessions.*,
            coalesce(events.event_count, 0) as event_count,
            coalesce(events.page_view_count, 0) as page_view_count,
            coalesce(events.product_view_count, 0) as product_view_count,
            coalesce(events.add_to_cart_count, 0) as add_to_cart_count,
            coalesce(events.review_count, 0) as review_count,
            coalesce(events.product_count, 0) as product_count,
            sessions.order_id is not null or coalesce(events.purchase_count, 0) > 0 as is_converted,
            coalesce(sessions.cart_value > 0, false) or coalesce(events.add_to_cart_count, 0) > 0 as put_in_cart
        from sessions
        left join events on sessions.session_id = events.session_id
    )

select
    cast(session_id as string) as session_id,
    cast(customer_id as string) as customer_id,
    cast(order_id as string) as order_id,
    cast(coalesce(device_type, 'unknown') as string) as device_type,
    cast(started_at as timestamp) as started_at,
    cast(started_at as date) as started_on,
    cast(pages_visited as bigint) as pages_visited,
    cast(time_on_site_seconds as bigint) as time_on_site_seconds,
    {{ money('cart_value') }} as cart_value,
    cast(event_count as bigint) as event_count,
    cast(page_view_count as bigint) as page_view_count,
    cast(product_view_count as bigint) as product_view_count,
    cast(add_to_cart_count as bigint) as add_to_cart_count,
    cast(review_count as bigint) as review_count,
    cast(product_count as bigint) as product_count,
    -- a later step implies the earlier ones, even where their events are missing
    cast(product_view_count > 0 or put_in_cart or is_converted as boolean) as has_product_view,
    cast(put_in_cart or is_converted as boolean) as has_cart,
    cast(is_converted as boolean) as is_converted,
    cast(put_in_cart and not is_converted as boolean) as is_abandoned,
    cast(_batch as bigint) as _batch
from decided
