{#
  Creates the tables of the ml source, empty and typed, where they are absent: a plain `dbt build` passes before any
  model has been trained. Columns and types come from the source's YAML. On Spark they are files that Python has written,
  perhaps since the catalog last looked: it is told of them anew, and the files stay.
#}
{% macro create_ml_tables() -%}
    {%- if execute -%}
        {%- set statements = [] -%}
        {%- for source in graph.sources.values() if source.source_name == 'ml' -%}
            {%- if loop.first -%}
                {%- do statements.append(create_schema_statement(source.schema)) -%}
            {%- endif -%}
            {%- if target.type == 'spark' -%}
                {%- do statements.append("drop table if exists " ~ source.schema ~ "." ~ source.identifier) -%}
            {%- endif -%}
            {%- do statements.append(create_source_table(source, folder_of(source.schema))) -%}
        {%- endfor -%}
        {{ in_turn(statements) }}
    {%- endif -%}
{%- endmacro %}
