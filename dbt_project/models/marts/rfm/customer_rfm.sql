with
    metrics as (
        select
            customer_id,
            days_since_last_purchase as days_since_last_order,
            purchase_count as frequency,
            total_spend as monetary
        from {{ ref('customer_metrics') }}
    ),

    cuts as (
        select
            {{ quintile_cuts('days_since_last_order', 'r') }},
            {{ quintile_cuts('frequency', 'f') }},
            {{ quintile_cuts('monetary', 'm') }}
        from metrics
    ),

    -- a score is 1 plus the number of cuts strictly below the value; equal customers get equal scores
    scored as (
        select
            metrics.*,
            5 - ({{ cuts_below('metrics.days_since_last_order', 'cuts.r') }}) as r_score,
            1 + ({{ cuts_below('metrics.frequency', 'cuts.f') }}) as f_score,
            1 + ({{ cuts_below('metrics.monetary', 'cuts.m') }}) as m_score
        from metrics
        cross join cuts
    ),

    engagement as (
        select
            customer_id,
            session_count + 2 * cart_count + 3 * review_count + email_open_count + 2 * email_click_count as points
        from {{ ref('int_engagement__counted') }}
    ),

    has_engagement as (
        select
            exists (select 1 from {{ ref('stg_web__sessions') }})
            or exists (select 1 from {{ ref('stg_web__events') }})
            or exists (
                select 1
                from {{ ref('stg_marketing__contacts') }}
                where opened_at is not null
            ) as is_known
    ),

    ranked as (
        select
            scored.*,
            case
                when has_engagement.is_known
                    then {{ rounded('100 * percent_rank() over (order by engagement.points asc nulls first)', 6) }}
            end as engagement_score
        from scored
        inner join engagement on scored.customer_id = engagement.customer_id
        cross join has_engagement
    )

select
    cast(ranked.customer_id as string) as customer_id,
    cast(ranked.days_since_last_order as bigint) as days_since_last_order,
    cast(ranked.frequency as bigint) as frequency,
    {{ money('ranked.monetary') }} as monetary,
    cast(ranked.r_score as bigint) as r_score,
    cast(ranked.f_score as bigint) as f_score,
    cast(ranked.m_score as bigint) as m_score,
    cast({{ ratio('100 * (ranked.r_score + ranked.f_score + ranked.m_score - 3)', '12') }} as double) as rfm_index,
    cast(ranked.engagement_score as double) as engagement_score,
    cast(segments.segment as string) as segment,
    cast(actions.recommended_action as string) as recommended_action
from ranked
left join {{ ref('rfm_segments') }} as segments
    on
        ranked.r_score = segments.r_score
        and ranked.f_score = segments.f_score
        and ranked.m_score = segments.m_score
left join {{ ref('segment_actions') }} as actions on segments.segment = actions.segment
