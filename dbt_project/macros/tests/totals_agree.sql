{#
  Several pairs of totals agree exactly: parts sum to totals, layers agree. Each comparison is a dictionary with `name`,
  `expression` over this model, `to`, and optionally `to_expression` (else the same), `filter` and `to_filter`.
#}
{% test totals_agree(model, comparisons) %}
    {%- for comparison in comparisons %}
        select
            '{{ comparison.name }}' as broken_rule,
            cast(here.total as string) as total_here,
            cast(there.total as string) as total_there
        from (
            select coalesce({{ comparison.expression }}, 0) as total
            from {{ model }}
            {% if comparison.filter %} where {{ comparison.filter }}{% endif %}
        ) as here
        cross join (
            select coalesce({{ comparison.to_expression or comparison.expression }}, 0) as total
            from {{ comparison.to }}
            {% if comparison.to_filter %} where {{ comparison.to_filter }}{% endif %}
        ) as there
        where here.total <> there.total
        {{ "union all" if not loop.last }}
    {%- endfor %}
{% endtest %}
