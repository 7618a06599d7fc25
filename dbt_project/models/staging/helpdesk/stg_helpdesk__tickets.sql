with
    source as (
        select * from {{ source('helpdesk', 'tickets') }}
    ),

    renamed as (
        select
            -- ids
            ticket_id,
            {{ personal('customer_id', 'customer') }},
            product_id,

            -- strings
            -- the status of a later resolution was another one before it
            case
                when resolved_at is null or cast(resolved_at as date) <= {{ as_of() }} then {{ lowered('status') }}
            end as status,
            {{ lowered('priority') }} as priority,
            topic,
            channel,

            -- numbers
            cast(sentiment_score as double) as sentiment_score,
            -- given after the answer, so not known before it
            case
                when resolved_at is null or cast(resolved_at as date) <= {{ as_of() }} then satisfaction_score
            end as satisfaction_score,
            _batch,

            -- timestamps
            opened_at,
            {{ known_by('first_response_at') }} as first_response_at,
            {{ known_by('resolved_at') }} as resolved_at
        from source
        where cast(opened_at as date) <= {{ as_of() }}
    )

select * from renamed
