"""`pulse sources`: what a dry run shows and keeps, the sources.yml it writes, and rows handed back for mending."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import duckdb
import pytest
import yaml
from click.testing import CliRunner, Result

from orchestration.cli import main
from sources.contracts import BY_NAME
from sources.delivery import Request
from sources.dry_run import dry_run
from sources.files import open_files
from sources.store import RawFolder

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
SALES = BY_NAME["shop.sales"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    landing = tmp_path / "landing"
    landing.mkdir()
    return landing


def pulse(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["sources", *map(str, arguments)], env={"COLUMNS": "160"})


def test_it_shows_how_each_column_was_read_and_keeps_nothing(folder: Path) -> None:
    (folder / "orders.csv").write_text(
        "Order;Customer;Order Date;Paid;Remark;Qty\n"
        "1;K1;13.01.2024;12,50;;2\n2;;14.01.2024;-3,00;x;1\n3;K2;soon;1,00;;1\n"
    )
    (folder / "sources.yml").write_text("files:\n  - {path: orders.csv, table: shop.sales, columns: {amount: Paid}}\n")
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    result = pulse("check", folder, "--home", folder.parent)
    assert result.exit_code == 0, result.output
    assert {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()} == before
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "Order Date sold_at known name day first" in lines
    assert "Paid amount sources.yml decimal comma" in lines
    assert "Not used: Remark" in lines
    assert "1 K1 2024-01-13 00:00:00 2.0 12.5" in lines
    assert "Rows: 3 = 2 new + 0 restated + 0 duplicate + 1 in quarantine." in lines
    assert "line 4, Order Date (sold_at): 'soon' is not a date written day first" in lines
    assert "no margins: no unit costs; worth is told on revenue" in lines
    assert any("2 days of history are too few" in line for line in lines)


def test_a_file_that_cannot_be_read_does_not_hide_the_others(folder: Path) -> None:
    (folder / "a.csv").write_text("customer_id,date,amount\n1,03/04/2024,5\n")
    (folder / "b.csv").write_text("what,ever\n1,2\n")
    (folder / "c.csv").write_text("customer_id,date,amount\n1,2024-01-05,5\n")
    result = pulse("check", folder, "--home", folder.parent)
    assert result.exit_code == 1
    assert "a.csv cannot be read" in result.output
    assert "no value decides it" in result.output
    assert "b.csv cannot be read" in result.output
    assert "its header fits no table" in result.output
    assert "c.csv is shop.sales" in result.output


@pytest.mark.parametrize("sample", ["kiosk", "studio"])
def test_what_it_writes_reads_the_same(tmp_path: Path, sample: str) -> None:
    for name in ("said", "written"):
        shutil.copytree(SAMPLES / sample, tmp_path / name)
    said = yaml.safe_load((tmp_path / "written" / "sources.yml").read_text(encoding="utf-8"))
    written = tmp_path / "written" / "sources.yml"
    again = pulse("check", tmp_path / "written", "--write", "--home", tmp_path)
    assert again.exit_code == 2
    assert "exists already" in again.output
    # Only what is written may say how to read the files; what holds for all of them is said beside it.
    quarantine = tmp_path / "quarantine"
    found = dry_run(open_files(tmp_path / "said", quarantine), quarantine, request())
    document = yaml.safe_load(found.sources_yml) | {key: said[key] for key in ("timezone", "currency")}
    written.write_text(yaml.safe_dump(document, allow_unicode=True), encoding="utf-8")
    assert loaded(tmp_path / "written", tmp_path / "raw1") == loaded(tmp_path / "said", tmp_path / "raw2")


def request() -> Request:
    return Request(date(2024, 7, 10), None, "UTC", {}, batch=1)


def loaded(source: Path, folder: Path) -> list[tuple[object, ...]]:
    raw = RawFolder(folder)
    files = open_files(source, folder / "quarantine")
    for contract in BY_NAME.values():
        raw.merge(contract, files.deliver(contract, raw.incoming(contract), request()), 1)
    found: list[tuple[object, ...]] = []
    for contract in BY_NAME.values():
        columns = ", ".join(contract.column_names)
        with duckdb.connect() as connection:
            found += connection.execute(f"select {columns} from '{raw.glob(contract)}' order by all").fetchall()
    return found


def test_refused_rows_are_handed_back_and_read_again(folder: Path) -> None:
    home = folder.parent
    (folder / "a.csv").write_text(
        '"customer_id","date","amount"\n"1","2024-01-05","5"\n"2","2024-01-x","7"\n"3",,"9"\n'
    )
    raw = RawFolder(home / "raw")
    source = open_files(folder, home / "quarantine")
    (outcome,) = raw.merge(SALES, source.deliver(SALES, raw.incoming(SALES), request()), 1)
    assert (outcome.inserted, outcome.quarantined) == (1, 2)
    result = pulse("quarantine", "--home", home, "--out", home / "mend")
    assert result.exit_code == 0, result.output
    assert "line 3, date (sold_at): '2024-01-x' is not a date written year first" in result.output
    (file,) = (home / "mend" / "shop" / "sales").iterdir()
    assert file.read_text() == 'customer_id,date,amount\n"2","2024-01-x","7"\n"3",,"9"\n'
    (folder / file.name).write_text(file.read_text().replace("2024-01-x", "2024-01-06").replace(",,", ",2024-01-07,"))
    (folder / "a.csv").unlink()
    source = open_files(folder, home / "quarantine")
    (outcome,) = raw.merge(SALES, source.deliver(SALES, raw.incoming(SALES), request()), 2)
    assert (outcome.inserted, outcome.quarantined) == (2, 0)
    assert raw.row_count(SALES) == 3


def test_an_empty_quarantine_and_an_empty_folder_say_so(folder: Path) -> None:
    assert "Nothing is in quarantine" in pulse("quarantine", "--home", folder.parent).output
    result = pulse("check", folder, "--home", folder.parent)
    assert result.exit_code == 2
    assert "holds no file that can be read" in result.output


def test_the_schema_is_printed() -> None:
    assert pulse("schema").output == (SAMPLES.parents[1] / "sources" / "sources.schema.json").read_text(
        encoding="utf-8"
    )


def test_what_a_file_says_is_shown_and_neither_markup_nor_an_escape_sequence(folder: Path) -> None:
    (folder / "[red]orders[.csv").write_text(
        'Customer,Order Date,Amount,"[link=x]Channel[/]"\n"\x1b[31m[/]",2024-01-13,1,web\n"[bold]",soon\x07,1,\x9b2J\n'
    )
    result = pulse("check", folder, "--home", folder.parent)
    assert result.exit_code == 0, result.output
    assert not {"\x1b", "\x07", "\x9b"} & set(result.output)
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert any(line.startswith("[red]orders[.csv is shop.sales") for line in lines)
    assert any(line.startswith("\\x1b[31m[/] 2024-01-13") for line in lines)
    assert "[link=x]Channel[/]" in result.output
