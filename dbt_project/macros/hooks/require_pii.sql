{#
  Refuses to build with another PULSE_PII than raw was read for: a plain `dbt build` in a shell without the variable would
  put names and addresses back into the marts.
#}
{% macro require_pii() -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- set asked = env_var('PULSE_PII', 'keep') -%}
        {%- set clock = run_query("select * from " ~ source('pulse', 'clock')) -%}
        {%- set names = clock.column_names | list -%}
        {%- set told = clock.columns['pii'].values() | first if 'pii' in names else 'keep' -%}
        {%- if told != asked -%}
            {{ exceptions.raise_compiler_error(
                "raw was read with PULSE_PII=" ~ told ~ ", this is PULSE_PII=" ~ asked
                ~ ". Set the same for dbt, or run `pulse run` (or `pulse raw`) with this one."
            ) }}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
