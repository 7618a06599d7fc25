{# How much more a discount moves than the usual one: their ratio to the power of discount_effect_exponent; else 1. #}
{% macro discount_dose(rate, usual_rate) -%}
    coalesce(power({{ rate }} / nullif({{ usual_rate }}, 0), {{ var('discount_effect_exponent') }}), 1)
{%- endmacro %}
