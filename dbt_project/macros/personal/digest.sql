{# The SHA-256 of a salt and a text after it, in hexadecimal digits. #}
{% macro digest(salt, text) -%}
    {{ return(adapter.dispatch('digest')(salt, text)) }}
{%- endmacro %}

{% macro duckdb__digest(salt, text) -%}
    sha256(concat({{ salt }}, {{ text }}))
{%- endmacro %}

{% macro spark__digest(salt, text) -%}
    sha2(concat({{ salt }}, {{ text }}), 256)
{%- endmacro %}
