-- Where each unresolved ticket should go, and how soon: by topic, priority and mood.
with
    tickets as (
        select *
        from {{ ref('fct_tickets') }}
        where state <> 'resolved'
    ),

    -- the first rule whose word occurs in the topic
    matched as (
        select
            tickets.ticket_id,
            rules.queue,
            rules.hint
        from tickets
        inner join {{ ref('ticket_queues') }} as rules
            on {{ lowered('tickets.topic') }} like '%' || rules.topic_keyword || '%'
        qualify row_number() over (partition by tickets.ticket_id order by rules.rule asc nulls last) = 1
    ),

    weighed as (
        select
            tickets.*,
            coalesce(matched.queue, 'General') as queue,
            coalesce(matched.hint, 'Ask what it is about, and note the topic.') as hint,
            case tickets.priority when 'urgent' then 4 when 'high' then 3 when 'low' then 1 else 2 end as importance,
            case when tickets.is_negative then 1 else 0 end + case when tickets.is_reopened then 1 else 0 end
                as annoyance
        from tickets
        left join matched on tickets.ticket_id = matched.ticket_id
    )

select
    cast(ticket_id as string) as ticket_id,
    cast(customer_id as string) as customer_id,
    cast(topic as string) as topic,
    cast(priority as string) as priority,
    cast(sentiment_score as double) as sentiment_score,
    cast(state as string) as state,
    cast(opened_at as timestamp) as opened_at,
    cast(queue as string) as queue,
    cast(importance + annoyance as bigint) as urgency,
    cast(
        row_number() over (
            partition by queue
            order by importance + annoyance desc nulls last, opened_at asc nulls last, ticket_id asc nulls last
        ) as bigint
    ) as queue_position,
    cast(
        case when annoyance > 0 then 'A senior agent calls back. ' else '' end || hint as string
    ) as routing_hint
from weighed
