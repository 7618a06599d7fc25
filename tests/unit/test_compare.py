"""Comparing two files row for row: what is a difference, what is none, how it is told, and `pulse compare`."""

from __future__ import annotations

import io
from datetime import date, datetime
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from orchestration.cli import main
from orchestration.compare import CompareError, TableDifference, compare, print_comparison, side
from orchestration.settings import Settings
from orchestration.versions import keep_version

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


def published(
    path: Path, refresh: int = 1, as_of: str = "2026-03-31", versions: str = '{"target": "duckdb"}', rate: float = 0.1
) -> Path:
    """A published file with one row, and the record of its refresh."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(
        path,
        DAYS,
        f"insert into marts.days values ('2024-01-01', 'a', 1.5, {rate})",
        "create schema ml",
        "create table ml.scores as select 'c' as customer_id, 0.5 as churn_probability",
        "create schema meta",
        "create table meta.refreshes (refresh bigint, as_of date, status string, versions string)",
        f"insert into meta.refreshes values ({refresh}, '{as_of}', 'published', '{versions}')",
        f"insert into meta.refreshes values ({refresh + 1}, '{as_of}', 'failed', '{{}}')",
    )


def test_the_sides_people_name(tmp_path: Path) -> None:
    home = tmp_path / "home"
    spark = published(home / "versions" / "3" / "pulse.duckdb", versions='{"target": "spark"}')
    older = published(home / "versions" / "2" / "pulse.duckdb", versions='{"duckdb": "2.0.0"}')
    now = published(home / "pulse.duckdb", versions='{"target": "spark"}')
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


def keep(home: Path, refresh: int, as_of: str, target: str, rate: float = 0.1) -> None:
    """Publish a refresh of a home, and keep it."""
    (home / "pulse.duckdb").unlink(missing_ok=True)
    file = published(home / "pulse.duckdb", refresh, as_of, f'{{"target": "{target}"}}', rate)
    keep_version(
        Settings(home=home), file, refresh, date.fromisoformat(as_of), datetime.fromisoformat(f"{as_of}T12:00")
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of the day before, and of a day that both engines built alike."""
    folder = tmp_path_factory.mktemp("home")
    keep(folder, 1, "2026-03-30", "duckdb", rate=0.3)
    keep(folder, 2, "2026-03-31", "duckdb")
    keep(folder, 3, "2026-03-31", "spark")
    return folder


@pytest.fixture(scope="module")
def next_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that Spark built a day later than DuckDB, from other data."""
    folder = tmp_path_factory.mktemp("next_day")
    keep(folder, 2, "2026-03-31", "duckdb")
    keep(folder, 3, "2026-04-01", "spark", rate=0.2)
    return folder


def pulse(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "250"}).invoke(main, ["compare", *map(str, arguments)])


def test_the_command_takes_the_latest_kept_version_of_each_engine(home: Path) -> None:
    result = pulse("duckdb", "spark", "--home", home)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == f"A  {home}/versions/2/pulse.duckdb  (refresh 2, as of 2026-03-31, built on duckdb)"
    assert lines[1] == f"B  {home}/versions/3/pulse.duckdb  (refresh 3, as of 2026-03-31, built on spark)"
    assert lines[2] == "A is refresh 2, B refresh 3: where rows came in between, different data is compared."
    assert lines[-1] == "All 1 tables are equal, 1 rows."


def test_the_command_ends_with_1_where_rows_differ_and_says_so_of_the_days(next_day: Path) -> None:
    result = pulse("duckdb", "spark", "--home", next_day)
    assert result.exit_code == 1, result.output
    assert result.output.splitlines()[2] == "Different data is compared: A is as of 2026-03-31, B as of 2026-04-01."
    assert "rate: A 0.1, B 0.2" in result.output
    assert result.output.splitlines()[-1] == "1 of 1 tables differ."


def test_the_command_takes_refreshes_homes_and_files(home: Path, next_day: Path) -> None:
    same = pulse("2", next_day / "versions" / "2" / "pulse.duckdb", "--home", home)
    assert same.exit_code == 0, same.output
    assert "refresh 2, as of 2026-03-31, built on duckdb" in same.output.splitlines()[1]
    assert "different data" not in same.output.lower()
    other = pulse(home, next_day, "--home", home)
    assert other.exit_code == 1
    assert [line.split("  ")[1] for line in other.output.splitlines()[:2]] == [
        f"{folder}/pulse.duckdb" for folder in (home, next_day)
    ]


def test_the_command_compares_the_schemas_asked_for(next_day: Path) -> None:
    scores = pulse("2", "3", "--schema", "ml", "--home", next_day)
    assert scores.exit_code == 0, scores.output
    assert "ml.scores" in scores.output
    assert "marts.days" not in scores.output
    both = pulse("2", "3", "--schema", "ml", "--schema", "marts", "--home", next_day)
    assert both.exit_code == 1
    assert "1 of 2 tables differ." in both.output


def test_a_file_without_a_record_is_compared_and_nothing_said_of_its_day(home: Path, tmp_path: Path) -> None:
    bare = days(tmp_path / "bare.duckdb", "('2024-01-01', 'a', 1.5, 0.1)")
    result = pulse(bare, "2", "--home", home)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[0] == f"A  {bare}"
    assert "different data" not in result.output.lower()


def test_the_command_ends_with_2_where_there_is_nothing_to_compare(home: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.duckdb"
    broken.write_text("no database")
    for words, told in {
        "7": "pulse: refresh 7 is not kept in",
        str(tmp_path): "does not exist: name a published file",
        str(broken): "is not a valid DuckDB database",
    }.items():
        result = pulse("2", words, "--home", home)
        assert (result.exit_code, result.stdout) == (2, "")
        assert told in result.stderr
    nowhere = pulse("duckdb", "spark", "--home", tmp_path / "new")
    assert nowhere.exit_code == 2
    assert "`PULSE_TARGET=duckdb pulse run --home" in nowhere.stderr
