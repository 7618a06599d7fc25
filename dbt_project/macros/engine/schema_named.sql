{#
  The schema of a name, as SQL says it: its own on DuckDB; with PULSE_SPARK_PREFIX before it on Spark, where several
  homes, and the schemas of other people, share one catalog.
#}
{% macro schema_named(name) -%}
    {{ env_var('PULSE_SPARK_PREFIX', 'pulse_') if target.type == 'spark' }}{{ name }}
{%- endmacro %}
