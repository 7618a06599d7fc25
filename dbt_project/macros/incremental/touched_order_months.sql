{#
  A select of the months that a changed order is, or may have been, counted in: those of its changed lines, and those of
  its other lines, since the first line decides.
#}
{% macro touched_order_months() -%}
    select {{ month_start('sold_on') }} as month from {{ ref('int_sales__changed') }}
    union
    select {{ month_start('sold_on') }}
    from {{ ref('fct_sales') }}
    where order_id in (select order_id from {{ ref('int_sales__changed') }})
{%- endmacro %}
