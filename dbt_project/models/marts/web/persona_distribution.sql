-- How many customers and visits each persona has, and what they bring in.
{{ config(tags=['insights']) }}

with
    personas as (
        select * from {{ ref('personas') }}
    ),

    customers as (
        select
            personas.persona,
            count(*) as customer_count,
            sum(metrics.total_spend) as net_revenue,
            {{ average('cast(lifetime.clv_365d as decimal(18, 4))') }} as average_lifetime_value
        from {{ ref('stg_ml__customer_personas') }} as personas
        left join {{ ref('customer_metrics') }} as metrics on personas.customer_id = metrics.customer_id
        left join {{ ref('stg_ml__customer_lifetime_value') }} as lifetime
            on personas.customer_id = lifetime.customer_id
        group by personas.persona
    ),

    visits as (
        select
            predictions.persona,
            count(*) as session_count,
            count(*) filter (where sessions.is_converted) as converted_session_count
        from {{ ref('stg_ml__session_purchase_predictions') }} as predictions
        left join {{ ref('fct_sessions') }} as sessions on predictions.session_id = sessions.session_id
        group by predictions.persona
    )

select
    cast(personas.persona as string) as persona,
    cast(personas.display_order as bigint) as display_order,
    cast(personas.description as string) as description,
    cast(personas.colour as string) as colour,
    cast(coalesce(customers.customer_count, 0) as bigint) as customer_count,
    cast(
        {{ ratio('coalesce(customers.customer_count, 0)', 'sum(customers.customer_count) over ()') }} as double
    ) as customer_share,
    cast(coalesce(visits.session_count, 0) as bigint) as session_count,
    cast(coalesce(visits.converted_session_count, 0) as bigint) as converted_session_count,
    cast({{ ratio('visits.converted_session_count', 'visits.session_count') }} as double) as conversion_rate,
    {{ money('coalesce(customers.net_revenue, 0)') }} as net_revenue,
    cast({{ rounded('customers.average_lifetime_value', 4) }} as double) as average_lifetime_value
from personas
left join customers on personas.persona = customers.persona
left join visits on personas.persona = visits.persona
