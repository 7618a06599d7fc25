{#
  Statements of a hook, one after the other: DuckDB takes them at once, in the hook's own transaction, Spark takes one
  at a time. What only compiles the hook runs nothing.
#}
{% macro in_turn(statements) -%}
    {%- if target.type == 'spark' and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- for statement in statements -%}
            {%- do run_query(statement) -%}
        {%- endfor -%}
    {%- else -%}
        {%- for statement in statements -%}
            {{ statement }};
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
