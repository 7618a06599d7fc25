{#
  Replaces dbt-spark's, which quotes no apostrophes, turns a missing value into the word None, and adds the rows to
  those that lie in the folder already.
#}
{% macro spark__load_csv_rows(model, agate_table) -%}
    {%- set types = model.config.get('column_types', {}) -%}
    {%- set rows -%}
        insert overwrite table {{ this }} values
        {%- for row in agate_table.rows %}
            (
                {%- for name in agate_table.column_names -%}
                    {%- set type = types.get(name, adapter.convert_type(agate_table, loop.index0)) -%}
                    {%- set value = row[loop.index0] -%}
                    cast({{ "null" if value is none else quoted(value | string) }} as {{ type }})
                    {{- ", " if not loop.last -}}
                {%- endfor -%}
            ){{ "," if not loop.last }}
        {%- endfor %}
    {%- endset -%}
    {%- do run_query(rows) -%}
    {{ return(rows) }}
{%- endmacro %}
