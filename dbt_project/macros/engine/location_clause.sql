{# Replaces dbt-spark's: a model or seed lies in the home. #}
{% macro spark__location_clause() -%}
    location {{ quoted(folder_of(model.schema) ~ '/' ~ model.alias) }}
{%- endmacro %}
