-- Tickets unresolved at the end of each day, from the first ticket to as_of.
with
    tickets as (
        select
            opened_on,
            -- nothing is resolved before it was opened, whatever the export says
            case when resolved_at is not null then greatest(cast(resolved_at as date), opened_on) end as resolved_on
        from {{ ref('fct_tickets') }}
    ),

    calendar as (
        {{ days_from_to('(select min(opened_on) from tickets)', as_of()) }}
    ),

    opened as (
        select
            opened_on,
            count(*) as ticket_count
        from tickets
        group by opened_on
    ),

    resolved as (
        select
            resolved_on,
            count(*) as ticket_count
        from tickets
        where resolved_on is not null
        group by resolved_on
    ),

    joined as (
        select
            calendar.calendar_date,
            coalesce(opened.ticket_count, 0) as opened_count,
            coalesce(resolved.ticket_count, 0) as resolved_count
        from calendar
        left join opened on calendar.calendar_date = opened.opened_on
        left join resolved on calendar.calendar_date = resolved.resolved_on
    )

select
    cast(calendar_date as date) as backlog_date,
    cast(opened_count as bigint) as opened_count,
    cast(resolved_count as bigint) as resolved_count,
    cast(
        sum(opened_count - resolved_count) over (
            order by calendar_date asc nulls last rows between unbounded preceding and current row
        ) as bigint
    ) as backlog_count
from joined
