{#
  A column that names a person, as PULSE_PII says: kept, masked or hashed. A hash is keyed with the home's salt, so that
  nobody outside can find out whose it is by trying names; it is the same in every table, so that joins hold. A customer
  who is known by an e-mail address gets a hash in either case, because a mask would make many customers one.
#}
{% macro personal(column, kind) -%}
    {%- set mode = env_var('PULSE_PII', 'keep') -%}
    {%- set salt = "(select clock.pii_salt from " ~ ref('stg_pulse__clock') ~ " as clock)" -%}
    {%- if mode == 'keep' -%}
        {{ column }}
    {%- elif kind == 'customer' -%}
        case
            when {{ column }} like '%@%' then substr({{ digest(salt, column) }}, 1, 32) else {{ column }}
        end as {{ column }}
    {%- elif mode == 'hash' -%}
        case
            when {{ column }} is not null then substr({{ digest(salt, lowered(column)) }}, 1, 32)
        end as {{ column }}
    {%- elif kind == 'email' -%}
        case when {{ column }} is not null then concat(substr({{ column }}, 1, 1), '***@***') end as {{ column }}
    {%- else -%}
        case when {{ column }} is not null then concat(substr({{ column }}, 1, 1), '***') end as {{ column }}
    {%- endif -%}
{%- endmacro %}
