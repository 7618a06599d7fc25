{#
  The mean of whole numbers or decimals, a double; of some rows when `where` says which. Their sum is exact, so that the
  mean does not depend on the order in which an engine adds: doubles are cast to decimals first.
#}
{% macro average(value, where=none) -%}
    {%- set rows = " filter (where " ~ where ~ ")" if where else "" -%}
    (cast(sum({{ value }}){{ rows }} as double) / nullif(count({{ value }}){{ rows }}, 0))
{%- endmacro %}
