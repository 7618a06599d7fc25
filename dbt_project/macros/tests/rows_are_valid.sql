{#
  Every row keeps every rule: columns that are never null, a key that no two rows share, and conditions that must not be
  false (null passes). One query for the whole model; each failing row names the first rule it breaks.

  `not` stands before coalesce, never before `in`: Spark joins `not (... in (select ...))` by comparing every row with every
  other, as null could be among them; a million sales were not through after 22 minutes.
#}
{% test rows_are_valid(model, never_null=[], key=[], rules=[]) %}
    {%- set conditions = {} -%}
    {%- for column in never_null + key -%}
        {%- do conditions.update({column ~ " is not null": column ~ " is not null"}) -%}
    {%- endfor -%}
    {%- if key -%}
        {%- set columns = key | join(", ") -%}
        {%- do conditions.update({
            columns ~ " is unique":
            "not coalesce((" ~ columns ~ ") in (select " ~ columns ~ " from " ~ model ~ " group by " ~ columns
            ~ " having count(*) > 1), false)"
        }) -%}
    {%- endif -%}
    {%- for rule in rules -%}
        {%- do conditions.update({rule: rule}) -%}
    {%- endfor %}
    select *
    from (
        select
            case
                {% for name, condition in conditions.items() -%}
                    when not coalesce({{ condition }}, true) then '{{ name | replace("'", "''") }}'
                {% endfor -%}
            end as broken_rule,
            *
        from {{ model }}
    ) as judged
    where broken_rule is not null
{% endtest %}
