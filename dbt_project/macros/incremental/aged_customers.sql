{#
  A select of the customers with an order line that a window of so many days up to as_of no longer holds, but held at the
  as_of that this model stands for; nobody where it is built anew.
#}
{% macro aged_customers(windows) -%}
    {%- set before = carried() -%}
    select customer_id
    from {{ ref('fct_sales') }}
    cross join {{ raw_state() }} as now
    where
        is_order_line and customer_id is not null
        and (
            {%- for window in windows %}
            {{ "or " if not loop.first }}sold_on > {{ add_days("cast('" ~ before.as_of ~ "' as date)", -window) }}
            and sold_on <= {{ add_days('now.as_of', -window) }}
            {%- endfor %}
        )
{%- endmacro %}
