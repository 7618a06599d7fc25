{# The statement that creates a schema where it is absent; on Spark its location says which home it belongs to. #}
{% macro create_schema_statement(schema) -%}
    create schema if not exists {{ schema }}
    {%- if target.type == 'spark' %} location {{ quoted(folder_of(schema)) }}{% endif -%}
{%- endmacro %}
