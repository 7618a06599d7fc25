{#
  On Spark, tells a catalog that has forgotten them (that of a server started anew) of the models and seeds that were
  built before: their files are still in the home. Runs when meta.builds has at least one file there.
#}
{% macro find_built_tables() -%}
    {%- if execute and target.type == 'spark' and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- set files = "element_at(split(_metadata.file_path, '/'), " -%}
        {%- set found = run_query(
            "select distinct " ~ files ~ "-3) || '/' || " ~ files ~ "-2) from binaryFile.`"
            ~ env_var('PULSE_DATA_DIR', '../data') ~ "/spark/*/*/*.parquet`"
        ).columns[0].values() -%}
        {%- for node in graph.nodes.values() if node.resource_type in ('model', 'seed') -%}
            {%- set folder = folder_of(node.schema) ~ '/' ~ node.alias -%}
            {%- if folder.split('/')[-2:] | join('/') in found
                and not adapter.get_relation(none, node.schema, node.alias) -%}
                {{ in_turn([
                    create_schema_statement(node.schema),
                    "create table " ~ node.schema ~ "." ~ node.alias ~ stored_in(folder),
                ]) }}
                {%- do adapter.cache_added(
                    api.Relation.create(schema=node.schema, identifier=node.alias, type='table')
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
