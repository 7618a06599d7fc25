{# A select of the days whose sales or returns have changed, by what was there before and by what is there now. #}
{% macro touched_days() -%}
    select sold_on as day from {{ ref('int_sales__changed') }}
    union
    select returned_on from {{ ref('int_sales__changed') }} where returned_on is not null
{%- endmacro %}
