"""What it takes to state a finding and to draw it: shares in words, intervals, more than chance or not, plain figures.

What is found, and on which page it stands, is decided where the charts are made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import erfc, sqrt
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reports.blocks import Chart, Option
from reports.figures.style import AXIS, TIME_AXIS, amount, blank, count

RECENT_DAYS = 90
"""What a page calls recent, and compares with as many days before."""

_Z = 1.959964
_FALSE_DISCOVERIES = 0.05


def counted(number: float, noun: str, nouns: str = "") -> str:
    """A number of things in words; sums of counts come out of SQL and pandas as floats."""
    return count(round(number), noun, nouns)


def share(part: Any, whole: Any) -> str:
    """A share in percent; what is neither all nor nothing is not rounded to it."""
    if whole <= 0:
        return "none"
    rate = part / whole
    if 0 < rate < 0.005:
        return "under 1%"
    if 0.995 <= rate < 1:
        return "over 99%"
    return f"{rate:.0%}"


def signed(value: Any) -> str:
    """An amount of money that may be a loss; "not known" where it is none."""
    if pd.isna(value):
        return "not known"
    # No minus before nought.
    return amount(0 if abs(value) < 0.5 else value)


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names in a row: A; A and B; A, B and 2 more."""
    named = list(names)
    if len(named) > most:
        named = [*named[: most - 1], f"{len(named) - most + 1} more"]
    return named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"


def leaders(frame: pd.DataFrame, name: str, value: str) -> list[str]:
    """Who shares the largest value, in alphabetical order; nobody in an empty frame."""
    known = frame.dropna(subset=[value])
    return sorted(known.loc[known[value] == known[value].max(), name].astype(str))


def share_interval(part: Any, whole: Any) -> tuple[Any, Any]:
    """The 95 % interval of a share (Wilson 1927); 0 to 1 where there is nothing to go by.

    Args:
        part: How many, a number or an array.
        whole: Of how many.
    """
    n = np.maximum(np.asarray(whole, dtype=float), 1e-9)
    rate = np.asarray(part, dtype=float) / n
    centre = rate + _Z**2 / (2 * n)
    spread = _Z * np.sqrt(rate * (1 - rate) / n + _Z**2 / (4 * n**2))
    low, high = ((centre + sign * spread) / (1 + _Z**2 / n) for sign in (-1, 1))
    return np.clip(low, 0, 1), np.clip(high, 0, 1)


def shares_differ(part: float, whole: float, other_part: float, other_whole: float) -> bool:
    """Whether two shares differ by more than chance explains: the two-sided test at 5 % of the pooled share."""
    if whole <= 0 or other_whole <= 0:
        return False
    pooled = (part + other_part) / (whole + other_whole)
    error = np.sqrt(pooled * (1 - pooled) * (1 / whole + 1 / other_whole))
    return bool(error > 0 and abs(part / whole - other_part / other_whole) > _Z * error)


def counts_differ(now: Sequence[float], before: Sequence[float]) -> list[bool]:
    """Which of several counts have changed by more than chance explains.

    Each pair of counts is tested as two Poisson counts of equal exposure; of those called changed, 5 % at most are
    expected to be false (Benjamini and Hochberg 1995).
    """
    both = np.asarray(now, dtype=float) + np.asarray(before, dtype=float)
    # Half a count less: the difference of two counts jumps by two.
    distance = np.maximum(np.abs(np.asarray(now, dtype=float) - np.asarray(before, dtype=float)) - 1, 0)
    z = np.divide(distance, np.sqrt(both), out=np.zeros_like(both), where=both > 0)
    p = np.array([_two_sided(value) for value in z])
    order = np.argsort(p, kind="stable")
    allowed = _FALSE_DISCOVERIES * (np.arange(len(p)) + 1) / max(len(p), 1)
    passed = np.flatnonzero(p[order] <= allowed)
    changed = np.zeros(len(p), dtype=bool)
    if len(passed):
        changed[order[: passed[-1] + 1]] = True
    return changed.tolist()


def _two_sided(z: float) -> float:
    return erfc(z / sqrt(2))


def span(low: float, high: float) -> str:
    """From a count to another one: 5 to 9, or 5."""
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"


def monthly(days: pd.DataFrame, day: str, columns: Sequence[str], most: int) -> tuple[pd.DatetimeIndex, pd.DataFrame]:
    """Sums by month, of the last months at most, and the first days of these months."""
    months = pd.Series(pd.PeriodIndex(pd.to_datetime(days[day]), freq="M").to_timestamp(), index=days.index)
    sums = days.groupby(months)[list(columns)].sum().tail(most)
    return pd.DatetimeIndex(sums.index), sums


