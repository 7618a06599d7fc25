{#
  A text in lower case, letter by letter: Spark knows of two letters that are lowered to two, or by what follows, and
  would make another word of them than DuckDB (and another digest).
#}
{% macro lowered(text) -%}
    {{ return(adapter.dispatch('lowered')(text)) }}
{%- endmacro %}

{% macro duckdb__lowered(text) -%}
    lower({{ text }})
{%- endmacro %}

{% macro spark__lowered(text) -%}
    lower(replace(replace({{ text }}, 'İ', 'i'), 'Σ', 'σ'))
{%- endmacro %}
