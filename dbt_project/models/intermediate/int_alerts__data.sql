-- What the data themselves say about their quality, against their own history.
{{ config(materialized='table' if target.type == 'spark' else 'ephemeral', tags=['insights']) }}
{% set keys = ['product_id', 'customer_id'] %}
{% set recent, year = add_days(as_of(), -30), add_days(as_of(), -395) %}

with
    active_days as (
        select
            'sales' as table_name,
            sales_date as day
        from {{ ref('daily_sales') }}
        where order_count > 0
        union all
        select
            'tickets' as table_name,
            backlog_date as day
        from {{ ref('ticket_backlog_daily') }}
        where opened_count > 0
        union all
        select
            'sessions' as table_name,
            session_date as day
        from {{ ref('funnel_daily') }}
        group by session_date
    ),

    gaps as (
        select
            table_name,
            day,
            {{ days_between('lag(day) over (partition by table_name order by day asc nulls last)', 'day') }} as gap_days
        from active_days
    ),

    silences as (
        select
            table_name,
            max(day) as last_day,
            {{ days_between('max(day)', as_of()) }} as silent_days,
            max(gap_days) filter (where day > {{ year }}) as longest_days,
            count(*) as day_count
        from gaps
        group by table_name
    ),

    quiet as (
        select *
        from silences
        where
            day_count >= {{ var('alert_quiet_min_days') }}
            and silent_days >= 1 + greatest(1, 1.5 * longest_days)
    ),

    sales_days as (
        select
            min(sales_date) as sales_from,
            count(*) filter (where order_count = 0 and sales_date > {{ recent }}) as empty_count,
            min(case when order_count = 0 and sales_date > {{ recent }} then sales_date end) as first_empty_day,
            {{ ratio(
                'count(*) filter (where order_count = 0 and sales_date <= ' ~ recent ~ ') + 0.5',
                'count(*) filter (where sales_date <= ' ~ recent ~ ') + 1'
            ) }} as usual_rate,
            count(*) filter (where sales_date <= {{ recent }}) as earlier_count
        from {{ ref('daily_sales') }}
        where sales_date > {{ year }}
    ),

    empty_days as (
        select
            *,
            {{ rounded('30 * usual_rate', 4) }} as expected_count
        from sales_days
        where
            earlier_count >= 60
            and empty_count - 30 * usual_rate >= 3
            and (empty_count - 30 * usual_rate) / nullif(sqrt(30 * usual_rate * (1 - usual_rate)), 0) >= 4
            -- the same news as a table gone quiet
            and 'sales' not in (select quiet.table_name from quiet)
    ),

    lines as (
        select
            sold_on > {{ recent }} as is_now,
            count(*) as line_count,
            {% for key in keys %}
                count(*) filter (where {{ key }} is null) as {{ key }}_missing_count,
            {% endfor %}
            sum(gross_revenue) as gross_revenue,
            sum(case when unit_cost is null then gross_revenue end) as uncosted_revenue,
            count(unit_cost) as costed_count,
            count(distinct case when unit_cost is null then product_id end) as uncosted_product_count
        from {{ ref('fct_sales') }}
        where is_order_line and sold_on > {{ year }}
        group by sold_on > {{ recent }}
    ),

    compared as (
        select
            {% for column in ['line_count', 'gross_revenue', 'uncosted_revenue', 'uncosted_product_count'] %}
                max(case when is_now then {{ column }} end) as {{ column }},
            {% endfor %}
            max(case when not is_now then line_count end) as earlier_line_count,
            {% for key in keys %}
                {{ ratio(
                    'max(case when is_now then ' ~ key ~ '_missing_count end)', 'max(case when is_now then line_count end)'
                ) }} as {{ key }}_missing_rate,
                {{ ratio(
                    'max(case when not is_now then ' ~ key ~ '_missing_count end)',
                    'max(case when not is_now then line_count end)'
                ) }} as {{ key }}_usual_rate,
            {% endfor %}
            sum(costed_count) as costed_count
        from lines
    ),

    missing_keys as (
        {% for key in keys %}
            select
                '{{ key }}' as column_name,
                '{{ key.removesuffix("_id") }}' as thing,
                {{ key }}_missing_rate as missing_rate,
                {{ key }}_usual_rate as usual_rate,
                line_count
            from compared
            where
                line_count >= 30
                and earlier_line_count >= 30
                and {{ key }}_missing_rate - {{ key }}_usual_rate >= {{ var('alert_min_missing_rate') }}
                -- two shares apart by four standard errors
                and {{ key }}_missing_rate - {{ key }}_usual_rate >= 4 * sqrt(
                    {{ key }}_missing_rate * (1 - {{ key }}_missing_rate) / nullif(line_count, 0)
                    + {{ key }}_usual_rate * (1 - {{ key }}_usual_rate) / nullif(earlier_line_count, 0)
                )
            {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    missing_costs as (
        select
            *,
            {{ ratio('uncosted_revenue', 'gross_revenue') }} as uncosted_share
        from compared
        -- where no cost is known at all, margins are not shown at all
        where costed_count > 0
    ),

    scores as (
        select
            max(as_of) as scores_as_of,
            {{ days_between('max(as_of)', as_of()) }} as age_days,
            count(*) as score_count
        from {{ ref('stg_ml__churn_scores') }}
    )

select
    'quiet_table' as kind,
    table_name || ':' || cast(last_day as string) as finding,
    'table' as subject_type,
    table_name as subject_id,
    'No ' || table_name || ' for ' || {{ in_words('silent_days', 0) }} || ' days' as title,
    'The last day with any was ' || cast(last_day as string) || '; the longest gap of the year before was '
    || {{ in_words('longest_days', 0) }} || case when longest_days = 1 then ' day' else ' days' end as evidence,
    'days' as unit,
    cast(silent_days as double) as value,
    cast(longest_days as double) as expected_value,
    {{ ratio('silent_days - longest_days', 'longest_days') }} as change_ratio,
    cast(null as double) as q_value,
    day_count as row_count,
    0 as related_count,
    cast(null as double) as driver_share,
    cast(null as decimal(18, 4)) as value_at_stake,
    {{ ratio('silent_days', 'longest_days') }} as measure,
    {{ add_days('last_day', 1) }} as started_on,
    {{ as_of() }} as ended_on,
    {{ add_days('last_day', 1) }} as first_seen_on
from quiet
union all
select
    'days_without_sales' as kind,
    'sales' as finding,
    'table' as subject_type,
    'sales' as subject_id,
    {{ in_words('empty_count', 0) }} || ' of the last 30 days without an order' as title,
    {{ in_words('expected_count', 1) }} || ' were to be expected from the year before' as evidence,
    'days' as unit,
    cast(empty_count as double) as value,
    expected_count as expected_value,
    {{ ratio('empty_count - expected_count', 'expected_count') }} as change_ratio,
    cast(null as double) as q_value,
    cast(30 as bigint) as row_count,
    0 as related_count,
    cast(null as double) as driver_share,
    cast(null as decimal(18, 4)) as value_at_stake,
    empty_count - expected_count as measure,
    first_empty_day as started_on,
    {{ as_of() }} as ended_on,
    first_empty_day as first_seen_on
from empty_days
union all
select
    'missing_keys' as kind,
    'sales:' || column_name as finding,
    'column' as subject_type,
    'sales.' || column_name as subject_id,
    {{ percent_text('missing_rate') }} || ' of sales name no ' || thing as title,
    'Of ' || {{ in_words('line_count', 0) }} || ' order lines of the last 30 days; '
    || {{ percent_text('usual_rate') }} || ' in the year before' as evidence,
    'share' as unit,
    missing_rate as value,
    usual_rate as expected_value,
    {{ ratio('missing_rate - usual_rate', 'usual_rate') }} as change_ratio,
    cast(null as double) as q_value,
    line_count as row_count,
    0 as related_count,
    cast(null as double) as driver_share,
    cast(null as decimal(18, 4)) as value_at_stake,
    missing_rate - usual_rate as measure,
    {{ add_days(as_of(), -29) }} as started_on,
    {{ as_of() }} as ended_on,
    {{ add_days(as_of(), -29) }} as first_seen_on
from missing_keys
union all
select
    'missing_costs' as kind,
    'products' as finding,
    'column' as subject_type,
    'products.unit_cost' as subject_id,
    {{ percent_text('uncosted_share') }} || ' of sales are of unknown cost' as title,
    'Products sold in the last 30 days without a unit cost: ' || {{ in_words('uncosted_product_count', 0) }}
    || '; margins leave them out' as evidence,
    'share' as unit,
    uncosted_share as value,
    cast(0 as double) as expected_value,
    cast(null as double) as change_ratio,
    cast(null as double) as q_value,
    uncosted_product_count as row_count,
    0 as related_count,
    cast(null as double) as driver_share,
    {{ money('uncosted_revenue') }} as value_at_stake,
    uncosted_share as measure,
    {{ add_days(as_of(), -29) }} as started_on,
    {{ as_of() }} as ended_on,
    {{ add_days(as_of(), -29) }} as first_seen_on
from missing_costs
where uncosted_share >= {{ var('alert_min_missing_rate') }}
union all
select
    'old_scores' as kind,
    cast(scores_as_of as string) as finding,
    'table' as subject_type,
    'churn_scores' as subject_id,
    'Scores are ' || {{ in_words('age_days', 0) }} || case when age_days = 1 then ' day' else ' days' end
    || ' older than the data' as title,
    'They were computed for ' || cast(scores_as_of as string) || '; run the models again' as evidence,
    'days' as unit,
    cast(age_days as double) as value,
    cast(0 as double) as expected_value,
    cast(null as double) as change_ratio,
    cast(null as double) as q_value,
    score_count as row_count,
    0 as related_count,
    cast(null as double) as driver_share,
    cast(null as decimal(18, 4)) as value_at_stake,
    cast(age_days as double) as measure,
    {{ add_days('scores_as_of', 1) }} as started_on,
    {{ as_of() }} as ended_on,
    {{ add_days('scores_as_of', 1) }} as first_seen_on
from scores
where age_days > 0
