{# A cast that gives null instead of an error; replaces dbt's own, which raises on some engines. #}
{% macro safe_cast(field, type) -%}
    try_cast({{ field }} as {{ type }})
{%- endmacro %}
