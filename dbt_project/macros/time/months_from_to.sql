{# A select with one column, calendar_month: first days of the months of a closed interval; no row when an end is null. #}
{% macro months_from_to(first_month, last_month) -%}
    {{ return(adapter.dispatch('months_from_to')(first_month, last_month)) }}
{%- endmacro %}

{% macro duckdb__months_from_to(first_month, last_month) -%}
    select
        cast(
            unnest(generate_series(cast({{ first_month }} as date), cast({{ last_month }} as date), interval 1 month)) as date
        ) as calendar_month
{%- endmacro %}
