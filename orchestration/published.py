"""The published file, opened for reading, and which of its columns are personal.

For what people type and wait for: Dagster and dbt, which take seconds to import, stay outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

PERSONAL = frozenset({"name", "email"})
"""Columns that tell who a customer is; they leave the file only where somebody asks for them."""


def open_published(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the published file for reading.

    Raises:
        FileNotFoundError: Nothing has been published yet.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: nothing has been published yet")
    return duckdb.connect(str(path), read_only=True)


@contextmanager
def attached(**files: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with files attached under the names given, to be read and no more.

    Raises:
        duckdb.Error: One cannot be opened.
    """
    with duckdb.connect() as connection:
        for name, file in files.items():
            connection.execute(f"attach {quoted(file)} as {name} (read_only)")
        yield connection


def quoted(text: Path | str) -> str:
    """A path or a text as an SQL string."""
    return "'" + str(text).replace("'", "''") + "'"
