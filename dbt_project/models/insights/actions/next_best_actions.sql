-- One row a customer: what to do next, why, what it is expected to earn, and whom to contact within the budget. What
-- to speak of follows from the first fitting rule; with which offer, and whether at all, from the expected profit:
-- measured by campaigns with a control group (basis uplift), else assumed by the rules (basis rules).
{% set at_least = [
    ('min_open_negative_tickets', 'open_negative_ticket_count'),
    ('min_intent_score', 'intent_score'),
    ('min_orders', 'order_count'),
    ('min_days_since_last_order', 'days_since_last_order'),
] %}
{% set at_most = [('max_orders', 'order_count'), ('max_days_since_last_order', 'days_since_last_order')] %}
with
    rules as (
        select * from {{ ref('action_rules') }}
    ),

    effects as (
        select * from {{ ref('offer_effects') }}
    ),

    situations as (
        select
            *,
            uplift_probability is not null as is_measured
        from {{ ref('customer_situation') }}
    ),

    -- the first rule that fits; found by its number alone, so that nothing wide is sorted
    fitting as (
        select
            situations.customer_id,
            min(rules.rule) as first_rule
        from situations
        cross join rules
        -- a condition on what is not known does not hold
        where
            (rules.at_risk_only is null or situations.is_at_risk)
            and (rules.high_value_only is null or situations.is_high_value)
            and (rules.with_suggestion_only is null or situations.suggested_product_id is not null)
            {% for bound, column in at_least %}
                and (rules.{{ bound }} is null or coalesce(situations.{{ column }} >= rules.{{ bound }}, false))
            {% endfor %}
            {% for bound, column in at_most %}
                and (rules.{{ bound }} is null or coalesce(situations.{{ column }} <= rules.{{ bound }}, false))
            {% endfor %}
            and (
                rules.max_churn_probability is null
                or coalesce(situations.churn_probability < rules.max_churn_probability, false)
            )
        group by situations.customer_id
    ),

    ruled as (
        select
            situations.*,
            rules.rule,
            rules.action,
            rules.kind,
            rules.channel,
            rules.offer_type as rule_offer_type,
            rules.discount_rate as rule_discount_rate,
            rules.assumed_extra_orders,
            rules.contact_cost,
            rules.within_days,
            rules.cooldown_days,
            rules.opening,
            rules.reason
        from situations
        inner join fitting on situations.customer_id = fitting.customer_id
        inner join rules on fitting.first_rule = rules.rule
    ),

    -- measured: whatever campaigns have tried; assumed: what the rule offers, or a plain message where that
    -- does not pay
    options as (
        select
            ruled.customer_id,
            effects.offer_type,
            effects.discount_rate,
            effects.cost_rate,
            effects.wording,
            not ruled.is_measured and effects.offer_type = ruled.rule_offer_type as is_ruled,
            {{ rounded(
                'case when ruled.is_measured then ruled.uplift_probability * effects.effect_ratio'
                ~ ' else ruled.assumed_extra_orders end',
                6
            ) }} as extra_orders,
            case when ruled.is_measured then ruled.uplift_low * effects.effect_ratio end as extra_orders_low,
            case when ruled.is_measured then ruled.uplift_high * effects.effect_ratio end as extra_orders_high,
            ruled.order_worth,
            coalesce(case when ruled.is_measured then effects.message_cost end, ruled.contact_cost) as contact_cost,
            effects.cost_rate * ruled.order_revenue as offer_cost_per_order,
            ruled.expected_orders_in_window
        from ruled
        inner join effects
            on
                (ruled.is_measured and effects.is_available)
                or (
                    not ruled.is_measured
                    and (
                        effects.offer_type = 'none'
                        or (
                            ruled.rule_offer_type = effects.offer_type
                            and coalesce(ruled.rule_discount_rate, 0) = coalesce(effects.discount_rate, 0)
                        )
                    )
                )
        where
            ruled.kind = 'marketing'
            -- never a discount for who would buy anyway
            and not (effects.offer_type = 'discount' and ruled.would_order_anyway)
    ),

    valued as (
        select
            *,
            {{ money(rounded('extra_orders * order_worth', 4)) }} as expected_incremental_value,
            -- the offer is also taken by orders that would have come anyway
            {{ money(rounded(
                'offer_cost_per_order * (expected_orders_in_window + greatest(extra_orders, 0))', 4
            )) }} as offer_cost,
            {% for end in ['low', 'high'] %}
                extra_orders_{{ end }} * order_worth - contact_cost - offer_cost_per_order
                * (expected_orders_in_window + greatest(extra_orders_{{ end }}, 0)) as profit_{{ end }},
            {% endfor %}
            {{ money('contact_cost') }} as message_cost
        from options
    ),

    best as (
        select
            *,
            message_cost + offer_cost as cost,
            expected_incremental_value - message_cost - offer_cost as expected_incremental_profit
        from valued
        qualify row_number() over (
            partition by customer_id
            order by
                is_ruled and expected_incremental_value > message_cost + offer_cost desc nulls last,
                expected_incremental_value - message_cost - offer_cost desc nulls last,
                offer_type asc nulls last,
                discount_rate asc nulls first
        ) = 1
    ),

    decided as (
        select
            ruled.*,
            best.offer_type as best_offer_type,
            best.discount_rate as best_discount_rate,
            best.wording,
            best.extra_orders,
            best.expected_incremental_value,
            best.message_cost,
            best.offer_cost,
            coalesce(best.cost, {{ money('ruled.contact_cost') }}) as cost,
            best.expected_incremental_profit,
            best.profit_low,
            best.profit_high,
            ruled.kind = 'service' or coalesce(best.expected_incremental_profit > 0, false) as is_worthwhile,
            case
                when ruled.kind = 'marketing' and ruled.is_measured then 'uplift'
                else 'rules'
            end as basis,
            coalesce(
                ruled.last_contacted_on > {{ add_days(as_of(), '-ruled.cooldown_days') }}, false
            ) as is_resting,
            least(
                {{ add_days(as_of(), 'ruled.within_days') }},
                case when ruled.next_order_on > {{ as_of() }} then ruled.next_order_on end
            ) as deadline_on
        from ruled
        left join best on ruled.customer_id = best.customer_id
    ),

    wanted as (
        select
            *,
            is_worthwhile and kind = 'marketing' and is_contactable and not is_control and not is_resting as is_wanted
        from decided
    ),

    -- a window over everybody holds its rows in memory: no more of them than it needs
    ranked as (
        select
            customer_id,
            sum(case when is_wanted then cost else 0 end) over (
                order by expected_incremental_profit desc nulls last, customer_id asc nulls last
                rows between unbounded preceding and current row
            ) as cost_so_far,
            row_number() over (
                order by
                    case when not is_worthwhile then 2 when kind = 'service' then 0 else 1 end asc nulls last,
                    expected_incremental_profit desc nulls last,
                    clv_365d desc nulls last,
                    customer_id asc nulls last
            ) as turn
        from wanted
    ),

    placed as (
        select
            wanted.*,
            ranked.cost_so_far,
            ranked.turn
        from wanted
        inner join ranked on wanted.customer_id = ranked.customer_id
    ),

    planned as (
        select
            *,
            {{ add_days('deadline_on', var('offer_valid_days')) }} as valid_until,
            case
                when kind <> 'marketing' then reason
                else
                    case when is_worthwhile then reason else 'No message pays for itself.' end
                    || case
                        when basis = 'uplift' then ' A message is expected to bring'
                        else ' Assumed, not measured: a message brings'
                    end
                    || ' {extra_orders} orders worth {value}, for {cost}.'
            end as sentences
        from placed
    )

