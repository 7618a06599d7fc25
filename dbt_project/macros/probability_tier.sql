{# The churn tier of a probability: High from 0.7, Medium from 0.4, else Low. #}
{% macro probability_tier(probability) -%}
    case when {{ probability }} >= 0.7 then 'High' when {{ probability }} >= 0.4 then 'Medium' else 'Low' end
{%- endmacro %}
