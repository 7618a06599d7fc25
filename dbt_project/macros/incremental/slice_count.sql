{#
  In how many parts of the customers a model is computed that is built anew, so that each fits into the memory of a
  build: one for every `lines_a_slice` sale lines. Spark shares the work out by itself.
#}
{% macro slice_count() -%}
    {%- if not execute or target.type != 'duckdb' or is_incremental() -%}
        {{ return(1) }}
    {%- endif -%}
    {%- set fact = adapter.get_relation(target.database, schema_named('marts'), 'fct_sales') -%}
    {%- if fact is none -%}
        {{ return(1) }}
    {%- endif -%}
    {%- set lines = run_query("select count(*) from " ~ fact).rows[0][0] | int -%}
    {{ return([(lines + var('lines_a_slice') - 1) // var('lines_a_slice'), 1] | max) }}
{%- endmacro %}
