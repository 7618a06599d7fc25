"""Plotly figures: a frame in, a figure out. Each title states what the figure shows and on how many rows it stands."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8a8f98"
"""Colours that stay apart for colour-blind readers (Okabe and Ito)."""

_LAYOUT = {
    "template": "plotly_white",
    "font": {"family": "system-ui, sans-serif", "size": 13},
    "margin": {"l": 60, "r": 20, "t": 70, "b": 50},
    "height": 380,
    "title": {"x": 0, "xanchor": "left", "xref": "container", "pad": {"l": 12}},
}


def weekly_revenue(daily_sales: pd.DataFrame) -> go.Figure:
    """Net revenue by complete week.

    Args:
        daily_sales: sales_date, net_revenue; one row a day without gaps.
    """
    days = daily_sales.assign(sales_date=pd.to_datetime(daily_sales["sales_date"]))
    week = days["sales_date"].dt.to_period("W-SUN")
    weekly = days.groupby(week).agg(net_revenue=("net_revenue", "sum"), days=("sales_date", "count"))
    weekly = weekly[weekly["days"] == 7]
    figure = go.Figure(layout=_LAYOUT)
    if weekly.empty:
        return _nothing(figure, "Weekly revenue: less than one complete week so far")
    starts = weekly.index.start_time
    figure.add_scatter(x=starts, y=weekly["net_revenue"], mode="lines", line={"color": BLUE, "width": 2}, name="week")
    recent, before = weekly["net_revenue"].tail(13).sum(), weekly["net_revenue"].iloc[-26:-13].sum()
    finding = f"{recent:,.0f} in the last {min(13, len(weekly))} weeks"
    if len(weekly) >= 26 and before > 0:
        change = recent / before - 1
        finding += f", {abs(change):.0%} {'more' if change >= 0 else 'less'} than in the 13 before"
    figure.update_layout(title_text=f"Net revenue by week: {finding}<br><sub>{len(weekly)} complete weeks</sub>")
    figure.update_yaxes(title_text="net revenue a week", rangemode="tozero", tickformat="~s")
    return figure


def segment_sizes(customers: pd.DataFrame) -> go.Figure:
    """Share of customers and of revenue by segment.

    Args:
        customers: segment, total_spend; one row a customer with an order.
    """
    figure = go.Figure(layout=_LAYOUT)
    if customers.empty:
        return _nothing(figure, "Segments: no customer has ordered yet")
    sizes = customers.groupby("segment").agg(customers=("segment", "size"), spend=("total_spend", "sum"))
    sizes = sizes.sort_values("spend")
    total = sizes["spend"].sum() or 1.0
    share = pd.DataFrame({"customers": sizes["customers"] / len(customers), "revenue": sizes["spend"] / total})
    for column, colour in (("customers", GREY), ("revenue", BLUE)):
        figure.add_bar(y=share.index, x=share[column], orientation="h", name=f"share of {column}", marker_color=colour)
    top = share.index[-1]
    figure.update_layout(
        barmode="group",
        height=460,
        legend={"orientation": "h", "y": -0.15},
        title_text=(
            f"{top}: {share.loc[top, 'customers']:.0%} of customers, {share.loc[top, 'revenue']:.0%} of revenue"
            f"<br><sub>{len(customers):,} customers with an order, 11 segments by recency, frequency and spend</sub>"
        ),
    )
    figure.update_xaxes(tickformat=".0%")
    figure.update_yaxes(automargin=True)
    return figure


def churn_distribution(customers: pd.DataFrame) -> go.Figure:
    """How many customers have which probability of leaving.

    Args:
        customers: churn_probability, is_at_risk; one row a customer with an order.
    """
    scored = customers[customers["churn_probability"].notna()]
    figure = go.Figure(layout=_LAYOUT)
    if scored.empty:
        return _nothing(figure, "Churn: too few customers for a probability; risk goes by recency")
    bins = {"start": 0.0, "end": 1.0001, "size": 0.05}
    for at_risk, name, colour in ((True, "at risk, ordered within a year", ORANGE), (False, "others", GREY)):
        group = scored[scored["is_at_risk"] == at_risk]
        figure.add_histogram(x=group["churn_probability"], xbins=bins, name=name, marker_color=colour)
    risky = int(scored["is_at_risk"].sum())
    figure.update_layout(
        barmode="stack",
        legend={"orientation": "h", "y": -0.2},
        title_text=(
            f"{risky:,} customers are at risk of leaving<br><sub>{len(scored):,} customers with a churn probability</sub>"
        ),
    )
    figure.update_xaxes(title_text="probability of no order in the coming period", tickformat=".0%", range=[0, 1])
    figure.update_yaxes(title_text="customers")
    return figure


def _nothing(figure: go.Figure, title: str) -> go.Figure:
    figure.update_layout(title_text=title, height=160)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure
