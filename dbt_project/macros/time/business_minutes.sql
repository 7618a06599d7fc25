{#
  Business minutes from Monday 2000-01-03 to a moment: whole weeks, the weekdays before this one, and what of this day's
  hours has passed. `hours` is the alias of the moment's weekday in `business_week`.
#}
{% macro business_minutes(moment, hours) -%}
    {%- set days = days_between("cast('2000-01-03' as date)", moment) -%}
    (
        cast(floor({{ days }} / 7) as bigint) * {{ hours }}.week_minutes
        + {{ hours }}.minutes_before
        + least(
            greatest(
                {{ minutes_between("cast(cast(" ~ moment ~ " as date) as timestamp)", moment) }} - {{ hours }}.opens_minute,
                0
            ),
            {{ hours }}.closes_minute - {{ hours }}.opens_minute
        )
    )
{%- endmacro %}
