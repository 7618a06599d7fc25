{#
  On Spark, tells a catalog that has forgotten them (that of a server started anew) of the models and seeds that this
  invocation reads and does not build: their files are still in the home. Runs when meta.builds has a file there. Of one
  that was not written to its end the catalog stays ignorant: what reads it fails, until it was built anew.
#}
{% macro find_built_tables() -%}
    {%- if execute and target.type == 'spark' and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- set read = [] -%}
        {%- for chosen in selected_resources -%}
            {#- a unit test reads what its model reads -#}
            {%- set parts = chosen.split('.') -%}
            {%- set node = graph.nodes.get(
                'model.' ~ parts[1] ~ '.' ~ parts[2] if parts[0] == 'unit_test' else chosen
            ) -%}
            {%- do read.extend(node.depends_on.nodes if node and parts[0] != 'seed' else []) -%}
        {%- endfor -%}
        {#- an ephemeral model is read as part of its reader; loops see what is appended meanwhile -#}
        {%- for parent in read if graph.nodes.get(parent, {}).get('config', {}).get('materialized') == 'ephemeral' -%}
            {%- do read.extend(graph.nodes[parent].depends_on.nodes) -%}
        {%- endfor -%}
        {%- set missing = [] -%}
        {%- for name in read | unique if name not in selected_resources and name in graph.nodes -%}
            {%- set node = graph.nodes[name] -%}
            {%- if node.config.materialized != 'ephemeral' and not adapter.get_relation(none, node.schema, node.alias) -%}
                {%- do missing.append(node) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if missing -%}
            {%- set files = "element_at(split(_metadata.file_path, '/'), " -%}
            {%- set found = run_query(
                "select distinct " ~ files ~ "-3) || '/' || " ~ files ~ "-2) from binaryFile.`"
                ~ env_var('PULSE_DATA_DIR', '../data') ~ "/spark/*/*/*.parquet`"
            ).columns[0].values() -%}
            {%- for node in missing -%}
                {%- set folder = folder_of(node.schema) ~ '/' ~ node.alias -%}
                {%- if folder.split('/')[-2:] | join('/') in found and is_whole(folder) -%}
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
    {%- endif -%}
{%- endmacro %}
