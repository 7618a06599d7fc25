{# Replaces dbt-spark's: a model or seed lies in the home, at spark/<schema>/<name>. #}
{% macro spark__location_clause() -%}
    {%- set folder = model.schema.removeprefix(env_var('PULSE_SPARK_PREFIX', 'pulse_')) -%}
    location {{ quoted(env_var('PULSE_DATA_DIR', '../data') ~ '/spark/' ~ folder ~ '/' ~ model.alias) }}
{%- endmacro %}
