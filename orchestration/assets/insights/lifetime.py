"""What customers are worth over the next year, as an asset: purchases and values from the sale lines."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from orchestration.artefacts import save_card
from orchestration.assets.insights.tables import MlTables, model_run, training_sample, warn
from orchestration.resources import RawStore, Warehouse
from orchestration.samples import Sample
from orchestration.settings import Settings

if TYPE_CHECKING:
    from ml.lifetime import LifetimeResult
    from ml.lifetime.counts import Counts

Read = Callable[[str, Sequence[Any]], pd.DataFrame]

BOOKED = """
with
    lines as (
        select
            customer_id,
            sold_on,
            returned_on,
            is_order_line,
            gross_revenue,
            returned_revenue,
            is_return,
            unit_cost * abs(coalesce(quantity, 1)) as cost
        from marts.fct_sales
        where customer_id is not null
    ),

    -- a return is booked on its own day, so that no past day knows of it
    booked as (
        select
            customer_id,
            sold_on as booked_on,
            is_order_line as has_order,
            gross_revenue as revenue,
            case when not is_return then gross_revenue - cost end as margin
        from lines
        union all
        select
            customer_id,
            returned_on as booked_on,
            false as has_order,
            -returned_revenue as revenue,
            cost - returned_revenue as margin
        from lines
        where returned_on is not null
    )

select
    customer_id,
    booked_on,
    bool_or(has_order) as has_order,
    -- decimals are added up exactly, in whatever order
    cast(sum(revenue) as double) as revenue,
    cast(sum(margin) as double) as margin,
    cast(coalesce(sum(revenue) filter (where margin is not null), 0) as double) as costed_revenue
from booked
where {sampled}
group by customer_id, booked_on
"""
"""What customers booked a day: sold less given back, and the margin where unit costs are known."""

_ORDERED = "order by customer_id, booked_on"
BOOKINGS = f"{BOOKED.format(sampled='true')}{_ORDERED}"

VALUED = f"""
with
    bookings as ({BOOKED.format(sampled="true")}),

    -- customers with an order by then, and what they booked by then
    known as (
        select *
        from (
            select *, bool_or(has_order) over (partition by customer_id) as is_customer
            from bookings
            where booked_on <= ?
        ) as booked_by_then
        where is_customer
    ),

    rates as (
        select
            case
                when sum(case when margin is not null then costed_revenue end) > 0
                    then sum(margin) / nullif(sum(case when margin is not null then costed_revenue end), 0)
                else 0
            end as rate
        from known
    ),

    bases as (select count(margin) > 0 as has_margin from known),

    valued as (
        select
            known.customer_id,
            known.booked_on,
            known.has_order,
            case
                when bases.has_margin
                    then
                        coalesce(known.margin, 0)
                        + rates.rate
                        * (known.revenue - case when known.margin is not null then known.costed_revenue else 0 end)
                else known.revenue
            end as value
        from known
        cross join rates
        cross join bases
    ),

    ordered as (
        select *, row_number() over (partition by customer_id order by booked_on nulls last) as place
        from valued
        where has_order
    ),

    customers as (
        select
            customer_id,
            count(*) as order_days,
            min(booked_on) as first_on,
            max(booked_on) as last_on,
            count(case when place > 1 and value > 0 then 1 end) as valued,
            sum(case when place > 1 and value > 0 then value end) as total,
            sum(case when place > 1 and value > 0 then ln(value) end) as logs
        from ordered
        group by customer_id
    )
"""
"""Customers as the models of lifetime value see them, on either engine."""

HISTORY_COUNTS = f"""
{VALUED}
select order_days, first_on, last_on, valued, count(*) as customers
from customers
group by order_days, first_on, last_on, valued
order by order_days, first_on, last_on, valued
"""
SPENDING_COUNTS = f"""
{VALUED}
select valued, total, logs, count(*) as customers
from customers
where valued > 0
group by valued, total, logs
order by valued, total, logs
"""
WORTH = f"""
{VALUED}
select
    count(case when has_order then 1 end) as order_days,
    count(case when has_order and value > 0 then 1 end) as worth_days,
    coalesce(sum(case when has_order and value > 0 then value end), 0) as worth,
    coalesce(sum(case when has_order and value > 0 then value * value end), 0) as worth_squares,
    coalesce(sum(value), 0) as booked
