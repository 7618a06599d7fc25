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

{% macro spark__months_from_to(first_month, last_month) -%}
    select explode(months) as calendar_month
    from (
        select
            case
                when first_month <= last_month then sequence(first_month, last_month, interval 1 month)
            end as months
        from (
            select
                cast({{ first_month }} as date) as first_month,
                cast({{ last_month }} as date) as last_month
        ) as ends
    ) as filled
{%- endmacro %}
