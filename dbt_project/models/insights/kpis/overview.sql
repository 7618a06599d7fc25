-- What the business did in the last 30 days, against the 30 before and the same 30 a year earlier.
with
    measured as (
        select *
        from {{ ref('int_kpis__measured') }}
        where period_kind = 'trailing'
    ),

    compared as (
        select
            now.metric,
            -- over what there is, and period_start says since when; a share of earlier customers needs them
            case when now.is_full or now.metric <> 'retention_rate' then now.value end as value,
            case when earlier.is_full then earlier.value end as previous_value,
            case when year_before.is_full then year_before.value end as year_before_value,
            now.starts_on as period_start,
            now.ends_on as period_end,
            earlier.starts_on as previous_period_start,
            earlier.ends_on as previous_period_end,
            now.is_full
        from measured as now
        left join measured as earlier
            on now.metric = earlier.metric and earlier.ends_on = {{ add_days('now.ends_on', -30) }}
        left join measured as year_before
            on now.metric = year_before.metric and year_before.ends_on = {{ add_days('now.ends_on', -365) }}
        where now.ends_on = {{ as_of() }}
    ),

    -- the month end before by the model of today's scores: a difference is the customers', not the model's
    risk_before as (
        select
            scores.customer_id,
            scores.cutoff_date
        from {{ ref('stg_ml__churn_scores_before') }} as scores
        inner join {{ ref('customer_features') }} as features
            on scores.customer_id = features.customer_id and scores.cutoff_date = features.cutoff_date
        where
            scores.horizon_days = {{ var('churn_horizon_days') }}
            and scores.churn_probability >= {{ var('at_risk_probability') }}
            and features.days_since_last_order < {{ var('at_risk_recent_days') }}
    ),

    value_before as (
        select
            sum(
                case
                    when
                        sales.sold_on > {{ add_days('risk.cutoff_date', -365) }} and sales.sold_on <= risk.cutoff_date
                        then sales.gross_revenue
                    else 0
                end
            )
            - sum(
                case
                    when
                        sales.returned_on > {{ add_days('risk.cutoff_date', -365) }}
                        and sales.returned_on <= risk.cutoff_date
                        then sales.returned_revenue
                    else 0
                end
            ) as net_revenue
        from risk_before as risk
        inner join {{ ref('fct_sales') }} as sales on risk.customer_id = sales.customer_id
    ),

    risk as (
        select
            count(*) filter (where is_at_risk) as customer_count,
            coalesce(sum(net_revenue_365d) filter (where is_at_risk), 0) as net_revenue,
            count(churn_probability) as scored_count,
            (select count(*) from risk_before) as customer_count_before,
            (select coalesce(value_before.net_revenue, 0) from value_before) as net_revenue_before,
            (select max(scores.cutoff_date) from {{ ref('stg_ml__churn_scores_before') }} as scores) as cutoff_date
        from {{ ref('customer_360') }}
    ),

    at_risk as (
        select
            kpis.metric,
            case
                when risk.scored_count > 0
                    then
                        cast(
                            case kpis.metric when 'value_at_risk' then risk.net_revenue else risk.customer_count end
                            as double
                        )
            end as value,
            case
                when risk.cutoff_date is not null
                    then
                        cast(
                            case kpis.metric
                                when 'value_at_risk' then risk.net_revenue_before else risk.customer_count_before
                            end as double
                        )
            end as previous_value,
            cast(null as double) as year_before_value,
            {{ as_of() }} as period_start,
            {{ as_of() }} as period_end,
            risk.cutoff_date as previous_period_start,
            risk.cutoff_date as previous_period_end,
            true as is_full
        from risk
        cross join {{ ref('kpis') }} as kpis
        where kpis.source = 'scores'
    ),

    all_figures as (
        select * from compared
        union all
        select * from at_risk
    ),

    changed as (
        select
            *,
            -- a period cut short by the beginning of the data is not compared with a full one
            case when is_full then {{ ratio('value - previous_value', 'abs(previous_value)') }} end as change_ratio,
            case when is_full then {{ ratio('value - year_before_value', 'abs(year_before_value)') }} end
                as year_change_ratio
        from all_figures
    )

select
    cast(kpis.metric as string) as metric,
    cast(kpis.label as string) as label,
    cast(kpis.unit as string) as unit,
    cast(kpis.description as string) as description,
    cast({{ rounded('changed.value', 6) }} as double) as value,
    cast({{ rounded('changed.previous_value', 6) }} as double) as previous_value,
    cast(changed.change_ratio as double) as change_ratio,
    cast(
        case
            when changed.change_ratio <> 0 then (changed.change_ratio > 0) = kpis.higher_is_better
        end as boolean
    ) as direction_is_good,
    cast({{ rounded('changed.year_before_value', 6) }} as double) as year_before_value,
    cast(changed.year_change_ratio as double) as year_change_ratio,
    cast(kpis.higher_is_better as boolean) as higher_is_better,
    cast(changed.period_start as date) as period_start,
    cast(changed.period_end as date) as period_end,
    cast(changed.previous_period_start as date) as previous_period_start,
    cast(changed.previous_period_end as date) as previous_period_end,
    cast(changed.is_full as boolean) as is_full_period,
    cast(kpis.display_order as bigint) as display_order
from changed
inner join {{ ref('kpis') }} as kpis on changed.metric = kpis.metric
