"""Comparing two files row for row: what is a difference, what is none, and how it is told."""

from __future__ import annotations

import io
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from orchestration.compare import CompareError, TableDifference, compare, print_comparison, side

DAYS = "create table marts.days (day date, product string, revenue decimal(18, 4), rate double)"


def write(path: Path, *statements: str) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema marts")
        for statement in statements:
            connection.execute(statement)
    return path


def days(path: Path, *rows: str) -> Path:
    return write(path, DAYS, *(f"insert into marts.days values {row}" for row in rows))


def only(tables: list[TableDifference]) -> TableDifference:
    (table,) = tables
    return table


A = ("('2024-01-01', 'a', 1.5, 0.1)", "('2024-01-01', null, 2.5, null)", "('2024-01-02', 'a', 3, 'nan')")


def test_equal_rows_in_another_order_are_equal(tmp_path: Path) -> None:
    table = only(compare(days(tmp_path / "a", *A), days(tmp_path / "b", *reversed(A))))
    assert table.is_equal
    assert (table.table, table.rows_a, table.rows_b, table.example) == ("marts.days", 3, 3, None)


def test_the_last_digit_of_a_double_is_a_difference(tmp_path: Path) -> None:
    other = ("('2024-01-01', 'a', 1.5, 0.10000000000000002)", *A[1:])
    table = only(compare(days(tmp_path / "a", *A), days(tmp_path / "b", *other)))
    assert not table.is_equal
    assert (table.only_a, table.only_b, table.by_column) == (1, 1, {"rate": 1})
    assert table.example is not None
    assert table.example.columns == {"rate": (0.1, 0.10000000000000002)}
    assert table.example.key["product"] == "a"


def test_a_row_that_is_there_twice_differs_from_one_that_is_there_once(tmp_path: Path) -> None:
    table = only(compare(days(tmp_path / "a", *A, A[0]), days(tmp_path / "b", *A)))
    assert (table.only_a, table.only_b) == (1, 0)
    assert table.example is not None
    assert (table.example.only_in, table.example.key["revenue"]) == ("A", 1.5)


def test_a_missing_row_and_null_keys(tmp_path: Path) -> None:
    table = only(compare(days(tmp_path / "a", *A), days(tmp_path / "b", A[0], A[2])))
    assert (table.rows_a, table.rows_b, table.only_a, table.only_b) == (3, 2, 1, 0)
    assert table.by_column == {}
    assert table.example is not None
    assert table.example.only_in == "A"
    assert table.example.key["product"] is None


def test_null_is_not_zero(tmp_path: Path) -> None:
    table = only(compare(days(tmp_path / "a", *A), days(tmp_path / "b", A[0], "('2024-01-01', null, 2.5, 0)", A[2])))
    assert table.example is not None
    assert table.example.columns == {"rate": (None, 0.0)}


def test_other_columns_and_types_are_told_before_rows(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "create table marts.t (k int, x double, old int)", "create table marts.gone (k int)")
    b = write(tmp_path / "b", "create table marts.t (k int, x decimal(9, 2), new int)")
    gone, changed = compare(a, b)
    assert (gone.rows_a, gone.rows_b, gone.shape, gone.is_equal) == (0, None, "only in A", False)
    assert changed.shape == "old only in A; new only in B; x is DOUBLE in A, DECIMAL(9,2) in B"


def test_another_order_of_columns_is_none(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "create table marts.t as select 1 as x, 2 as y")
    b = write(tmp_path / "b", "create table marts.t as select 2 as y, 1 as x")
    assert only(compare(a, b)).is_equal


def test_awkward_names(tmp_path: Path) -> None:
    a = write(tmp_path / "a", """create table marts."od""d" as select 1 as "a ""b" , 'x' as "select" """)
    b = write(tmp_path / "b", """create table marts."od""d" as select 1 as "a ""b" , 'y' as "select" """)
    table = only(compare(a, b))
    assert table.by_column == {"select": 1}


def test_only_the_schemas_asked_for(tmp_path: Path) -> None:
    a = write(tmp_path / "a", "create schema ml", "create table ml.t (k int)", "create table marts.t (k int)")
    assert [table.table for table in compare(a, a, ["ml"])] == ["ml.t"]
    with pytest.raises(CompareError, match=r"neither .* has a table in nothing"):
        compare(a, a, ["nothing"])


def test_what_is_printed(tmp_path: Path) -> None:
    a, b = days(tmp_path / "a", *A), days(tmp_path / "b", "('2024-01-01', 'a', 1.5, 0.2)", *A[1:])
    output = io.StringIO()
    console = Console(file=output, width=200)
    assert not print_comparison(console, a, b, compare(a, b))
    printed = output.getvalue()
    assert "marts.days: rows of the same key differ in rate in 1" in printed
    assert "first: day=2024-01-01, product='a'" in printed
    assert "rate: A 0.1, B 0.2" in printed
    assert printed.rstrip().endswith("1 of 1 tables differ.")
    assert print_comparison(console, a, a, compare(a, a))
    assert output.getvalue().rstrip().endswith("All 1 tables are equal, 3 rows.")


def published(path: Path, versions: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(
        path,
        "create schema meta",
        "create table meta.refreshes (refresh bigint, status string, versions string)",
        f"insert into meta.refreshes values (1, 'published', '{versions}')",
    )


def test_the_sides_people_name(tmp_path: Path) -> None:
    home = tmp_path / "home"
    spark = published(home / "versions" / "3" / "pulse.duckdb", '{"target": "spark"}')
    older = published(home / "versions" / "2" / "pulse.duckdb", '{"duckdb": "2.0.0"}')
    now = published(home / "pulse.duckdb", '{"target": "spark"}')
    versions = [(3, spark), (2, older)]
    named = {words: side(words, home, versions) for words in ("spark", "duckdb", "2", str(home), str(now))}
    assert named == {"spark": spark, "duckdb": older, "2": older, str(home): now, str(now): now}
    with pytest.raises(CompareError, match=r"refresh 7 is not kept .* Kept are: 3, 2"):
        side("7", home, versions)
    with pytest.raises(
        CompareError, match=r"none of the kept versions .* built on duckdb: `PULSE_TARGET=duckdb pulse run"
    ):
        side("duckdb", home, versions[:1])
    with pytest.raises(CompareError, match="does not exist: name a published file"):
        side(str(tmp_path / "nowhere"), home, versions)
