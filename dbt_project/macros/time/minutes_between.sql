{# Minutes from one timestamp to a later one, a double with fractions. #}
{% macro minutes_between(first_moment, second_moment) -%}
    {{ return(adapter.dispatch('minutes_between')(first_moment, second_moment)) }}
{%- endmacro %}

{% macro duckdb__minutes_between(first_moment, second_moment) -%}
    round((epoch_us({{ second_moment }}) - epoch_us({{ first_moment }})) / 60000000.0, 4)
{%- endmacro %}

{% macro spark__minutes_between(first_moment, second_moment) -%}
    round(
        (unix_micros(cast({{ second_moment }} as timestamp_ltz)) - unix_micros(cast({{ first_moment }} as timestamp_ltz)))
        / 60000000e0,
        4
    )
{%- endmacro %}
