{# A text in which every {name} is replaced by its value; a missing value leaves nothing. Names come in the order given. #}
{% macro filled_in(template, values) -%}
    {%- set text = namespace(sql=template) -%}
    {%- for name, value in values -%}
        {%- set text.sql = "replace(" ~ text.sql ~ ", '{" ~ name ~ "}', coalesce(" ~ value ~ ", ''))" -%}
    {%- endfor -%}
    {{ text.sql }}
{%- endmacro %}
