"""How a page looks: the frame with its navigation, and the HTML of every block. Values in, text of files out.

A page of the site is one module, a pure function from frames to `Page`, and one module with its queries:

    # reports/support.py
    def support_page(backlog: pd.DataFrame, topics: pd.DataFrame) -> Page:
        return Page(
            name="support",
            heading="Support",
            lead="252 tickets are open, 12 fewer than a month ago.",
            sections=[
                Section("", [[Tile("Open tickets", "252", change=-0.05, is_good=True, note="against October")]]),
                Section("Backlog", [backlog_chart(backlog), Table("queue", "Tickets in order of urgency", ...)]),
            ],
            source="From marts.ticket_backlog_daily and marts.ticket_topics.",
        )

    # orchestration/assets/reports/support.py
    PAGE = ReportPage(
        name="support",
        description="Sentiment, response times, backlog and topics.",
        queries={"backlog": "select ... from marts.ticket_backlog_daily", "topics": "select ..."},
        make=_page,  # imports reports.support and calls support_page(**frames)
    )

The queries' names are the function's arguments; the asset's upstream tables are those the queries name. Charts are made
of `reports.figures.style.blank()`; with nothing to draw a function returns a `Chart` without figure, whose title says
so and whose note says what would fill it. Text may come from data: everything is escaped here, nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import count
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd

from reports.blocks import Block, Chart, Column, Facts, Item, Listing, Page, Section, Stamp, Table, Tile

PLOTLY_FILE = "plotly.min.js"

SITE: Mapping[str, tuple[str, str]] = {
    "overview": ("index.html", "Overview"),
    "customers": ("customers.html", "Customers"),
    "products": ("products.html", "Products"),
    "support": ("support.html", "Support"),
    "web": ("web.html", "Web"),
    "campaigns": ("campaigns.html", "Campaigns"),
    "models": ("models.html", "Models"),
    "quality": ("quality.html", "Data quality"),
}
"""The pages, in the order of the navigation: file name and short title by key."""

_INLINE_ROWS = 2_000
"""Longer tables go to a script file, so that the page shows before they are read."""
_CODES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
"""As in pulse.js: a category's values are one character each."""
_NO_CODE = "."
_PAGE_OF_THE_SITE = re.compile(r"[\w-]+\.html(#[^\s]*)?")

_HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<link rel="stylesheet" href="pulse.css">
<script src="pulse.js" defer></script>
</head>
<body data-plotly="{plotly}">
<a class="skip" href="#main">Skip to the content</a>
{navigation}
<header class="heading">
<h1>{heading}</h1>
<p class="stamp">{stamp}</p>
<p class="lead">{lead}</p>
</header>
<main id="main">
<noscript><p class="failed">Charts and tables are drawn by JavaScript, which is switched off.</p></noscript>
{sections}
</main>
<footer><p>{source}</p></footer>
</body>
</html>
"""


def file_name(page: Page) -> str:
    """The file that a page is written to."""
    return SITE[page.name][0] if page.name in SITE else f"{page.name}.html"


def customer_file(customer_id: str) -> str:
    """Name of the page of one customer; ids that no file may be called by, or that are cut, get a sum of their own."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", customer_id)
    kept = safe[:80]
    different = "" if kept == customer_id else f"-{crc32(customer_id.encode()):08x}"
    return f"customer-{kept}{different}.html"


def data_file(name: str) -> str:
    """The script file with the long tables of a page."""
    return f"{name}.data.js"


def render(page: Page, stamp: Stamp | str, *, in_site: bool = True) -> dict[str, str]:
    """A page as text by file name: the page itself, and the data of its long tables where it has some.

    Args:
        page: What stands on it.
        stamp: What it was made for.
        in_site: Whether it shows the navigation of the site.
    """
    chart_numbers, long_tables = count(1), dict[str, Any]()
    html = _HTML.format(
        plotly=PLOTLY_FILE,
        title=escape(f"{page.heading} · Customer Pulse" if in_site else page.heading),
        navigation=_navigation(page.name) if in_site else "",
        heading=escape(page.heading),
        stamp=escape(str(stamp)),
        lead=escape(page.lead),
        sections="\n".join(_section(page, section, chart_numbers, long_tables) for section in page.sections),
        source=escape(page.source),
    )
    files = {file_name(page): html}
    if long_tables:
        files[data_file(page.name)] = "".join(
            f"window.pulseTables[{_script_json(name)}] = JSON.parse({_script_string(_json(data))});\n"
            for name, data in long_tables.items()
        )
    return files


def _navigation(current: str) -> str:
    marks = {current: ' aria-current="page"'}
    links = "".join(
        f'<li><a href="{file}"{marks.get(name, "")}>{title}</a></li>' for name, (file, title) in SITE.items()
    )
    return (
        f'<nav class="top" aria-label="Pages"><a class="brand" href="index.html">Customer Pulse</a>'
        f"<ul>{links}</ul></nav>"
    )


