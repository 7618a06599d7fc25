-- What every contact did after being drawn, treated and held back alike: the same window, from the same moment. A sale
-- counts on its day and a return on its own, so that what a closed window holds does not change any more.
{{ config(group='marketing') }}

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

    -- whether this business says when its messages went out
    delivered as (
        select count(sent_at) > 0 as has_sent_at
        from contacts
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
            sum(case when sales.sold_on <= {{ add_days('contacts.assigned_on', 30) }} then sales.gross_revenue end)
                as gross_revenue,
            sum(
                case
                    when not sales.is_return and sales.sold_on <= {{ add_days('contacts.assigned_on', 30) }}
                        then sales.gross_revenue - sales.unit_cost * coalesce(sales.quantity, 1)
                end
            ) as gross_margin,
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
    ),

    given_back as (
        select
            contacts.contact_id,
            sum(sales.returned_revenue) as returned_revenue,
            sum(sales.unit_cost * abs(coalesce(sales.quantity, 1)) - sales.returned_revenue) as gross_margin
        from contacts
        inner join sales
            on
                contacts.customer_id = sales.customer_id
                and contacts.assigned_on <= sales.returned_on
                and sales.returned_on <= {{ add_days('contacts.assigned_on', 30) }}
                -- of a return that is a line of its own the moment is known as well
                and (not sales.is_return or contacts.assigned_at <= sales.sold_at)
        group by contacts.contact_id
    )

select
    contacts.contact_id,
    contacts.campaign_id,
    contacts.customer_id,
    contacts.is_control,
    contacts.assigned_on,
    contacts.sent_at,
    not contacts.is_control
    and (
        contacts.sent_at is not null
        or contacts.opened_at is not null
        or contacts.clicked_at is not null
        or not delivered.has_sent_at
    ) as was_sent,
    contacts.opened_at,
    contacts.clicked_at,
    credited.order_id is not null as is_converted,
    {{ add_days('contacts.assigned_on', 30) }} <= {{ as_of() }} as is_closed,
    {{ add_days('contacts.assigned_on', 90) }} <= {{ as_of() }} as is_closed_90d,
    coalesce(followed.order_count, 0) as order_count,
    coalesce(followed.order_count_90d, 0) > 0 as is_retained,
    coalesce(followed.gross_revenue, 0) - coalesce(given_back.returned_revenue, 0) as net_revenue,
    coalesce(followed.gross_margin, 0) + coalesce(given_back.gross_margin, 0) as gross_margin,
    coalesce(followed.discount_given, 0) as discount_given
from contacts
cross join delivered
left join followed on contacts.contact_id = followed.contact_id
left join given_back on contacts.contact_id = given_back.contact_id
left join credited on contacts.converted_order_id = credited.order_id
