{#
  The four cuts of a column into fifths, as the columns <prefix>_cut_1 to <prefix>_cut_4 of an aggregation; interpolated.
  One pass for the four of them, which no syntax common to all engines can say.
#}
{% macro quintile_cuts(value, prefix) -%}
    {{ return(adapter.dispatch('quintile_cuts')(value, prefix)) }}
{%- endmacro %}

{% macro duckdb__quintile_cuts(value, prefix) -%}
    {% for cut in [1, 2, 3, 4] -%}
        (
            percentile_cont([0.2, 0.4, 0.6, 0.8]) within group (order by cast({{ value }} as double) asc)
        )[{{ cut }}] as {{ prefix }}_cut_{{ cut }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}

{% macro spark__quintile_cuts(value, prefix) -%}
    {% for cut in [1, 2, 3, 4] -%}
        percentile(cast({{ value }} as double), array(0.2e0, 0.4e0, 0.6e0, 0.8e0))[{{ cut - 1 }}]
        as {{ prefix }}_cut_{{ cut }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}
