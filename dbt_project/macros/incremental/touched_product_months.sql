{# A select of the products and months whose sales or returns have changed. #}
{% macro touched_product_months() -%}
    select product_id, {{ month_start('sold_on') }} as month
    from {{ ref('int_sales__changed') }}
    where product_id is not null
    union
    select product_id, {{ month_start('returned_on') }}
    from {{ ref('int_sales__changed') }}
    where product_id is not null and returned_on is not null
{%- endmacro %}
