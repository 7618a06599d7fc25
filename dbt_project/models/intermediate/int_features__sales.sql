-- What sales up to each cutoff say of each customer who had ordered by then, and the day of the next order after it.
{{ config(
    group='customers',
    access='protected',
    materialized='incremental',
    incremental_strategy='append',
    meta={'carry': {'through': 'int_sales__changed'}},
    pre_hook=[
        "{{ carry_latest_cutoff() }}",
        "{{ delete_touched(
            'customer_id in (' ~ touched_customers() ~ ') or cutoff_date not in (select cutoff_date from '
            ~ ref('int_cutoffs__listed') ~ ') or (cutoff_date = (select as_of from ' ~ raw_state() ~ ')'
            ~ ' and customer_id in (' ~ aged_customers([30, 90, 180, 365]) ~ '))'
        ) }}"
    ],
    post_hook=["{{ insert_other_slices() }}", "{{ record_state() }}"]
) }}

-- depends_on: {{ ref('int_sales__changed') }}
-- depends_on: {{ ref('int_cutoffs__listed') }}
{% set windows = [30, 90, 180, 365] %}
{% if is_incremental() %}
    {% set aged = "customer_id in (" ~ aged_customers(windows) ~ ")" %}
    {% set touched = "customer_id in (" ~ touched_customers() ~ ")" %}
    {% set new = "cutoff_date not in (select kept.cutoff_date from " ~ this ~ " as kept)" %}
    {# all customers where a cutoff is new to all #}
    {% set of_wanted = "(" ~ touched ~ " or " ~ aged ~ " or exists (select 1 from " ~ ref('int_cutoffs__listed')
        ~ " where " ~ new ~ "))" %}
    {% set is_wanted = "(" ~ new ~ " or " ~ touched ~ " or (cutoff_date = (select as_of from " ~ raw_state() ~ ") and "
        ~ aged ~ "))" %}
{% endif %}
{# few lines are worth a copy of their own; all lines are not, and leave wanted_lines unused #}
{% set lines = "wanted_lines" if is_incremental() else ref('fct_sales') %}
with
    wanted_lines as (  -- noqa: ST03
        select *
        from {{ ref('fct_sales') }}
        where customer_id is not null and {{ of_wanted or "1 = 0" }}
    ),

    order_days as (
        select
            customer_id,
            order_id,
            sold_on,
            count(*) as line_count,
            sum(gross_revenue) as gross_revenue,
            max(gross_revenue) as largest_line_revenue,
            sum(coalesce(quantity, 1)) as unit_count,
            sum(case when discount_rate > 0 then 1 else 0 end) as discounted_line_count
        from {{ lines }}
        where customer_id is not null and is_order_line and {{ in_slice('customer_id') }}
        group by customer_id, order_id, sold_on
    ),

    spread_orders as (
        select order_id
        from order_days
        group by order_id
        having count(*) > 1
    ),

    -- an order with lines of several days counts on the latest one that a cutoff knows: the one before is taken back
    taken_back as (
        select
            customer_id,
            lag(sold_on) over (partition by customer_id, order_id order by sold_on asc nulls last) as sold_on,
            sold_on as known_on
        from order_days
        where order_id in (select spread_orders.order_id from spread_orders)
    ),

    product_starts as (
        select
            customer_id,
            product_id,
            category,
            first_ordered_on as sold_on
        from {{ ref('int_purchases__summed') }}
        where
            customer_id is not null and line_count > 0 and {{ in_slice('customer_id') }}
            and {{
                "customer_id in (select wanted_lines.customer_id from wanted_lines)" if is_incremental() else "1 = 1"
            }}
    ),

    category_starts as (
        select
            customer_id,
            category,
            min(sold_on) as sold_on
        from product_starts
        group by customer_id, category
    ),

    -- what each day with an order added to what was known of the customer; one day's sums fit in less than sums of sums
    visit_days as (
        select
            customer_id,
            sold_on,
            cast(count(*) as integer) as visit_count,
            cast(sum(line_count) as integer) as line_count,
            {{ money('sum(gross_revenue)') }} as gross_revenue,
            max(largest_line_revenue) as largest_line_revenue,
            cast(sum(unit_count) as decimal(18, 4)) as unit_count,
            cast(sum(discounted_line_count) as integer) as discounted_line_count
        from order_days
        group by customer_id, sold_on
    ),

    days_taken_back as (
        select
            customer_id,
            known_on,
            cast(count(*) as integer) as order_count
        from taken_back
        where sold_on is not null
        group by customer_id, known_on
    ),

    product_days as (
        select
            customer_id,
            sold_on,
            cast(count(product_id) as integer) as product_count
        from product_starts
        group by customer_id, sold_on
    ),

    category_days as (
        select
            customer_id,
            sold_on,
            cast(count(*) as integer) as category_count
        from category_starts
        group by customer_id, sold_on
    ),

    days as (
        select
            visit_days.customer_id,
            visit_days.sold_on,
            visit_days.visit_count,
            visit_days.visit_count - coalesce(days_taken_back.order_count, 0) as order_count,
            visit_days.line_count,
            visit_days.gross_revenue,
            visit_days.largest_line_revenue,
            visit_days.unit_count,
            visit_days.discounted_line_count,
            coalesce(product_days.product_count, 0) as product_count,
            coalesce(category_days.category_count, 0) as category_count
        from visit_days
        left join days_taken_back
            on
                visit_days.customer_id = days_taken_back.customer_id
                and visit_days.sold_on = days_taken_back.known_on
        left join product_days
            on
                visit_days.customer_id = product_days.customer_id
                and visit_days.sold_on = product_days.sold_on
        left join category_days
            on
                visit_days.customer_id = category_days.customer_id
                and visit_days.sold_on = category_days.sold_on
    ),

    -- all up to each of these days, and until when it stands
    running as (
        select
            customer_id,
            sold_on,
            lead(sold_on) over (partition by customer_id order by sold_on asc nulls last) as next_order_on,
            min(sold_on) over so_far as first_order_on,
            row_number() over so_far as order_day_count,
            sum(order_count) over so_far as order_count,
            sum(line_count) over so_far as line_count,
            sum(gross_revenue) over so_far as gross_revenue,
            max(largest_line_revenue) over so_far as largest_line_revenue,
            sum(unit_count) over so_far as unit_count,
            sum(discounted_line_count) over so_far as discounted_line_count,
            sum(product_count) over so_far as product_count,
            sum(category_count) over so_far as category_count
        from days
        window so_far as (
            partition by customer_id order by sold_on asc nulls last
            rows between unbounded preceding and current row
        )
    ),

    -- joining on a calendar of days spares comparing every line with every cutoff
    known as (
        select
            calendar.calendar_date,
            cutoffs.cutoff_date
        from (
            {{ days_from_to(
                '(select min(sold_on) from ' ~ lines ~ ')', '(select max(cutoff_date) from ' ~ ref('int_cutoffs__listed') ~ ')'
            ) }}
        ) as calendar
        inner join {{ ref('int_cutoffs__listed') }} as cutoffs on calendar.calendar_date <= cutoffs.cutoff_date
    ),

    ordered as (
        select
            running.*,
            cutoffs.cutoff_date
        from running
        inner join known as cutoffs
            on
                running.sold_on = cutoffs.calendar_date
                and coalesce(running.next_order_on > cutoffs.cutoff_date, true)
        where {{ is_wanted or "1 = 1" }}
    ),

    visits as (
        select
            customer_id,
            sold_on,
            sold_on as known_on,
            visit_count as order_count,
            gross_revenue
        from days
        union all
        select
            customer_id,
            sold_on,
            known_on,
            -1 as order_count,
            0 as gross_revenue
        from taken_back
        where sold_on is not null
    ),

    recent as (
        select
            visits.customer_id,
            cutoffs.cutoff_date,
            {% for window in windows %}
                sum(
                    case
                        when visits.sold_on > {{ add_days('cutoffs.cutoff_date', -window) }} then visits.order_count
                        else 0
                    end
                ) as orders_{{ window }}d,
            {% endfor %}
            sum(
                case
                    when visits.sold_on > {{ add_days('cutoffs.cutoff_date', -90) }} then visits.gross_revenue
                    else 0
                end
            ) as gross_revenue_90d
        from visits
        inner join known as cutoffs
            on
                visits.known_on = cutoffs.calendar_date
                and visits.sold_on > {{ add_days('cutoffs.cutoff_date', -365) }}
        where {{ is_wanted or "1 = 1" }}
        group by visits.customer_id, cutoffs.cutoff_date
    ),

    returned as (
        select
            given_back.customer_id,
            cutoffs.cutoff_date,
            count(*) as returned_line_count,
            sum(case when given_back.is_return then 1 else 0 end) as return_line_count,
            sum(given_back.returned_revenue) as returned_revenue
        from {{ lines }} as given_back
        inner join known as cutoffs on given_back.returned_on = cutoffs.calendar_date
        where
            given_back.customer_id is not null
            and {{ in_slice('given_back.customer_id') }}
            and {{ is_wanted or "1 = 1" }}
        group by given_back.customer_id, cutoffs.cutoff_date
    )

select
    ordered.customer_id,
    ordered.cutoff_date,
    cast(ordered.order_count as bigint) as order_count,
    cast(ordered.order_day_count as bigint) as order_day_count,
    ordered.first_order_on,
    ordered.sold_on as last_order_on,
    ordered.next_order_on,
    {% for window in windows %}
        cast(coalesce(recent.orders_{{ window }}d, 0) as bigint) as orders_{{ window }}d,
    {% endfor %}
    {{ money('ordered.gross_revenue') }} as gross_revenue,
    {{ money('coalesce(recent.gross_revenue_90d, 0)') }} as gross_revenue_90d,
    {{ money('ordered.largest_line_revenue') }} as largest_line_revenue,
    cast(ordered.unit_count as decimal(18, 4)) as unit_count,
    cast(ordered.product_count as bigint) as product_count,
    cast(ordered.category_count as bigint) as category_count,
    cast(ordered.discounted_line_count as bigint) as discounted_line_count,
    cast(ordered.line_count as bigint) as line_count,
    cast(coalesce(returned.returned_line_count, 0) as bigint) as returned_line_count,
    -- a return that is a line of its own is one more line, or the share could exceed 1
    cast(ordered.line_count + coalesce(returned.return_line_count, 0) as bigint) as line_and_return_count,
    {{ money('coalesce(returned.returned_revenue, 0)') }} as returned_revenue
from ordered
left join recent
    on
        ordered.customer_id = recent.customer_id
        and ordered.cutoff_date = recent.cutoff_date
left join returned
    on
        ordered.customer_id = returned.customer_id
        and ordered.cutoff_date = returned.cutoff_date
