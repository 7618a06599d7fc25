{# The rule-based churn tier: High after more than 180 days without an order, Medium after more than 90, else Low. #}
{% macro recency_tier(days) -%}
    case when {{ days }} > 180 then 'High' when {{ days }} > 90 then 'Medium' else 'Low' end
{%- endmacro %}
