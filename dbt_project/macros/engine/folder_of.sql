{# Where the tables of a schema lie on Spark: in the home, under the schema's name without its prefix. #}
{% macro folder_of(schema) -%}
    {{ env_var('PULSE_DATA_DIR', '../data') }}/spark/{{ schema.removeprefix(env_var('PULSE_SPARK_PREFIX', 'pulse_')) }}
{%- endmacro %}
