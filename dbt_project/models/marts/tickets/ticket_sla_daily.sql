-- How the tickets opened on a day were served, by priority; what has not happened by as_of is counted beside it.
with
    tickets as (
        select
            *,
            coalesce(priority, 'unknown') as known_priority
        from {{ ref('fct_tickets') }}
    )

select
    cast(opened_on as date) as opened_on,
    cast(known_priority as string) as priority,
    cast(count(*) as bigint) as ticket_count,
    cast(count(first_response_at) as bigint) as answered_count,
    cast(count(resolved_at) as bigint) as resolved_count,
    {% for step in ['first_response', 'resolution'] %}
        {% for minutes in [step ~ '_minutes', step ~ '_business_minutes'] %}
            cast({{ rounded(average('cast(' ~ minutes ~ ' as decimal(18, 4))'), 4) }} as double)
                as average_{{ minutes }},
        {% endfor %}
        cast(count(*) filter (where is_{{ step }}_within_target) as bigint) as {{ step }}_within_target_count,
        cast(count(*) filter (where is_{{ step }}_within_business_target) as bigint)
            as {{ step }}_within_business_target_count,
        cast(
            {{ ratio(
                'count(*) filter (where is_' ~ step ~ '_within_business_target)',
                'count(is_' ~ step ~ '_within_business_target)'
            ) }} as double
        ) as {{ step }}_within_business_target_rate
        {% if not loop.last %},{% endif %}
    {% endfor %}
from tickets
group by opened_on, known_priority
