{# Replaces dbt-spark's: a schema says which home it belongs to, see require_own_schemas. #}
{% macro spark__create_schema(relation) -%}
    {%- do run_query(create_schema_statement(relation.schema)) -%}
{%- endmacro %}
