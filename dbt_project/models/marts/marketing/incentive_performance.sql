-- The campaigns of one kind of offer taken together.
with
    performance as (
        select * from {{ ref('campaign_performance') }}
    ),

    roi as (
        select * from {{ ref('campaign_roi') }}
    ),

    aggregated as (
        select
            coalesce(performance.offer_type, 'unknown') as offer_type,
            count(*) as campaign_count,
            {{ average('cast(performance.discount_rate as decimal(18, 6))') }} as average_discount_rate,
            sum(performance.sent_count) as sent_count,
            sum(performance.opened_count) as opened_count,
            sum(performance.clicked_count) as clicked_count,
            sum(performance.converted_count) as converted_count,
            count(roi.net_profit) as judged_campaign_count,
            sum(roi.incremental_orders) as incremental_orders,
            sum(roi.incremental_revenue) as incremental_revenue,
            sum(roi.incremental_margin) as incremental_margin,
            sum(case when roi.net_profit is not null then roi.total_cost end) as total_cost,
            sum(roi.net_profit) as net_profit
        from performance
        inner join roi on performance.campaign_id = roi.campaign_id
        group by 1
    )

select
    cast(offer_type as string) as offer_type,
    cast(campaign_count as bigint) as campaign_count,
    cast(judged_campaign_count as bigint) as judged_campaign_count,
    cast({{ rounded('average_discount_rate', 6) }} as double) as average_discount_rate,
    cast(sent_count as bigint) as sent_count,
    cast(opened_count as bigint) as opened_count,
    cast(clicked_count as bigint) as clicked_count,
    cast(converted_count as bigint) as converted_count,
    cast({{ ratio('opened_count', 'sent_count') }} as double) as open_rate,
    cast({{ ratio('clicked_count', 'sent_count') }} as double) as click_rate,
    cast({{ ratio('converted_count', 'sent_count') }} as double) as conversion_rate,
    cast({{ rounded('incremental_orders', 4) }} as double) as incremental_orders,
    cast({{ rounded('incremental_revenue', 4) }} as double) as incremental_revenue,
    cast({{ rounded('incremental_margin', 4) }} as double) as incremental_margin,
    {{ money('total_cost') }} as total_cost,
    cast({{ rounded('net_profit', 4) }} as double) as net_profit,
    cast({{ ratio('net_profit', 'total_cost') }} as double) as roi
from aggregated
