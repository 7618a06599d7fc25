-- What somebody should look at: one row a finding, by documented rules (seed alert_kinds, vars alert_*); what is more
-- than a kind may show stands in one row that counts the rest.
with
    findings as (
        {% for part in ['days', 'customers', 'products', 'service', 'data'] %}
            select * from {{ ref('int_alerts__' ~ part) }}
            {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    judged as (
        select
            findings.*,
            kinds.label,
            kinds.page,
            kinds.most_shown,
            case
                when findings.measure >= kinds.critical_from then 1
                when findings.measure >= kinds.warning_from then 2
                else 3
            end as severity_rank
        from findings
        inner join {{ ref('alert_kinds') }} as kinds on findings.kind = kinds.kind
    ),

    placed as (
        select
            *,
            row_number() over (
                partition by kind
                order by
                    severity_rank asc nulls last,
                    measure desc nulls last,
                    abs(change_ratio) desc nulls last,
                    finding asc nulls last
            ) as place
        from judged
    ),

    shown as (
        select *
        from placed
        where place <= most_shown
        union all
        select
            kind,
            'rest' as finding,
            'rest' as subject_type,
            cast(null as string) as subject_id,
            {{ in_words('count(*)', 0) }} || ' more: ' || max(label) as title,
            'The ' || {{ in_words('max(most_shown)', 0) }} || ' that weigh most are shown' as evidence,
            'alerts' as unit,
            cast(count(*) as double) as value,
            cast(max(most_shown) as double) as expected_value,
            cast(null as double) as change_ratio,
            cast(null as double) as q_value,
            count(*) as row_count,
            0 as related_count,
            cast(null as double) as driver_share,
            sum(value_at_stake) as value_at_stake,
            max(measure) as measure,
            min(started_on) as started_on,
            max(ended_on) as ended_on,
            min(first_seen_on) as first_seen_on,
            max(label) as label,
            max(page) as page,
            max(most_shown) as most_shown,
            min(severity_rank) as severity_rank,
            min(place) as place
        from placed
        where place > most_shown
        group by kind
    )

select
    cast(kind || ':' || finding as string) as alert_id,
    cast(kind as string) as kind,
    cast(case severity_rank when 1 then 'critical' when 2 then 'warning' else 'info' end as string) as severity,
    cast(subject_type as string) as subject_type,
    cast(subject_id as string) as subject_id,
    cast(title as string) as title,
    cast(evidence as string) as evidence,
    cast(unit as string) as unit,
    cast({{ rounded('value', 6) }} as double) as value,
    cast({{ rounded('expected_value', 6) }} as double) as expected_value,
    cast(change_ratio as double) as change_ratio,
    cast({{ rounded('q_value', 6) }} as double) as q_value,
    cast(row_count as bigint) as row_count,
    cast(related_count as bigint) as related_count,
    cast(driver_share as double) as driver_share,
    {{ money('value_at_stake') }} as value_at_stake,
    cast({{ rounded('measure', 6) }} as double) as measure,
    cast(started_on as date) as started_on,
    cast(ended_on as date) as ended_on,
    cast(first_seen_on as date) as first_seen_on,
    cast(page as string) as page,
    cast(
        row_number() over (
            order by
                severity_rank asc nulls last,
                first_seen_on desc nulls last,
                kind asc nulls last,
                place asc nulls last
        ) as bigint
    ) as display_order
from shown
