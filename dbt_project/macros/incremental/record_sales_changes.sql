{#
  Post-hook of int_sales__changed: notes the state of fct_sales that its changes start from. Asked again after the model
  was built, and answered alike: fct_sales is built later.
#}
{% macro record_sales_changes() -%}
    {%- set fact = adapter.get_relation(target.database, schema_named('marts'), 'fct_sales') -%}
    {%- set carry = {'rows': 'int_sales__unioned', 'key': 'sale_id', 'day': 'sold_at'} -%}
    {{ record_state(since=none if flags.FULL_REFRESH else carried_state(fact, carry)) }}
{%- endmacro %}
