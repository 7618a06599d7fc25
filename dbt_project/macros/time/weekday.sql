{# Day of the week of a date or timestamp, 0 for Monday to 6 for Sunday: 2000-01-03 was a Monday. #}
{% macro weekday(moment) -%}
    {%- set days = days_between("cast('2000-01-03' as date)", moment) -%}
    ({{ days }} - 7 * cast(floor({{ days }} / 7) as bigint))
{%- endmacro %}
