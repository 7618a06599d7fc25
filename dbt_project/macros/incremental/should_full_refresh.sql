{#
  Replaces dbt's own: an incremental model is also built anew when what it holds may not be carried on. Both
  is_incremental() and the materialization ask here, so that they cannot differ.
#}
{% macro should_full_refresh() -%}
    {%- set asked = config.get('full_refresh') -%}
    {%- if asked is none -%}
        {%- set asked = flags.FULL_REFRESH -%}
    {%- endif -%}
    {%- if asked or model.config.materialized != 'incremental' -%}
        {{ return(asked) }}
    {%- endif -%}
    {{ return(carried_state(load_relation(this), model.config.meta.carry) is none) }}
{%- endmacro %}
