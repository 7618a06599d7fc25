{#
  Pre-hook of customer_features: deletes the rows that the customer's profile, tickets, visits, e-mails or usage would
  now describe otherwise. These tables list no changes; what was computed from them tells.
#}
{% macro delete_features_known_otherwise() -%}
    {%- if is_incremental() -%}
        {%- set counts = [] -%}
        {%- for column in adapter.get_columns_in_relation(load_relation(ref('int_features__service')))
            if column.name not in ('customer_id', 'cutoff_date') -%}
            {%- do counts.append(column.name) -%}
        {%- endfor -%}
        delete from {{ this }} where (customer_id, cutoff_date) in (
            select
                kept.customer_id,
                kept.cutoff_date
            from {{ this }} as kept
            left join {{ ref('int_features__service') }} as service
                on kept.customer_id = service.customer_id and kept.cutoff_date = service.cutoff_date
            left join {{ ref('stg_shop__customers') }} as customers
                on
                    kept.customer_id = customers.customer_id
                    and (customers.signed_up_at is null or cast(customers.signed_up_at as date) <= kept.cutoff_date)
            where
                {%- for column in counts %}
                kept.{{ column }} <> coalesce(service.{{ column }}, 0) or
                {%- endfor %}
                {%- for column in ['industry', 'region', 'age_group', 'acquisition_channel'] %}
                kept.{{ column }} is distinct from customers.{{ column }}{{ " or" if not loop.last }}
                {%- endfor %}
        )
    {%- endif -%}
{%- endmacro %}
