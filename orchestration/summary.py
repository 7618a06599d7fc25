"""What a manager reads after a refresh: a few figures from the published file, and where to look next."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from orchestration.published import open_published
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.terminal import shown

_FEWEST_DAYS = 28
"""Of fewer days nobody would call one unusual."""


def print_summary(console: Console, settings: Settings) -> None:
    """Print the summary of the last published refresh.

    Args:
        console: Where to.
        settings: The home.
    """
    with open_published(settings.published) as connection:

        def one(query: str) -> tuple:
            return connection.execute(query).fetchone() or ()

        refresh, as_of, source, rows = one(
            "select refresh, as_of, source, rows from meta.refreshes where status = 'published' order by 1 desc limit 1"
        )
        customers, buyers = one("select count(*), count(purchase_count) from marts.customer_360")
        sales, orders, revenue, guests = one(
            """
            select
                count(*),
                count(distinct order_id) filter (where is_order_line),
                coalesce(sum(net_revenue), 0),
                coalesce(sum(net_revenue) filter (where customer_id is null), 0)
            from marts.fct_sales
            """
        )
        first_day, last_day = one("select min(sold_on), max(sold_on) from marts.fct_sales")
        segments = connection.execute(
            """
            select segment, count(*), sum(total_spend), any_value(recommended_action)
            from marts.customer_360 where segment is not null group by 1 order by 3 desc
            """
        ).fetchall()
        risky, risky_spend = one(
            "select count(*), coalesce(sum(total_spend), 0) from marts.customer_360 where is_at_risk"
        )
        horizon, without_probability = one(
            """
            select
                any_value(churn_horizon_days) filter (where churn_probability is not null),
                count(*) filter (where churn_probability is null)
            from marts.customer_360
            where purchase_count is not null
            """
        )
        tested, unusual = one("select count(q_value), count(*) filter (where is_anomaly) from ml.ticket_anomalies")
        trends = connection.execute(
            """
            select direction, count(*) from marts.product_trends
            where is_significant and month = (select max(month) from marts.product_trends) group by 1 order by 1
            """
        ).fetchall()
        trend_month = one("select max(month) from marts.product_trends")[0]
        told = _insights(connection)

    outcomes = json.loads(rows or "[]")
    currency = next((f" {outcome['currency']}" for outcome in outcomes if outcome.get("currency")), "")
    console.print()
    console.rule(f"[bold]Customer Pulse[/], as of {as_of:%-d %B %Y}")
    console.print(shown(f"Source: {source}. Refresh {refresh}."))
    console.print(
        f"{_count(customers, 'customer')}, {buyers:,} with an order. {_count(sales, 'sale line')} in "
        f"{_count(orders, 'order')}, {_days(first_day, last_day)}. Net revenue [bold]{revenue:,.2f}[/]{currency}"
        + (f", {guests:,.2f} of it from guests." if guests else "."),
        highlight=False,
    )
    table = Table(box=None, pad_edge=False)
    table.add_column("Segment")
    for column in ("customers", "net revenue", "share"):
        table.add_column(column, justify="right")
    total = sum(spend for _, _, spend, _ in segments) or 1
    for segment, count, spend, _ in segments:
        table.add_row(shown(segment), f"{count:,}", f"{spend:,.2f}", f"{float(spend / total):.0%}")
    console.print(table)
    if horizon is None:
        console.print(
            f"At risk of leaving: not told for {_count(without_probability, 'customer')}, too few have left or "
            "stayed to train a model; they have a tier by recency.",
            highlight=False,
        )
    else:
        console.print(
            f"At risk of leaving, by the churn model: [bold]{risky:,}[/] customers who ordered within a year and will "
            f"probably not in the next {horizon} days; they have spent {risky_spend:,.2f}.",
            highlight=False,
        )
    if tested:
        console.print(
            f"Unusual sentiment: {unusual:,} of {tested:,} customers with at least 5 tickets have more negative ones "
            "than chance explains.",
            highlight=False,
        )
    if trend_month is not None:
        found = dict(trends)
        console.print(
            f"Product trends in {trend_month:%B %Y}: {found.get('up', 0)} up, {found.get('down', 0)} down.",
            highlight=False,
        )
    for line in told:
        console.print(line, highlight=False)
    _print_rows(console, outcomes, settings)
    console.print("\nNext:", highlight=False)
    home = "" if settings.home == PROJECT_ROOT / "data" else f" --home {shlex.quote(_short(settings.home))}"
    for what, where in (
        ("query", f"{_short(settings.published)} with any DuckDB client, or"),
        ("", f'.venv/bin/pulse query{home} "from marts.customer_360"'),
        ("look at", _short(settings.reports / "index.html")),
        ("what is unusual", f".venv/bin/pulse alerts{home}"),
        ("lineage and checks", f".venv/bin/pulse ui{home}"),
    ):
        console.print(f"  {what:<19} {where}", highlight=False, soft_wrap=True)


def _insights(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What the models say of days, products and money, a sentence each; none where they had too little."""

    def one(query: str) -> tuple:
        return connection.execute(query).fetchone() or ()

    told = []
    days, up, down = one(
        """
        select
            count(*) filter (where q_value is not null),
            count(distinct stretch_starts_on) filter (where is_anomaly and direction = 'up'),
            count(distinct stretch_starts_on) filter (where is_anomaly and direction = 'down')
        from ml.sales_anomalies
        where kind = 'business'
        """
    )
    if days >= _FEWEST_DAYS:
        told.append(
            f"Unusual stretches in the last {days:,} days: {up} with far more orders than expected, {down} with fewer."
        )
    changes = dict(
        connection.execute("select direction, count(*) from ml.trend_changes where is_change group by 1").fetchall()
    )
    if one("select count(*) from ml.trend_changes")[0]:
        told.append(f"Lasting changes of products' demand: {changes.get('up', 0)} up, {changes.get('down', 0)} down.")
    tested, pairs = one("select count(q_value), count(*) filter (where is_associated) from ml.product_associations")
    if tested:
        told.append(f"Products sold together more often than taste and demand explain: {pairs:,} pairs.")
    value, basis = one("select sum(clv_365d), any_value(clv_basis) from ml.customer_lifetime_value")
    if value:
        told.append(
            f"Today's customers are worth {value:,.0f} of {basis} in the next 365 days, by their lifetime value."
        )
    forecast, count = one("select sum(forecast), count(*) from ml.revenue_forecast")
    if count:
        told.append(f"Net revenue to be expected in the next {count} days: {forecast:,.0f}.")
    chosen, profit = one(
        "select count(*), sum(expected_incremental_profit) from marts.next_best_actions where is_selected"
    )
    if chosen:
        told.append(
            f"To be contacted now: {_count(chosen, 'customer')}, expected to bring {profit:,.0f} beyond its cost."
        )
    return told


def _print_rows(console: Console, outcomes: list[dict], settings: Settings) -> None:
    totals = {
        word: sum(outcome[word] for outcome in outcomes)
        for word in ("rows", "inserted", "restated", "duplicate", "quarantined")
    }
    console.print(
        f"Rows received: {totals['rows']:,} = {totals['inserted']:,} new + {totals['restated']:,} restated + "
        f"{totals['duplicate']:,} known already + {totals['quarantined']:,} in quarantine.",
        highlight=False,
    )
    for outcome in outcomes:
        if outcome["set_aside"]:
            console.print(shown(f"  {outcome['name']} is set aside: {outcome['set_aside']}"))
        elif outcome["quarantined"]:
            place = _short(settings.quarantine)
            console.print(shown(f"  {outcome['name']}: {outcome['quarantined']:,} rows in {place}"))
        if outcome["left_out"]:
            console.print(shown(f"  {outcome['name']}: {outcome['left_out']:,} more rows left out by a filter"))


def _count(number: int, word: str) -> str:
    return f"[bold]{number:,}[/] {word}{'' if number == 1 else 's'}"


def _days(first: object, last: object) -> str:
    return f"{first} to {last}" if first is not None else "no day"


def _short(path: Path) -> str:
    """A path as one would type it from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