def _section(page: Page, section: Section, chart_numbers: count[int], long_tables: dict[str, Any]) -> str:
    level = 3 if section.title else 2
    title = f"<h2>{escape(section.title)}</h2>" if section.title else ""
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    blocks = "\n".join(_block(page, block, level, chart_numbers, long_tables) for block in section.blocks)
    anchor = f' id="section-{_slug(section.title)}"' if section.title else ""
    return f'<section{anchor}>\n{title}{text}<div class="grid">\n{blocks}\n</div>\n</section>'


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _block(page: Page, block: Block, level: int, chart_numbers: count[int], long_tables: dict[str, Any]) -> str:
    match block:
        case Chart():
            return _chart(block, level, f"chart-{next(chart_numbers)}")
        case Table():
            if len(block.rows) <= _INLINE_ROWS:
                return _table(block, level)
            long_tables[block.name] = _table_data(block)
            return _table(block, level, data_file(page.name))
        case Listing():
            return _listing(block, level)
        case Facts():
            return _facts(block, level)
        case _:
            return _tiles(block)


# Key figures ---------------------------------------------------------------------------------------------------------


def _tiles(tiles: Sequence[Tile]) -> str:
    return f'<dl class="tiles">{"".join(_tile(tile) for tile in tiles)}</dl>'


def _tile(tile: Tile) -> str:
    details = ""
    if tile.change is not None:
        tone = "" if tile.is_good is None or abs(tile.change) < 0.0005 else (" good" if tile.is_good else " bad")
        details += f'<dd class="change{tone}">{_change(tile.change, tile.is_points)}</dd>'
    if tile.note:
        details += f'<dd class="note">{escape(tile.note)}</dd>'
    if len(tile.history) > 2:
        details += f'<dd aria-hidden="true">{_spark(tile.history)}</dd>'
    return f'<div><dt>{escape(tile.name)}</dt><dd class="value">{escape(tile.value)}</dd>{details}</div>'


def _change(change: float, is_points: bool) -> str:
    """An arrow for the eye, and the same as a word for the ear."""
    if abs(change) < 0.0005:
        return "unchanged"
    if is_points:
        size = f"{100 * abs(change):,.1f} points"
    else:
        size = f"{abs(change):,.0%}" if abs(change) >= 0.095 else f"{abs(change):.1%}"
    arrow, word = ("▲", "up") if change > 0 else ("▼", "down")
    return f'<span aria-hidden="true">{arrow}</span> <span class="unseen">{word} </span>{size}'


def _spark(history: Sequence[float]) -> str:
    low, high = min(history), max(history)
    span = (high - low) or 1.0
    points = " ".join(
        f"{100 * place / (len(history) - 1):.1f},{22 - 20 * (value - low) / span:.1f}"
        for place, value in enumerate(history)
    )
    return f'<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none"><polyline points="{points}"/></svg>'


# Charts --------------------------------------------------------------------------------------------------------------


def _chart(chart: Chart, level: int, name: str) -> str:
    half = ' class="half"' if chart.is_half else ""
    heading = f'<h{level} class="title" id="{name}-title">{escape(chart.title)}</h{level}>'
    note = f'<p id="{name}-note">{escape(chart.note)}</p>' if chart.note else ""
    if chart.figure is None:
        empty = "empty half" if chart.is_half else "empty"
        return f'<figure class="{empty}"><figcaption>{heading}{note}</figcaption></figure>'
    data = {"figure": json.loads(chart.figure.to_json())}
    choice = ""
    if chart.options:
        data["options"] = [
            {
                "title": option.title,
                "note": option.note,
                "traces": list(option.traces),
                "layout": dict(option.layout),
                "table": None if option.table is None else _rows(option.table),
            }
            for option in chart.options
        ]
        names = "".join(f"<option>{escape(option.name)}</option>" for option in chart.options)
        choice = (
            f'<p class="choice"><label for="{name}-choice">{escape(chart.choose)}</label>'
            f'<select id="{name}-choice">{names}</select></p>'
        )
    table = ""
    if chart.table is not None:
        table = (
            f'<details><summary>The numbers</summary><div class="numbers" id="{name}-numbers" tabindex="0" '
            f'role="group" aria-labelledby="{name}-title">{_numbers(chart.table)}</div></details>'
        )
    return (
        f"<figure{half}><figcaption>{heading}{note}</figcaption>{choice}"
        f'<div class="plot" id="{name}" role="img" aria-labelledby="{name}-title" '
        f'style="height:{chart.figure.layout.height}px"></div>{table}'
        f'<script type="application/json" id="{name}-data">{_script_json(data)}</script></figure>'
    )


def _rows(table: pd.DataFrame) -> dict[str, Any]:
    return {"columns": list(table.columns), "rows": [list(row) for row in table.itertuples(index=False)]}


