-- What tickets are about, by product, and how the customers feel about it.
with
    tickets as (
        select
            *,
            coalesce(topic, 'unknown') as known_topic
        from {{ ref('fct_tickets') }}
    ),

    aggregated as (
        select
            known_topic,
            product_id,
            count(*) as ticket_count,
            count(distinct customer_id) as customer_count,
            count(sentiment_score) as scored_ticket_count,
            count(*) filter (where is_negative) as negative_count,
            {{ average('cast(sentiment_score as decimal(18, 6))') }} as average_sentiment,
            {{ average('cast(satisfaction_score as decimal(18, 6))') }} as average_satisfaction,
            count(*) filter (where state <> 'resolved') as unresolved_count,
            {{ average('cast(resolution_minutes as decimal(18, 4))') }} as average_resolution_minutes
        from tickets
        group by known_topic, product_id
    )

select
    cast(aggregated.known_topic as string) as topic,
    cast(aggregated.product_id as string) as product_id,
    cast(products.name as string) as product_name,
    cast(aggregated.ticket_count as bigint) as ticket_count,
    cast(aggregated.customer_count as bigint) as customer_count,
    cast(aggregated.scored_ticket_count as bigint) as scored_ticket_count,
    cast(aggregated.negative_count as bigint) as negative_count,
    cast({{ ratio('aggregated.negative_count', 'aggregated.scored_ticket_count') }} as double) as negative_rate,
    cast({{ rounded('aggregated.average_sentiment', 6) }} as double) as average_sentiment,
    cast({{ rounded('aggregated.average_satisfaction', 6) }} as double) as average_satisfaction,
    cast(aggregated.unresolved_count as bigint) as unresolved_count,
    cast({{ rounded('aggregated.average_resolution_minutes', 4) }} as double) as average_resolution_minutes
from aggregated
left join {{ ref('dim_products') }} as products on aggregated.product_id = products.product_id
