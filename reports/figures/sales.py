"""Figures of sales: revenue by week, day by day with what is expected, and the days that stand out."""

from __future__ import annotations

import pandas as pd

from reports.blocks import Chart
from reports.figures.style import AXIS, BLUE, GREY, ORANGE, TIME_AXIS, blank, compared, count

_QUARTER = 13
_YEAR = 52
_DAYS = 180


def weekly_revenue(daily_sales: pd.DataFrame) -> Chart:
    """Net revenue by complete week, Monday to Sunday.

    Args:
        daily_sales: sales_date, net_revenue; one row a day without gaps.
    """
    days = daily_sales.assign(sales_date=pd.to_datetime(daily_sales["sales_date"]))
    by_week = days.groupby(days["sales_date"].dt.to_period("W-SUN"))["net_revenue"].agg(["sum", "count"])
    weekly = by_week.loc[by_week["count"] == 7, "sum"].astype(float).round(2)
    if weekly.empty:
        return Chart(
            "Net revenue by week: there is no complete week of sales yet",
            "The first week from Monday to Sunday draws a point.",
        )

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
    return f"{finding}, {compared(recent / before - 1)} in {words}"


def daily_revenue(daily_sales: pd.DataFrame, forecast: pd.DataFrame, unusual: pd.DataFrame) -> Chart:
    """Net revenue by day, the days expected to come, and the days with unusually many or few orders.

    Args:
        daily_sales: sales_date, net_revenue; one row a day without gaps.
        forecast: day, forecast, lower, upper; the days after the last one.
        unusual: day, value, expected, direction; orders of unusual days of the whole business.
    """
    if daily_sales.empty:
        return Chart("Net revenue by day: nothing has been sold yet", "The first day with a sale draws a point.")
    days = daily_sales.assign(day=pd.to_datetime(daily_sales["sales_date"])).sort_values("day").tail(_DAYS)
    coming = forecast.assign(day=pd.to_datetime(forecast["day"])).sort_values("day")
    marked = unusual.assign(day=pd.to_datetime(unusual["day"])).merge(days[["day", "net_revenue"]], on="day")
    figure = blank(340)
    dates = _dates(coming["day"])
    if coming["upper"].notna().any():
        # An empty text leaves the border of the band out of the legend and of what the pointer shows.
        border = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        figure.add_scatter(x=dates, y=coming["upper"].round(2).tolist(), showlegend=False, **border)
        figure.add_scatter(
            x=dates,
            y=coming["lower"].round(2).tolist(),
            fill="tonexty",
            fillcolor="rgba(138,143,152,0.25)",
            name="9 of 10 days",
            **border,
        )
    figure.add_scatter(
        x=_dates(days["day"]),
        y=days["net_revenue"].astype(float).round(2).tolist(),
        mode="lines" if len(days) > 1 else "lines+markers",
        line={"color": BLUE, "width": 1.5},
        name="sold",
        hovertemplate="%{x|%a %-d %b %Y}: %{y:,.0f}<extra></extra>",
    )
    if not coming.empty:
        figure.add_scatter(
            x=dates,
            y=coming["forecast"].round(2).tolist(),
            mode="lines",
            line={"color": GREY, "width": 1.5, "dash": "dot"},
            name="expected",
            hovertemplate="%{x|%a %-d %b %Y}: %{y:,.0f} expected<extra></extra>",
        )
    if not marked.empty:
        figure.add_scatter(
            x=_dates(marked["day"]),
            y=marked["net_revenue"].astype(float).round(2).tolist(),
            mode="markers",
            marker={
                "color": ORANGE,
                "size": 9,
                "symbol": ["triangle-up" if way == "up" else "triangle-down" for way in marked["direction"]],
            },
            customdata=marked[["value", "expected"]].astype(float).round(1).to_numpy().tolist(),
            name="unusual number of orders",
            hovertemplate=(
                "%{x|%a %-d %b %Y}: %{customdata[0]:,.0f} orders, %{customdata[1]:,.0f} expected<extra></extra>"
            ),
        )
    figure.update_layout(showlegend=len(figure.data) > 1)
    figure.update_xaxes(TIME_AXIS)
    figure.update_yaxes(AXIS, title_text="net revenue a day", nticks=6, tickformat="~s")
    return Chart(
        title=_forecast_finding(days, coming, daily_sales),
        note=(
            f"Sales less returns of the last {count(len(days), 'day')}"
            + (f", {count(len(marked), 'day')} with unusually many or few orders marked" if len(marked) else "")
            + ("; dotted: what is expected, the band holds 9 of 10 days" if not coming.empty else "")
            + ". In the currency of the sales data."
        ),
        figure=figure,
        table=_daily_table(days, coming, marked),
    )


def _forecast_finding(days: pd.DataFrame, coming: pd.DataFrame, daily_sales: pd.DataFrame) -> str:
    if coming.empty:
        return f"Net revenue: {days['net_revenue'].sum():,.0f} in the last {count(len(days), 'day')}; no forecast yet"
    expected = float(coming["forecast"].sum())
    title = f"Net revenue: {expected:,.0f} expected in the coming {count(len(coming), 'day')}"
    before = daily_sales.sort_values("sales_date")["net_revenue"].tail(len(coming)).astype(float)
    if len(before) < len(coming) or before.sum() <= 0:
        return title
    return f"{title}, {compared(expected / before.sum() - 1)} in the last {len(coming)}"


def _daily_table(days: pd.DataFrame, coming: pd.DataFrame, marked: pd.DataFrame) -> pd.DataFrame:
    sold = pd.DataFrame(
        {
            "Day": _dates(days["day"]),
            "Net revenue": [f"{value:,.2f}" for value in days["net_revenue"].astype(float)],
            "What": ["unusual" if day in set(marked["day"]) else "sold" for day in days["day"]],
        }
    )
    expected = pd.DataFrame(
        {
            "Day": _dates(coming["day"]),
            "Net revenue": [f"{value:,.2f}" for value in coming["forecast"]],
            "What": "expected",
        }
    )
    return pd.concat([sold, expected], ignore_index=True)


def _dates(days: pd.Series) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in days]
