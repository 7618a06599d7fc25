{# No order belongs to two customers. #}
{% test one_customer_per_order(model) %}
    select
        order_id,
        count(distinct customer_id) as customer_count
    from {{ model }}
    group by order_id
    having count(distinct customer_id) > 1
{% endtest %}
