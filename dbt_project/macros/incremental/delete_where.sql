{#
  Post-hook of an incremental model: removes the rows that no longer have a place in it. Nothing where every model is
  built anew, and has none.
#}
{% macro delete_where(condition) -%}
    {%- if target.type == 'duckdb' -%}
        delete from {{ this }} where {{ condition }}
    {%- endif -%}
{%- endmacro %}
