{# The one row that says what this invocation builds for: refresh, as_of, and the fingerprint of the code. #}
{% macro raw_state() -%}
    work.meta.raw_state
{%- endmacro %}
