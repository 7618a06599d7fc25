"""Small tables as Markdown for Dagster's metadata. Personal columns are never shown."""

from __future__ import annotations

from typing import Any

import pandas as pd

PERSONAL = frozenset({"name", "email"})


def preview_markdown(frame: pd.DataFrame, rows: int = 5) -> str:
    """The first rows of a frame as a Markdown table.

    Args:
        frame: Any frame.
        rows: Rows to show.
    """
    shown = frame.drop(columns=[column for column in frame.columns if column in PERSONAL]).head(rows)
    if shown.empty:
        return "no rows"
    lines = ["| " + " | ".join(map(str, shown.columns)) + " |", "|" + "---|" * len(shown.columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in shown.itertuples(index=False)]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return ""
    # A date read into a frame becomes a timestamp at midnight.
    is_day = isinstance(value, pd.Timestamp) and value == value.normalize()
    text = str(value.date() if is_day else value)
    return text.replace("|", "\\|").replace("\n", " ")[:80]
