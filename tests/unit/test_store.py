"""The raw folder: every row accounted for, one row a key, months written whole, a killed writer survived."""

from __future__ import annotations

import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sources.contracts import BY_NAME, CONTRACTS
from sources.delivery import Delivery, KnownFile, Outcome
from sources.month_files import PROVENANCE
from sources.store import RawFolder, RawState

SALES = BY_NAME["shop.sales"]
Row = tuple[str, str, float]  # sale_id, day, amount


def deliver(folder: RawFolder, rows: list[Row], name: str = "file") -> Delivery:
    """A delivery of sale lines."""
    target = folder.incoming(SALES) / f"{name}.parquet"
    given_columns = {"sale_id": 0, "sold_at": 1, "amount": 2}
    selected = ", ".join(
        f"{f'r[{given_columns[c.name] + 1}]' if c.name in given_columns else 'null'}::{c.kind.sql_type} as {c.name}"
        for c in SALES.columns
    )
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (select {selected}, n as _line from (select unnest(?::varchar[][]) as r, "
            f"generate_subscripts(?::varchar[][], 1) as n)) to '{target}' (format parquet)",
            [[list(map(str, row)) for row in rows]] * 2,
        )
    return Delivery(name, SALES.name, None, len(rows), 0, target)


def merge(folder: RawFolder, batch: int, *files: list[Row]) -> list[Outcome]:
    """Merge files as one refresh."""
    folder.recover()
    incoming = folder.path / ".incoming" / "kept"
    incoming.mkdir(parents=True)
    deliveries = []
    for number, rows in enumerate(files):
        if not rows:
            continue
        delivery = deliver(folder, rows, f"file{number}")
        kept = incoming / delivery.parquet.name
        shutil.move(delivery.parquet, kept)
        deliveries.append(Delivery(delivery.name, delivery.table, None, delivery.rows, 0, kept))
    return folder.merge(SALES, deliveries, batch)


def merge_again(folder: RawFolder, batch: int, rows: list[Row]) -> None:
    """Merge one file without tidying up first."""
    folder.merge(SALES, [deliver(folder, rows)], batch)


def stored(folder: RawFolder) -> dict[str, tuple[str, float, int]]:
    """sale_id -> day, amount, batch."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select sale_id, sold_at::date::varchar, amount::double, _batch from '{folder.glob(SALES)}'"
        ).fetchall()
    assert len({row[0] for row in rows}) == len(rows), "a key occurs twice"
    return {row[0]: row[1:] for row in rows}


def counts(outcome: Outcome) -> tuple[int, int, int]:
    return outcome.inserted, outcome.restated, outcome.duplicate


@pytest.fixture
def folder(tmp_path: Path) -> RawFolder:
    return RawFolder(tmp_path / "raw")


def test_new_known_and_changed_rows(folder: RawFolder) -> None:
    (first,) = merge(folder, 1, [("a", "2024-01-05", 10), ("b", "2024-01-06", 20)])
    assert counts(first) == (2, 0, 0)
    (second,) = merge(folder, 2, [("a", "2024-01-05", 10), ("b", "2024-01-06", 21), ("c", "2024-02-01", 30)])
    assert counts(second) == (1, 1, 1)
    assert stored(folder) == {
        "a": ("2024-01-05", 10.0, 1),
        "b": ("2024-01-06", 21.0, 2),
        "c": ("2024-02-01", 30.0, 2),
    }


def test_a_restated_row_moves_to_its_new_month(folder: RawFolder) -> None:
    merge(folder, 1, [("a", "2024-01-05", 10), ("b", "2024-01-06", 20)])
    merge(folder, 2, [("a", "2024-03-05", 10)])
    assert stored(folder)["a"] == ("2024-03-05", 10.0, 2)
    assert stored(folder)["b"] == ("2024-01-06", 20.0, 1)
    assert {"2024-01.parquet", "2024-03.parquet"} <= {file.name for file in folder.folder(SALES).iterdir()}


def test_of_two_files_the_later_wins_and_both_are_accounted_for(folder: RawFolder) -> None:
    first, second = merge(folder, 1, [("a", "2024-01-05", 10)], [("a", "2024-01-05", 11), ("a", "2024-01-05", 11)])
    assert counts(first) == (1, 0, 0)
    assert counts(second) == (0, 1, 1)
    assert stored(folder) == {"a": ("2024-01-05", 11.0, 1)}


def test_there_and_back_within_a_refresh_changes_nothing(folder: RawFolder) -> None:
    merge(folder, 1, [("a", "2024-01-05", 10)])
    (outcome,) = merge(folder, 2, [("a", "2024-01-05", 99), ("a", "2024-01-05", 10)])
    assert counts(outcome) == (0, 2, 0)
    assert stored(folder) == {"a": ("2024-01-05", 10.0, 1)}


def test_only_the_months_concerned_are_written(folder: RawFolder) -> None:
    merge(folder, 1, [("a", "2024-01-05", 10), ("b", "2024-02-06", 20)])
    january = folder.folder(SALES) / "2024-01.parquet"
    before = january.stat().st_mtime_ns, january.stat().st_ino
    merge(folder, 2, [("b", "2024-02-06", 25)])
    assert (january.stat().st_mtime_ns, january.stat().st_ino) == before


def test_unchanged_and_refused_files_are_accounted_for(folder: RawFolder) -> None:
    unchanged = Delivery("old.csv", SALES.name, "hash", 10, 2, None)
    refused = Delivery("bad.csv", SALES.name, "other", 7, 7, None, set_aside="7 of 7 rows are bad")
    first, second = folder.merge(SALES, [unchanged, refused], 1)
    assert (first.rows, counts(first), first.quarantined) == (10, (0, 0, 8), 2)
    assert (second.rows, counts(second), second.quarantined) == (7, (0, 0, 0), 7)


def test_rows_that_go_missing_are_a_loud_defect(folder: RawFolder) -> None:
    delivery = deliver(folder, [("a", "2024-01-05", 10)])
    short = Delivery(delivery.name, delivery.table, None, 2, 0, delivery.parquet)
    with pytest.raises(RuntimeError, match="2 rows came in, 1 are accounted for"):
        folder.merge(SALES, [short], 1)


def test_every_table_exists_and_is_typed_without_rows(folder: RawFolder) -> None:
    for contract in CONTRACTS:
        folder.merge(contract, [], 1)
        with duckdb.connect() as connection:
            described = connection.execute(f"describe select * from '{folder.glob(contract)}'").fetchall()
        assert [(row[0], row[1].lower()) for row in described] == [
            *((column.name, column.kind.sql_type) for column in contract.columns),
            *PROVENANCE.items(),
        ]
        assert folder.row_count(contract) == 0
    assert folder.latest_event() is None


def test_a_writer_killed_before_it_decided_leaves_no_trace(folder: RawFolder) -> None:
    merge(folder, 1, [("a", "2024-01-05", 10)])
    pending = folder.folder(SALES) / ".pending"
    pending.mkdir()
    (pending / "2024-01.parquet").write_bytes(b"half a file")
    folder.recover()
    assert stored(folder) == {"a": ("2024-01-05", 10.0, 1)}
    assert not pending.exists()


def test_a_writer_killed_after_it_decided_is_finished(folder: RawFolder, tmp_path: Path) -> None:
    merge(folder, 1, [("a", "2024-01-05", 10), ("b", "2024-02-05", 10)])
    after = RawFolder(tmp_path / "after")
    shutil.copytree(folder.path, after.path)
    merge(after, 2, [("a", "2024-02-07", 12)])
    commit = folder.folder(SALES) / ".commit"
    commit.mkdir()
    # Killed with one of the two months in place: the row stands in neither or in both until it is finished.
    shutil.copy(after.folder(SALES) / "2024-01.parquet", folder.folder(SALES))
    shutil.copy(after.folder(SALES) / "2024-02.parquet", commit)
    folder.recover()
    assert stored(folder) == stored(after)


def test_clock_and_state_come_back(folder: RawFolder) -> None:
    assert not folder.exists()
    folder.write_clock(date(2024, 5, 1), date(2024, 5, 2), 7)
    assert folder.exists()
    assert folder.clock() == (date(2024, 5, 1), 7)
    state = RawState("files", 7, None, {"hash": KnownFile("ü.csv", SALES.name, 5, 1, 3)})
    folder.save(state)
    assert folder.state() == state


def test_a_folder_filled_anew_replaces_the_old_one_or_brings_it_back(folder: RawFolder) -> None:
    merge(folder, 1, [("a", "2024-01-05", 10)])
    folder.save(RawState("old", 1))

    def fail() -> None:
        with folder.replacing():
            merge_again(folder, 2, [("b", "2024-01-05", 10)])
            raise ValueError("unreadable")

    with pytest.raises(ValueError, match="unreadable"):
        fail()
    assert stored(folder) == {"a": ("2024-01-05", 10.0, 1)}
    assert folder.state() == RawState("old", 1)
    with folder.replacing():
        assert folder.state() == RawState(batch=1)
        merge_again(folder, 2, [("b", "2024-01-05", 10)])
    assert stored(folder) == {"b": ("2024-01-05", 10.0, 2)}


def test_a_writer_killed_while_filling_anew_brings_the_old_rows_back(folder: RawFolder) -> None:
    merge(folder, 1, [("a", "2024-01-05", 10)])
    folder.path.rename(folder.path.with_name(".raw-before"))
    merge_again(folder, 2, [("b", "2024-01-05", 10)])
    folder.recover()
    assert stored(folder) == {"a": ("2024-01-05", 10.0, 1)}


def test_the_clock_goes_by_the_latest_event_of_any_table(folder: RawFolder) -> None:
    merge(folder, 1, [("a", "2024-01-05", 10), ("b", "2024-03-06", 20)])
    assert folder.latest_event() == date(2024, 3, 6)


rows = st.lists(
    st.tuples(
        st.sampled_from("abcdef"),
        st.integers(0, 70).map(lambda days: str((datetime(2024, 1, 1) + timedelta(days=days)).date())),  # noqa: DTZ001
        st.integers(1, 3),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(rows, min_size=1, max_size=3), min_size=1, max_size=4))
def test_any_batches_are_what_applying_rows_one_by_one_gives(
    batches: list[list[list[Row]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = RawFolder(tmp_path_factory.mktemp("raw"))
    expected: dict[str, tuple[str, float]] = {}
    for number, files in enumerate(batches, start=1):
        outcomes = merge(folder, number, *files)
        for file, outcome in zip([file for file in files if file], outcomes, strict=True):
            seen = {"inserted": 0, "restated": 0, "duplicate": 0}
            for key, day, amount in file:
                value = (day, float(amount))
                before = expected.get(key)
                seen["inserted" if before is None else "duplicate" if before == value else "restated"] += 1
                expected[key] = value
            assert counts(outcome) == tuple(seen.values())
    if folder.folder(SALES).exists():
        assert {key: value[:2] for key, value in stored(folder).items()} == expected


def test_files_that_are_not_as_written_are_named(folder: RawFolder) -> None:
    merge(folder, 1, [("a", "2024-01-05", 10), ("b", "2024-02-05", 10), ("c", "2024-03-05", 10)])
    merge(folder, 2, [("a", "2024-01-05", 12)])
    assert folder.damage() == []
    january, february, march = (folder.folder(SALES) / f"2024-0{month}.parquet" for month in (1, 2, 3))
    january.write_bytes(january.read_bytes()[:-1])
    content = bytearray(february.read_bytes())
    content[9] ^= 1
    february.write_bytes(content)
    march.unlink()
    words = ("bytes where", "holds other bytes than were written", "is missing")
    for found, file, why in zip(folder.damage(), (january, february, march), words, strict=True):
        assert str(file) in found
        assert why in found


def test_a_damaged_state_gives_way_to_its_copy_and_without_one_is_damage(folder: RawFolder) -> None:
    state = RawState("files", 7, None, {"hash": KnownFile("ü.csv", SALES.name, 5, 1, 3)})
    folder.save(state)
    file, copy = (folder.path / name for name in ("_state.json", "_state.copy.json"))
    whole = file.read_text(encoding="utf-8")
    for damaged in (whole[:-20], whole.replace('"batch": 7', '"batch": 9'), "", "[]"):
        file.write_text(damaged, encoding="utf-8")
        assert folder.state() == state
    copy.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        folder.state()
    assert folder.remembered() == RawState()
    assert len(folder.damage()) == 1
