{# Post-hook of customer_metrics: who was left alone is a day older as well. #}
{% macro age_customers() -%}
    {%- if is_incremental() -%}
        {%- set days = days_between('last_purchase_at', '(select as_of from ' ~ raw_state() ~ ')') -%}
        update {{ this }} set
            days_since_last_purchase = {{ days }},
            churn_risk_tier = {{ recency_tier(days) }}
        where days_since_last_purchase <> {{ days }}
    {%- endif -%}
{%- endmacro %}
