-- Cost and profit of the judged campaigns by one breakdown at a time: when they started, and whom they were meant for.
{% set parts = [
    ('month', "cast(" ~ month_start('starts_on') ~ " as string)"),
    ('quarter', "cast(cast(date_trunc('quarter', starts_on) as date) as string)"),
    ('year', "cast(cast(date_trunc('year', starts_on) as date) as string)"),
    ('segment', "coalesce(target_segment, 'unknown')"),
] %}
with
    judged as (
        select *
        from {{ ref('campaign_roi') }}
        where net_profit is not null
    ),

    long as (
        {% for breakdown, part in parts %}
            select
                '{{ breakdown }}' as breakdown,
                {{ part }} as part,
                count(*) as campaign_count,
                sum(fixed_cost) as fixed_cost,
                sum(contact_cost) as contact_cost,
                sum(discount_given) as discount_given,
                sum(total_cost) as total_cost,
                sum(incremental_revenue) as incremental_revenue,
                sum(incremental_margin) as incremental_margin,
                sum(net_profit) as net_profit,
                sum(incremental_retained) as incremental_retained
            from judged
            group by 1, 2
            {{ "union all" if not loop.last }}
        {% endfor %}
    )

select
    cast(breakdown as string) as breakdown,
    cast(part as string) as part,
    cast(campaign_count as bigint) as campaign_count,
    {{ money('fixed_cost') }} as fixed_cost,
    {{ money('contact_cost') }} as contact_cost,
    {{ money('discount_given') }} as discount_given,
    {{ money('total_cost') }} as total_cost,
    cast({{ rounded('incremental_revenue', 4) }} as double) as incremental_revenue,
    cast({{ rounded('incremental_margin', 4) }} as double) as incremental_margin,
    cast({{ rounded('net_profit', 4) }} as double) as net_profit,
    cast({{ ratio('net_profit', 'total_cost') }} as double) as roi,
    cast(
        case
            when breakdown <> 'segment'
                then
                    {{ rounded(
                        'net_profit - lag(net_profit) over (partition by breakdown order by part asc nulls last)', 4
                    ) }}
        end as double
    ) as net_profit_change,
    cast({{ rounded('incremental_retained', 4) }} as double) as incremental_retained
from long
