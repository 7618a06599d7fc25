"""Two published files, row for row: of which tables the rows differ, in which columns, and the first that does.

Exact: a difference in the last digit is a difference, the order of rows is none. What the two are (two engines, two
homes, two refreshes) is no business of this module but for the words people name them by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from orchestration.published import attached
from orchestration.terminal import plain, shown

TARGETS = ("duckdb", "spark")
SCHEMAS = ("marts",)
"""What is compared where nothing else is asked for."""

_KEY_COLUMNS = 4
"""A key is looked for among the first columns, up to so many."""


class CompareError(Exception):
    """There is nothing to compare; the message says what was looked for and what to do."""


@dataclass(frozen=True)
class Example:
    """A row that differs.

    Args:
        key: What tells it from other rows; empty where no columns do.
        columns: By the name of a column its value in A and in B.
        only_in: The side that alone has it, ``A`` or ``B``; None when both have it with other values.
    """

    key: Mapping[str, Any]
    columns: Mapping[str, tuple[Any, Any]]
    only_in: str | None = None


@dataclass(frozen=True)
class TableDifference:
    """How a table of A compares with that of B.

    Args:
        table: Schema and name.
        rows_a: Rows in A, None where A has no such table.
        rows_b: Likewise in B.
        only_a: Rows of A without an equal in B.
        only_b: Rows of B without an equal in A.
        shape: How the columns differ, empty where they do not; rows are not compared then.
        by_column: Rows of the same key in which a column differs.
        example: The first row that differs, by key.
    """

    table: str
    rows_a: int | None
    rows_b: int | None
    only_a: int = 0
    only_b: int = 0
    shape: str = ""
    by_column: Mapping[str, int] | None = None
    example: Example | None = None

    @property
    def is_equal(self) -> bool:
        """Whether both have the table with the same columns and rows."""
        return not (self.shape or self.only_a or self.only_b) and self.rows_a is not None and self.rows_b is not None


def compare(a: Path, b: Path, schemas: Sequence[str] = SCHEMAS) -> list[TableDifference]:
    """Compare two files table by table.

    Args:
        a: A published file or a warehouse.
        b: Another one.
        schemas: The schemas whose tables are compared.

    Returns:
        Every table of either file, by name.

    Raises:
        CompareError: Neither has a table in these schemas.
    """
    with attached(a=a, b=b) as connection:
        tables = {side: _columns(connection, side, schemas) for side in ("a", "b")}
        names = sorted(tables["a"] | tables["b"])
        if not names:
            raise CompareError(f"neither {a} nor {b} has a table in {', '.join(schemas)}.")
        return [_compared(connection, name, tables["a"].get(name), tables["b"].get(name)) for name in names]


def _columns(
    connection: duckdb.DuckDBPyConnection, side: str, schemas: Sequence[str]
) -> dict[str, list[tuple[str, str]]]:
    """The columns of each table with their types, in order."""
    found: dict[str, list[tuple[str, str]]] = {}
    for schema, table, column, kind in connection.execute(
        """
        select schema_name, table_name, column_name, data_type
        from duckdb_columns()
        where database_name = ? and list_contains(?, schema_name)
        order by schema_name, table_name, column_index
        """,
        [side, list(schemas)],
    ).fetchall():
        found.setdefault(f"{schema}.{table}", []).append((column, kind))
    return found


def _compared(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    a: list[tuple[str, str]] | None,
    b: list[tuple[str, str]] | None,
) -> TableDifference:
    relation = ".".join(map(_identifier, table.split(".", 1)))
    rows_a, rows_b = (
        None if columns is None else _number(connection, f"select count(*) from {name}.{relation}")
        for name, columns in (("a", a), ("b", b))
    )
    if a is None or b is None:
        return TableDifference(table, rows_a, rows_b, shape=f"only in {'B' if a is None else 'A'}")
    if shape := _shape(dict(a), dict(b)):
        return TableDifference(table, rows_a, rows_b, shape=shape)
    # By name: the order of columns is no difference in what a table says.
    selected = ", ".join(_identifier(column) for column, _ in a)
    sides = {side: f"select {selected} from {side}.{relation}" for side in ("a", "b")}
    only_a, only_b = (
        _number(connection, f"select count(*) from ({sides[this]} except all {sides[other]})")
        for this, other in (("a", "b"), ("b", "a"))
    )
    if not (only_a or only_b):
        return TableDifference(table, rows_a, rows_b)
    columns = [column for column, _ in a]
    key = _key(connection, relation, columns)
    by_column, example = _told(connection, sides, columns, key) if key else ({}, _unpaired(connection, sides, columns))
    return TableDifference(table, rows_a, rows_b, only_a, only_b, "", by_column, example)


def _shape(a: Mapping[str, str], b: Mapping[str, str]) -> str:
    """How two sets of columns differ."""
    parts = [f"{column} only in A" for column in a if column not in b]
    parts += [f"{column} only in B" for column in b if column not in a]
    parts += [
        f"{column} is {a[column]} in A, {b[column]} in B" for column in a if column in b and a[column] != b[column]
    ]
    return "; ".join(parts)


def _key(connection: duckdb.DuckDBPyConnection, relation: str, columns: Sequence[str]) -> list[str]:
    """The fewest first columns whose values are found once only, in both; none where there are no such."""
    for length in range(1, min(_KEY_COLUMNS, len(columns)) + 1):
        key = list(columns[:length])
        selected = ", ".join(map(_identifier, key))
        if not any(
            _number(
                connection,
                f"select count(*) - (select count(*) from (select distinct {selected} from {name})) from {name}",
            )
            for name in (f"a.{relation}", f"b.{relation}")
        ):
            return key
    return []


def _told(
    connection: duckdb.DuckDBPyConnection, sides: Mapping[str, str], columns: Sequence[str], key: Sequence[str]
) -> tuple[dict[str, int], Example]:
    """Of rows with one key: how often each column differs, and the first row that differs or has no partner."""
    others = [column for column in columns if column not in key]
    same = " and ".join(f"a.{_identifier(column)} is not distinct from b.{_identifier(column)}" for column in key)
    differs = {column: f"a.{_identifier(column)} is distinct from b.{_identifier(column)}" for column in others}
    marked = {this: f'(select *, true as "is here" from ({query})) as {this}' for this, query in sides.items()}
    paired = f"from {marked['a']} full join {marked['b']} on {same}"
    both = 'a."is here" and b."is here"'
    by_column: dict[str, int] = {}
    if others:
        counted = ", ".join(f"count(*) filter (where {both} and {condition})" for condition in differs.values())
        (numbers,) = connection.execute(f"select {counted} {paired}").fetchall()
        by_column = {column: number for column, number in zip(others, numbers, strict=True) if number}
    keys = ", ".join(f"coalesce(a.{_identifier(column)}, b.{_identifier(column)})" for column in key)
    values = "".join(f", a.{_identifier(column)}, b.{_identifier(column)}" for column in others)
    unequal = " or ".join(['a."is here" is null', 'b."is here" is null', *differs.values()])
    order = ", ".join(f"{place} nulls first" for place in range(1, len(key) + 1))
    (row,) = connection.execute(
        f'select {keys}, a."is here", b."is here"{values} {paired} where {unequal} order by {order} limit 1'
    ).fetchall()
    named = dict(zip(key, row, strict=False))
    in_a, in_b, *rest = row[len(key) :]
    if not (in_a and in_b):
        return by_column, Example(named, {}, "A" if in_a else "B")
    pairs = {column: (rest[2 * place], rest[2 * place + 1]) for place, column in enumerate(others)}
    # Compared as the database does: to Python a missing number, NaN, differs from itself.
    told = {column: pair for column, pair in pairs.items() if by_column.get(column) and not _same(*pair)}
    return by_column, Example(named, told)


def _same(a: Any, b: Any) -> bool:
    return bool(a == b) or (a != a and b != b)  # noqa: PLR0124 - true of NaN alone


def _unpaired(connection: duckdb.DuckDBPyConnection, sides: Mapping[str, str], columns: Sequence[str]) -> Example:
    """Where nothing tells rows apart: the first row that the other side has not."""
    for this, other in (("a", "b"), ("b", "a")):
        rows = connection.execute(
            f"select * from ({sides[this]} except all {sides[other]}) order by all limit 1"
        ).fetchall()
        if rows:
            break
    return Example(dict(zip(columns, rows[0], strict=True)), {}, this.upper())


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def side(words: str, home: Path, versions: Sequence[tuple[int, Path]]) -> Path:
    """The file that somebody names.

    Args:
        words: ``duckdb`` or ``spark`` for the latest kept version built there, the number of a refresh that is kept, or
            the path of a home or of a file.
        home: The home whose versions are meant.
        versions: Number and file of each version that is kept, the latest first.

    Raises:
        CompareError: There is no such file.
    """
    if words in TARGETS:
        for _, file in versions:
            origin = _origin(file)
            if origin is not None and origin.target == words:
                return file
        raise CompareError(
            f"none of the kept versions of {home} was built on {words}: `PULSE_TARGET={words} pulse run --home {home}` "
            "builds one."
        )
    if words.isdecimal():
        for refresh, file in versions:
            if refresh == int(words):
                return file
        listed = ", ".join(str(refresh) for refresh, _ in versions) or "none"
        raise CompareError(f"refresh {words} is not kept in {home}. Kept are: {listed}.")
    path = Path(words).expanduser()
    file = path / "pulse.duckdb" if path.is_dir() else path
    if not file.exists():
        raise CompareError(
            f"{file} does not exist: name a published file, a home in which something is published, a refresh that is "
            "kept (`pulse rollback --list`), duckdb or spark."
        )
    return file


@dataclass(frozen=True)
class _Origin:
    """Of which refresh a file is, for which day, and where that was built."""

    refresh: int
    as_of: date
    target: str

    def __str__(self) -> str:
        return f"refresh {self.refresh}, as of {self.as_of}, built on {self.target}"


def _origin(file: Path) -> _Origin | None:
    """What the record in a file says of it; None where it holds no record, or none of a published refresh."""
    with attached(file=file) as connection:
        try:
            rows = connection.execute(
                """
                select refresh, as_of, versions from file.meta.refreshes
                where status = 'published' order by refresh desc limit 1
                """
            ).fetchall()
        except (duckdb.CatalogException, duckdb.BinderException):
            return None
    return _Origin(rows[0][0], rows[0][1], json.loads(rows[0][2]).get("target", TARGETS[0])) if rows else None


def _caution(a: _Origin, b: _Origin) -> str | None:
    """Why what differs need not come from the engines, or None."""
    if a.as_of != b.as_of:
        return f"Different data is compared: A is as of {a.as_of}, B as of {b.as_of}."
    if a.refresh != b.refresh:
        return (
            f"A is refresh {a.refresh}, B refresh {b.refresh}: where rows came in between, different data is compared."
        )
    return None


def print_comparison(console: Console, a: Path, b: Path, tables: Sequence[TableDifference]) -> bool:
    """Print of which refreshes the files are, every table, and what differs.

    Args:
        console: Where to.
        a: The file that is called A.
        b: The file that is called B.
        tables: What came of comparing them.

    Returns:
        Whether they are equal.
    """
    origins = {"A": _origin(a), "B": _origin(b)}
    for name, file in (("A", a), ("B", b)):
        told = f"  ({origins[name]})" if origins[name] else ""
        console.print(f"{name}  {file}{told}", markup=False, highlight=False, soft_wrap=True)
    if origins["A"] and origins["B"] and (caution := _caution(origins["A"], origins["B"])):
        console.print(caution, markup=False, highlight=False, soft_wrap=True)
    grid = Table("table", box=None, pad_edge=False)
    for head in ("rows A", "rows B", "only in A", "only in B"):
        grid.add_column(head, justify="right")
    for table in tables:
        marks = ["-" if table.shape else f"{number:,}" for number in (table.only_a, table.only_b)]
        rows = ["-" if number is None else f"{number:,}" for number in (table.rows_a, table.rows_b)]
        grid.add_row(shown(table.table), *rows, *marks, style=None if table.is_equal else "red")
    console.print()
    console.print(grid)
    unequal = [table for table in tables if not table.is_equal]
    for table in unequal:
        console.print()
        for line in _lines(table):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    total = sum(table.rows_a or 0 for table in tables)
    console.print()
    verdict = (
        f"{len(unequal)} of {len(tables)} tables differ."
        if unequal
        else f"All {len(tables)} tables are equal, {total:,} rows."
    )
    console.print(verdict, highlight=False)
    return not unequal


def _lines(table: TableDifference) -> list[str]:
    """What differs in a table, in words."""
    if table.shape:
        return [f"{table.table}: {table.shape}"]
    counted = ", ".join(f"{column} in {number:,}" for column, number in (table.by_column or {}).items())
    lines = [f"{table.table}: rows of the same key differ in {counted}" if counted else f"{table.table}:"]
    if table.example is None:
        return lines
    key = ", ".join(f"{column}={_value(value)}" for column, value in table.example.key.items())
    if table.example.only_in:
        return [*lines, f"  first: only in {table.example.only_in}: {key}"]
    lines.append(f"  first: {key}")
    return [*lines, *(f"    {name}: A {_value(a)}, B {_value(b)}" for name, (a, b) in table.example.columns.items())]


def _value(value: Any) -> str:
    return "null" if value is None else plain(repr(value) if isinstance(value, float | str) else value)
