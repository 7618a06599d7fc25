{#
  Every row keeps every rule: columns that are never null, and conditions that must not be false (null passes). One scan
  for the whole model; each failing row names the first rule it breaks.
#}
{% test rows_are_valid(model, never_null=[], rules=[]) %}
    {%- set conditions = [] -%}
    {%- for column in never_null -%}
        {%- do conditions.append(column ~ " is not null") -%}
    {%- endfor -%}
    {%- for rule in rules -%}
        {%- do conditions.append(rule) -%}
    {%- endfor %}
    select *
    from (
        select
            case
                {% for condition in conditions -%}
                    when not ({{ condition }}) then '{{ condition | replace("'", "''") }}'
                {% endfor -%}
            end as broken_rule,
            *
        from {{ model }}
    ) as judged
    where broken_rule is not null
{% endtest %}
