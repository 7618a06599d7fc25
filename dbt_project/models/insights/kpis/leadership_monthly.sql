-- One row a calendar month that has ended: the figures a leadership meeting asks for, each defined as in overview.
{% set figures = [
    'net_revenue', 'orders', 'buyers', 'new_customers', 'returning_buyer_rate', 'average_order_value', 'gross_margin',
    'gross_margin_rate', 'return_rate', 'active_customers', 'retention_rate', 'tickets', 'negative_ticket_rate',
    'first_response_attainment', 'unresolved_tickets', 'sessions', 'conversion_rate'
] %}
{% set amounts = ['net_revenue', 'average_order_value', 'gross_margin'] %}
{% set counts = [
    'orders', 'buyers', 'new_customers', 'active_customers', 'tickets', 'unresolved_tickets', 'sessions'
] %}
with
    months as (
        select
            {{ month_start('ends_on') }} as month,
            max(case when metric = 'net_revenue' then is_full end) as is_full_month,
            {% for figure in figures %}
                max(case when metric = '{{ figure }}' {{ "and is_full" if figure == 'retention_rate' }} then value end)
                    as {{ figure }}
                {% if not loop.last %},{% endif %}
            {% endfor %}
        from {{ ref('int_kpis__measured') }}
        where period_kind = 'month'
        group by {{ month_start('ends_on') }}
    ),

    compared as (
        select
            months.*,
            case when earlier.is_full_month then earlier.net_revenue end as net_revenue_before,
            case when year_before.is_full_month then year_before.net_revenue end as net_revenue_year_before
        from months
        left join months as earlier on earlier.month = {{ add_months('months.month', -1) }}
        left join months as year_before on year_before.month = {{ add_months('months.month', -12) }}
    )

select
    cast(month as date) as month,
    cast(is_full_month as boolean) as is_full_month,
    {% for figure in figures %}
        {% if figure in amounts %}
            {{ money(rounded(figure, 4)) }} as {{ figure }},
        {% else %}
            cast({{ figure }} as {{ 'bigint' if figure in counts else 'double' }}) as {{ figure }},
        {% endif %}
    {% endfor %}
    cast(
        case when is_full_month then {{ ratio('net_revenue - net_revenue_before', 'net_revenue_before') }} end as double
    ) as net_revenue_change_ratio,
    cast(
        case
            when is_full_month then {{ ratio('net_revenue - net_revenue_year_before', 'net_revenue_year_before') }}
        end as double
    ) as net_revenue_year_change_ratio
from compared
