{#
  Notes in meta.builds that a dbt invocation has begun to change the warehouse. Publishing is refused until the same
  invocation is noted as finished, so that a killed build is never published.
#}
{% macro record_build_start() -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- set meta = schema_named('meta') -%}
        {{ in_turn([
            create_schema_statement(meta),
            "create table if not exists " ~ meta ~ ".builds (invocation_id string, resource string, status string,"
            ~ " refresh bigint, recorded_at timestamp)" ~ stored_in(folder_of(meta) ~ '/builds'),
            "create table if not exists " ~ meta ~ ".check_results (check_name string, asset string, severity string,"
            ~ " status string, failures bigint, message string, refresh bigint, recorded_at timestamp)"
            ~ stored_in(folder_of(meta) ~ '/check_results'),
            "insert into " ~ meta ~ ".builds values ('" ~ invocation_id ~ "', 'dbt', 'started', null, cast('"
            ~ modules.datetime.datetime.utcnow() ~ "' as timestamp))",
        ]) }}
    {%- endif -%}
{%- endmacro %}
