-- What every contact did after being drawn, treated and held back alike: the same window, from the same moment.
{{ config(group='marketing', access='private') }}

with
    contacts as (
        select
            *,
            cast(assigned_at as date) as assigned_on
        from {{ ref('stg_marketing__contacts') }}
    ),

    sales as (
        select * from {{ ref('fct_sales') }}
    ),

    credited as (
        select distinct order_id
        from sales
        where is_order_line and order_id in (select contacts.converted_order_id from contacts)
    ),

    followed as (
        select
            contacts.contact_id,
            count(
                distinct case
                    when sales.is_order_line and sales.sold_on <= {{ add_days('contacts.assigned_on', 30) }}
                        then sales.order_id
                end
            ) as order_count,
            count(distinct case when sales.is_order_line then sales.order_id end) as order_count_90d,
            sum(case when sales.sold_on <= {{ add_days('contacts.assigned_on', 30) }} then sales.net_revenue end)
                as net_revenue,
            sum(case when sales.sold_on <= {{ add_days('contacts.assigned_on', 30) }} then sales.gross_margin end)
                as gross_margin,
            sum(
                case
                    when sales.is_order_line and sales.sold_on <= {{ add_days('contacts.assigned_on', 30) }}
                        then
                            -- decimals, so that the sum does not depend on the order of the lines
                            cast(
                                sales.gross_revenue * sales.discount_rate / nullif(1 - sales.discount_rate, 0)
                                as decimal(18, 8)
                            )
                end
            ) as discount_given
        from contacts
        inner join sales
            on
                contacts.customer_id = sales.customer_id
                and contacts.assigned_at <= sales.sold_at
                and sales.sold_on <= {{ add_days('contacts.assigned_on', 90) }}
        group by contacts.contact_id
    )

select
    contacts.contact_id,
    contacts.campaign_id,
    contacts.customer_id,
    contacts.is_control,
    contacts.assigned_on,
    contacts.sent_at,
    contacts.opened_at,
    contacts.clicked_at,
    credited.order_id is not null as is_converted,
    {{ add_days('contacts.assigned_on', 30) }} <= {{ as_of() }} as is_closed,
    {{ add_days('contacts.assigned_on', 90) }} <= {{ as_of() }} as is_closed_90d,
    coalesce(followed.order_count, 0) as order_count,
    coalesce(followed.order_count_90d, 0) > 0 as is_retained,
    coalesce(followed.net_revenue, 0) as net_revenue,
    coalesce(followed.gross_margin, 0) as gross_margin,
    coalesce(followed.discount_given, 0) as discount_given
from contacts
left join followed on contacts.contact_id = followed.contact_id
left join credited on contacts.converted_order_id = credited.order_id
