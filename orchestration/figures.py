"""Key figures of a table for Dagster's metadata, as the model's own YAML declares them.

Under `config: meta:` of a dbt model or source table:

    figures: {at_risk: "count(*) filter (where is_at_risk)"}   # aggregates over the table, drawn over time by the UI
    shown_by: segment                                          # the same for each value of a column, as a small table
    preview_rows: 20                                           # how much of the table is shown
    page: customers.html                                       # the page of the site that speaks of it

What a figure means stands with the model, and is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb

from orchestration.preview import preview_markdown

_MOST_VALUES = 12


def key_figures(cursor: duckdb.DuckDBPyConnection, relation: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """The declared figures of a table; one that has no value, such as the mean of nothing, is left out.

    Args:
        cursor: To the database that holds the table.
        relation: The table's name in SQL.
        told: The `meta` of its YAML.
    """
    figures: Mapping[str, str] = told.get("figures", {})
    by = told.get("shown_by")
    found: dict[str, Any] = {}
    if figures:
        selected = ", ".join(f'{expression} as "{name}"' for name, expression in figures.items())
        (row,) = cursor.execute(f"select {selected} from {relation}").fetchall()
        found = {name: _plain(value) for name, value in zip(figures, row, strict=True) if value is not None}
    if by:
        counted = {"rows": "count(*)", **figures}
        selected = ", ".join(f'{expression} as "{name}"' for name, expression in counted.items())
        frame = cursor.execute(
            f'select "{by}", {selected} from {relation} group by 1 order by 2 desc, 1 nulls last limit {_MOST_VALUES}'
        ).df()
        found[f"by_{by}"] = dg.MetadataValue.md(preview_markdown(frame.round(2), rows=_MOST_VALUES))
    return found


def page_link(told: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """Where the page lies that speaks of a table, once it is published."""
    page = told.get("page")
    return {"page": dg.MetadataValue.path(home / "reports" / page)} if page else {}


def _plain(value: Any) -> Any:
    """As Dagster draws it: money as a float, a day as text."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value
