{# A number as people read it, with a fixed count of decimals. #}
{% macro in_words(number, decimals) -%}
    cast(cast({{ rounded(number, decimals) }} as decimal(18, {{ decimals }})) as string)
{%- endmacro %}