def timeline(y_title: str, **y_axis: Any) -> go.Figure:
    """A figure with days, weeks or months below."""
    figure = blank()
    figure.update_xaxes(TIME_AXIS)
    figure.update_yaxes(AXIS, **{"title_text": y_title, "rangemode": "tozero", "nticks": 6, **y_axis})
    return figure


def add_interval(figure: go.Figure, x: Sequence[str], low: pd.Series, high: pd.Series) -> None:
    """Draw the band between the ends of 95 % intervals of shares.

    Args:
        figure: Drawn into, before the line that the band is of.
        x: The days.
        low: Lower ends, one a day.
        high: Upper ends.
    """
    figure.add_scatter(
        x=[*x, *x[::-1]],
        y=[*high.round(6).tolist(), *low[::-1].round(6).tolist()],
        fill="toself",
        fillcolor="rgba(42,143,212,0.22)",
        line={"width": 0},
        name="95 % interval",
        hoverinfo="skip",
    )


def plane(x_title: str, y_title: str, **y_axis: Any) -> go.Figure:
    """A figure with numbers or names below."""
    figure = blank()
    figure.update_xaxes(AXIS, title_text=x_title, showgrid=False, zeroline=False)
    figure.update_yaxes(AXIS, **{"title_text": y_title, "rangemode": "tozero", "nticks": 6, **y_axis})
    return figure


def bars_with_names(names: Sequence[str], rows: float | None = None, **x_axis: Any) -> go.Figure:
    """A figure for horizontal bars, one below the other, with room for each name."""
    figure = blank(90 + round(34 * (rows or max(len(names), 2))))
    figure.update_layout(bargap=0.3)
    figure.update_xaxes(AXIS, **{"nticks": 5, **x_axis})
    figure.update_yaxes(AXIS, ticksuffix=" ", showgrid=False)
    return figure


def error_bars(values: pd.Series, low: pd.Series, high: pd.Series) -> dict[str, Any]:
    """Error bars from a value to the ends of its interval; none where an end is not known."""
    up, down = (side.fillna(0).clip(lower=0).round(6).tolist() for side in (high - values, values - low))
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.5, "width": 4}


def shortened(name: str, most: int = 26) -> str:
    """A name that leaves room for the chart beside it."""
    return name if len(name) <= most else f"{name[: most - 1].rstrip()}…"


def labels(names: Iterable[str]) -> list[str]:
    """Names short enough for an axis, and different: what has the same label would share a bar."""
    seen: dict[str, int] = {}
    found = []
    for name in map(shortened, map(str, names)):
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def last_days(frame: pd.DataFrame, column: str, as_of: pd.Timestamp, days: int, ending: int = 0) -> pd.DataFrame:
    """The rows of so many days, the last of them `ending` days before as_of."""
    age = (as_of - pd.to_datetime(frame[column])).dt.days - ending
    return frame[(age >= 0) & (age < days)]


def beside(*charts: Chart) -> list[Chart]:
    """Charts that stand beside each other where there is room."""
    return [replace(chart, is_half=True) for chart in charts]


def switched(charts: Mapping[str, Chart], choose: str) -> Chart:
    """One chart that switches between several of the same kind, the first of which is shown at first.

    Args:
        charts: By what a person chooses. Those without a figure are left out, unless none has one.
        choose: What is chosen, for the label of the choice.
    """
    drawn = {name: chart for name, chart in charts.items() if chart.figure is not None}
    first = next(iter((drawn or charts).values()))
    if len(drawn) < 2:
        return first
    # By way of text, in which what is not a number is null, as in the page.
    views = [json.loads(chart.figure.to_json()) for chart in drawn.values() if chart.figure is not None]
    traces = max(len(view["data"]) for view in views)
    figure = go.Figure(first.figure)
    for _ in range(traces - len(figure.data)):
        figure.add_scatter(x=[], y=[], showlegend=False)
    options = [
        Option(
            name,
            chart.title,
            chart.note,
            # Every view sets every trace, so that nothing of another one stays behind.
            [*view["data"], *[{"x": [], "y": []}] * (traces - len(view["data"]))],
            {key: value for key, value in view["layout"].items() if key in ("xaxis", "yaxis", "height", "shapes")},
            chart.table,
        )
        for (name, chart), view in zip(drawn.items(), views, strict=True)
    ]
    return replace(first, figure=figure, options=options, choose=choose)
