{#
  Creates the tables of the ml source, empty and typed, where they are absent: a plain `dbt build` passes before any
  model has been trained. Columns and types come from the source's YAML.
#}
{% macro create_ml_tables() -%}
    {%- if execute -%}
        {%- for source in graph.sources.values() if source.source_name == 'ml' -%}
            create schema if not exists {{ source.schema }};
            create table if not exists {{ source.schema }}.{{ source.identifier }} (
                {%- for column in source.columns.values() %}
                {{ column.name }} {{ column.data_type }}{{ "," if not loop.last }}
                {%- endfor %}
            );
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
