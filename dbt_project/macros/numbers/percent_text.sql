{# A share as people read it: whole per cent. #}
{% macro percent_text(share) -%}
    {{ in_words('100 * (' ~ share ~ ')', 0) }} || '%'
{%- endmacro %}
