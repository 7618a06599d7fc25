{# Pre-hook of an incremental model: removes the rows that are about to be computed again; nothing when it is built anew. #}
{% macro delete_touched(condition) -%}
    {%- if is_incremental() -%}
        delete from {{ this }} where {{ condition }}
    {%- endif -%}
{%- endmacro %}
