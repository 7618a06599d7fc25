-- What to offer customers at risk, where it is expected to earn more than it costs.
with
    actions as (
        select * from {{ ref('next_best_actions') }}
    ),

    ranked as (
        select
            *,
            row_number() over (
                order by expected_incremental_profit desc nulls last, customer_id asc nulls last
            ) as place,
            count(*) over () as offer_count
        from actions
        where is_at_risk and offer_type is not null and expected_incremental_profit > 0
    ),

    tiered as (
        select
            *,
            1 + cast(floor(3 * (place - 1) / nullif(offer_count, 0)) as bigint) as priority_tier
        from ranked
    )

select
    cast(customer_id as string) as customer_id,
    cast(offer_type as string) as offer_type,
    cast(message as string) as message,
    cast(discount_rate as double) as discount_rate,
    cast(priority_tier as bigint) as priority,
    -- of the palette of Okabe and Ito: vermilion, orange, sky blue, which colour-blind readers can tell apart
    cast(case priority_tier when 1 then '#D55E00' when 2 then '#E69F00' else '#56B4E9' end as string) as colour,
    cast(valid_until as date) as valid_until,
    {{ money('expected_incremental_profit') }} as expected_incremental_profit,
    cast(churn_probability as double) as churn_probability,
    cast(is_contactable as boolean) as is_contactable,
    cast(is_control as boolean) as is_control,
    cast(is_selected as boolean) as is_selected
from tiered
