-- What each offer brings, in relation to the average message of all campaigns: measured, then moved towards 1 as far as
-- the measurements are uncertain. Campaigns without a control group, or in which nobody ordered, say nothing.
with
    campaigns as (
        select
            roi.offer_type,
            performance.discount_rate,
            roi.treated_count,
            roi.incremental_orders / nullif(roi.treated_count, 0) as effect,
            (roi.incremental_orders_high - roi.incremental_orders_low)
            / nullif(2 * 1.959964 * roi.treated_count, 0) as effect_error
        from {{ ref('campaign_roi') }} as roi
        inner join {{ ref('campaign_performance') }} as performance on roi.campaign_id = performance.campaign_id
    ),

    measured as (
        select *
        from campaigns
        where effect_error > 0
    ),

    overall as (
        select
            sum(effect / nullif(effect_error * effect_error, 0))
            / nullif(sum(1 / nullif(effect_error * effect_error, 0)), 0) as effect,
            sum(case when offer_type = 'discount' then discount_rate * treated_count end)
            / nullif(
                sum(case when offer_type = 'discount' and discount_rate is not null then treated_count end), 0
            ) as typical_rate
        from measured
    ),

    -- a deeper discount moves more, but less than in proportion
    dosed as (
        select
            measured.*,
            overall.effect as overall_effect,
            {{ discount_dose('measured.discount_rate', 'overall.typical_rate') }} as dose
        from measured
        cross join overall
    ),

    types as (
        select
            offer_type,
            count(*) as campaign_count,
            max(overall_effect) as overall_effect,
            sum(dose * effect / nullif(effect_error * effect_error, 0))
            / nullif(sum(dose * dose / nullif(effect_error * effect_error, 0)), 0) as effect,
            1 / nullif(sqrt(sum(dose * dose / nullif(effect_error * effect_error, 0))), 0) as effect_error,
            {{ var('offer_effect_spread') }} * max(overall_effect) as spread
        from dosed
        group by offer_type
    ),

    -- normal measurement, normal prior around the average of all offers
    shrunk as (
        select
            *,
            case
                when overall_effect > 0
                    then
                        greatest(
                            (effect * spread * spread + overall_effect * effect_error * effect_error)
                            / nullif(spread * spread + effect_error * effect_error, 0),
                            0
                        )
                else 1
            end as shrunk_effect
        from types
    ),

    -- effects of customers are those of the campaigns as they were: in them the ratio is 1 on average
    average as (
        select
            sum(shrunk.shrunk_effect * dosed.dose * dosed.treated_count)
            / nullif(sum(dosed.treated_count), 0) as effect_of_all
        from dosed
        inner join shrunk on dosed.offer_type = shrunk.offer_type
    ),

    messages as (
        select
            cast(sum(campaigns.cost_per_contact * performance.sent_count) as double)
            / nullif(sum(case when campaigns.cost_per_contact is not null then performance.sent_count end), 0)
                as message_cost
        from {{ ref('stg_marketing__campaigns') }} as campaigns
        inner join {{ ref('campaign_performance') }} as performance
            on campaigns.campaign_id = performance.campaign_id
    ),

    joined as (
        select
            possible.*,
            shrunk.offer_type is not null as is_tried,
            count(shrunk.offer_type) over () as tried_count,
            shrunk.campaign_count,
            shrunk.effect,
            shrunk.effect_error,
            shrunk.shrunk_effect * {{ discount_dose('possible.discount_rate', 'overall.typical_rate') }}
            / nullif(average.effect_of_all, 0) as effect_ratio,
            messages.message_cost
        from {{ ref('offer_options') }} as possible
        cross join overall
        cross join average
        cross join messages
        left join shrunk on possible.offer_type = shrunk.offer_type
    )

select
    cast(offer_type as string) as offer_type,
    cast(discount_rate as double) as discount_rate,
    cast(cost_rate as double) as cost_rate,
    cast(wording as string) as wording,
    cast(coalesce(campaign_count, 0) as bigint) as campaign_count,
    cast({{ rounded('effect', 6) }} as double) as measured_effect,
    cast({{ rounded('effect_error', 6) }} as double) as measured_effect_error,
    cast({{ rounded('coalesce(effect_ratio, 1)', 6) }} as double) as effect_ratio,
    cast(is_tried as boolean) as is_tried,
    -- with campaigns only what has been tried, and a plain message where no campaign says what it offered
    cast(is_tried or (tried_count = 0 and offer_type = 'none') as boolean) as is_available,
    {{ money(rounded('message_cost', 4)) }} as message_cost
from joined
