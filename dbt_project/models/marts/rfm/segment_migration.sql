-- How many customers moved from which segment to which, from each cutoff to the next.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'carry': {'through': 'int_sales__changed'}},
    pre_hook="{{ delete_touched(
        outdated_cutoffs(cutoff='to_date') ~ ' or ' ~ outdated_cutoffs(cutoff='from_date')
        ~ ' or to_date >= ' ~ first_touched_day()
    ) }}",
    post_hook="{{ record_state() }}"
) }}

-- depends_on: {{ ref('int_sales__changed') }}
-- depends_on: {{ ref('int_cutoffs__listed') }}
with
    history as (
        select
            customer_id,
            cutoff_date,
            segment
        from {{ ref('customer_rfm_history') }}
    ),

    all_steps as (
        select
            cutoff_date as from_date,
            lead(cutoff_date) over (order by cutoff_date asc nulls last) as to_date
        from (select distinct cutoff_date from history) as cutoffs
    ),

    steps as (
        select *
        from all_steps
        where {{ "to_date not in (select kept.to_date from " ~ this ~ " as kept)" if is_incremental() else "1 = 1" }}
    ),

    moves as (
        select
            steps.from_date,
            steps.to_date,
            -- nobody leaves: who has ordered once is in every later month
            coalesce(previous.segment, 'No order yet') as from_segment,
            arrived.segment as to_segment,
            count(*) as customer_count
        from steps
        inner join history as arrived on steps.to_date = arrived.cutoff_date
        left join history as previous
            on
                steps.from_date = previous.cutoff_date
                and arrived.customer_id = previous.customer_id
        group by 1, 2, 3, 4
    )

select
    cast(from_date as date) as from_date,
    cast(to_date as date) as to_date,
    cast(from_segment as string) as from_segment,
    cast(to_segment as string) as to_segment,
    cast(customer_count as bigint) as customer_count,
    cast(
        {{ ratio('customer_count', 'sum(customer_count) over (partition by from_date, from_segment)') }} as double
    ) as customer_share
from moves