def _numbers(table: pd.DataFrame) -> str:
    head = "".join(f'<th scope="col">{escape(str(column))}</th>' for column in table.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(value)}</td>" for value in rest)}</tr>'
        for first, *rest in table.itertuples(index=False)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


# Tables --------------------------------------------------------------------------------------------------------------


def _table(table: Table, level: int, file: str = "") -> str:
    """A table's place on the page, with its data unless a script file holds it."""
    heading = f'<h{level} class="title" id="{table.name}-title">{escape(table.title)}</h{level}>'
    note = f"<p>{escape(table.note)}</p>" if table.note else ""
    if table.rows.empty:
        return f'<div class="card empty">{heading}{note}</div>'
    source, data = f' data-file="{file}"', ""
    if not file:
        source = ""
        data = f'<script type="application/json" id="{table.name}-data">{_script_json(_table_data(table))}</script>'
    loading = f'<p class="found">Loading {len(table.rows):,} {escape(table.noun)} …</p>'
    return f'<div class="card">{heading}{note}<div class="table" id="{table.name}"{source}>{loading}</div>{data}</div>'


def _table_data(table: Table) -> dict[str, Any]:
    first = table.columns[0].name
    # A column that holds nothing says no more than its absence.
    told = [column for column in table.columns if column.name == first or table.rows[column.name].notna().any()]
    return {
        "noun": table.noun,
        "length": len(table.rows),
        "columns": [_column_data(column, table.rows[column.name]) for column in told],
    }


def _column_data(column: Column, values: pd.Series) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": column.name,
        "title": column.title,
        "kind": column.kind,
        "width": column.width,
        "number": column.kind in ("number", "percent"),
    }
    data |= {"searched": True} if column.is_searched else {}
    data |= {"detail": True} if column.is_detail else {}
    data |= {"tones": dict(column.tones)} if column.tones else {}
    if column.kind == "category":
        present = sorted({str(value) for value in values.dropna().unique()})
        names = [*(name for name in column.tones if name in present), *(n for n in present if n not in column.tones)]
        codes = values.astype("string").map({name: code for code, name in enumerate(names)}).fillna(-1).astype(int)
        data |= {"names": names, "filter": column.is_filter}
        short = len(names) <= len(_CODES)
        data["values"] = "".join((_CODES + _NO_CODE)[code] for code in codes) if short else codes.tolist()
    elif column.kind == "date":
        days = pd.to_datetime(values).to_numpy(dtype="datetime64[D]")
        data["values"] = [None if np.isnat(day) else int(day.astype(int)) for day in days]
    elif column.kind == "text":
        data["values"] = [None if pd.isna(value) else str(value) for value in values]
    else:
        digits = column.decimals + (2 if column.kind == "percent" else 0)
        rounded = pd.to_numeric(values).astype(float).round(digits).tolist()
        cast = float if digits else int
        data |= {"decimals": column.decimals}
        data["values"] = [None if value != value else cast(value) for value in rounded]  # noqa: PLR0124 (NaN)
    return data


# Findings ------------------------------------------------------------------------------------------------------------


def _listing(listing: Listing, level: int) -> str:
    heading = f'<h{level} class="title">{escape(listing.title)}</h{level}>'
    note = f"<p>{escape(listing.note)}</p>" if listing.note else ""
    if not listing.items:
        return f'<div class="card empty">{heading}{note}</div>'
    items = "".join(_item(item) for item in listing.items)
    return f'<div class="card">{heading}{note}<ul class="items">{items}</ul></div>'


def _item(item: Item) -> str:
    title = escape(item.title)
    # An address from data could be anything, a script too.
    if _PAGE_OF_THE_SITE.fullmatch(item.link):
        title = f'<a href="{escape(item.link)}">{title}</a>'
    when = f" · {escape(item.when)}" if item.when else ""
    text = f"<p>{escape(item.text)}{when}</p>" if item.text or when else ""
    badge = f'<span><span class="badge {item.tone}">{escape(item.label)}</span></span>'
    return f"<li>{badge}<div><strong>{title}</strong>{text}</div></li>"


def _facts(facts: Facts, level: int) -> str:
    heading = f'<h{level} class="title">{escape(facts.title)}</h{level}>'
    note = f"<p>{escape(facts.note)}</p>" if facts.note else ""
    told = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.facts.items() if text)
    told = f'<dl class="facts">{told}</dl>' if told else ""
    kind = f"card{'' if told else ' empty'}{' half' if facts.is_half else ''}"
    return f'<div class="{kind}">{heading}{note}{told}</div>'


# Text inside scripts -------------------------------------------------------------------------------------------------


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in, nor a line of it."""
    return _guarded(_json(value))


def _script_string(text: str) -> str:
    """A text as a JavaScript string in single quotes."""
    return "'" + _guarded(text.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def _guarded(text: str) -> str:
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
