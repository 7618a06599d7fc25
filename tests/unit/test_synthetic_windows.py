"""However the synthetic business is cut up, delivered or exported, it stays the same business."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.contracts import BY_NAME, CONTRACTS, Contract
from sources.delivery import Request
from sources.files import open_files
from sources.store import RawFolder
from sources.synthetic import SyntheticSource
from sources.synthetic.export import FORMATS, export
from sources.synthetic.memory import Memory
from sources.synthetic.seasons import DAY
from sources.synthetic.world import DELIVERED, Carried, Simulation, World
from tests.conftest import ROOT

STARTS_ON = date(2024, 1, 1)
SEED = 3
CUSTOMERS = 150


def rows_of(worlds: list[World], name: str) -> pd.DataFrame:
    """The rows of one table over several windows, sorted by key."""
    table = pa.concat_tables([world.table(name) for world in worlds])
    frame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame.sort_values(BY_NAME[name].key, ignore_index=True)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    starts_on=st.dates(date(2020, 1, 1), date(2025, 1, 1)),
    days=st.integers(1, 500),
    is_large=st.booleans(),
)
def test_months_and_half_months_add_up_to_the_whole(seed, starts_on, days, is_large):
    simulation = Simulation(seed, 80, starts_on, starts_on + timedelta(days=days))
    with patch("sources.synthetic.world._LARGE", 0 if is_large else 1_000):
        windows = list(simulation.windows())
    assert [world.window.until for world in windows[:-1]] == [world.window.since for world in windows[1:]]
    assert all(world.window.until - world.window.since <= (16 if is_large else 31) * DAY for world in windows)
    whole = simulation.whole()
    for name in DELIVERED:
        pd.testing.assert_frame_equal(rows_of(windows, name), rows_of([whole], name), obj=name)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**40), first=st.integers(0, 400), steps=st.lists(st.integers(1, 60), min_size=1, max_size=3)
)
def test_day_after_day_brings_what_was_missing_and_nothing_else(seed, first, steps):
    day = STARTS_ON + timedelta(days=first)
    world = Simulation(seed, 80, STARTS_ON, day).whole()
    kept = {name: rows_of([world], name) for name in DELIVERED}
    for step in steps:
        day += timedelta(days=step)
        simulation = Simulation(seed, 80, STARTS_ON, day)
        world = simulation.since(world.carried())
        whole = simulation.whole()
        for name in DELIVERED:
            key = BY_NAME[name].key
            new, before = rows_of([world], name), kept[name]
            assert new[key].is_unique
            # A row is delivered again only when something of it has changed.
            again = new.merge(before, how="inner")
            assert again.empty, name
            grown = pd.concat([before[~before[key].isin(new[key])], new]).sort_values(key, ignore_index=True)
            pd.testing.assert_frame_equal(grown, rows_of([whole], name), obj=name)
            kept[name] = grown


def test_a_day_restates_what_became_known_on_it_and_little_else():
    day = date(2025, 3, 3)
    before = Simulation(SEED, 600, STARTS_ON, day).whole()
    after = Simulation(SEED, 600, STARTS_ON, day + timedelta(days=14)).since(before.carried())
    sales = rows_of([after], "shop.sales")
    restated = sales[sales["sold_at"] < pd.Timestamp("2025-03-04")]
    assert len(restated) > 0
    assert (restated["returned_at"] >= pd.Timestamp("2025-03-04")).all()
    assert len(sales) < 0.1 * before.table("shop.sales").num_rows


def fingerprints() -> list[str]:
    """What a world's tables are, in a few letters each."""
    world = Simulation(SEED, CUSTOMERS, STARTS_ON, date(2025, 2, 1)).whole()
    return [hashlib.sha256(world.table(name).to_pandas().to_csv().encode()).hexdigest() for name in DELIVERED]