select
    cast(customer_id as string) as customer_id,
    cast(case when is_worthwhile then action else 'no_action' end as string) as action,
    cast(case when is_worthwhile then channel end as string) as channel,
    cast(case when is_worthwhile and kind = 'marketing' then best_offer_type end as string) as offer_type,
    cast(case when is_worthwhile and kind = 'marketing' then best_discount_rate end as double) as discount_rate,
    cast(
        {{ filled_in('sentences', [
            ('open_negative_ticket_count', in_words('open_negative_ticket_count', 0)),
            ('intent_score', in_words('intent_score', 0)),
            ('churn_percent', in_words('100 * churn_probability', 1)),
            ('churn_horizon_days', in_words('churn_horizon_days', 0)),
            ('days_since_last_order', in_words('days_since_last_order', 0)),
            ('order_count', in_words('order_count', 0)),
            ('extra_orders', in_words('extra_orders', 3)),
            ('value', in_words('expected_incremental_value', 2)),
            ('cost', in_words('cost', 2)),
            ('suggested_product_name', 'suggested_product_name'),
        ]) }} as string
    ) as reason,
    cast(basis as string) as basis,
    cast(extra_orders as double) as expected_extra_orders,
    {{ money('expected_incremental_value') }} as expected_incremental_value,
    {{ money('message_cost') }} as contact_cost,
    {{ money('offer_cost') }} as offer_cost,
    {{ money('cost') }} as cost,
    {{ money('expected_incremental_profit') }} as expected_incremental_profit,
    {{ money(rounded('profit_low', 4)) }} as expected_incremental_profit_low,
    {{ money(rounded('profit_high', 4)) }} as expected_incremental_profit_high,
    cast(profit_basis as string) as profit_basis,
    cast(case when is_worthwhile then deadline_on end as date) as deadline_on,
    cast(case when is_worthwhile then turn end as bigint) as priority,
    cast(is_contactable as boolean) as is_contactable,
    cast(is_control as boolean) as is_control,
    cast(last_contacted_on as date) as last_contacted_on,
    cast(
        is_wanted
        {% if var('action_budget') is not none %} and cost_so_far <= {{ var('action_budget') }}{% endif %}
        as boolean
    ) as is_selected,
    cast(order_count as bigint) as order_count,
    cast(days_since_last_order as bigint) as days_since_last_order,
    cast(churn_probability as double) as churn_probability,
    cast(churn_horizon_days as bigint) as churn_horizon_days,
    cast(is_at_risk as boolean) as is_at_risk,
    cast(expected_orders_in_window as double) as expected_orders_in_window,
    cast(would_order_anyway as boolean) as would_order_anyway,
    cast(intent_score as double) as intent_score,
    cast(open_negative_ticket_count as bigint) as open_negative_ticket_count,
    cast(suggested_product_id as string) as suggested_product_id,
    cast(suggested_product_name as string) as suggested_product_name,
    cast(
        case
            when is_worthwhile and kind = 'marketing'
                then {{ filled_in("opening || ' ' || wording", [
                    ('discount_percent', in_words('100 * best_discount_rate', 0)),
                    ('valid_until', 'cast(valid_until as string)'),
                    ('suggested_product_name', 'suggested_product_name'),
                ]) }}
        end as string
    ) as message,
    cast(case when is_worthwhile and kind = 'marketing' then valid_until end as date) as valid_until,
    cast(case when basis = 'uplift' then uplift_version end as string) as model_version,
    cast(scores_as_of as date) as scores_as_of
from planned
