-- A month of a product against the month before it: is the change larger than the product's own noise?
with
    -- the shop's first month counts only when it was open from its first day
    shop as (
        select
            {{ month_start('min(sold_on)') }} as opening_month,
            case
                when min(sold_on) = {{ month_start('min(sold_on)') }} then min(sold_on)
                else {{ add_months(month_start('min(sold_on)'), 1) }}
            end as first_month
        from {{ ref('fct_sales') }}
    ),

    -- a product that came later starts with its first full month, or its launch would look like a trend
    months as (
        select
            sales.*,
            cast(sales.units as double) as unit_count
        from (
            select
                *,
                min(month) over (partition by product_id) as product_month
            from {{ ref('monthly_product_sales') }}
        ) as sales
        cross join shop
        where
            sales.is_complete
            and sales.month >= shop.first_month
            and (sales.product_month = shop.opening_month or sales.month > sales.product_month)
    ),

    compared as (
        select
            *,
            lag(unit_count) over (partition by product_id order by month asc nulls last) as previous_units,
            lag(net_revenue) over (partition by product_id order by month asc nulls last) as previous_net_revenue,
            -- the noise is that of the 12 months before: a change must not raise its own yardstick
            var_samp(cast(unit_count as double)) over before_month
            / nullif(avg(cast(unit_count as double)) over before_month, 0) as raw_dispersion
        from months
        window before_month as (
            partition by product_id order by month asc nulls last rows between 12 preceding and 1 preceding
        )
    ),

    tested as (
        select
            *,
            -- rounded before it is judged: 1200 / 1000 - 1 falls short of 0.2 in binary
            {{ rounded('cast(unit_count as double) / nullif(cast(previous_units as double), 0) - 1', 6) }}
                as change_ratio,
            (unit_count - previous_units)
            / nullif(sqrt(greatest(1, coalesce(raw_dispersion, 1)) * (unit_count + previous_units)), 0) as z
        from compared
        where previous_units is not null
    ),

    valued as (
        select
            *,
            case when z is null then 1.0 else {{ normal_two_sided_p('z') }} end as p_value
        from tested
    ),

    ranked as (
        select
            *,
            rank() over (partition by month order by p_value asc nulls last) as p_rank,
            count(*) over (partition by month) as test_count
        from valued
    ),

    -- Benjamini and Hochberg: q is the smallest p x tests / rank among this and all larger p of the month
    adjusted as (
        select
            *,
            min(least(1.0, p_value * test_count / (p_rank + tie_count - 1))) over (
                partition by month
                order by p_value desc nulls last, product_id asc nulls last
                rows between unbounded preceding and current row
            ) as q_value
        from (
            select
                *,
                count(*) over (partition by month, p_value) as tie_count
            from ranked
        ) as counted
    ),

    judged as (
        select
            *,
            coalesce(
                q_value <= {{ var('trend_max_q_value') }}
                and abs(change_ratio) >= {{ var('trend_min_change_ratio') }}
                and unit_count + previous_units >= {{ var('trend_min_units') }},
                false
            ) as is_significant
        from adjusted
    )

select
    cast(product_id as string) as product_id,
    cast(month as date) as month,
    cast(units as decimal(18, 4)) as units,
    cast(previous_units as decimal(18, 4)) as previous_units,
    {{ money('net_revenue') }} as net_revenue,
    {{ money('previous_net_revenue') }} as previous_net_revenue,
    cast(change_ratio as double) as change_ratio,
    cast({{ rounded('p_value', 6) }} as double) as p_value,
    cast({{ rounded('q_value', 6) }} as double) as q_value,
    cast(is_significant as boolean) as is_significant,
    cast(
        case
            when not is_significant then 'flat'
            when unit_count > previous_units then 'up'
            else 'down'
        end as string
    ) as direction
from judged
