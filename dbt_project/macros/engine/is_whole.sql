{#
  Whether Spark has written a table to its end: it then leaves _SUCCESS beside the files. No query sees what begins with
  an underscore; its plan says whether it is there.
#}
{% macro is_whole(folder) -%}
    {%- set plan = run_query("explain select * from text.`" ~ folder ~ "/_SUCCESS`") -%}
    {{ return('PATH_NOT_FOUND' not in plan.columns[0].values() | join) }}
{%- endmacro %}
