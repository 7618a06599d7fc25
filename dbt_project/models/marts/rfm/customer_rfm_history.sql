-- The scores as they were at each cutoff, from what had happened by then.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    meta={'carry': {'through': 'int_sales__changed'}},
    pre_hook="{{ delete_touched(outdated_cutoffs() ~ ' or cutoff_date >= ' ~ first_touched_day()) }}",
    post_hook="{{ record_state() }}"
) }}

-- depends_on: {{ ref('int_sales__changed') }}
-- depends_on: {{ ref('int_cutoffs__listed') }}
with
    features as (
        select
            customer_id,
            cutoff_date,
            days_since_last_order,
            order_count as frequency,
            net_revenue as monetary
        from {{ ref('customer_features') }}
        where {{ "cutoff_date not in (select kept.cutoff_date from " ~ this ~ " as kept)" if is_incremental() else "1 = 1" }}
    ),

    cuts as (
        select
            cutoff_date,
            {{ quintile_cuts('days_since_last_order', 'r') }},
            {{ quintile_cuts('frequency', 'f') }},
            {{ quintile_cuts('monetary', 'm') }}
        from features
        group by cutoff_date
    ),

    scored as (
        select
            features.*,
            5 - ({{ cuts_below('features.days_since_last_order', 'cuts.r') }}) as r_score,
            1 + ({{ cuts_below('features.frequency', 'cuts.f') }}) as f_score,
            1 + ({{ cuts_below('features.monetary', 'cuts.m') }}) as m_score
        from features
        inner join cuts on features.cutoff_date = cuts.cutoff_date
    )

select
    cast(scored.customer_id as string) as customer_id,
    cast(scored.cutoff_date as date) as cutoff_date,
    cast(scored.days_since_last_order as bigint) as days_since_last_order,
    cast(scored.frequency as bigint) as frequency,
    {{ money('scored.monetary') }} as monetary,
    cast(scored.r_score as bigint) as r_score,
    cast(scored.f_score as bigint) as f_score,
    cast(scored.m_score as bigint) as m_score,
    cast({{ ratio('100 * (scored.r_score + scored.f_score + scored.m_score - 3)', '12') }} as double) as rfm_index,
    cast(segments.segment as string) as segment
from scored
left join {{ ref('rfm_segments') }} as segments
    on
        scored.r_score = segments.r_score
        and scored.f_score = segments.f_score
        and scored.m_score = segments.m_score
