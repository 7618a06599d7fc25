-- The simple formula of many dashboards. It is kept because people ask for it; campaign_roi is the measurement.
with
    customers as (
        select
            customer_id,
            total_spend,
            churn_probability,
            row_number() over (order by total_spend desc nulls last, customer_id asc nulls last) as spend_rank,
            count(*) over () as customer_count
        from {{ ref('customer_360') }}
        where total_spend is not null
    ),

    chosen as (
        select
            count(*) as customer_count,
            coalesce(sum(total_spend), 0) as spend
        from customers
        -- the best tenth, by rank rather than by score: ties would make it larger
        where spend_rank <= ceil(0.1 * customer_count) and churn_probability > 0.8
    ),

    costed as (
        select
            *,
            {{ money('spend * 0.1') }} as cost
        from chosen
    )

select
    cast('simple formula: not a measurement' as string) as label,
    cast(customer_count as bigint) as customer_count,
    {{ money('spend') }} as spend,
    {{ money('cost') }} as cost,
    {{ money('spend - cost') }} as net_profit,
    cast({{ ratio('spend - cost', 'cost') }} as double) as roi
from costed
