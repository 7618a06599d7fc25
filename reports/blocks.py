"""What a page is made of: tiles, charts, tables, lists, and the page that holds them. Plain values, no HTML.

How they look is decided in `reports.page`, how they behave in `static/pulse.js`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, TypeAlias

import pandas as pd
import plotly.graph_objects as go

Tone: TypeAlias = Literal["good", "warn", "bad", "info", "plain"]
"""What a colour means; the word beside it says the same, for those who do not see the colour."""

Kind: TypeAlias = Literal["text", "category", "number", "percent", "date"]


@dataclass(frozen=True)
class Stamp:
    """What a page was made for.

    Args:
        as_of: The day everything was computed for.
        refresh: Number of the refresh.
    """

    as_of: date
    refresh: int

    def __str__(self) -> str:
        """As a page shows it."""
        return f"As of {self.as_of:%-d %B %Y}, refresh {self.refresh}"


@dataclass(frozen=True)
class Tile:
    """One key figure.

    Args:
        name: What it is.
        value: The figure as text, with its unit.
        change: Against the period before, as a ratio (0.1 is ten percent more); None when there is nothing to compare.
        is_points: The change is the difference of two shares (0.1 is ten percentage points), not a ratio.
        is_good: Whether that change is welcome; None when it is neither.
        note: Which period, against which; or what the figure stands on.
        history: Earlier values and this one, oldest first, drawn as a line; fewer than three draw nothing.
    """

    name: str
    value: str
    change: float | None = None
    is_good: bool | None = None
    is_points: bool = False
    note: str = ""
    history: Sequence[float] = ()


@dataclass(frozen=True)
class Option:
    """One of the views that a chart switches between.

    Args:
        name: What a person chooses.
        title: The finding in this view.
        note: As of a chart.
        traces: What differs from the chart's figure, a mapping of trace attributes for each of its traces, in order.
        layout: What differs in the figure's layout.
        table: The numbers drawn, as of a chart.
    """

    name: str
    title: str
    note: str
    traces: Sequence[Mapping[str, Any]]
    layout: Mapping[str, Any] = field(default_factory=dict)
    table: pd.DataFrame | None = None


@dataclass(frozen=True)
class Chart:
    """What a page shows of one question.

    Args:
        title: The finding, in a sentence.
        note: What is drawn, in which unit, and on how many rows it stands; with nothing to draw, what would fill it.
        figure: The drawing; None when there is nothing to draw, which shows as an empty state.
        table: The numbers drawn, formatted, with column titles; the first column names the row.
        options: Views to choose from, the first of which is what title, note, figure and table show.
        choose: What is chosen, for the label of the choice ("Product").
        is_half: Beside another chart on a wide screen, instead of over the whole width.
    """

    title: str
    note: str = ""
    figure: go.Figure | None = None
    table: pd.DataFrame | None = None
    options: Sequence[Option] = ()
    choose: str = ""
    is_half: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        name: In the frame.
        title: For people, with the unit.
        kind: "category" for few different values (they can be filtered by and shown as badges), "percent" for rates
            of 0 to 1.
        decimals: Of numbers and percents.
        tones: Values of a category that are shown as badges, with what their colour means; the order of the keys is
            their order in filters and when sorted.
        is_filter: A category that rows can be filtered by.
        is_searched: A text that the search looks into.
        is_detail: Not a column of the table, but shown with the row's details.
        width: In characters.
    """

    name: str
    title: str
    kind: Kind = "text"
    decimals: int = 0
    tones: Mapping[str, Tone] = field(default_factory=dict)
    is_filter: bool = False
    is_searched: bool = False
    is_detail: bool = False
    width: int = 12


@dataclass(frozen=True)
class Table:
    """A table that people search, sort and filter; of any length, as only the rows in view are drawn.

    Args:
        name: Element id; a page's tables have different ones.
        title: What it holds.
        note: Units, and which rows are in it; with no rows, what would fill it.
        columns: In order; the first names the row. Others without any value are left out.
        rows: A column each, in the order in which they are shown first.
        noun: What a row is, in the plural ("customers").
    """

    name: str
    title: str
    note: str
    columns: Sequence[Column]
    rows: pd.DataFrame
    noun: str = "rows"

    @property
    def has_details(self) -> bool:
        """Whether a row opens to show more."""
        return any(column.is_detail for column in self.columns)


@dataclass(frozen=True)
class Item:
    """One entry of a list of findings.

    Args:
        label: A word in a badge.
        tone: What the badge's colour means.
        title: The finding.
        text: The evidence.
        when: A day, or empty.
        link: File name of the page about it, or empty.
    """

    label: str
    tone: Tone
    title: str
    text: str = ""
    when: str = ""
    link: str = ""


@dataclass(frozen=True)
class Listing:
    """A list of findings.

    Args:
        title: What they are.
        items: In order.
        note: Which are shown; with no items, what that means.
    """

    title: str
    items: Sequence[Item]
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of one thing.

    Args:
        title: Of what.
        facts: Text by name; an empty text is left out. With none left, the note stands alone.
        note: A sentence below the title.
        is_half: As of a chart.
    """

    title: str
    facts: Mapping[str, str]
    note: str = ""
    is_half: bool = False


Block: TypeAlias = Sequence[Tile] | Chart | Table | Listing | Facts


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Args:
        title: The question it answers; empty for a part that needs none.
        blocks: In order.
        text: A sentence below the title.
    """

    title: str
    blocks: Sequence[Block]
    text: str = ""


@dataclass(frozen=True)
class Page:
    """A page of the site.

    Args:
        name: Its key in `reports.page.SITE`, or any name for a page outside the site's navigation.
        heading: Above everything.
        lead: The page in one or two sentences.
        sections: In order.
        source: Where the numbers come from.
    """

    name: str
    heading: str
    lead: str
    sections: Sequence[Section]
    source: str
