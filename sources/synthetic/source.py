"""The synthetic business as a source: it answers requests for raw tables with Parquet of the simulated world.

The simulation itself is in `world`; here are only the request's dates, what was delivered before, and files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import Progress

from sources.contracts import BY_NAME, Contract
from sources.delivery import Changes, Delivery, KnownFile, Request, SourceError
from sources.synthetic import tables
from sources.synthetic.memory import Memory
from sources.synthetic.seasons import DAY
from sources.synthetic.truth import planted
from sources.synthetic.world import DELIVERED, WORLD_VERSION, Simulation, World

_FEWEST_CUSTOMERS = 10
"""So that some are there on the first day, and others still to come."""

_LONG_FROM = 30_000_000
"""Customers times days from which on simulating takes more than a few seconds, and shows how far it is."""


@dataclass(frozen=True)
class _Made:
    """One answer to a request, as files: a table each, named by contract, with the rows in each."""

    as_of: date
    since: date | None
    folder: Path
    rows: dict[str, int]


class SyntheticSource:
    """A simulated business that can be asked for any day from its first one on.

    Implements `sources.delivery.Source`. The tables of one refresh are simulated together, month by month; where a
    memory is given, only what is new or has changed since the last refresh is simulated.

    Args:
        seed: Everything random follows from it.
        customers: How many are expected to have signed up two years after the start; at least 10.
        starts_on: First day of the records.
        memory: Folder in which to remember where a simulation stood, or None to begin anew every time.

    Raises:
        SourceError: There are too few customers.
    """

    def __init__(self, seed: int, customers: int, starts_on: date, memory: Path | None = None) -> None:
        if customers < _FEWEST_CUSTOMERS:
            raise SourceError(f"A synthetic business needs at least {_FEWEST_CUSTOMERS} customers, not {customers}.")
        self._seed = seed
        self._customers = customers
        self._starts_on = starts_on
        self._memory = Memory(memory) if memory else None
        self._made: _Made | None = None

    @property
    def identity(self) -> str:
        """Seed, size, start and version of the world: whatever changes its rows."""
        return (
            f"synthetic: world {WORLD_VERSION}, seed {self._seed}, {self._customers} customers, "
            f"from {self._starts_on.isoformat()}"
        )

    @property
    def title(self) -> str:
        """The source in a few words."""
        return f"synthetic business ({self._customers:,} customers, seed {self._seed})"

    def changes(self, known: Mapping[str, KnownFile]) -> Changes:  # noqa: ARG002
        """Nothing: what is simulated comes out alike every time."""
        return Changes()

    def deliver(self, contract: Contract, folder: Path, request: Request) -> list[Delivery]:
        """Write one raw table of the world up to the day asked for, by default the day before the refresh.

        Args:
            contract: The table wanted.
            folder: An empty folder to write the Parquet file into.
            request: Day, last day, and what was delivered before; zone and known files do not matter here.

        Returns:
            One delivery, or none for a table that the business does not have. What was delivered before is not
            delivered again, if it is remembered.

        Raises:
            SourceError: The last day lies before the first.
        """
        as_of = request.as_of or request.received_on - timedelta(days=1)
        made = self._made
        if made is None or (made.as_of, made.since) != (as_of, request.delivered_to) or not made.folder.exists():
            made = self._made = self._make(as_of, request.delivered_to, folder / ".world")
        if contract.name not in made.rows:
            return []
        rows = made.rows[contract.name]
        path = folder / f"{contract.table}.parquet"
        if rows:
            path.unlink(missing_ok=True)
            _link(made.folder / f"{contract.name}.parquet", path)
        return [Delivery("synthetic", contract.name, None, rows, 0, path if rows else None)]

    def simulation(self, as_of: date) -> Simulation:
        """The business up to a day.

        Raises:
            SourceError: The day lies before the first.
        """
        if as_of < self._starts_on:
            raise SourceError(
                f"The synthetic business has no records on {as_of.isoformat()}: it starts on "
                f"{self._starts_on.isoformat()}. Ask for a later day, or set an earlier start."
            )
        return Simulation(self._seed, self._customers, self._starts_on, as_of)

    def windows(self, simulation: Simulation) -> Iterator[World]:
        """The windows of a simulation one after the other, with a progress bar if that takes long."""
        days = (simulation.end - simulation.start) // DAY
        with Progress(
            console=Console(stderr=True), transient=True, disable=self._customers * days < _LONG_FROM
        ) as progress:
            bar = progress.add_task(f"simulating {self._customers:,} customers", total=days)
            for world in simulation.windows():
                yield world
                progress.update(bar, completed=(world.window.until - simulation.start) // DAY)

    def truth(self, as_of: date) -> dict[str, pd.DataFrame]:
        """What was planted in the world up to a day, by name of the truth table; see `truth.planted`.

        Raises:
            SourceError: The day lies before the first.
        """
        return planted(self.simulation(as_of))

    def _make(self, as_of: date, delivered_to: date | None, folder: Path) -> _Made:
        """Simulate what a request asks for and write it into a folder, a file a table."""
        before = self._memory.recall(delivered_to) if self._memory and delivered_to else None
        simulation = self.simulation(as_of)
        worlds: Iterator[World]
        if before is None:
            worlds = self.windows(simulation)
        elif delivered_to is not None and delivered_to < as_of:
            worlds = iter([simulation.since(before)])
        else:
            worlds = iter([])
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        rows = _write(worlds, folder)
        if self._memory and simulation.carried.until == simulation.end:
            self._memory.keep(as_of, simulation.carried)
            self._memory.forget_all_but(as_of, *([delivered_to] if delivered_to else []))
        return _Made(as_of, delivered_to, folder, rows)


def _write(worlds: Iterator[World], folder: Path) -> dict[str, int]:
    """Write windows one after the other, a file a table; rows by contract name."""
    rows = dict.fromkeys(DELIVERED, 0)
    with ExitStack() as open_files:
        writers: dict[str, pq.ParquetWriter] = {}
        for world in worlds:
            for name in rows:
                table = world.table(name)
                if not table.num_rows:
                    continue
                line = np.arange(rows[name] + 1, rows[name] + 1 + table.num_rows)
                table = table.append_column("_line", pa.array(line))
                if name not in writers:
                    writers[name] = open_files.enter_context(
                        pq.ParquetWriter(
                            folder / f"{name}.parquet", table.schema, use_dictionary=tables.repetitive(BY_NAME[name])
                        )
                    )
                writers[name].write_table(table)
                rows[name] += table.num_rows
    return rows


def _link(file: Path, place: Path) -> None:
    """Put a file in another place as well, without copying it where the file system can."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)
