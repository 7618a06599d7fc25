-- The state of every ticket at as_of, and whether its mood was negative.
{{ config(materialized='view') }}

select
    ticket_id,
    customer_id,
    product_id,
    case
        when resolved_at is not null then 'resolved'
        when first_response_at is not null then 'waiting'
        else 'open'
    end as state,
    coalesce(status = 'reopened' and resolved_at is null, false) as is_reopened,
    priority,
    topic,
    channel,
    sentiment_score,
    sentiment_score < {{ var('negative_sentiment_below') }} as is_negative,
    satisfaction_score,
    opened_at,
    cast(opened_at as date) as opened_on,
    first_response_at,
    resolved_at,
    _batch
from {{ ref('stg_helpdesk__tickets') }}
