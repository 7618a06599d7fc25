"""Text as SQL writes it, and single rows of an answer. Nothing here knows what it is for."""

from __future__ import annotations

from typing import Any

import duckdb


def literal(text: str) -> str:
    """Text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def first_row(con: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    """The first row of an answer, which must have one; the others are fetched too, which frees the connection."""
    return con.execute(query).fetchall()[0]