def test_the_rows_do_not_depend_on_the_number_of_threads():
    """In a process of its own, because thread pools cannot be made smaller once they are there."""
    program = (
        "import pyarrow; pyarrow.set_cpu_count(1); from test_synthetic_windows import fingerprints as f; print(f())"
    )
    single = subprocess.run(
        [sys.executable, "-c", program],
        env={"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'unit'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert single.stdout.strip() == str(fingerprints())


def test_what_is_remembered_comes_back_as_it_was(tmp_path):
    carried = Simulation(SEED, CUSTOMERS, STARTS_ON, date(2024, 6, 1)).whole().carried()
    memory = Memory(tmp_path / "memory")
    day = date(2024, 6, 1)
    assert memory.recall(day) is None
    memory.keep(day, carried)
    recalled = memory.recall(day)
    assert recalled is not None
    assert recalled.until == carried.until
    for mine, theirs in (
        (recalled.progress, carried.progress),
        (recalled.pending.orders, carried.pending.orders),
        (recalled.pending.lines, carried.pending.lines),
        (recalled.pending.tickets, carried.pending.tickets),
    ):
        for field in vars(theirs):
            np.testing.assert_array_equal(getattr(mine, field), getattr(theirs, field), strict=True)
    memory.keep(date(2024, 6, 2), carried)
    memory.forget_all_but(date(2024, 6, 2))
    assert memory.recall(day) is None
    assert isinstance(memory.recall(date(2024, 6, 2)), Carried)


# Through a raw folder


def refreshed(folder: RawFolder, source: SyntheticSource, batch: int, as_of: date, delivered_to: date | None) -> dict:
    """Deliver and merge all tables; outcomes by table."""
    request = Request(as_of + timedelta(days=1), as_of, "UTC", {}, delivered_to=delivered_to)
    outcomes = {}
    for contract in CONTRACTS:
        merged = folder.merge(contract, source.deliver(contract, folder.incoming(contract), request), batch)
        outcomes[contract.name] = merged
    folder.clear_incoming()
    return outcomes


def raw_rows(folder: RawFolder, contract: Contract) -> list[tuple]:
    columns = ", ".join(contract.column_names)
    with duckdb.connect() as connection:
        query = f"select {columns} from '{folder.glob(contract)}' order by {contract.key}"
        return connection.execute(query).fetchall()


def test_a_refresh_of_the_next_days_simulates_and_merges_only_these(tmp_path):
    first, second = date(2024, 12, 20), date(2025, 1, 10)
    grown = RawFolder(tmp_path / "grown")
    source = SyntheticSource(SEED, CUSTOMERS, STARTS_ON, memory=grown.memory)
    refreshed(grown, source, 1, first, None)
    later = SyntheticSource(SEED, CUSTOMERS, STARTS_ON, memory=grown.memory)
    outcomes = refreshed(grown, later, 2, second, first)
    rows = {name: sum(outcome.rows for outcome in merged) for name, merged in outcomes.items()}
    assert 0 < rows["web.events"] < 5_000
    assert not any(outcome.duplicate for merged in outcomes.values() for outcome in merged)
    assert sum(outcome.restated for outcome in outcomes["shop.sales"] + outcomes["helpdesk.tickets"]) > 0
    again = refreshed(grown, later, 3, second, second)
    assert not any(outcome.rows for merged in again.values() for outcome in merged)

    rebuilt = RawFolder(tmp_path / "rebuilt")
    refreshed(rebuilt, SyntheticSource(SEED, CUSTOMERS, STARTS_ON), 1, second, None)
    for contract in CONTRACTS:
        assert raw_rows(grown, contract) == raw_rows(rebuilt, contract), contract.name


def test_without_its_memory_a_source_delivers_everything_again(tmp_path):
    folder = RawFolder(tmp_path / "raw")
    source = SyntheticSource(SEED, CUSTOMERS, STARTS_ON, memory=folder.memory)
    day = date(2024, 5, 1)
    refreshed(folder, source, 1, day, None)
    for file in folder.memory.iterdir():
        file.unlink()
    outcomes = refreshed(folder, source, 2, day + timedelta(days=1), day)
    assert sum(outcome.duplicate for outcome in outcomes["web.events"]) > 1_000


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_is_exported_and_read_back_is_the_same_raw_data(tmp_path, file_format):
    as_of = date(2024, 9, 15)
    simulation = Simulation(SEED, CUSTOMERS, STARTS_ON, as_of)
    rows = export(simulation.windows(), tmp_path / "landing", file_format)
    assert all(rows[name] > 0 for name in DELIVERED)
    direct, indirect = RawFolder(tmp_path / "direct"), RawFolder(tmp_path / "indirect")
    refreshed(direct, SyntheticSource(SEED, CUSTOMERS, STARTS_ON), 1, as_of, None)
    files = open_files(tmp_path / "landing", quarantine=tmp_path / "quarantine")
    request = Request(as_of + timedelta(days=1), as_of, "UTC", {})
    for contract in CONTRACTS:
        indirect.merge(contract, files.deliver(contract, indirect.incoming(contract), request), 1)
        assert raw_rows(indirect, contract) == raw_rows(direct, contract), contract.name


def test_json_lines_hold_one_object_a_row(tmp_path):
    simulation = Simulation(SEED, CUSTOMERS, STARTS_ON, date(2024, 3, 15))
    rows = export(simulation.windows(), tmp_path, "jsonl")
    for name in DELIVERED:
        folder: Path = tmp_path.joinpath(*name.split("."))
        lines = [line for file in sorted(folder.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]
        assert len(lines) == rows[name] > 0
        assert all(line.startswith("{") and line.endswith("}") for line in lines)
    columns = ", ".join(BY_NAME["web.events"].column_names)
    with duckdb.connect() as connection:
        query = f"select {columns} from read_json('{tmp_path}/web/events/*.jsonl') order by event_id"
        stored = connection.execute(query).fetchall()
    frame = rows_of([simulation.whole()], "web.events").astype(object)
    expected = [tuple(None if pd.isna(value) else value for value in row) for row in frame.itertuples(index=False)]
    assert stored == expected
