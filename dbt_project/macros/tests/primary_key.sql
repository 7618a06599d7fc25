{# Every row has this key, and no two rows the same: one scan for both. #}
{% test primary_key(model, column_name) %}
    select
        {{ column_name }},
        count(*) as row_count
    from {{ model }}
    group by {{ column_name }}
    having count(*) > 1 or {{ column_name }} is null
{% endtest %}
