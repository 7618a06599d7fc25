"""Charts: a frame in, a Plotly figure out, with a title that states the finding, a note and the numbers behind it.

Title and note are the page's text, not the figure's, so that they wrap on a narrow screen. Figures carry no page
colours: they lie on whatever is behind them, light or dark. How a page shows them is decided in `reports.overview`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

BLUE, ORANGE, GREY = "#2a8fd4", "#d55e00", "#8a8f98"
"""Colours that stay apart for colour-blind readers, and stand out (3:1 at least) from white and from near-black."""

LAYOUT: Mapping[str, Any] = {
    # The usual template is longer than most data, and brings a white background.
    "template": "none",
    "font": {"family": "system-ui, sans-serif", "size": 13},
    "margin": {"l": 50, "r": 28, "t": 10, "b": 40},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "height": 300,
    # A finger that moves over a chart should scroll the page.
    "dragmode": False,
    "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
}
AXIS: Mapping[str, Any] = {"fixedrange": True, "automargin": True, "zeroline": True, "ticklabelstandoff": 4}

_QUARTER = 13
_YEAR = 52
_BINS = 20


@dataclass(frozen=True)
class Chart:
    """What a page shows of one question.

    Args:
        title: The finding, in a sentence.
        note: What is drawn, and on how many rows it stands; empty when there is nothing to draw.
        figure: The drawing; None when there is nothing to draw.
        table: The numbers drawn, formatted, with column titles; the first column names the row.
    """

    title: str
    note: str = ""
    figure: go.Figure | None = None
    table: pd.DataFrame | None = None


def weekly_revenue(daily_sales: pd.DataFrame) -> Chart:
    """Net revenue by complete week, Monday to Sunday.

    Args:
        daily_sales: sales_date, net_revenue; one row a day without gaps.
    """
    days = daily_sales.assign(sales_date=pd.to_datetime(daily_sales["sales_date"]))
    by_week = days.groupby(days["sales_date"].dt.to_period("W-SUN"))["net_revenue"].agg(["sum", "count"])
    weekly = by_week.loc[by_week["count"] == 7, "sum"].astype(float).round(2)
    if weekly.empty:
        return Chart("Net revenue by week: there is no complete week of sales yet")

    weeks = pd.PeriodIndex(weekly.index)
    starts, last = weeks.start_time, weeks.end_time[-1]
    figure = go.Figure(layout=LAYOUT)
    figure.add_scatter(
        x=starts.strftime("%Y-%m-%d").tolist(),
        y=weekly.tolist(),
        # A line through one point cannot be seen.
        mode="lines" if len(weekly) > _QUARTER else "lines+markers",
        line={"color": BLUE, "width": 2},
        hovertemplate="week of %{x|%-d %b %Y}: %{y:,.0f}<extra></extra>",
    )
    figure.update_xaxes(AXIS, showgrid=False, zeroline=False, nticks=6, tickformat="%b<br>%Y")
    figure.update_yaxes(AXIS, title_text="net revenue a week", rangemode="tozero", nticks=6, tickformat="~s")
    return Chart(
        title=f"Net revenue: {_revenue_finding(weekly)}",
        note=(
            f"Sales less returns in {_count(len(weekly), 'complete week')} from Monday to Sunday, "
            f"{starts[0]:%-d %B %Y} to {last:%-d %B %Y}, in the currency of the sales data."
        ),
        figure=figure,
        table=pd.DataFrame(
            {"Week from": starts.strftime("%Y-%m-%d"), "Net revenue": [f"{value:,.2f}" for value in weekly]}
        ),
    )


def _revenue_finding(weekly: pd.Series) -> str:
    weeks = min(_QUARTER, len(weekly))
    recent = weekly.tail(weeks).sum()
    finding = f"{recent:,.0f} in the last {_count(weeks, 'week')}"
    if len(weekly) >= _YEAR + _QUARTER:
        before, words = weekly.iloc[-_YEAR - _QUARTER : -_YEAR].sum(), "the same weeks a year before"
    elif len(weekly) >= 2 * _QUARTER:
        before, words = weekly.iloc[-2 * _QUARTER : -_QUARTER].sum(), f"the {_QUARTER} before"
    else:
        return finding
    if before <= 0:
        return finding
    change = recent / before - 1
    if abs(change) < 0.005:
        return f"{finding}, about as much as in {words}"
    return f"{finding}, {abs(change):.0%} {'more' if change > 0 else 'less'} than in {words}"


def segment_sizes(customers: pd.DataFrame) -> Chart:
    """Share of customers and of revenue by segment.

    Args:
        customers: segment, total_spend; one row a customer with an order.
    """
    if customers.empty:
        return Chart("Segments: no customer has ordered yet")
    sizes = customers.groupby("segment").agg(customers=("segment", "size"), spend=("total_spend", "sum"))
    sizes = sizes.reset_index().sort_values(["spend", "segment"], ascending=[True, False])
    total = sizes["spend"].sum()
    shares = {"share of customers": (sizes["customers"] / sizes["customers"].sum(), GREY)}
    if total > 0:
        shares["share of revenue"] = (sizes["spend"] / total, BLUE)
    figure = go.Figure(layout=LAYOUT)
    for name, (share, colour) in shares.items():
        figure.add_bar(
            y=sizes["segment"].tolist(),
            x=share.round(6).tolist(),
            orientation="h",
            name=name,
            marker_color=colour,
            hovertemplate="%{y}: %{x:.1%} " + name.removeprefix("share ") + "<extra></extra>",
        )
    figure.update_layout(
        barmode="group", bargap=0.3, height=110 + 36 * len(sizes), showlegend=True, legend_traceorder="reversed"
    )
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
            f"{_count(len(customers), 'customer')} with an order, in {_count(len(sizes), 'segment')} by recency, "
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


def churn_distribution(customers: pd.DataFrame) -> Chart:
    """How many customers have which probability of leaving.

    Args:
        customers: churn_probability, is_at_risk, total_spend; one row a customer with an order.
    """
    scored = customers[customers["churn_probability"].notna()]
    if scored.empty:
        return Chart("Risk of leaving: too few customers for a probability; their tier goes by recency")
    at_risk = scored["is_at_risk"].astype(bool)
    # Counted here: a page that held every customer's probability would grow with their number.
    bins = (scored["churn_probability"].astype(float) * _BINS + 1e-9).astype(int).clip(0, _BINS - 1)
    counts = {
        name: bins[group].value_counts().reindex(range(_BINS), fill_value=0)
        for name, group in (("at risk", at_risk), ("others", ~at_risk))
    }
    figure = go.Figure(layout=LAYOUT)
    for name, colour in (("at risk", ORANGE), ("others", GREY)):
        figure.add_bar(
            x=[(2 * number + 1) / (2 * _BINS) for number in range(_BINS)],
            y=counts[name].tolist(),
            width=0.9 / _BINS,
            name=name,
            marker_color=colour,
            hovertemplate=f"%{{y:,}} {name} around %{{x:.0%}}<extra></extra>",
        )
    figure.update_layout(barmode="stack", showlegend=True, legend_traceorder="normal")
    figure.update_xaxes(
        AXIS, title_text="probability of no order", tickformat=".0%", range=[0, 1], dtick=0.25, showgrid=False
    )
    figure.update_yaxes(AXIS, title_text="customers", nticks=6, tickformat="~s", rangemode="tozero")

    risky = int(at_risk.sum())
    spent = scored.loc[at_risk, "total_spend"].sum()
    verb = "is" if risky == 1 else "are"
    return Chart(
        title=(
            f"{risky:,} of {_count(len(scored), 'customer')} {verb} at risk of leaving, with {spent:,.0f} spent so far"
            if risky
            else f"None of {_count(len(scored), 'customer')} is at risk of leaving"
        ),
        note=(
            "How probable it is that a customer places no order in the coming period. At risk are those with a high "
            "probability whose last order is not long ago; others with a high one have left already."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Probability": [
                    f"{number * 100 // _BINS} to {(number + 1) * 100 // _BINS}%" for number in range(_BINS)
                ],
                **{name.capitalize(): [f"{count:,}" for count in counts[name]] for name in counts},
            }
        ),
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
