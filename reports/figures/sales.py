"""Figures of sales: revenue by week, and what is to come."""

from __future__ import annotations

import pandas as pd

from reports.blocks import Chart
from reports.figures.style import AXIS, BLUE, TIME_AXIS, blank, count

_QUARTER = 13
_YEAR = 52


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
    figure = blank()
    figure.add_scatter(
        x=starts.strftime("%Y-%m-%d").tolist(),
        y=weekly.tolist(),
        # A line through one point cannot be seen.
        mode="lines" if len(weekly) > _QUARTER else "lines+markers",
        line={"color": BLUE, "width": 2},
        hovertemplate="week of %{x|%-d %b %Y}: %{y:,.0f}<extra></extra>",
    )
    figure.update_xaxes(TIME_AXIS)
    figure.update_yaxes(AXIS, title_text="net revenue a week", rangemode="tozero", nticks=6, tickformat="~s")
    return Chart(
        title=f"Net revenue: {_revenue_finding(weekly)}",
        note=(
            f"Sales less returns in {count(len(weekly), 'complete week')} from Monday to Sunday, "
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
    finding = f"{recent:,.0f} in the last {count(weeks, 'week')}"
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
