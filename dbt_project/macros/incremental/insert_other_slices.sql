{#
  Post-hook of a model that was computed for the first slice of the customers: the same SQL once more for each of the
  others. How many there are says the SQL itself.
#}
{% macro insert_other_slices() -%}
    {%- set slice = "(hash\\([\\w.]+\\) % (\\d+)) = 0" -%}
    {%- set found = modules.re.search(slice, compiled_code or "") -%}
    {%- for number in range(1, (found.group(2) | int) if found else 1) %}
        insert into {{ this }} {{ modules.re.sub(slice, "\\1 = " ~ number, compiled_code) }};
    {%- endfor -%}
{%- endmacro %}
