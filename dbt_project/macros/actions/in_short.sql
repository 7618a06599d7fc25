{# A number as people read it: with that many decimals, or with none where it has none. #}
{% macro in_short(number, decimals) -%}
    case
        when {{ rounded(number, decimals) }} = floor({{ rounded(number, decimals) }}) then {{ in_words(number, 0) }}
        else {{ in_words(number, decimals) }}
    end
{%- endmacro %}
