{# The day everything is computed for, as a scalar subquery of type date. #}
{% macro as_of() -%}
    (select clock.as_of from {{ ref('stg_pulse__clock') }} as clock)
{%- endmacro %}
