{#
  The first day that sales of customers have changed on, as a scalar subquery: what was known at a cutoff before it is
  what it was. A return lies on its sale's day or after it.
#}
{% macro first_touched_day() -%}
    (select min(sold_on) from {{ ref('int_sales__changed') }} where customer_id is not null)
{%- endmacro %}
