{#
  The clause that says where a table's files lie on Spark: in the home, so that they outlive the server and are read by
  whatever reads Parquet. Nothing on DuckDB, whose tables lie in its own file.
#}
{% macro stored_in(folder) -%}
    {%- if target.type == 'spark' %} using parquet location {{ quoted(folder) }}{% endif -%}
{%- endmacro %}
