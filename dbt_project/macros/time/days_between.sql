{# Whole days from one date to a later one; negative when the second is earlier. #}
{% macro days_between(first_day, second_day) -%}
    {{ return(adapter.dispatch('days_between')(first_day, second_day)) }}
{%- endmacro %}

{% macro duckdb__days_between(first_day, second_day) -%}
    cast(date_diff('day', cast({{ first_day }} as date), cast({{ second_day }} as date)) as bigint)
{%- endmacro %}

{% macro spark__days_between(first_day, second_day) -%}
    cast(datediff(cast({{ second_day }} as date), cast({{ first_day }} as date)) as bigint)
{%- endmacro %}
