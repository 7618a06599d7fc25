{# One number per another as a double, rounded to six decimals; null when the denominator is 0 or missing. #}
{% macro ratio(numerator, denominator) -%}
    {{ rounded('cast(' ~ numerator ~ ' as double) / nullif(cast(' ~ denominator ~ ' as double), 0)', 6) }}
{%- endmacro %}
