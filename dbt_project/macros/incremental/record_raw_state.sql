{#
  On run start: what this invocation builds for. The fingerprint covers every model, seed, macro and variable that decides
  what a row looks like: with other code nothing built earlier is carried on.
#}
{% macro record_raw_state() -%}
    {%- if execute and target.type == 'duckdb' and flags.WHICH in ('build', 'run') -%}
        {%- set parts = [var('negative_sentiment_below') | string, env_var('PULSE_PII', 'keep')] -%}
        {%- for node in graph.nodes.values() if node.resource_type in ('model', 'seed') -%}
            {%- do parts.append(node.checksum.checksum) -%}
        {%- endfor -%}
        {%- for name, own in context[project_name].items() if not name.startswith('test_') -%}
            {%- do parts.append(own.macro.macro_sql) -%}
        {%- endfor -%}
        {%- for database in [target.database, 'work'] -%}
            create schema if not exists {{ database }}.meta;
            create table if not exists {{ state_table(database) }} (
                model string, refresh bigint, as_of date, fingerprint string, from_refresh bigint, from_as_of date,
                basis_rows bigint, recorded_at timestamp
            );
        {%- endfor -%}
        create or replace table {{ raw_state() }} as
        select
            refresh,
            {% if var('as_of') %}cast('{{ var("as_of") }}' as date){% else %}as_of{% endif %} as as_of,
            {#- with another salt customers have other names, and nothing can be carried on either #}
            {% if env_var('PULSE_PII', 'keep') != 'keep' -%}
                md5(concat('{{ local_md5(parts | sort | join(" ")) }}', pii_salt)) as fingerprint
            {%- else -%}
                '{{ local_md5(parts | sort | join(" ")) }}' as fingerprint
            {%- endif %}
        from {{ source('pulse', 'clock') }};
    {%- endif -%}
{%- endmacro %}
