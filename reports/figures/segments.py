"""Figures of the segments by recency, frequency and spend: their sizes, their history, and who moves between them."""

from __future__ import annotations

from typing import Any

import pandas as pd

from reports.blocks import Chart, Option
from reports.figures.style import AXIS, BLUE, GREY, ORANGE, TIME_AXIS, blank, compared, count

NEWCOMERS = "No order yet"
"""As segment_migration calls where new customers come from."""


def segment_sizes(customers: pd.DataFrame) -> Chart:
    """Share of customers and of revenue by segment.

    Args:
        customers: segment, total_spend; one row a customer with an order.
    """
    if customers.empty:
        return Chart(
            "Segments: no customer has ordered yet", "Everyone with an order is counted; the first order changes this."
        )
    sizes = customers.groupby("segment").agg(customers=("segment", "size"), spend=("total_spend", "sum"))
    sizes = sizes.reset_index().sort_values(["spend", "segment"], ascending=[True, False])
    total = sizes["spend"].sum()
    shares = {"share of customers": (sizes["customers"] / sizes["customers"].sum(), GREY)}
    if total > 0:
        shares["share of revenue"] = (sizes["spend"] / total, BLUE)
    figure = blank(110 + 36 * len(sizes))
    for name, (share, colour) in shares.items():
        figure.add_bar(
            y=sizes["segment"].tolist(),
            x=share.round(6).tolist(),
            orientation="h",
            name=name,
            marker_color=colour,
            hovertemplate="%{y}: %{x:.1%} " + name.removeprefix("share ") + "<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.3, showlegend=True, legend_traceorder="reversed")
    figure.update_xaxes(AXIS, tickformat=".0%", nticks=4)
    figure.update_yaxes(AXIS, ticksuffix=" ")

    largest = sizes.iloc[-1]
    held = f"{largest['customers'] / len(customers):.0%} of customers"
    return Chart(
        title=(
            f"{largest['segment']}: {held}, {largest['spend'] / total:.0%} of revenue"
            if total > 0
            else f"{largest['segment']}: {held}; no revenue is left after returns"
        ),
        note=(
            f"{count(len(customers), 'customer')} with an order, in {count(len(sizes), 'segment')} by recency, "
            "frequency and spend; the segment with most revenue first."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Segment": sizes["segment"],
                "Customers": [f"{value:,}" for value in sizes["customers"]],
                "Net revenue": [f"{value:,.2f}" for value in sizes["spend"]],
                "Share of customers": [f"{value:.1%}" for value in sizes["customers"] / len(customers)],
                "Share of revenue": [f"{value:.1%}" if total > 0 else "" for value in sizes["spend"] / (total or 1)],
            }
        ).iloc[::-1],
    )


def segment_history(history: pd.DataFrame) -> Chart:
    """How many customers a segment had at each month end, a segment at a time.

    Args:
        history: cutoff_date, segment, customers; a missing pair is nobody.
    """
    dates = sorted(pd.to_datetime(history["cutoff_date"]).unique())
    if len(dates) < 2:
        return Chart(
            "Segments over time: no earlier month end to compare with",
            "A line begins with the second month end after the first order.",
        )
    wide = history.assign(cutoff_date=pd.to_datetime(history["cutoff_date"])).pivot_table(
        index="cutoff_date", columns="segment", values="customers", aggfunc="sum", fill_value=0
    )
    days = [f"{day:%Y-%m-%d}" for day in wide.index]
    options = []
    for segment in wide.iloc[-1].sort_values(ascending=False, kind="stable").index:
        values = [int(value) for value in wide[segment]]
        before, now = values[0], values[-1]
        title = f"{segment}: {count(now, 'customer')}"
        if before > 0:
            title += f", {compared(now / before - 1)} on {wide.index[0]:%-d %B %Y}"
        options.append(
            Option(
                name=str(segment),
                title=title,
                note=f"Customers in this segment at {len(days)} days: month ends, and the last day of the data.",
                traces=[{"y": values}],
                table=pd.DataFrame({"Day": days, "Customers": [f"{value:,}" for value in values]}),
            )
        )
    figure = blank()
    figure.add_scatter(
        x=days,
        y=options[0].traces[0]["y"],
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        hovertemplate="%{x|%-d %b %Y}: %{y:,} customers<extra></extra>",
    )
    figure.update_xaxes(TIME_AXIS)
    figure.update_yaxes(AXIS, title_text="customers", rangemode="tozero", nticks=6, tickformat="~s")
    first = options[0]
    return Chart(first.title, first.note, figure, first.table, options, "Segment", is_half=True)


