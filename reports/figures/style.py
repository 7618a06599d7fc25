"""What all figures share: colours, layout, axes, and how numbers are worded. No figure is drawn here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

BLUE, ORANGE, GREY = "#2a8fd4", "#d55e00", "#8a8f98"
"""Colours that stay apart for colour-blind readers, and stand out (3:1 at least) from white and from near-black."""
GREEN, PURPLE, OCHRE = "#12936e", "#a869b8", "#a8800f"
"""Three more of the kind, for charts of up to six parts; where more are needed, parts are summed up as "others"."""
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, OCHRE, GREY)

SHADES: list[tuple[float, str]] = [(0.0, "rgba(42,143,212,0.08)"), (1.0, "rgba(42,143,212,1)")]
"""From little to much on whatever background."""

COLORBAR: Mapping[str, Any] = {
    # Below the chart: beside it, it takes a quarter of a telephone's width.
    **{"orientation": "h", "x": 0.5, "xanchor": "center", "y": 0, "yanchor": "top", "ypad": 8, "len": 1},
    **{"thickness": 10, "nticks": 4, "outlinewidth": 0},
}

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
    "legend": {
        "orientation": "h",
        "x": 0,
        "y": 1,
        "yanchor": "bottom",
        "bgcolor": "rgba(0,0,0,0)",
        "traceorder": "normal",
    },
}
AXIS: Mapping[str, Any] = {
    "fixedrange": True,
    "automargin": True,
    "zeroline": True,
    "ticklabelstandoff": 4,
    "tickangle": 0,
}
GRID_AXIS: Mapping[str, Any] = {**AXIS, "showgrid": False, "ticks": "", "tickangle": 0, "tickfont": {"size": 11}}
"""Of a heat map."""
TIME_AXIS: Mapping[str, Any] = {**AXIS, "showgrid": False, "zeroline": False, "nticks": 6, "tickformat": "%b<br>%Y"}

_MILLIONS_FROM = 10_000_000


def blank(height: int = 300) -> go.Figure:
    """A figure with the pages' layout and nothing in it."""
    return go.Figure(layout={**LAYOUT, "height": height})


def count(number: int, noun: str, nouns: str = "") -> str:
    """A number of things in words: "1 week", "2 weeks"."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def amount(value: float) -> str:
    """An amount of money that fits a tile on a telephone."""
    return f"{value / 1e6:,.1f} million" if abs(value) >= _MILLIONS_FROM else f"{value:,.0f}"


def compared(ratio: float) -> str:
    """A change as the beginning of a comparison: "12% more than", and "about as much as" where it rounds to nothing.

    Args:
        ratio: 0.1 is ten percent more.
    """
    return "about as much as" if abs(ratio) < 0.005 else f"{abs(ratio):.0%} {'more' if ratio > 0 else 'less'} than"
