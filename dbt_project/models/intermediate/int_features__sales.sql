-- What sales up to each cutoff say of each customer who had ordered by then, and the day of the next order after it.
{{ config(
    group='customers',
    access='private',
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
    post_hook="{{ record_state() }}"
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
with
    lines as (
        select *
        from {{ ref('fct_sales') }}
        where customer_id is not null and {{ of_wanted or "1 = 1" }}
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
        from lines
        where is_order_line
        group by customer_id, order_id, sold_on
    ),

    -- an order with lines of several days counts on the latest of them that a cutoff knows: the one before is taken back
    taken_back as (
        select
            customer_id,
            lag(sold_on) over (partition by customer_id, order_id order by sold_on asc nulls last) as sold_on,
            sold_on as known_on
        from order_days
        where
            order_id in (
                select order_id
                from order_days
                group by order_id
                having count(*) > 1
            )
    ),

    product_starts as (
        select
            customer_id,
            product_id,
            category,
            min(sold_on) as sold_on
        from lines
        where is_order_line
        group by customer_id, product_id, category
    ),

    category_starts as (
        select
            customer_id,
            category,
            min(sold_on) as sold_on
        from product_starts
        group by customer_id, category
    ),

    contributions as (
        select
            customer_id,
            sold_on,
            sold_on as known_on,
            lead(sold_on) over (partition by customer_id order by sold_on asc nulls last) as next_order_on,
            count(*) as order_count,
            1 as order_day_count,
            sum(line_count) as line_count,
            sum(gross_revenue) as gross_revenue,
            max(largest_line_revenue) as largest_line_revenue,
            sum(unit_count) as unit_count,
            sum(discounted_line_count) as discounted_line_count,
            0 as product_count,
            0 as category_count
        from order_days
        group by customer_id, sold_on
        union all
        select
            customer_id,
            sold_on,
            known_on,
            null,
            -1,
            0,
            0,
            0,
            null,
            0,
            0,
            0,
            0
        from taken_back
        where sold_on is not null
        union all
        select
            customer_id,
            sold_on,
            sold_on,
            null,
            0,
            0,
            0,
            0,
            null,
            0,
            0,
            count(product_id),
            0
        from product_starts
        group by customer_id, sold_on
        union all
        select
            customer_id,
            sold_on,
            sold_on,
            null,
            0,
            0,
            0,
            0,
            null,
            0,
            0,
            0,
            count(*)
        from category_starts
        group by customer_id, sold_on
    ),

    -- what each day added that a cutoff from known_on on may know; sums of sums are wide, and one day's fit in less
    days as (
        select
            customer_id,
            sold_on,
            known_on,
            max(next_order_on) as next_order_on,
            cast(sum(order_count) as integer) as order_count,
            cast(sum(order_day_count) as integer) as order_day_count,
            cast(sum(line_count) as integer) as line_count,
            {{ money('sum(gross_revenue)') }} as gross_revenue,
            max(largest_line_revenue) as largest_line_revenue,
            cast(sum(unit_count) as decimal(18, 4)) as unit_count,
            cast(sum(discounted_line_count) as integer) as discounted_line_count,
            cast(sum(product_count) as integer) as product_count,
            cast(sum(category_count) as integer) as category_count
        from contributions
        group by customer_id, sold_on, known_on
    ),

    -- joining on a calendar of days spares comparing every line with every cutoff
    known as (
        select
            calendar.calendar_date,
            cutoffs.cutoff_date
        from (
            {{ days_from_to(
                '(select min(sold_on) from lines)', '(select max(cutoff_date) from ' ~ ref('int_cutoffs__listed') ~ ')'
            ) }}
        ) as calendar
        inner join {{ ref('int_cutoffs__listed') }} as cutoffs on calendar.calendar_date <= cutoffs.cutoff_date
    ),

    ordered as (
        select
            days.customer_id,
            cutoffs.cutoff_date,
            sum(days.order_count) as order_count,
            sum(days.order_day_count) as order_day_count,
            min(days.sold_on) as first_order_on,
            max(days.sold_on) as last_order_on,
            min(case when days.next_order_on > cutoffs.cutoff_date then days.next_order_on end) as next_order_on,
            {% for window in windows %}
                sum(
                    case
                        when days.sold_on > {{ add_days('cutoffs.cutoff_date', -window) }} then days.order_count else 0
                    end
                ) as orders_{{ window }}d,
            {% endfor %}
            sum(days.gross_revenue) as gross_revenue,
            sum(
                case when days.sold_on > {{ add_days('cutoffs.cutoff_date', -90) }} then days.gross_revenue else 0 end
            ) as gross_revenue_90d,
            max(days.largest_line_revenue) as largest_line_revenue,
            sum(days.unit_count) as unit_count,
            sum(days.product_count) as product_count,
            sum(days.category_count) as category_count,
            sum(days.discounted_line_count) as discounted_line_count,
            sum(days.line_count) as line_count
        from days
        inner join known as cutoffs on days.known_on = cutoffs.calendar_date
        where {{ is_wanted or "1 = 1" }}
        group by days.customer_id, cutoffs.cutoff_date
    ),

    returned as (
        select
            lines.customer_id,
            cutoffs.cutoff_date,
            count(*) as returned_line_count,
            sum(case when lines.is_return then 1 else 0 end) as return_line_count,
            sum(lines.returned_revenue) as returned_revenue
        from lines
        inner join known as cutoffs on lines.returned_on = cutoffs.calendar_date
        where {{ is_wanted or "1 = 1" }}
        group by lines.customer_id, cutoffs.cutoff_date
    )

select
    ordered.customer_id,
    ordered.cutoff_date,
    cast(ordered.order_count as bigint) as order_count,
    cast(ordered.order_day_count as bigint) as order_day_count,
    ordered.first_order_on,
    ordered.last_order_on,
    ordered.next_order_on,
    {% for window in windows %}
        cast(ordered.orders_{{ window }}d as bigint) as orders_{{ window }}d,
    {% endfor %}
    {{ money('ordered.gross_revenue') }} as gross_revenue,
    {{ money('ordered.gross_revenue_90d') }} as gross_revenue_90d,
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
left join returned
    on
        ordered.customer_id = returned.customer_id
        and ordered.cutoff_date = returned.cutoff_date
