with
    tickets as (
        select *
        from {{ ref('fct_tickets') }}
        where customer_id is not null
    ),

    aggregated as (
        select
            customer_id,
            count(*) as ticket_count,
            count(sentiment_score) as scored_ticket_count,
            count(*) filter (where is_negative) as negative_count,
            {{ average('cast(sentiment_score as decimal(18, 6))') }} as average_sentiment,
            {{ average('cast(satisfaction_score as decimal(18, 6))') }} as average_satisfaction,
            count(*) filter (where state <> 'resolved') as unresolved_count,
            max(opened_at) as last_ticket_at
        from tickets
        group by customer_id
    )

select
    cast(customer_id as string) as customer_id,
    cast(ticket_count as bigint) as ticket_count,
    cast(scored_ticket_count as bigint) as scored_ticket_count,
    cast(negative_count as bigint) as negative_count,
    cast({{ ratio('negative_count', 'scored_ticket_count') }} as double) as negative_rate,
    cast({{ rounded('average_sentiment', 6) }} as double) as average_sentiment,
    cast({{ rounded('average_satisfaction', 6) }} as double) as average_satisfaction,
    cast(unresolved_count as bigint) as unresolved_count,
    cast(last_ticket_at as timestamp) as last_ticket_at
from aggregated