def segment_moves(migration: pd.DataFrame) -> Chart:
    """Who came to each segment and who left it between two month ends.

    Args:
        migration: from_date, to_date, from_segment, to_segment, customer_count; from_segment is `NEWCOMERS` for those
            whose first order lies between.
    """
    moved = migration[migration["from_segment"] != migration["to_segment"]]
    if moved.empty:
        return Chart(
            "Migration: nobody has changed segments yet",
            "Movements show once there are two month ends with customers.",
        )
    periods = sorted(zip(migration["from_date"], migration["to_date"], strict=True), reverse=True)
    options = [_moves(migration, moved, start, end) for start, end in dict.fromkeys(periods)]
    figure = blank(110 + 30 * max(len(option.traces[0]["y"]) for option in options))
    for name, colour, trace in (("came", BLUE, 0), ("left", ORANGE, 1)):
        figure.add_bar(
            **options[0].traces[trace],
            orientation="h",
            name=name,
            marker_color=colour,
            customdata=options[0].traces[trace]["x"],
            hovertemplate="%{y}: %{x:,} " + name + "<extra></extra>",
        )
    figure.update_layout(barmode="relative", bargap=0.25, showlegend=True)
    figure.update_xaxes(AXIS, nticks=5, title_text="left | came", tickformat="~s")
    figure.update_yaxes(AXIS, ticksuffix=" ")
    first = options[0]
    return Chart(first.title, first.note, figure, first.table, options, "Period", is_half=True)


def _moves(migration: pd.DataFrame, moved: pd.DataFrame, start: Any, end: Any) -> Option:
    within = moved[(moved["from_date"] == start) & (moved["to_date"] == end)]
    period = migration[(migration["from_date"] == start) & (migration["to_date"] == end)]
    segments = sorted({*period["from_segment"], *period["to_segment"]} - {NEWCOMERS}, reverse=True)
    came = within.groupby("to_segment")["customer_count"].sum().reindex(segments, fill_value=0).astype(int)
    left = within.groupby("from_segment")["customer_count"].sum().reindex(segments, fill_value=0).astype(int)
    flows = within.sort_values(["customer_count", "from_segment", "to_segment"], ascending=[False, True, True])
    changed, there = flows[flows["from_segment"] != NEWCOMERS], period[period["from_segment"] != NEWCOMERS]
    total = int(changed["customer_count"].sum())
    words = f"{pd.Timestamp(start):%-d %B} to {pd.Timestamp(end):%-d %B %Y}"
    title = f"{words}: nobody changed segments"
    if total:
        most = changed.iloc[0]
        title = (
            f"{words}: {total:,} of {count(int(there['customer_count'].sum()), 'customer')} changed segments, "
            f"most from {most['from_segment']} to {most['to_segment']}"
        )
    return Option(
        name=words,
        title=title,
        note=(
            "Customers by the segment they came to and the one they left; who stayed is not drawn. "
            f"{count(int(within['customer_count'].sum()) - total, 'of those who came has', 'of those who came have')} "
            "placed a first order."
        ),
        traces=[{"y": segments, "x": came.tolist()}, {"y": segments, "x": (-left).tolist()}],
        table=pd.DataFrame(
            {
                "From": flows["from_segment"],
                "To": flows["to_segment"],
                "Customers": [f"{value:,}" for value in flows["customer_count"]],
            }
        ),
    )
