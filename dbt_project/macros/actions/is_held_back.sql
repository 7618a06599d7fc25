{#
  Whether a customer belongs to the control group: the same answer for ever, and independent of everything that is known
  of them. The first 32 bits of a digest of the id, compared as text with the same share of all such numbers.
#}
{% macro is_held_back(customer_id, share) -%}
    {%- set limit = "%08x" | format((share * 4294967295) | round | int) -%}
    (substring(md5('held back ' || {{ customer_id }}), 1, 8) < '{{ limit }}')
{%- endmacro %}
