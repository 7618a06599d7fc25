{#
  Where the incremental models of a database note what they were built from. It lies in the model's own database, so that
  model and note are written in one transaction: a killed build leaves both or neither.
#}
{% macro state_table(database) -%}
    {{ database }}.meta.incremental_state
{%- endmacro %}
