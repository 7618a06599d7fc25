{# The state that this incremental model goes on from; none where it is built anew. #}
{% macro carried() -%}
    {{ return(carried_state(load_relation(this), model.config.meta.carry) if is_incremental() else none) }}
{%- endmacro %}
