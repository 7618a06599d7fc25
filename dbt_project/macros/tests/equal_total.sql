{#
  Two expressions over two relations agree exactly: parts sum to totals, layers agree. Give `expression` over this
  model and `to_expression` over `to`; `filter` and `to_filter` restrict either side.
#}
{% test equal_total(model, expression, to, to_expression=none, filter=none, to_filter=none) %}
    with
        here as (
            select coalesce({{ expression }}, 0) as total from {{ model }}{% if filter %} where {{ filter }}{% endif %}
        ),

        there as (
            select coalesce({{ to_expression or expression }}, 0) as total
            from {{ to }}{% if to_filter %} where {{ to_filter }}{% endif %}
        )

    select
        here.total as total_here,
        there.total as total_there
    from here
    cross join there
    where here.total <> there.total
{% endtest %}
