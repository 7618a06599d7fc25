{# A select of the customers whose sales have changed. #}
{% macro touched_customers() -%}
    select customer_id from {{ ref('int_sales__changed') }} where customer_id is not null
{%- endmacro %}
