-- Service levels of the last complete week: of which tickets were more late than usual, in business hours.
{{ config(materialized='table' if target.type == 'spark' else 'ephemeral', tags=['insights']) }}
{% set steps = {'first_response': 'the first answer', 'resolution': 'the resolution'} %}

with
    -- Monday to Sunday
    week as (
        select
            {{ add_days('last_day', -6) }} as starts_on,
            last_day as ends_on
        from (
            select
                case
                    when {{ weekday(as_of()) }} = 6 then {{ as_of() }}
                    else {{ add_days(as_of(), '-1 - ' ~ weekday(as_of())) }}
                end as last_day
        ) as calendar
    ),

    hours as (
        {{ business_week() }}
    ),

    tickets as (
        select
            *,
            cast({{ add_days(as_of(), 1) }} as timestamp) as closed_at
        from {{ ref('fct_tickets') }}
        where opened_on > {{ add_days(as_of(), -104) }}
    ),

    -- late is what came after its target, and what has not come although its target has passed
    judged as (
        select
            tickets.*,
            week.starts_on as week_starts_on,
            tickets.opened_on >= week.starts_on as is_now,
            {{ business_minutes('tickets.closed_at', 'closing') }}
            - {{ business_minutes('tickets.opened_at', 'opening') }} as waiting_minutes,
            targets.first_response_minutes as first_response_target,
            targets.resolution_minutes as resolution_target
        from tickets
        cross join week
        inner join {{ ref('sla_targets') }} as targets on tickets.priority = targets.priority
        left join hours as opening on {{ weekday('tickets.opened_at') }} = opening.weekday
        left join hours as closing on {{ weekday('tickets.closed_at') }} = closing.weekday
        where tickets.opened_on <= week.ends_on and tickets.opened_on > {{ add_days('week.starts_on', -92) }}
    ),

    late as (
        {% for step in steps %}
            select
                '{{ step }}' as step,
                priority,
                topic,
                week_starts_on,
                is_now,
                case
                    when {{ step }}_at is not null then not is_{{ step }}_within_business_target
                    when waiting_minutes > {{ step }}_target then true
                end as is_late
            from (
                select
                    *,
                    resolved_at as resolution_at
                from judged
            ) as timed
            {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    parts as (
        select
            *,
            'all' as part_kind,
            'all' as part
        from late
        union all
        select
            *,
            'priority' as part_kind,
            priority as part
        from late
        union all
        select
            *,
            'topic' as part_kind,
            topic as part
        from late
        where topic is not null
    ),

    counted as (
        select
            step,
            part_kind,
            part,
            week_starts_on,
            count(is_late) filter (where is_now) as ticket_count,
            count(*) filter (where is_late and is_now) as late_count,
            count(is_late) filter (where not is_now) as earlier_count,
            {{ ratio(
                'count(*) filter (where is_late and not is_now) + 0.5', 'count(is_late) filter (where not is_now) + 1'
            ) }} as usual_rate
        from parts
        group by step, part_kind, part, week_starts_on
    ),

    expected as (
        select
            *,
            {{ rounded('ticket_count * usual_rate', 4) }} as expected_count,
            (late_count - ticket_count * usual_rate)
            / nullif(sqrt(ticket_count * usual_rate * (1 - usual_rate)), 0) as z
        from counted
        where earlier_count >= {{ var('alert_service_min_history') }}
    ),

    breaches as (
        select *
        from expected
        where
            late_count - expected_count >= {{ var('alert_service_min_excess') }}
            and z >= {{ var('alert_service_min_z') }}
    ),

    -- where all tickets are late, their parts are the same news
    told as (
        select
            breaches.*,
            wholes.step is not null and breaches.part_kind <> 'all' as is_part_of_breach
        from breaches
        left join breaches as wholes on breaches.step = wholes.step and wholes.part_kind = 'all'
    )

select
    'service_level' as kind,
    step || ':' || part_kind || ':' || part || ':' || cast(week_starts_on as string) as finding,
    part_kind as subject_type,
    part as subject_id,
    {{ in_words('late_count', 0) }} || ' of ' || {{ in_words('ticket_count', 0) }} || ' tickets'
    || case part_kind when 'priority' then ' of priority ' || part when 'topic' then ' on ' || part else '' end
    || case step
        {% for step, words in steps.items() %}
            when '{{ step }}' then ' late for {{ words }}'
        {% endfor %}
    end
    || ' in the week from ' || cast(week_starts_on as string) as title,
    {{ in_words('expected_count', 1) }}
    || ' were to be expected from the 13 weeks before, in business hours' as evidence,
    'tickets' as unit,
    cast(late_count as double) as value,
    expected_count as expected_value,
    {{ ratio('late_count - expected_count', 'expected_count') }} as change_ratio,
    cast(null as double) as q_value,
    ticket_count as row_count,
    0 as related_count,
    cast(null as double) as driver_share,
    cast(null as decimal(18, 4)) as value_at_stake,
    late_count - expected_count as measure,
    week_starts_on as started_on,
    {{ add_days('week_starts_on', 6) }} as ended_on,
    {{ add_days('week_starts_on', 6) }} as first_seen_on
from told
where not is_part_of_breach
