-- The key figures of every calendar month and of the 30 days up to each month end, to as_of and to the days it is
-- compared with: one row a period and figure.
{{ config(tags=['insights']) }}

with
    history as (
        select
            (select min(sales_date) from {{ ref('daily_sales') }}) as sales_from,
            (select min(opened_on) from {{ ref('fct_tickets') }}) as tickets_from,
            (select min(session_date) from {{ ref('funnel_daily') }}) as sessions_from
    ),

    months as (
        select
            calendar_month as starts_on,
            {{ add_days(add_months('calendar_month', 1), -1) }} as ends_on
        from (
            {{ months_from_to(
                "(select " ~ month_start('least(sales_from, tickets_from, sessions_from)') ~ " from history)",
                month_start(as_of())
            ) }}
        ) as calendar_months
    ),

    snapshots as (
        select ends_on as day from months
        union
        select {{ add_days(as_of(), -30) }}
        union
        -- the same 30 days a year before
        select {{ add_days(as_of(), -365) }}
        union
        select {{ as_of() }}
    ),

    periods as (
        select
            'month' as period_kind,
            starts_on,
            ends_on
        from months
        where ends_on <= {{ as_of() }}
        union all
        select
            'trailing' as period_kind,
            {{ add_days('day', -29) }} as starts_on,
            day as ends_on
        from snapshots
        where day <= {{ as_of() }}
    ),

    -- an order with lines of several days counts once, on the first of them
    order_starts as (
        select
            sold_on,
            count(*) as order_count
        from (
            select
                order_id,
                min(sold_on) as sold_on
            from {{ ref('fct_sales') }}
            where is_order_line
            group by order_id
        ) as orders
        group by sold_on
    ),

    sales as (
        select
            periods.period_kind,
            periods.ends_on,
            sum(sold.net_revenue) as net_revenue,
            sum(sold.gross_revenue) as gross_revenue,
            sum(sold.returned_revenue) as returned_revenue,
            coalesce(sum(begun.order_count), 0) as order_count
        from periods
        inner join {{ ref('daily_sales') }} as sold
            on periods.starts_on <= sold.sales_date and periods.ends_on >= sold.sales_date
        left join order_starts as begun on sold.sales_date = begun.sold_on
        group by periods.period_kind, periods.ends_on
    ),

    -- as cohort_retention does: a sale on its day, a return on its own
    costed_days as (
        select
            sold_on as day,
            sum(case when not is_return then gross_revenue - unit_cost * coalesce(quantity, 1) end) as gross_margin,
            sum(gross_revenue) as net_revenue
        from {{ ref('fct_sales') }}
        where unit_cost is not null
        group by sold_on
        union all
        select
            returned_on as day,
            sum(unit_cost * abs(coalesce(quantity, 1)) - returned_revenue) as gross_margin,
            -sum(returned_revenue) as net_revenue
        from {{ ref('fct_sales') }}
        where unit_cost is not null and returned_on is not null
        group by returned_on
    ),

    margins as (
        select
            periods.period_kind,
            periods.ends_on,
            sum(costed_days.gross_margin) as gross_margin,
            sum(costed_days.net_revenue) as costed_revenue
        from periods
        inner join costed_days on periods.starts_on <= costed_days.day and periods.ends_on >= costed_days.day
        group by periods.period_kind, periods.ends_on
    ),

    order_days as (
        select
            customer_id,
            sold_on
        from {{ ref('fct_sales') }}
        where is_order_line and customer_id is not null
        group by customer_id, sold_on
    ),

    -- From an order to the next one: a spell that holds a day is that customer's last order then, so that customers are
    -- counted without telling them apart.
    spells as (
        select
            sold_on,
            next_on,
            count(*) as customer_count,
            count(*) filter (where order_rank = 1) as first_count
        from (
            select
                sold_on,
                lead(sold_on) over (partition by customer_id order by sold_on asc nulls last) as next_on,
                row_number() over (partition by customer_id order by sold_on asc nulls last) as order_rank
            from order_days
        ) as ordered
        group by sold_on, next_on
    ),

    customers as (
        select
            period_kind,
            ends_on,
            sum(customer_count) filter (where sold_on >= starts_on and is_last) as buyer_count,
            sum(first_count) filter (where sold_on >= starts_on) as new_count,
            sum(customer_count) filter (where sold_on > {{ add_days('ends_on', -90) }} and is_last) as active_count,
            sum(customer_count) filter (
                where
                sold_on <= {{ add_days('ends_on', -90) }}
                and coalesce(next_on > {{ add_days('ends_on', -90) }}, true)
            ) as earlier_count,
            sum(customer_count) filter (where sold_on <= {{ add_days('ends_on', -90) }} and is_last) as lost_count
        from (
            select
                periods.*,
                spells.*,
                coalesce(spells.next_on > periods.ends_on, true) as is_last
            from periods
            inner join spells
                on
                    {{ add_days('periods.ends_on', -180) }} < spells.sold_on
                    and periods.ends_on >= spells.sold_on
        ) as joined
        group by period_kind, ends_on
    ),

    ticket_days as (
        select
            opened_on,
            count(*) as ticket_count,
            count(*) filter (where is_negative) as negative_count,
            count(sentiment_score) as scored_count,
            count(*) filter (where is_first_response_within_business_target) as in_time_count,
            count(is_first_response_within_business_target) as timed_count
        from {{ ref('fct_tickets') }}
        group by opened_on
    ),

    tickets as (
        select
            periods.period_kind,
            periods.ends_on,
            sum(ticket_days.ticket_count) as ticket_count,
            sum(ticket_days.negative_count) as negative_count,
            sum(ticket_days.scored_count) as scored_count,
            sum(ticket_days.in_time_count) as in_time_count,
            sum(ticket_days.timed_count) as timed_count
        from periods
        inner join ticket_days
            on periods.starts_on <= ticket_days.opened_on and periods.ends_on >= ticket_days.opened_on
        group by periods.period_kind, periods.ends_on
    ),

    visits as (
        select
            periods.period_kind,
            periods.ends_on,
            sum(funnel.session_count) as session_count,
            sum(funnel.purchase_count) as purchase_count
        from periods
        inner join {{ ref('funnel_daily') }} as funnel
            on periods.starts_on <= funnel.session_date and periods.ends_on >= funnel.session_date
        group by periods.period_kind, periods.ends_on
    ),

    joined as (
        select
            periods.*,
            sales.net_revenue,
            sales.gross_revenue,
            sales.returned_revenue,
            sales.order_count,
            margins.gross_margin,
            margins.costed_revenue,
            coalesce(customers.buyer_count, 0) as buyer_count,
            coalesce(customers.new_count, 0) as new_count,
            coalesce(customers.active_count, 0) as active_count,
            customers.earlier_count,
            coalesce(customers.lost_count, 0) as lost_count,
            coalesce(tickets.ticket_count, 0) as ticket_count,
            tickets.negative_count,
            tickets.scored_count,
            tickets.in_time_count,
            tickets.timed_count,
            backlog.backlog_count,
            coalesce(visits.session_count, 0) as session_count,
            visits.purchase_count
        from periods
        left join sales on periods.period_kind = sales.period_kind and periods.ends_on = sales.ends_on
        left join margins on periods.period_kind = margins.period_kind and periods.ends_on = margins.ends_on
        left join customers on periods.period_kind = customers.period_kind and periods.ends_on = customers.ends_on
        left join tickets on periods.period_kind = tickets.period_kind and periods.ends_on = tickets.ends_on
        left join visits on periods.period_kind = visits.period_kind and periods.ends_on = visits.ends_on
        left join {{ ref('ticket_backlog_daily') }} as backlog on periods.ends_on = backlog.backlog_date
    ),

    measured as (
        select
            joined.period_kind,
            joined.starts_on,
            joined.ends_on,
            kpis.metric,
            case kpis.metric
                when 'net_revenue' then cast(joined.net_revenue as double)
                when 'orders' then joined.order_count
                when 'buyers' then joined.buyer_count
                when 'new_customers' then joined.new_count
                when 'returning_buyer_rate'
                    then {{ ratio('joined.buyer_count - joined.new_count', 'joined.buyer_count') }}
                when 'average_order_value' then {{ ratio('joined.gross_revenue', 'joined.order_count') }}
                when 'gross_margin' then cast(joined.gross_margin as double)
                when 'gross_margin_rate' then {{ ratio('joined.gross_margin', 'joined.costed_revenue') }}
                when 'return_rate' then {{ ratio('joined.returned_revenue', 'joined.gross_revenue') }}
                when 'active_customers' then joined.active_count
                when 'retention_rate'
                    then {{ ratio('joined.earlier_count - joined.lost_count', 'joined.earlier_count') }}
                when 'tickets' then joined.ticket_count
                when 'negative_ticket_rate' then {{ ratio('joined.negative_count', 'joined.scored_count') }}
                when 'first_response_attainment' then {{ ratio('joined.in_time_count', 'joined.timed_count') }}
                when 'unresolved_tickets' then joined.backlog_count
                when 'sessions' then joined.session_count
                when 'conversion_rate' then {{ ratio('joined.purchase_count', 'joined.session_count') }}
            end as value,
            case kpis.source
                when 'sales' then history.sales_from
                when 'tickets' then history.tickets_from
                else history.sessions_from
            end as known_from,
            -- the first day it looks at: that of the period, or a fixed number of days back
            case
                when kpis.lookback_days is null then joined.starts_on
                else {{ add_days('joined.ends_on', '1 - kpis.lookback_days') }}
            end as looks_from
        from joined
        cross join history
        cross join {{ ref('kpis') }} as kpis
        where kpis.source <> 'scores'
    )

select
    period_kind,
    metric,
    -- what a kind of event has not begun with by then is unknown, not zero
    case when known_from <= ends_on then {{ rounded('cast(value as double)', 6) }} end as value,
    greatest(looks_from, known_from) as starts_on,
    ends_on,
    coalesce(known_from <= looks_from, false) as is_full
from measured
