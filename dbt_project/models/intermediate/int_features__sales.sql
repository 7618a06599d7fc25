-- What sales up to each cutoff say of each customer who had ordered by then.
{{ config(
    group='customers',
    access='private',
    materialized='incremental',
    incremental_strategy='append',
    meta={'carry': {'through': 'int_sales__changed'}},
    pre_hook="{{ delete_touched(
        'customer_id in (' ~ touched_customers() ~ ') or cutoff_date not in (select cutoff_date from '
        ~ ref('int_cutoffs__listed') ~ ')'
    ) }}",
    post_hook="{{ record_state() }}"
) }}

-- depends_on: {{ ref('int_sales__changed') }}
{% set kept = "cutoffs.cutoff_date in (select kept.cutoff_date from " ~ this ~ " as kept)" %}
-- cutoffs that are not there for everyone, the others for those whose sales have changed
{% set scopes = [
    "not " ~ kept, kept ~ " and lines.customer_id in (" ~ touched_customers() ~ ")"
] if is_incremental() else ["1 = 1"] %}
with
    cutoffs as (
        select cutoff_date from {{ ref('int_cutoffs__listed') }}
    ),

    lines as (
        select *
        from {{ ref('fct_sales') }}
        where customer_id is not null
    ),

    ordered as (
        {% for scope in scopes %}
            select
                lines.customer_id,
                cutoffs.cutoff_date,
                count(distinct lines.order_id) as order_count,
                count(distinct lines.sold_on) as order_day_count,
                min(lines.sold_on) as first_order_on,
                max(lines.sold_on) as last_order_on,
                count(distinct lines.order_id) filter (
                    where lines.sold_on > {{ add_days('cutoffs.cutoff_date', -30) }}
                ) as orders_30d,
                count(distinct lines.order_id) filter (
                    where lines.sold_on > {{ add_days('cutoffs.cutoff_date', -90) }}
                ) as orders_90d,
                count(distinct lines.order_id) filter (
                    where lines.sold_on > {{ add_days('cutoffs.cutoff_date', -180) }}
                ) as orders_180d,
                count(distinct lines.order_id) filter (
                    where lines.sold_on > {{ add_days('cutoffs.cutoff_date', -365) }}
                ) as orders_365d,
                sum(lines.gross_revenue) as gross_revenue,
                sum(
                    case
                        when lines.sold_on > {{ add_days('cutoffs.cutoff_date', -90) }} then lines.gross_revenue
                        else 0
                    end
                ) as gross_revenue_90d,
                max(lines.gross_revenue) as largest_line_revenue,
                sum(coalesce(lines.quantity, 1)) as unit_count,
                count(distinct lines.product_id) as product_count,
                count(distinct lines.category) as category_count,
                sum(case when lines.discount_rate > 0 then 1 else 0 end) as discounted_line_count,
                count(*) as line_count
            from lines
            inner join cutoffs on lines.sold_on <= cutoffs.cutoff_date
            where lines.is_order_line and {{ scope }}
            group by lines.customer_id, cutoffs.cutoff_date
            {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    returned as (
        {% for scope in scopes %}
            select
                lines.customer_id,
                cutoffs.cutoff_date,
                count(*) as returned_line_count,
                sum(case when lines.is_return then 1 else 0 end) as return_line_count,
                sum(lines.returned_revenue) as returned_revenue
            from lines
            inner join cutoffs on lines.returned_on <= cutoffs.cutoff_date
            where lines.returned_on is not null and {{ scope }}
            group by lines.customer_id, cutoffs.cutoff_date
            {{ "union all" if not loop.last }}
        {% endfor %}
    )

select
    ordered.*,
    coalesce(returned.returned_line_count, 0) as returned_line_count,
    -- a return that is a line of its own is one more line, or the share could exceed 1
    ordered.line_count + coalesce(returned.return_line_count, 0) as line_and_return_count,
    coalesce(returned.returned_revenue, 0) as returned_revenue
from ordered
left join returned
    on
        ordered.customer_id = returned.customer_id
        and ordered.cutoff_date = returned.cutoff_date
