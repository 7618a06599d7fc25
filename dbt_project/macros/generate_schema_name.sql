{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ schema_named(custom_schema_name | trim) if custom_schema_name else target.schema }}
{%- endmacro %}
