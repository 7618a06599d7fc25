"""The overview: key figures with their change, alerts, what to do next, revenue with forecast, segments."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any
from urllib.parse import quote

import pandas as pd

from reports.blocks import Column, Item, Listing, Page, Section, Table, Tile, Tone
from reports.figures.actions import action_profits, in_words
from reports.figures.sales import daily_revenue, weekly_revenue
from reports.figures.segments import segment_sizes
from reports.figures.style import amount, compared, count

SEVERITY_TONES: Mapping[str, Tone] = {"critical": "bad", "warning": "warn", "info": "info"}
_HEADLINES = (
    "net_revenue",
    "orders",
    "buyers",
    "new_customers",
    "average_order_value",
    "gross_margin",
    "active_customers",
    "retention_rate",
    "at_risk_customers",
    "value_at_risk",
    "unresolved_tickets",
    "conversion_rate",
)
"""Key figures that are tiles; all of them are in the table below."""
_SHOWN = 8


def overview_page(
    *,
    figures: pd.DataFrame,
    snapshots: pd.DataFrame,
    alerts: pd.DataFrame,
    actions: pd.DataFrame,
    daily_sales: pd.DataFrame,
    forecast: pd.DataFrame,
    unusual: pd.DataFrame,
    customers: pd.DataFrame,
) -> Page:
    """The page.

    Args:
        figures: metric, label, unit, description, value, previous_value, change_ratio, direction_is_good,
            year_before_value, period_start, period_end, previous_period_end; in order of display.
        snapshots: snapshot_on, metric, value; in order of days.
        alerts: severity, kind, title, evidence, subject_type, subject_id, first_seen_on, page; the most severe first.
        actions: As in `action_profits`.
        daily_sales: sales_date, net_revenue; one row a day without gaps.
        forecast: As in `daily_revenue`.
        unusual: As in `daily_revenue`.
        customers: segment, total_spend; one row a customer with an order.
    """
    known = figures[figures["value"].notna()]
    headlines = known[known["metric"].isin(_HEADLINES)]
    return Page(
        name="overview",
        heading="Overview",
        lead=_lead(known, alerts),
        sections=[
            Section("", [[_tile(row, snapshots) for row in headlines.to_dict("records")]], _period(known)),
            Section("Alerts", [_most_severe(alerts)]),
            Section("What to do next", [action_profits(actions)]),
            Section("Revenue", [daily_revenue(daily_sales, forecast, unusual), weekly_revenue(daily_sales)]),
            Section("Customers", [segment_sizes(customers)]),
            Section("In full", [_figures_table(known), *([_alerts_table(alerts)] if len(alerts) > _SHOWN else [])]),
        ],
        source=(
            "From marts.overview, kpi_snapshots, alerts, next_best_actions, daily_sales, customer_360 and "
            "ml.revenue_forecast, sales_anomalies in pulse.duckdb. Money is in the currency of the sales data."
        ),
    )


def _lead(known: pd.DataFrame, alerts: pd.DataFrame) -> str:
    revenue = known[known["metric"] == "net_revenue"]
    parts = []
    if not revenue.empty:
        row = revenue.iloc[0]
        parts.append(f"Net revenue of the last 30 days: {amount(float(row['value']))}")
        if pd.notna(row["change_ratio"]):
            parts[0] += f", {compared(float(row['change_ratio']))} in the 30 before"
    critical = int((alerts["severity"] == "critical").sum())
    parts.append(f"{count(len(alerts), 'alert')}" + (f", {critical:,} of them critical" if critical else ""))
    return ". ".join(parts) + "."


def _period(known: pd.DataFrame) -> str:
    if known.empty:
        return ""
    row = known.iloc[0]
    return (
        f"{_day(row['period_start'])} to {_day(row['period_end'])}, against the 30 days before unless said otherwise. "
        "Lines: the same at the month ends before."
    )


def _day(value: Any) -> str:
    return f"{pd.Timestamp(value):%-d %B %Y}"


def _tile(row: Mapping[Hashable, Any], snapshots: pd.DataFrame) -> Tile:
    value, previous, unit = row["value"], row["previous_value"], str(row["unit"])
    is_share = unit == "share"
    ratio = row["change_ratio"]
    change: float | None = None if pd.isna(ratio) else float(ratio)
    if is_share and change is not None:
        change = float(value) - float(previous)
    good = row["direction_is_good"]
    past = snapshots[(snapshots["metric"] == row["metric"]) & snapshots["value"].notna()]
    of_a_month_end = change is not None and row["period_start"] == row["period_end"]
    return Tile(
        name=str(row["label"]),
        value=_formatted(float(value), unit),
        change=change,
        is_good=None if pd.isna(good) else bool(good),
        is_points=is_share,
        note=f"against {_day(row['previous_period_end'])}" if of_a_month_end else "",
        history=[float(each) for each in past["value"]],
    )


def _formatted(value: float, unit: str) -> str:
    if unit == "share":
        return f"{value:.1%}"
    if unit == "currency":
        return f"{value:,.2f}" if abs(value) < 1_000 else amount(value)
    return f"{value:,.0f}"


def _most_severe(alerts: pd.DataFrame) -> Listing:
    items = [
        Item(
            label=str(alert.severity),
            tone=SEVERITY_TONES.get(str(alert.severity), "plain"),
            title=str(alert.title),
            text=str(alert.evidence),
            when=f"since {alert.first_seen_on:%Y-%m-%d}" if pd.notna(alert.first_seen_on) else "",
            link=_link(alert),
        )
        for alert in alerts.head(_SHOWN).itertuples(index=False)
    ]
    if not items:
        return Listing("No alerts", [], "No unusual days, jumps of risk, missed targets or doubtful data were found.")
    if len(alerts) <= _SHOWN:
        return Listing(count(len(alerts), "alert"), items, "The most severe first.")
    return Listing(
        f"The {_SHOWN} most severe of {len(alerts):,} alerts", items, "All of them stand in a table at the page's end."
    )


def _link(alert: Any) -> str:
    """The page about an alert; of a customer or product that the page has a table of, their row in it."""
    subject = {"customers.html": "customer", "products.html": "product"}.get(alert.page)
    if subject is None or alert.subject_type != subject or pd.isna(alert.subject_id):
        return str(alert.page)
    return f"{alert.page}#find={quote(str(alert.subject_id), safe='')}"


def _alerts_table(alerts: pd.DataFrame) -> Table:
    return Table(
        name="alerts",
        title=count(len(alerts), "alert"),
        note="The most severe first; open one for what it stands on."
        if len(alerts)
        else "Nothing was found to report.",
        columns=[
            Column("title", "Finding", is_searched=True, width=64),
            Column("severity", "Severity", "category", tones=SEVERITY_TONES, is_filter=True, width=11),
            Column("kind", "Kind", "category", is_filter=True, width=22),
            Column("first_seen_on", "Since", "date", width=12),
            Column("evidence", "Evidence", is_searched=True, is_detail=True),
        ],
        rows=alerts.assign(kind=[in_words(str(kind)) for kind in alerts["kind"]]),
        noun="alerts",
    )


def _figures_table(known: pd.DataFrame) -> Table:
    def column(name: str) -> list[str]:
        return [
            "" if pd.isna(value) else _formatted(float(value), str(unit))
            for value, unit in zip(known[name], known["unit"], strict=True)
        ]

    rows = known.assign(value=column("value"), before=column("previous_value"), year_before=column("year_before_value"))
    return Table(
        name="figures",
        title=count(len(known), "key figure"),
        note=(
            "Of the last 30 days, the 30 before, and the same 30 a year before; open one for how it is computed."
            if len(known)
            else "They come with the first sale."
        ),
        columns=[
            Column("label", "Figure", is_searched=True, width=22),
            Column("value", "Now", width=14),
            Column("before", "Before", width=14),
            Column("year_before", "A year before", width=14),
            Column("unit", "Unit", "category", width=12),
            Column("period_start", "From", "date", width=12),
            Column("period_end", "To", "date", width=12),
            Column("description", "How it is computed", is_detail=True),
        ],
        rows=rows,
        noun="figures",
    )
