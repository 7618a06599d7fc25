{#
  Every row keeps every rule: columns that are never null, a key that no two rows share, and conditions that must not be
  false (null passes). One query for the whole model; each failing row names the first rule it breaks.
#}
{% test rows_are_valid(model, never_null=[], key=[], rules=[]) %}
    {%- set conditions = [] -%}
    {%- for column in never_null -%}
        {%- do conditions.append(column ~ " is not null") -%}
    {%- endfor -%}
    {%- for column in key if column not in never_null -%}
        {%- do conditions.append(column ~ " is not null") -%}
    {%- endfor -%}
    {%- if key -%}
        {%- set columns = key | join(", ") -%}
        {%- do conditions.append(
            "(" ~ columns ~ ") not in (select " ~ columns ~ " from " ~ model ~ " group by " ~ columns
            ~ " having count(*) > 1)"
        ) -%}
    {%- endif -%}
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
