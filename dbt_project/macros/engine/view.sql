{# On Spark a view is a table: files that outlive the server's catalog, and that whatever reads Parquet can read. #}
{% materialization view, adapter='spark' %}
    {{ return(materialization_table_spark()) }}
{% endmaterialization %}
