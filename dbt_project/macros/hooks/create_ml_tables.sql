{#
  Creates the tables of the ml source, empty and typed, where they are absent: a plain `dbt build` passes before any
  model has been trained. Columns and types come from the source's YAML.
#}
{% macro create_ml_tables() -%}
    {%- if execute -%}
        {%- set statements = [] -%}
        {%- for source in graph.sources.values() if source.source_name == 'ml' -%}
            {%- if loop.first -%}
                {%- do statements.append(create_schema_statement(source.schema)) -%}
            {%- endif -%}
            {%- do statements.append(create_source_table(source, folder_of(source.schema))) -%}
        {%- endfor -%}
        {{ in_turn(statements) }}
    {%- endif -%}
{%- endmacro %}
