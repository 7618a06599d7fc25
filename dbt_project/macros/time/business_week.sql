{# The business hours as `business_minutes` needs them: each weekday's, with the minutes of the week before it. #}
{% macro business_week() -%}
        select
            weekday,
            opens_minute,
            closes_minute,
            sum(closes_minute - opens_minute) over (
                order by weekday asc nulls last rows between unbounded preceding and current row
            ) - (closes_minute - opens_minute) as minutes_before,
            sum(closes_minute - opens_minute) over () as week_minutes
        from {{ ref('business_hours') }}
{%- endmacro %}
