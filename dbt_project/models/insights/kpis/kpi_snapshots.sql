-- The key figures at every month end and at as_of, each over the same number of days, so that they compare.
with
    snapshots as (
        select *
        from {{ ref('int_kpis__measured') }}
        where
            period_kind = 'trailing'
            and (ends_on = {{ as_of() }} or {{ add_days('ends_on', 1) }} = {{ month_start(add_days('ends_on', 1)) }})
    ),

    known as (
        select min(starts_on) as day
        from snapshots
        where value is not null
    )

select
    cast(ends_on as date) as snapshot_on,
    cast(metric as string) as metric,
    cast(case when is_full then value end as double) as value
from snapshots
-- before the first event of any kind there is nothing to show
where ends_on >= (select known.day from known)
