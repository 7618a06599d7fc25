{#
  On Spark, tells the catalog of the raw tables anew: Parquet files in the home, read in place, typed as their source's
  YAML declares them. The catalog may have forgotten them, or know the files of an earlier refresh. DuckDB reads them
  by their path (the source's `external_location`).
#}
{% macro find_raw_tables() -%}
    {%- if execute and target.type == 'spark' and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- set raw = env_var('PULSE_DATA_DIR', '../data') ~ '/raw/' -%}
        {%- for source in graph.sources.values() if source.source_name != 'ml' -%}
            {{ in_turn([
                create_schema_statement(source.schema),
                "drop table if exists " ~ source.schema ~ "." ~ source.identifier,
                create_source_table(source, raw ~ source.source_name),
            ]) }}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
