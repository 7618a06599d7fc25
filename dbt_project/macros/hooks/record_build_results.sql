{#
  Notes in meta.builds which models and seeds were built, for which refresh, and in meta.check_results how every test came out.
  Publishing reads both: a mart is published only when each of its blocking checks has passed since it was built.
#}
{% macro record_build_results(results) -%}
    {%- if execute and flags.WHICH in ('build', 'run', 'seed', 'test') -%}
        {%- set now = "cast('" ~ modules.datetime.datetime.utcnow() ~ "' as timestamp)" -%}
        {%- set models = results | selectattr('node.resource_type', 'in', ['model', 'seed']) | list -%}
        {#- what was built for another day than the clock's belongs to no refresh -#}
        {%- set refresh -%}
            (
                select max(refresh)
                from {{ source('pulse', 'clock') }}
                {% if var('as_of') %} where as_of = cast('{{ var("as_of") }}' as date){% endif %}
            )
        {%- endset -%}
        {%- set tests = results | selectattr('node.resource_type', 'equalto', 'test') | list -%}
        {#- one insert a table: parsing hundreds of statements would cost more than the rows -#}
        {%- set checks -%}
            insert into {{ schema_named('meta') }}.check_results
            select
                result.*,
                {{ refresh }},
                {{ now }}
            from (
                values
                {%- for result in tests %}
                    {%- set attached = result.node.attached_node or (result.node.depends_on.nodes | first) or '' %}
                    (
                        '{{ result.node.name }}',
                        '{{ attached.split(".")[2:] | join(".") }}',
                        '{{ result.node.config.severity | lower }}',
                        '{{ result.status }}',
                        {{ result.failures if result.failures is not none else 'null' }},
                        {{ quoted(result.message or "") }}
                    ){{ "," if not loop.last }}
                {%- endfor %}
            ) as result
        {%- endset -%}
        {%- set builds -%}
            insert into {{ schema_named('meta') }}.builds
            select
                '{{ invocation_id }}',
                result.*,
                {{ refresh }},
                {{ now }}
            from (
                values
                {%- for result in models %}
                    ('{{ result.node.name }}', '{{ result.status }}'),
                {%- endfor %}
                    ('dbt', 'finished')
            ) as result
        {%- endset -%}
        {{ in_turn([checks, builds] if tests else [builds]) }}
    {%- endif -%}
{%- endmacro %}
