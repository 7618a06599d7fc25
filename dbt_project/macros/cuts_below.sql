{# How many of the four quintile cuts, columns <prefix>_cut_1 to <prefix>_cut_4, lie strictly below a value. #}
{% macro cuts_below(value, prefix) -%}
    {% for i in [1, 2, 3, 4] -%}
        case when {{ prefix }}_cut_{{ i }} < cast({{ value }} as double) then 1 else 0 end{{ " + " if not loop.last }}
    {%- endfor %}
{%- endmacro %}
