"""Small tables as Markdown for Dagster's metadata. Personal columns are never shown, and data is never Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from orchestration.published import PERSONAL

PREVIEW_ROWS = 5
"""Rows of a preview where nothing else is asked for."""

_LONGEST = 80
# What Markdown or HTML could read as more than itself: a table's bars, code, links, pictures, emphasis, elements.
_MARKUP = re.compile(r"([\\`*\[\]<>|~&!#])")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def preview_markdown(frame: pd.DataFrame, rows: int = PREVIEW_ROWS) -> str:
    """The first rows of a frame as a Markdown table.

    Args:
        frame: Any frame.
        rows: Rows to show.
    """
    shown = frame.drop(columns=[column for column in frame.columns if column in PERSONAL]).head(rows)
    if shown.empty:
        return "no rows"
    return markdown_table(
        [_shortened(column) for column in shown.columns],
        ([_shortened(_cell(value)) for value in row] for row in shown.itertuples(index=False)),
    )


def markdown_table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    """A Markdown table whose cells mean themselves, whatever is in them.

    Args:
        head: Names of the columns.
        rows: Cells, row by row.
    """
    names = [_text(name) for name in head]
    lines = [_line(names), "|" + "---|" * len(names), *(_line([_text(cell) for cell in row]) for row in rows)]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(value: Any) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    # A date read into a frame becomes a timestamp at midnight.
    is_day = isinstance(value, pd.Timestamp) and value == value.normalize()
    return str(value.date() if is_day else value)


def _shortened(value: Any) -> str:
    """Before escaping, so that no escape is cut in half."""
    return str(value)[:_LONGEST]


def _text(value: Any) -> str:
    return _MARKUP.sub(r"\\\1", _CONTROLS.sub(" ", str(value)))
