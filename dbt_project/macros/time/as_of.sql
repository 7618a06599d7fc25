{#
  The day everything is computed for, as SQL of type date.

  A scalar subquery; on Spark, which plans every copy of one by itself and every part of a query as often as it is read,
  the day itself, looked up once in each invocation (in what `graph` points to, for want of a better place). Unit tests
  give the clock as rows of the query, and get the subquery on Spark as well.
#}
{% macro as_of() -%}
    {{ return(adapter.dispatch('as_of')()) }}
{%- endmacro %}

{% macro duckdb__as_of() -%}
    (select clock.as_of from {{ ref('stg_pulse__clock') }} as clock)
{%- endmacro %}

{% macro spark__as_of() -%}
    {%- set clock = ref('stg_pulse__clock') -%}
    {%- if execute and not clock.is_cte and flags.WHICH in ('build', 'run', 'test') -%}
        {%- if 'as_of' not in graph -%}
            {%- do graph.update(as_of=run_query("select as_of from " ~ clock).columns[0].values()[0]) -%}
        {%- endif -%}
        cast({{ "null" if graph.as_of is none else quoted(graph.as_of | string) }} as date)
    {%- else -%}
        {{ duckdb__as_of() }}
    {%- endif -%}
{%- endmacro %}
