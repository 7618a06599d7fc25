-- What every campaign earned beyond what its control group spent anyway, with a 95 % confidence interval.
{% set measures = ['order_count', 'net_revenue', 'gross_margin'] %}
with
    campaigns as (
        select * from {{ ref('campaign_performance') }}
    ),

    costs as (
        select
            campaign_id,
            fixed_cost,
            cost_per_contact
        from {{ ref('stg_marketing__campaigns') }}
    ),

    contacts as (
        select
            *,
            case when is_retained then 1 else 0 end as retained
        from {{ ref('int_contacts__outcomes') }}
        -- a window that is still open would compare a part with a part
        where is_closed
    ),

    is_costed as (
        select count(unit_cost) > 0 as has_costs
        from {{ ref('fct_sales') }}
    ),

    grouped as (
        select
            campaign_id,
            count(*) filter (where not is_control) as treated_count,
            count(*) filter (where is_control) as control_count,
            count(*) filter (where was_sent) as sent_count,
            count(*) filter (where was_sent and is_closed_90d) as sent_count_90d,
            count(*) filter (where not is_control and is_retained and is_closed_90d) as retained_count,
            {{ average('retained', 'not is_control and is_closed_90d') }}
            - {{ average('retained', 'is_control and is_closed_90d') }} as retention_effect,
            count(*) filter (where not is_control and is_closed_90d) as treated_count_90d,
            sum(discount_given) filter (where not is_control) as discount_given,
            {% for measure in measures %}
                sum({{ measure }}) filter (where not is_control) as treated_{{ measure }},
                {{ average(measure, 'not is_control') }} - {{ average(measure, 'is_control') }} as {{ measure }}_effect,
                sqrt(
                    var_samp(cast({{ measure }} as double)) filter (where not is_control)
                    / nullif(count(*) filter (where not is_control), 0)
                    + var_samp(cast({{ measure }} as double)) filter (where is_control)
                    / nullif(count(*) filter (where is_control), 0)
                ) as {{ measure }}_error
                {% if not loop.last %},{% endif %}
            {% endfor %}
        from contacts
        group by campaign_id
    ),

    valued as (
        select
            grouped.*,
            is_costed.has_costs,
            costs.fixed_cost,
            costs.cost_per_contact * grouped.sent_count as contact_cost,
            coalesce(costs.fixed_cost, 0) + coalesce(costs.cost_per_contact * grouped.sent_count, 0) as total_cost,
            -- of the contacts whose 90 days have passed, as are the retained
            coalesce(costs.fixed_cost, 0) + coalesce(costs.cost_per_contact * grouped.sent_count_90d, 0)
                as total_cost_90d,
            grouped.retention_effect * grouped.treated_count_90d as incremental_retained
        from grouped
        left join costs on grouped.campaign_id = costs.campaign_id
        cross join is_costed
    ),

    earned as (
        select
            *,
            case when has_costs then gross_margin_effect else net_revenue_effect end * treated_count as earnings,
            case when has_costs then gross_margin_error else net_revenue_error end * treated_count as earnings_error
        from valued
    )

select
    cast(campaigns.campaign_id as string) as campaign_id,
    cast(campaigns.name as string) as name,
    cast(campaigns.offer_type as string) as offer_type,
    cast(campaigns.target_segment as string) as target_segment,
    cast(campaigns.starts_on as date) as starts_on,
    cast(coalesce(earned.treated_count, 0) as bigint) as treated_count,
    cast(coalesce(earned.control_count, 0) as bigint) as control_count,
    {% for measure, name in [('order_count', 'orders'), ('net_revenue', 'revenue'), ('gross_margin', 'margin')] %}
        {% set effect, error = 'earned.' ~ measure ~ '_effect', 'earned.' ~ measure ~ '_error' %}
        cast({{ rounded(effect ~ ' * earned.treated_count', 4) }} as double) as incremental_{{ name }},
        cast(
            {{ rounded('(' ~ effect ~ ' - 1.959964 * ' ~ error ~ ') * earned.treated_count', 4) }}
            as double
        ) as incremental_{{ name }}_low,
        cast(
            {{ rounded('(' ~ effect ~ ' + 1.959964 * ' ~ error ~ ') * earned.treated_count', 4) }}
            as double
        ) as incremental_{{ name }}_high,
    {% endfor %}
    {{ money('earned.fixed_cost') }} as fixed_cost,
    {{ money('earned.contact_cost') }} as contact_cost,
    {{ money(rounded('earned.discount_given', 4)) }} as discount_given,
    {{ money('earned.total_cost') }} as total_cost,
    cast(case when earned.has_costs then 'margin' when not earned.has_costs then 'revenue' end as string)
        as profit_basis,
    cast({{ rounded('earned.earnings - earned.total_cost', 4) }} as double) as net_profit,
    cast({{ rounded('earned.earnings - 1.959964 * earned.earnings_error - earned.total_cost', 4) }} as double)
        as net_profit_low,
    cast({{ rounded('earned.earnings + 1.959964 * earned.earnings_error - earned.total_cost', 4) }} as double)
        as net_profit_high,
    cast({{ ratio('earned.earnings - earned.total_cost', 'earned.total_cost') }} as double) as roi,
    cast(earned.retained_count as bigint) as retained_count,
    cast({{ rounded('earned.incremental_retained', 4) }} as double) as incremental_retained,
    cast(
        case
            when earned.incremental_retained > 0
                then {{ ratio('earned.total_cost_90d', 'earned.incremental_retained') }}
        end as double
    ) as cost_per_retained_customer
from campaigns
left join earned on campaigns.campaign_id = earned.campaign_id
