{#
  Notes in meta.builds which models were built, for which refresh, and in meta.check_results how every test came out.
  Publishing reads both: a mart is published only when each of its blocking checks has passed since it was built.
#}
{% macro record_build_results(results) -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- set now = "cast('" ~ modules.datetime.datetime.utcnow() ~ "' as timestamp)" -%}
        {%- set refresh -%}
            (select max(refresh) from {{ source('pulse', 'clock') }})
        {%- endset -%}
        {%- set models = results | selectattr('node.resource_type', 'equalto', 'model') | list -%}
        {%- set tests = results | selectattr('node.resource_type', 'equalto', 'test') | list -%}
        {%- for result in models %}
            insert into meta.builds values (
                '{{ invocation_id }}', '{{ result.node.name }}', '{{ result.status }}', {{ refresh }}, {{ now }}
            );
        {%- endfor -%}
        {%- for result in tests %}
            {%- set attached = result.node.attached_node or (result.node.depends_on.nodes | first) or '' -%}
            {%- set parts = attached.split('.') -%}
            insert into meta.check_results values (
                '{{ result.node.name }}',
                '{{ parts[2:] | join(".") }}',
                '{{ result.node.config.severity | lower }}',
                '{{ result.status }}',
                {{ result.failures if result.failures is not none else 'null' }},
                '{{ (result.message or "") | replace("'", "''") }}',
                {{ refresh }},
                {{ now }}
            );
        {%- endfor %}
        insert into meta.builds values ('{{ invocation_id }}', 'dbt', 'finished', {{ refresh }}, {{ now }});
    {%- endif -%}
{%- endmacro %}
