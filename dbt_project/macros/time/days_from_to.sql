{# A select with one column, calendar_date: every day of a closed interval; no row when an end is null. #}
{% macro days_from_to(first_day, last_day) -%}
    {{ return(adapter.dispatch('days_from_to')(first_day, last_day)) }}
{%- endmacro %}

{% macro duckdb__days_from_to(first_day, last_day) -%}
    select cast(unnest(generate_series(cast({{ first_day }} as date), cast({{ last_day }} as date), interval 1 day)) as date)
        as calendar_date
{%- endmacro %}

{% macro spark__days_from_to(first_day, last_day) -%}
    select explode(days) as calendar_date
    from (
        select
            case
                when first_day <= last_day then sequence(first_day, last_day, interval 1 day)
            end as days
        from (
            select
                cast({{ first_day }} as date) as first_day,
                cast({{ last_day }} as date) as last_day
        ) as ends
    ) as filled
{%- endmacro %}
