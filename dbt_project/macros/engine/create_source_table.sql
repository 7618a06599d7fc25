{# The statement that creates the table of a source where it is absent: columns and types as its YAML declares them. #}
{% macro create_source_table(source, folder) -%}
    create table if not exists {{ source.schema }}.{{ source.identifier }} (
        {%- for column in source.columns.values() %}
        {{ column.name }} {{ column.data_type }}{{ "," if not loop.last }}
        {%- endfor %}
    ){{ stored_in(folder ~ "/" ~ source.identifier) }}
{%- endmacro %}
