{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key='ticket_id',
    meta={'carry': {'rows': 'int_tickets__classified', 'key': 'ticket_id', 'day': 'opened_at'}},
    post_hook="{{ record_state() }}"
) }}
{% set since = carried() %}

with
    tickets as (
        select *
        from {{ ref('int_tickets__classified') }}
        {% if since %}
            {% set unknown_then = ">= cast(" ~ add_days("cast('" ~ since.as_of ~ "' as date)", 1) ~ " as timestamp)" %}
            where
                _batch > {{ since.refresh }}
                -- what an earlier as_of did not show
                or opened_at {{ unknown_then }}
                or first_response_at {{ unknown_then }}
                or resolved_at {{ unknown_then }}
        {% endif %}
    ),

    hours as (
        {{ business_week() }}
    ),

    measured as (
        select
            tickets.*,
            {{ minutes_between('tickets.opened_at', 'tickets.first_response_at') }} as first_response_minutes,
            {{ minutes_between('tickets.opened_at', 'tickets.resolved_at') }} as resolution_minutes,
            {{ business_minutes('tickets.first_response_at', 'answered') }}
            - {{ business_minutes('tickets.opened_at', 'opened') }} as first_response_business_minutes,
            {{ business_minutes('tickets.resolved_at', 'resolved') }}
            - {{ business_minutes('tickets.opened_at', 'opened') }} as resolution_business_minutes
        from tickets
        left join hours as opened on {{ weekday('tickets.opened_at') }} = opened.weekday
        left join hours as answered on {{ weekday('tickets.first_response_at') }} = answered.weekday
        left join hours as resolved on {{ weekday('tickets.resolved_at') }} = resolved.weekday
    )

select
    cast(measured.ticket_id as string) as ticket_id,
    cast(measured.customer_id as string) as customer_id,
    cast(measured.product_id as string) as product_id,
    cast(measured.state as string) as state,
    cast(measured.is_reopened as boolean) as is_reopened,
    cast(measured.priority as string) as priority,
    cast(measured.topic as string) as topic,
    cast(measured.channel as string) as channel,
    cast(measured.sentiment_score as double) as sentiment_score,
    cast(measured.is_negative as boolean) as is_negative,
    cast(measured.satisfaction_score as bigint) as satisfaction_score,
    cast(measured.opened_at as timestamp) as opened_at,
    cast(measured.opened_on as date) as opened_on,
    cast(measured.first_response_at as timestamp) as first_response_at,
    cast(measured.resolved_at as timestamp) as resolved_at,
    cast(measured.first_response_minutes as double) as first_response_minutes,
    cast(measured.resolution_minutes as double) as resolution_minutes,
    cast({{ rounded('measured.first_response_business_minutes', 4) }} as double) as first_response_business_minutes,
    cast({{ rounded('measured.resolution_business_minutes', 4) }} as double) as resolution_business_minutes,
    cast(measured.first_response_minutes <= targets.first_response_minutes as boolean)
        as is_first_response_within_target,
    cast(measured.resolution_minutes <= targets.resolution_minutes as boolean) as is_resolution_within_target,
    cast(measured.first_response_business_minutes <= targets.first_response_minutes as boolean)
        as is_first_response_within_business_target,
    cast(measured.resolution_business_minutes <= targets.resolution_minutes as boolean)
        as is_resolution_within_business_target,
    cast(measured._batch as bigint) as _batch
from measured
left join {{ ref('sla_targets') }} as targets on measured.priority = targets.priority
