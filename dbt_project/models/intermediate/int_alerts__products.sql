-- Products that sell unlike before: the last complete month against the month before, and lasting changes of demand.
{{ config(materialized='table' if target.type == 'spark' else 'ephemeral', tags=['insights']) }}

with
    shares as (
        select
            product_id,
            revenue_share
        from {{ ref('product_performance') }}
    ),

    trends as (
        select
            trends.*,
            cast(trends.units as double) as units_now,
            cast(trends.previous_units as double) as units_before,
            shares.revenue_share,
            {{ add_days(add_months('trends.month', 1), -1) }} as month_end
        from {{ ref('product_trends') }} as trends
        inner join shares on trends.product_id = shares.product_id
        where
            trends.is_significant
            and trends.month = (select max(latest.month) from {{ ref('product_trends') }} as latest)
    ),

    recent_changes as (
        select
            changes.*,
            shares.revenue_share,
            cast(extract(year from changes.changed_on) as bigint) as changed_year
        from {{ ref('stg_ml__trend_changes') }} as changes
        inner join shares on changes.product_id = shares.product_id
        where
            changes.is_change
            and changes.changed_until > {{ add_days(as_of(), '-' ~ var('alert_recent_days')) }}
    ),

    -- one a product, direction and year: estimates of the day move a little as weeks are added
    changes as (
        select *
        from recent_changes
        qualify
            row_number() over (
                partition by product_id, direction, changed_year
                order by changed_on desc nulls last, change_number asc nulls last
            ) = 1
    )

select
    'product_trend' as kind,
    product_id || ':' || cast(month as string) as finding,
    'product' as subject_type,
    product_id as subject_id,
    'Product ' || product_id || ': units ' || direction || ' ' || {{ percent_text('abs(change_ratio)') }} || ' in '
    || substr(cast(month as string), 1, 7) as title,
    'Units: ' || {{ in_words('units_now', 0) }} || ' after ' || {{ in_words('units_before', 0) }}
    || ' in the month before' as evidence,
    'units' as unit,
    units_now as value,
    units_before as expected_value,
    change_ratio,
    q_value,
    cast(null as bigint) as row_count,
    0 as related_count,
    cast(null as double) as driver_share,
    cast(null as decimal(18, 4)) as value_at_stake,
    case when direction = 'down' then revenue_share end as measure,
    month as started_on,
    month_end as ended_on,
    month_end as first_seen_on
from trends
union all
select
    'lasting_change' as kind,
    product_id || ':' || direction || ':' || cast(changed_year as string) as finding,
    'product' as subject_type,
    product_id as subject_id,
    'Product ' || product_id || ': demand ' || direction || ' ' || {{ percent_text('abs(change_ratio)') }}
    || ' against its peers since ' || cast(changed_on as string) as title,
    {{ in_words('units_per_week_after', 1) }} || ' units a week after ' || {{ in_words('units_per_week_before', 1) }}
    || case
        when changed_on < changed_until then '; the change took until ' || cast(changed_until as string)
        else ''
    end as evidence,
    'units a week' as unit,
    units_per_week_after as value,
    units_per_week_before as expected_value,
    change_ratio,
    q_value,
    cast(null as bigint) as row_count,
    0 as related_count,
    cast(null as double) as driver_share,
    cast(null as decimal(18, 4)) as value_at_stake,
    case when direction = 'down' then revenue_share end as measure,
    changed_on as started_on,
    changed_until as ended_on,
    changed_on as first_seen_on
from changes
