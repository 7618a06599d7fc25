{# A condition: the customer is one of the first slice, see slice_count; insert_other_slices adds the others. #}
{% macro in_slice(customer) -%}
    {%- set count = slice_count() -%}
    {%- if count > 1 -%} hash({{ customer }}) % {{ count }} = 0 {%- else -%} 1 = 1 {%- endif -%}
{%- endmacro %}
