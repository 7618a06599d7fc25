-- Unusual days of orders and tickets, one finding a stretch: overlapping stretches of the whole and of its parts that
-- point the same way are one thing.
{{ config(materialized='table' if target.type == 'spark' else 'ephemeral', tags=['insights']) }}

with
    days as (
        select
            *,
            case when kind in ('tickets', 'topic') then 'unusual_tickets' else 'unusual_orders' end as alert_kind,
            kind in ('business', 'tickets') as is_whole
        from {{ ref('stg_ml__sales_anomalies') }}
    ),

    stretches as (
        select
            alert_kind,
            kind,
            series,
            is_whole,
            direction,
            stretch_starts_on,
            stretch_ends_on,
            sum(value) as value,
            {{ rounded('sum(expected)', 4) }} as expected,
            count(*) as day_count,
            max(q_value) as q_value,
            max(driver_kind) as driver_kind,
            max(driver_series) as driver_series,
            max(driver_share) as driver_share,
            max(driver) as driver
        from days
        where is_anomaly
        group by alert_kind, kind, series, is_whole, direction, stretch_starts_on, stretch_ends_on
    ),

    marked as (
        select
            *,
            case
                when
                    stretch_starts_on <= max(stretch_ends_on) over (
                        partition by alert_kind, direction
                        order by
                            stretch_starts_on asc nulls last,
                            stretch_ends_on asc nulls last,
                            kind asc nulls last,
                            series asc nulls last
                        rows between unbounded preceding and 1 preceding
                    )
                    then 0
                else 1
            end as begins
        from stretches
    ),

    islands as (
        select
            *,
            sum(begins) over (
                partition by alert_kind, direction
                order by
                    stretch_starts_on asc nulls last,
                    stretch_ends_on asc nulls last,
                    kind asc nulls last,
                    series asc nulls last
                rows between unbounded preceding and current row
            ) as island
        from marked
    ),

    led as (
        select
            *,
            count(*) over (partition by alert_kind, direction, island) - 1 as related_count
        from islands
        qualify
            row_number() over (
                partition by alert_kind, direction, island
                order by
                    is_whole desc nulls last,
                    abs(value - expected) desc nulls last,
                    kind asc nulls last,
                    series asc nulls last,
                    stretch_starts_on asc nulls last
            ) = 1
    ),

    wholes as (
        select
            led.alert_kind,
            led.kind,
            led.series,
            led.stretch_starts_on,
            sum(days.expected) as whole_expected
        from led
        inner join days
            on
                led.alert_kind = days.alert_kind
                and days.is_whole
                and led.stretch_starts_on <= days.day
                and led.stretch_ends_on >= days.day
        group by led.alert_kind, led.kind, led.series, led.stretch_starts_on
    ),

    told as (
        select
            led.*,
            {{ ratio('led.value - led.expected', 'led.expected') }} as change_ratio,
            {{ ratio('abs(led.value - led.expected)', 'coalesce(wholes.whole_expected, led.expected)') }}
                as share_of_whole,
            case when led.alert_kind = 'unusual_tickets' then 'tickets' else 'orders' end as things,
            case
                when led.kind = 'topic' then ' on ' || led.series
                when not led.is_whole then ' of ' || led.kind || ' ' || led.series
                else ''
            end as part,
            case
                when led.stretch_starts_on = led.stretch_ends_on
                    then ' on ' || cast(led.stretch_starts_on as string)
                else
                    ' from ' || cast(led.stretch_starts_on as string) || ' to ' || cast(led.stretch_ends_on as string)
            end as when_it_was
        from led
        left join wholes
            on
                led.alert_kind = wholes.alert_kind
                and led.kind = wholes.kind
                and led.series = wholes.series
                and led.stretch_starts_on = wholes.stretch_starts_on
        where led.stretch_ends_on > {{ add_days(as_of(), '-' ~ var('alert_recent_days')) }}
    )

select
    alert_kind as kind,
    kind || ':' || series || ':' || direction || ':' || cast(stretch_starts_on as string) as finding,
    kind as subject_type,
    series as subject_id,
    upper(substr(things, 1, 1)) || substr(things, 2) || part || ' '
    || case when change_ratio is null then 'far' else {{ percent_text('abs(change_ratio)') }} end
    || case when direction = 'up' then ' above' else ' below' end || ' the expected' || when_it_was as title,
    {{ in_words('value', 0) }} || ' where ' || {{ in_words('expected', 1) }} || ' were to be expected'
    || case
        when driver_kind is not null
            then
                '; ' || driver_kind || ' ' || driver_series || ' makes ' || {{ percent_text('driver_share') }}
                || ' of the difference'
        when driver is not null then '; ' || driver
        else ''
    end
    || case
        when related_count = 1 then '; 1 part of the business stands out in these days by itself'
        when related_count > 1
            then
                '; ' || {{ in_words('related_count', 0) }}
                || ' stretches of parts of the business stand out in these days by themselves'
        else ''
    end as evidence,
    things as unit,
    value,
    expected as expected_value,
    change_ratio,
    q_value,
    day_count as row_count,
    related_count,
    driver_share,
    cast(null as decimal(18, 4)) as value_at_stake,
    case when (alert_kind = 'unusual_tickets') = (direction = 'up') then share_of_whole end as measure,
    stretch_starts_on as started_on,
    stretch_ends_on as ended_on,
    stretch_starts_on as first_seen_on
from told
