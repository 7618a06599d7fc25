{#
  A condition: rows of this cutoff no longer hold for anybody. It is not listed any more, it is as_of, to which every age
  is counted, or the days after it that a label waits for have passed since this model was built.
#}
{% macro outdated_cutoffs(horizons=[], cutoff='cutoff_date') -%}
    {{ cutoff }} not in (select cutoff_date from {{ ref('int_cutoffs__listed') }})
    or {{ cutoff }} = (select as_of from {{ raw_state() }})
    {%- if horizons %}
        {%- set before = carried() -%}
        {%- for horizon in horizons %}
    or (
        {{ add_days(cutoff, horizon) }} > cast('{{ before.as_of }}' as date)
        and {{ add_days(cutoff, horizon) }} <= (select as_of from {{ raw_state() }})
    )
        {%- endfor %}
    {%- endif %}
{%- endmacro %}
