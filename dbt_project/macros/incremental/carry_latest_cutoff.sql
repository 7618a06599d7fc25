{#
  Pre-hook of a table of cutoffs: what was computed for as_of stands for the new as_of as well, to be deleted again where
  it does not hold.
#}
{% macro carry_latest_cutoff() -%}
    {%- if is_incremental() -%}
        {%- set before = "cast('" ~ carried().as_of ~ "' as date)" -%}
        {%- set columns = adapter.get_columns_in_relation(this) | map(attribute='name') | list -%}
        insert into {{ this }} ({{ columns | join(', ') }})
        select
            {%- for column in columns %}
            {{ "now.as_of" if column == 'cutoff_date' else "latest." ~ column }}{{ "," if not loop.last }}
            {%- endfor %}
        from {{ this }} as latest
        cross join {{ raw_state() }} as now
        where latest.cutoff_date = {{ before }} and now.as_of > {{ before }}
    {%- endif -%}
{%- endmacro %}
