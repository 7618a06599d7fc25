{# A moment that was filled in later: kept when it lies at or before as_of, else null. #}
{% macro known_by(moment) -%}
    case when cast({{ moment }} as date) <= {{ as_of() }} then {{ moment }} end
{%- endmacro %}
