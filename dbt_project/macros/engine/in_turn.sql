{#
  Statements of a hook, one after the other: DuckDB takes them at once, in the hook's own transaction, Spark takes one
  at a time.
#}
{% macro in_turn(statements) -%}
    {%- if target.type == 'spark' -%}
        {%- for statement in statements -%}
            {%- do run_query(statement) -%}
        {%- endfor -%}
    {%- else -%}
        {%- for statement in statements -%}
            {{ statement }};
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
