{#
  A number rounded to some decimals, a half away from zero. In steps, because `round` with decimals differs: Spark
  rounds the shortest text of a double (1.005 to 1.01), DuckDB the double (to 1.00).
#}
{% macro rounded(number, decimals) -%}
    {%- set scale = 10 ** decimals -%}
    (round(({{ number }}) * {{ scale }}) / {{ scale }})
{%- endmacro %}
