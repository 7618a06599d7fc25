{#
  A text as a literal of this engine: apostrophes doubled, and on Spark, where it would begin an escape, the backslash.
#}
{% macro quoted(text) -%}
    {%- set doubled = text | replace("'", "''") -%}
    '{{ doubled | replace("\\", "\\\\") if target.type == 'spark' else doubled }}'
{%- endmacro %}