from valued
"""
"""Customers counted: those with equal histories, and those with equal spending; and what all orders were worth."""


def build_lifetime_value(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.customer_lifetime_value`: chosen, corrected and graded on past windows, then told for everyone."""

    @dg.asset(**tables.described("customer_lifetime_value", ["marts.fct_sales"], "scipy"))
    def customer_lifetime_value(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from ml.lifetime import estimate_lifetime_value

        as_of, refresh = raw.folder.clock()
        sample = training_sample(settings, warehouse, "marts.fct_sales where customer_id is not null")
        bookings = warehouse.read(BOOKED.format(sampled=sample.condition("customer_id")) + _ORDERED)
        result = estimate_lifetime_value(bookings, as_of, random_state=settings.seed)
        customers, messages = result.customers, result.messages
        if settings.target == "spark":
            customers, refitted = _everyone(settings, tables, result, sample)
            messages = [*messages, *refitted]
        warn(context, messages)
        metrics = {**result.metrics, "trained_share": sample.share}
        run = model_run("customer_lifetime_value", result.model_version, as_of, metrics, messages)
        horizon = metrics.get("horizon_days")
        save_card(
            settings.models,
            "customer_lifetime_value",
            [{**run, "horizon_days": horizon, "test_cutoff": result.test_cutoff}],
        )
        details = tables.store(warehouse, "customer_lifetime_value", customers.assign(as_of=as_of), refresh)
        return dg.MaterializeResult(metadata={**details, **_headline(metrics)})

    return customer_lifetime_value


def counted_histories(read: Read, as_of: date) -> pd.DataFrame:
    """The distinct histories of all customers, counted where their bookings are.

    Args:
        read: Reads the result of a query with its parameters.
        as_of: The day up to which bookings count.
    """

    def days(late: pd.Series, early: pd.Series) -> pd.Series:
        return (pd.to_datetime(late) - pd.to_datetime(early)).dt.days.astype("float64")

    found = read(HISTORY_COUNTS, [as_of])
    return pd.DataFrame(
        {
            "valued": found["valued"].astype("float64"),
            "frequency": found["order_days"].astype("float64") - 1,
            "recency": days(found["last_on"], found["first_on"]),
            "T": days(pd.Series(as_of, index=found.index), found["first_on"]),
            "customers": found["customers"],
        }
    )


def counted(read: Read, as_of: date) -> "Counts":
    """All that purchases and values are fitted to, counted where the bookings are; arguments as above."""
    from ml.lifetime.counts import Counts

    worth = read(WORTH, [as_of]).iloc[0]
    return Counts(
        histories=counted_histories(read, as_of),
        spending=read(SPENDING_COUNTS, [as_of]),
        order_days=int(worth["order_days"]),
        worth_days=int(worth["worth_days"]),
        worth=float(worth["worth"]),
        worth_squares=float(worth["worth_squares"]),
        booked=float(worth["booked"]),
    )


def _everyone(
    settings: Settings, tables: MlTables, result: "LifetimeResult", sample: Sample
) -> tuple[pd.DataFrame, list[str]]:
    """The table of all customers, on Spark; the models are fitted to all of them where a part was read here."""
    from ml.lifetime.counts import refit
    from orchestration.spark.scoring import read, score_on_executors

    scorer, there = result.scorer, partial(read, settings)
    messages: list[str] = []
    if scorer.forecast is not None and not sample.is_all:
        counts = counted(there, scorer.as_of)
        forecast, messages = refit(scorer.forecast, counts)
        scorer = replace(scorer, forecast=forecast).for_parts(counts.histories)
    elif scorer.forecast is not None:
        scorer = scorer.for_parts(counted_histories(there, scorer.as_of))
    everyone = score_on_executors(
        settings,
        scorer,
        BOOKED.format(sampled="true"),
        columns=tables.typed("customer_lifetime_value", "as_of"),
        whole=("customer_id", "booked_on"),
    )
    return everyone, messages


def _headline(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The figures that Dagster draws over time."""
    figures = {name: metrics.get(name) for name in ("customers", "repeaters", "clv_total", "log_likelihood")}
    for name in ("orders", "value"):
        graded = (metrics.get("holdout") or {}).get(name, {})
        for figure in ("bias", "rmse", "correlation", "pit_ks", "group_coverage"):
            figures[f"holdout_{name}_{figure}"] = graded.get(figure)
    return {name: float(value) for name, value in figures.items() if value is not None}
