{#
  What a table was last built from, as a dictionary of refresh, as_of and basis_is_kept, when that may be carried on; else
  none, and the table is built anew. It may not when the code has changed, when as_of or the refresh number has gone back, or when the
  table holds a row that raw no longer holds: a source that was replaced, a row restated into a day after as_of. Nor on
  another engine than DuckDB: Parquet tables know no delete, and models are built anew.

  Arguments (of a dictionary, the `carry` of a model's meta):
    through: the model that lists the changes since; it must start where the table stands, or the table be up to date.
    rows, key, day: model, key and day of what the table holds row by row; every row kept must be there, unchanged.
    basis, basis_day: model and day of rows that are only counted; basis_is_kept is false when one of them was restated,
      and the model must then find out where it was counted before.
#}
{% macro carried_state(table, carry) -%}
    {%- if not execute or table is none or target.type != 'duckdb' -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set found = run_query(
        "select own.refresh, own.as_of, own.basis_rows from " ~ state_table(table.database) ~ " as own cross join "
        ~ raw_state() ~ " as now"
        ~ (
            " inner join " ~ state_table('work') ~ " as link on link.model = '" ~ carry.through ~ "'"
            ~ " and link.refresh = now.refresh and link.as_of = now.as_of and link.fingerprint = now.fingerprint"
            ~ " and (own.refresh = now.refresh and own.as_of = now.as_of"
            ~ " or own.refresh = link.from_refresh and own.as_of = link.from_as_of)"
            ~ " and link.recorded_at = (select max(recorded_at) from " ~ state_table('work')
            ~ " where model = '" ~ carry.through ~ "')"
            if carry.through else ""
        )
        ~ " where own.model = '" ~ table.identifier ~ "' and own.recorded_at = (select max(recorded_at) from "
        ~ state_table(table.database) ~ " where model = '" ~ table.identifier ~ "')"
        ~ " and own.fingerprint = now.fingerprint and own.refresh <= now.refresh and own.as_of <= now.as_of"
    ) -%}
    {%- if found.rows | length == 0 -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set state = {
        "refresh": found.rows[0][0] | int, "as_of": found.rows[0][1] | string, "basis_is_kept": true
    } -%}
    {%- set basis_rows = found.rows[0][2] -%}
    {%- if carry.rows -%}
        {%- set missing = run_query(
            "select (select count(*) from " ~ table ~ ")"
            ~ " - (select count(*) from " ~ ref(carry.rows) ~ " where _batch <= " ~ state.refresh ~ " and " ~ carry.day
            ~ " < cast('" ~ state.as_of ~ "' as date) + 1)"
            ~ " - (select count(*) from " ~ table ~ " where " ~ carry.key ~ " in (select " ~ carry.key ~ " from "
            ~ ref(carry.rows) ~ " where _batch > " ~ state.refresh ~ "))"
        ) -%}
        {%- if missing.rows[0][0] | int != 0 -%}
            {{ return(none) }}
        {%- endif -%}
    {%- endif -%}
    {%- if carry.basis -%}
        {%- set kept = run_query(
            "select count(*) from " ~ ref(carry.basis) ~ " where _batch <= " ~ state.refresh ~ " and " ~ carry.basis_day
            ~ " < cast('" ~ state.as_of ~ "' as date) + 1"
        ) -%}
        {%- do state.update({"basis_is_kept": kept.rows[0][0] | int == basis_rows | int}) -%}
    {%- endif -%}
    {{ return(state) }}
{%- endmacro %}
