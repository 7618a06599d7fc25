-- What each customer's last 90 days say against the 90 before, and which risk signals of the industry they fire.
{% set now, before = "occurred_on > " ~ add_days(as_of(), -90), "occurred_on <= " ~ add_days(as_of(), -90) %}
{% set signals = [
    'cart_abandonment', 'purchase_frequency', 'discount_dependency', 'return_rate', 'browse_to_buy',
    'data_use', 'communication', 'plan_use', 'billing_complaints', 'payment_delay',
    'login_frequency', 'transaction_volume', 'feature_adoption', 'product_use', 'support_contact'
] %}
with
    customers as (
        select
            customer_id,
            {{ lowered('industry') }} as industry
        from {{ ref('dim_customers') }}
    ),

    -- where a business has no sales, usage that brought money is its sales, and would count twice
    delivered as (
        select count(*) > 0 as has_sales
        from {{ ref('stg_shop__sales') }}
    ),

    usage as (
        select
            customer_id,
            max(case when activity_type in ('data_usage', 'call', 'message', 'sms') then 1 else 0 end) as is_telecom,
            max(case when activity_type in ('login', 'transaction', 'feature_use') then 1 else 0 end) as is_banking,
            count(*) filter (where {{ now }}) as count_90d,
            count(*) filter (where {{ before }}) as count_before_90d,
            sum(quantity) filter (where {{ now }} and activity_type = 'data_usage') as data_90d,
            sum(quantity) filter (where {{ before }} and activity_type = 'data_usage') as data_before_90d,
            sum(quantity) filter (where {{ now }} and activity_type in ('call', 'message', 'sms')) as talk_90d,
            sum(quantity) filter (where {{ before }} and activity_type in ('call', 'message', 'sms'))
                as talk_before_90d,
            count(distinct cast(floor(days_ago / 7) as bigint)) filter (
                where days_ago < 84 and activity_type in ('data_usage', 'call', 'message', 'sms')
            ) as weeks_in_use,
            count(*) filter (where {{ now }} and activity_type = 'billing_complaint') as billing_complaints_90d,
            sum(quantity) filter (where {{ now }} and activity_type = 'payment_delay') as payment_delay_days_90d,
            sum(quantity) filter (where {{ now }} and activity_type = 'login') as logins_90d,
            sum(quantity) filter (where {{ before }} and activity_type = 'login') as logins_before_90d,
            sum(quantity) filter (where {{ now }} and activity_type = 'transaction') as transactions_90d,
            sum(quantity) filter (where {{ before }} and activity_type = 'transaction') as transactions_before_90d,
            coalesce(sum(quantity) filter (where {{ now }} and activity_type = 'feature_use'), 0) as features_90d,
            count(distinct activity_type) filter (where {{ now }} and activity_type <> 'support_contact') as kinds_90d,
            count(*) filter (where {{ now }} and activity_type = 'support_contact') as support_contacts_90d
        from (
            select
                *,
                {{ days_between('occurred_on', as_of()) }} as days_ago
            from {{ ref('stg_usage__activities') }}
            where occurred_on > {{ add_days(as_of(), -180) }}
        ) as recent
        group by customer_id
    ),

    -- an order with lines of several days may lie in both halves
    order_lines as (
        select
            customer_id,
            order_id,
            max(case when {{ now }} and is_order_line then 1 else 0 end) as is_now,
            max(
                case
                    when {{ before }} and is_order_line and occurred_on > {{ add_days(as_of(), -180) }} then 1 else 0
                end
            ) as is_before,
            count(*) filter (where is_order_line) as line_count,
            count(*) filter (where is_order_line and discount_rate > 0) as discounted_line_count,
            count(*) filter (where returned_on is not null) as returned_line_count,
            -- a return that is a line of its own is one more line, or the share could exceed 1
            count(*) filter (where is_order_line or is_return) as line_and_return_count
        from (
            select
                *,
                sold_on as occurred_on
            from {{ ref('fct_sales') }}
            where customer_id is not null and sold_on > {{ add_days(as_of(), -365) }}
        ) as recent
        group by customer_id, order_id
    ),

    orders as (
        select
            customer_id,
            sum(is_now) as orders_90d,
            sum(is_before) as orders_before_90d,
            sum(line_count) as line_count,
            sum(discounted_line_count) as discounted_line_count,
            sum(returned_line_count) as returned_line_count,
            sum(line_and_return_count) as line_and_return_count
        from order_lines
        group by customer_id
    ),

    visits as (
        select
            customer_id,
            count(*) filter (where {{ now }}) as sessions_90d,
            count(*) filter (where {{ before }}) as sessions_before_90d,
            count(*) filter (where {{ now }} and is_converted) as converted_90d,
            count(*) filter (where {{ now }} and has_cart) as carts_90d,
            count(*) filter (where {{ now }} and is_abandoned) as abandoned_90d
        from (
            select
                *,
                started_on as occurred_on
            from {{ ref('fct_sessions') }}
            where customer_id is not null and started_on > {{ add_days(as_of(), -180) }}
        ) as recent
        group by customer_id
    ),

    measured as (
        select
            customers.customer_id,
            case
                when customers.industry in ('ecommerce', 'telecom', 'banking') then customers.industry
                when usage.is_telecom = 1 then 'telecom'
                when usage.is_banking = 1 then 'banking'
                else 'ecommerce'
            end as industry,
            case when delivered.has_sales then coalesce(orders.orders_90d, 0) else 0 end
            + coalesce(visits.sessions_90d, 0) + coalesce(usage.count_90d, 0) as activity_count_90d,
            case when delivered.has_sales then coalesce(orders.orders_before_90d, 0) else 0 end
            + coalesce(visits.sessions_before_90d, 0) + coalesce(usage.count_before_90d, 0)
                as activity_count_before_90d,
            {{ ratio('visits.abandoned_90d', 'visits.carts_90d') }} as cart_abandonment,
            {{ ratio('orders.orders_90d - orders.orders_before_90d', 'orders.orders_before_90d') }}
                as purchase_frequency,
            {{ ratio('orders.discounted_line_count', 'orders.line_count') }} as discount_dependency,
            {{ ratio('orders.returned_line_count', 'orders.line_and_return_count') }} as return_rate,
            {{ ratio('visits.converted_90d', 'visits.sessions_90d') }} as browse_to_buy,
            {{ ratio('coalesce(usage.data_90d, 0) - usage.data_before_90d', 'usage.data_before_90d') }} as data_use,
            {{ ratio('coalesce(usage.talk_90d, 0) - usage.talk_before_90d', 'usage.talk_before_90d') }}
                as communication,
            {{ ratio('usage.weeks_in_use', '12') }} as plan_use,
            cast(usage.billing_complaints_90d as double) as billing_complaints,
            cast(coalesce(usage.payment_delay_days_90d, 0) as double) as payment_delay,
            {{ ratio('coalesce(usage.logins_90d, 0) - usage.logins_before_90d', 'usage.logins_before_90d') }}
                as login_frequency,
            {{ ratio(
                'coalesce(usage.transactions_90d, 0) - usage.transactions_before_90d', 'usage.transactions_before_90d'
            ) }} as transaction_volume,
            cast(usage.features_90d as double) as feature_adoption,
            cast(usage.kinds_90d as double) as product_use,
            cast(usage.support_contacts_90d as double) as support_contact
        from customers
        cross join delivered
        left join usage on customers.customer_id = usage.customer_id
        left join orders on customers.customer_id = orders.customer_id
        left join visits on customers.customer_id = visits.customer_id
    ),

    -- A row a customer and rule; one branch a signal would read everything once a signal. Who did nothing for half a
    -- year shows no behaviour to judge, whatever was bought before that
    readings as (
        select
            measured.customer_id,
            rules.*,
            case rules.signal
                {% for signal in signals %}
                    when '{{ signal }}' then measured.{{ signal }}
                {% endfor %}
            end as reading
        from measured
        inner join {{ ref('risk_signals') }} as rules on measured.industry = rules.industry
        where measured.activity_count_90d + measured.activity_count_before_90d > 0
    ),

    fired as (
        select
            customer_id,
            signal,
            points,
            recommendation,
            {% set told = {} %}
            {% for value in ['reading', 'threshold'] %}
                {% do told.update({value: "case counted_in when 'share' then " ~ in_short('100 * ' ~ value, 1)
                    ~ " || '%' else " ~ in_short(value, 1) ~ " end"}) %}
            {% endfor %}
            label || ' ' || {{ told.reading }} || ' (' || fires_when || ' ' || {{ told.threshold }} || ')' as sentence,
            row_number() over (
                partition by customer_id order by points desc nulls last, signal asc nulls last
            ) as weight_rank
        from readings
        where
            (fires_when = 'at least' and reading >= threshold)
            or (fires_when = 'at most' and reading <= threshold)
    ),

    judged as (
        select
            customer_id,
            sum(points) as point_count,
            count(*) as signal_count,
            concat_ws(
                '; ',
                {% for signal in signals %}
                    max(case when signal = '{{ signal }}' then sentence end)
                    {% if not loop.last %},{% endif %}
                {% endfor %}
            ) as risk_signals,
            max(case when weight_rank = 1 then recommendation end) as recommendation
        from fired
        group by customer_id
    ),

    trended as (
        select
            *,
            {{ ratio('activity_count_90d', 'activity_count_before_90d') }} as activity_ratio
        from measured
    )

select
    cast(trended.customer_id as string) as customer_id,
    cast(trended.industry as string) as industry,
    cast(
        case
            when judged.customer_id is not null then greatest(100 - judged.point_count, 0)
            when trended.activity_count_90d + trended.activity_count_before_90d > 0 then 100
        end as bigint
    ) as behaviour_score,
    cast(trended.activity_count_90d as bigint) as activity_count_90d,
    cast(trended.activity_count_before_90d as bigint) as activity_count_before_90d,
    cast(
        case
            when trended.activity_ratio >= 1.25 then 'increasing'
            when trended.activity_ratio <= 0.75 then 'declining'
            -- from nothing to something
            when trended.activity_ratio is null and trended.activity_count_90d > 0 then 'increasing'
            else 'stable'
        end as string
    ) as activity_trend,
    cast(coalesce(judged.signal_count, 0) as bigint) as risk_signal_count,
    cast(judged.risk_signals as string) as risk_signals,
    cast(judged.recommendation as string) as recommendation,
    {% for signal in signals %}
        cast(trended.{{ signal }} as double) as {{ signal }}
        {% if not loop.last %},{% endif %}
    {% endfor %}
from trended
left join judged on trended.customer_id = judged.customer_id
