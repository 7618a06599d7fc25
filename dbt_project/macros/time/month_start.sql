{# First day of the month of a date or timestamp. #}
{% macro month_start(day) -%}
    cast(date_trunc('month', cast({{ day }} as date)) as date)
{%- endmacro %}
