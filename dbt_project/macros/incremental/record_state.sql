{#
  Post-hook of an incremental model: notes what it now holds. `since` is the state that its changes start from, for a
  model that lists changes; `basis` names a model whose rows are counted, see carried_state. Nothing where every model is
  built anew.
#}
{% macro record_state(since=none, basis=none) -%}
    {%- if target.type == 'duckdb' -%}
    insert into {{ state_table(this.database) }}
    select
        '{{ this.identifier }}',
        refresh,
        as_of,
        fingerprint,
        {{ since.refresh if since else 'null' }},
        {% if since %}cast('{{ since.as_of }}' as date){% else %}null{% endif %},
        {% if basis %}(select count(*) from {{ ref(basis) }}){% else %}null{% endif %},
        cast('{{ modules.datetime.datetime.utcnow() }}' as timestamp)
    from {{ raw_state() }}
    {%- endif -%}
{%- endmacro %}
