"""Exports: exact, harmless in spreadsheets, written whole or not at all, without personal columns unless asked for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.cli import main
from orchestration.exports import Export, ExportError, exports_in, named, write_export, write_query
from tests.unit.hostile import NAMES, publish

FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # noqa: RUF001


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    publish(folder / "pulse.duckdb")
    return folder


@pytest.fixture
def published(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        yield connection


def export(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["export", *arguments, "--home", str(home)])


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


ALERTS = Export("alerts", "marts.alerts", "")


class TestFiles:
    def test_no_text_of_a_csv_is_a_formula_and_numbers_stay_numbers(
        self, published: duckdb.DuckDBPyConnection, tmp_path: Path
    ) -> None:
        available = exports_in(published)
        for each in available:
            write_export(published, each, tmp_path / "x.csv", "csv", personal=True)
            for row in cells(tmp_path / "x.csv"):
                assert not [cell for cell in row if cell.startswith(FORMULA) and cell != "-7.25"], each
        write_export(published, named("audience_win_back", available), tmp_path / "x.csv", "csv", personal=True)
        rows = cells(tmp_path / "x.csv")
        assert rows[0] == ["customer_id", "name", "email", "score"]
        assert [row[3] for row in rows[1:]] == ["-7.25"] * len(NAMES)
        assert {row[0]: row[1] for row in rows[1:]} == {
            f"C{place}": f"'{name}" if name.startswith(FORMULA) else name for place, name in enumerate(NAMES)
        }

    def test_json_and_parquet_are_exact(self, published: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
        audience = named("audience_win_back", exports_in(published))
        expected = [(f"C{place}", name, name, -7.25) for place, name in enumerate(NAMES)]
        for file_format in ("json", "parquet"):
            path = tmp_path / f"x.{file_format}"
            rows, columns = write_export(published, audience, path, file_format, personal=True)
            assert (rows, columns) == (len(NAMES), ["customer_id", "name", "email", "score"])
            if file_format == "json":
                found = [tuple(row.values()) for row in json.loads(path.read_text(encoding="utf-8"))]
            else:
                with duckdb.connect() as connection:
                    found = connection.execute(f"from '{path}'").fetchall()
            assert found == expected

    def test_what_is_no_number_is_null_in_json(self, published: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
        write_export(published, named("intent", exports_in(published)), tmp_path / "x.json", "json", personal=False)
        assert json.loads((tmp_path / "x.json").read_text())[0] == {"customer_id": "C0", "intent_score": None}

    def test_nothing_and_an_empty_text_stay_apart(self, published: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
        write_export(published, named("offers", exports_in(published)), tmp_path / "x.csv", "csv", personal=False)
        assert (tmp_path / "x.csv").read_text().splitlines()[:2] == ["customer_id,message,note", 'C0,"",']

    def test_every_other_text_comes_back_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        with duckdb.connect() as connection:

            @settings(max_examples=40, deadline=None)
            @given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=1))
            def holds(texts: list[str]) -> None:
                # Not bound: `describe` takes no values, and a table a case takes most of the time.
                listed = ", ".join("'" + text.replace("'", "''") + "'" for text in texts)
                write_query(connection, f"select unnest([{listed}]) as said", path, "csv")
                # An empty cell alone on its line is written as "".
                found = [row[0] for row in cells(path)[1:]]
                assert found == [f"'{text}" if text.startswith(FORMULA) else text for text in texts]

            holds()

    def test_the_same_bytes_every_time(self, published: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
        for file_format in ("csv", "json", "parquet"):
            for name in ("a", "b"):
                write_export(published, ALERTS, tmp_path / name, file_format, personal=False)
            assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_a_failure_leaves_the_file_as_it_was_and_nothing_beside_it(self, tmp_path: Path) -> None:
        target = tmp_path / "x.csv"
        target.write_text("before")
        with duckdb.connect() as connection, pytest.raises(duckdb.Error, match="halfway"):
            write_query(
                connection,
                "select case when i > 200000 then error('halfway') else i end as i from range(300000) as r(i)",
                target,
                "csv",
            )
        assert target.read_text() == "before"
        assert list(tmp_path.iterdir()) == [target]

    def test_a_place_that_cannot_be_written_to_is_named(self, published: duckdb.DuckDBPyConnection) -> None:
        with pytest.raises(ExportError, match=r"/proc/x\.csv cannot be written"):
            write_export(published, ALERTS, Path("/proc/x.csv"), "csv", personal=False)


class TestPersonalColumns:
    def test_none_unless_asked_for_even_where_the_table_has_them(
        self, published: duckdb.DuckDBPyConnection, tmp_path: Path
    ) -> None:
        for each in exports_in(published):
            _, columns = write_export(published, each, tmp_path / "x.csv", "csv", personal=False)
            assert not {"name", "email"} & set(columns), each

    def test_exports_without_customers_have_none_to_add(self, home: Path, tmp_path: Path) -> None:
        result = export(home, "alerts", "--with-personal-data", "--out", str(tmp_path))
        assert result.exit_code == 0
        assert "there are no personal columns to add" in result.output
        assert "name" not in cells(tmp_path / "alerts.csv")[0]


class TestCommand:
    def test_the_names_are_listed(self, home: Path) -> None:
        listed = [line.split()[0] for line in export(home).output.splitlines()]
        assert listed == [
            *("intent", "churn_scores", "lifetime_value", "segments", "next_best_actions", "offers", "alerts"),
            "audience_win_back",
        ]

    def test_an_unknown_name_lists_all_and_suggests_the_nearest(self, home: Path) -> None:
        result = export(home, "Next-best-action")
        assert result.exit_code == 1
        assert (
            "there is no export 'Next-best-action'. Did you mean next_best_actions? There are: intent," in result.output
        )
        assert "Did you mean" not in export(home, "zzz").output

    def test_the_ending_of_the_file_decides(self, home: Path, tmp_path: Path) -> None:
        assert export(home, "offers", "--out", str(tmp_path / "o.json")).exit_code == 0
        assert len(json.loads((tmp_path / "o.json").read_text())) == len(NAMES)
        both = export(home, "offers", "--out", str(tmp_path / "o.json"), "--format", "csv")
        assert both.exit_code == 1
        assert "ends in .json, but --format asks for csv" in both.output

    def test_printed(self, home: Path) -> None:
        result = export(home, "offers", "--out", "-")
        assert [row[0] for row in csv.reader(io.StringIO(result.stdout))] == [
            "customer_id",
            *(f"C{place}" for place in range(len(NAMES))),
        ]
        assert "Parquet is no text" in export(home, "offers", "--out", "-", "--format", "parquet").output

    def test_a_folder_that_does_not_exist_is_named(self, home: Path, tmp_path: Path) -> None:
        result = export(home, "offers", "--out", str(tmp_path / "no" / "o.csv"))
        assert result.exit_code == 1
        assert f"the folder {tmp_path / 'no'} does not exist" in result.output

    def test_before_anything_is_published(self, tmp_path: Path) -> None:
        result = export(tmp_path, "offers")
        assert result.exit_code == 1
        assert "nothing has been published yet" in result.output
