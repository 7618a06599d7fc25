{# Minutes from one timestamp to a later one, a double with fractions. #}
{% macro minutes_between(first_moment, second_moment) -%}
    {{ return(adapter.dispatch('minutes_between')(first_moment, second_moment)) }}
{%- endmacro %}

{% macro duckdb__minutes_between(first_moment, second_moment) -%}
    {{ rounded('(epoch_us(' ~ second_moment ~ ') - epoch_us(' ~ first_moment ~ ')) / 60000000e0', 4) }}
{%- endmacro %}

{% macro spark__minutes_between(first_moment, second_moment) -%}
    {%- set first = "cast(" ~ first_moment ~ " as timestamp_ltz)" -%}
    {%- set second = "cast(" ~ second_moment ~ " as timestamp_ltz)" -%}
    {{ rounded('(unix_micros(' ~ second ~ ') - unix_micros(' ~ first ~ ')) / 60000000e0', 4) }}
{%- endmacro %}
