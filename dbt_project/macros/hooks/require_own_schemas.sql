{#
  On Spark, refuses to build into the schemas of another home, and into a home that the server would look for somewhere
  else.
#}
{% macro require_own_schemas() -%}
    {%- if execute and target.type == 'spark' and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- set home = env_var('PULSE_DATA_DIR', '../data') -%}
        {%- if not (home.startswith('/') or '://' in home) -%}
            {{ exceptions.raise_compiler_error(
                "PULSE_DATA_DIR=" ~ home ~ " means another folder to the Spark server than to dbt. Set the absolute path."
            ) }}
        {%- endif -%}
        {#- `dbt test` makes no schemas, and a server started anew knows of none -#}
        {%- do run_query(create_schema_statement(target.schema)) -%}
        {%- set told = run_query("describe schema " ~ target.schema) -%}
        {%- set own = path_of(folder_of(target.schema)) -%}
        {%- for row in told.rows if row[0] == 'Location' and path_of(row[1]) != own -%}
            {{ exceptions.raise_compiler_error(
                "schema " ~ target.schema ~ " on Spark lies in " ~ row[1] ~ ", not in " ~ folder_of(target.schema)
                ~ ". It belongs to another home, or to somebody else: set another PULSE_SPARK_PREFIX."
            ) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
