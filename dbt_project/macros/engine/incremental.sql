{#
  On Spark an incremental model is a table that is built anew: Parquet tables know neither delete nor merge. It never is
  incremental there, because carried_state has nothing to carry on.
#}
{% materialization incremental, adapter='spark' %}
    {{ return(materialization_table_spark()) }}
{% endmaterialization %}
