-- One row a product: what it earns, where it is going, what customers say, what it is bought with and by whom.
with
    products as (
        select * from {{ ref('dim_products') }}
    ),

    performance as (
        select * from {{ ref('product_performance') }}
    ),

    -- the last complete month
    trends as (
        select *
        from {{ ref('product_trends') }}
        qualify row_number() over (partition by product_id order by month desc nulls last) = 1
    ),

    changes as (
        select *
        from {{ ref('stg_ml__trend_changes') }}
        where is_change
        qualify
            row_number() over (
                partition by product_id order by changed_on desc nulls last, change_number asc nulls last
            ) = 1
    ),

    topics as (
        select
            product_id,
            sum(ticket_count) as ticket_count,
            sum(unresolved_count) as unresolved_count,
            sum(negative_count) as negative_count,
            sum(scored_ticket_count) as scored_ticket_count
        from {{ ref('ticket_topics') }}
        where product_id is not null
        group by product_id
    ),

    top_topics as (
        select
            product_id,
            topic,
            ticket_count
        from {{ ref('ticket_topics') }}
        where product_id is not null
        qualify
            row_number() over (
                partition by product_id order by ticket_count desc nulls last, topic asc nulls last
            ) = 1
    ),

    sides as (
        select
            product_id_a as product_id,
            product_id_b as other_id,
            pair_orders - expected_orders as extra_orders
        from {{ ref('stg_ml__product_associations') }}
        where is_associated
        union all
        select
            product_id_b as product_id,
            product_id_a as other_id,
            pair_orders - expected_orders as extra_orders
        from {{ ref('stg_ml__product_associations') }}
        where is_associated
    ),

    partners as (
        select
            sides.*,
            products.name,
            row_number() over (
                partition by sides.product_id order by sides.extra_orders desc nulls last, sides.other_id asc nulls last
            ) as place
        from sides
        inner join products on sides.other_id = products.product_id
    ),

    together as (
        select
            product_id,
            {% for place in [1, 2, 3] %}
                max(case when place = {{ place }} then other_id end) as bought_together_{{ place }},
                max(case when place = {{ place }} then name end) as bought_together_{{ place }}_name
                {% if not loop.last %},{% endif %}
            {% endfor %}
        from partners
        where place <= 3
        group by product_id
    ),

    buyers as (
        select
            product_id,
            customer_id,
            net_revenue,
            row_number() over (
                partition by product_id order by net_revenue desc nulls last, customer_id asc nulls last
            ) as place
        from {{ ref('int_purchases__summed') }}
        where product_id is not null and customer_id is not null and net_revenue > 0
        qualify place <= 3
    ),

    best_buyers as (
        select
            product_id,
            {% for place in [1, 2, 3] %}
                max(case when place = {{ place }} then customer_id end) as top_customer_{{ place }},
                max(case when place = {{ place }} then net_revenue end) as top_customer_{{ place }}_net_revenue
                {% if not loop.last %},{% endif %}
            {% endfor %}
        from buyers
        group by product_id
    )

select
    cast(products.product_id as string) as product_id,
    cast(products.name as string) as name,
    cast(products.category as string) as category,
    {{ money('products.list_price') }} as list_price,
    {{ money('products.unit_cost') }} as unit_cost,
    cast(products.launched_on as date) as launched_on,
    cast(performance.revenue_rank as bigint) as revenue_rank,
    {{ money('performance.gross_revenue') }} as gross_revenue,
    {{ money('performance.returned_revenue') }} as returned_revenue,
    {{ money('performance.net_revenue') }} as net_revenue,
    cast(performance.revenue_share as double) as revenue_share,
    {{ money('performance.gross_margin') }} as gross_margin,
    cast(performance.margin_rate as double) as margin_rate,
    cast(performance.unit_count as decimal(18, 4)) as unit_count,
    cast(performance.order_count as bigint) as order_count,
    cast(performance.customer_count as bigint) as customer_count,
    cast(performance.return_rate as double) as return_rate,
    cast(performance.discount_rate as double) as discount_rate,
    cast(performance.first_sold_on as date) as first_sold_on,
    cast(performance.last_sold_on as date) as last_sold_on,
    cast(trends.direction as string) as trend_direction,
    cast(trends.change_ratio as double) as trend_change_ratio,
    cast(trends.q_value as double) as trend_q_value,
    cast(trends.month as date) as trend_month,
    cast(changes.changed_on as date) as changed_on,
    cast(changes.direction as string) as change_direction,
    cast(changes.change_ratio as double) as change_ratio,
    cast(coalesce(topics.ticket_count, 0) as bigint) as ticket_count,
    cast(coalesce(topics.unresolved_count, 0) as bigint) as open_ticket_count,
    cast({{ ratio('topics.negative_count', 'topics.scored_ticket_count') }} as double) as negative_rate,
    cast(top_topics.topic as string) as top_topic,
    cast(top_topics.ticket_count as bigint) as top_topic_ticket_count,
    {% for place in [1, 2, 3] %}
        cast(together.bought_together_{{ place }} as string) as bought_together_{{ place }},
        cast(together.bought_together_{{ place }}_name as string) as bought_together_{{ place }}_name,
    {% endfor %}
    {% for place in [1, 2, 3] %}
        cast(best_buyers.top_customer_{{ place }} as string) as top_customer_{{ place }},
        {{ money('best_buyers.top_customer_' ~ place ~ '_net_revenue') }} as top_customer_{{ place }}_net_revenue
        {% if not loop.last %},{% endif %}
    {% endfor %}
from products
left join performance on products.product_id = performance.product_id
left join trends on products.product_id = trends.product_id
left join changes on products.product_id = changes.product_id
left join topics on products.product_id = topics.product_id
left join top_topics on products.product_id = top_topics.product_id
left join together on products.product_id = together.product_id
left join best_buyers on products.product_id = best_buyers.product_id
