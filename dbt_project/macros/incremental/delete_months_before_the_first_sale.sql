{#
  Post-hook of monthly_product_sales: a restated first sale leaves no months before it, nor a product without any.
  Nothing where every model is built anew.
#}
{% macro delete_months_before_the_first_sale() -%}
    {%- if target.type == 'duckdb' -%}
    delete from {{ this }}
    where (product_id, month) not in (
        select months.product_id, months.month
        from {{ this }} as months
        inner join (
            select product_id, {{ month_start('min(sold_on)') }} as first_month
            from {{ ref('fct_sales') }}
            where product_id is not null
            group by product_id
        ) as starts
            on months.product_id = starts.product_id and months.month >= starts.first_month
    )
    {%- endif -%}
{%- endmacro %}
