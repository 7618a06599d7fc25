"""The synthetic business as a source: it answers requests for raw tables with Parquet of the simulated world.

The simulation itself is in `world`; here are only the request's dates, one kept world, and files.
"""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sources.contracts import Contract
from sources.delivery import Delivery, Request, SourceError
from sources.synthetic.world import WORLD_VERSION, World

_FEWEST_CUSTOMERS = 10
"""So that some are there on the first day, and others still to come."""


class SyntheticSource:
    """A simulated business that can be asked for any day from its first one on.

    Implements `sources.delivery.Source`. The world of the day asked for last is kept, so that the tables of one
    refresh are simulated once.

    Args:
        seed: Everything random follows from it.
        customers: How many have signed up two years after the start; at least 10.
        starts_on: First day of the records.

    Raises:
        SourceError: There are too few customers.
    """

    def __init__(self, seed: int, customers: int, starts_on: date) -> None:
        if customers < _FEWEST_CUSTOMERS:
            raise SourceError(f"A synthetic business needs at least {_FEWEST_CUSTOMERS} customers, not {customers}.")
        self._seed = seed
        self._customers = customers
        self._starts_on = starts_on
        self._kept: tuple[date, World] | None = None

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

    def deliver(self, contract: Contract, folder: Path, request: Request) -> list[Delivery]:
        """Write one raw table of the world up to the day asked for, by default the day before the refresh.

        Args:
            contract: The table wanted.
            folder: An empty folder to write the Parquet file into.
            request: Day and last day; zone and known files do not matter here.

        Returns:
            One delivery, or none for a table that the business does not have.

        Raises:
            SourceError: The last day lies before the first.
        """
        as_of = request.as_of or request.received_on - timedelta(days=1)
        table = self._world(as_of).table(contract.name)
        if table is None:
            return []
        order = [(contract.key, "ascending")]
        if contract.event_at is not None:
            order.insert(0, (contract.event_at, "ascending"))
        table = table.sort_by(order).append_column("_line", pa.array(np.arange(1, table.num_rows + 1)))
        path = folder / f"{contract.table}.parquet"
        pq.write_table(table, path)
        return [
            Delivery(
                name="synthetic",
                table=contract.name,
                content_hash=None,
                rows=table.num_rows,
                quarantined=0,
                parquet=path,
            )
        ]

    def truth(self, as_of: date) -> dict[str, pd.DataFrame]:
        """What was planted in the world up to a day, by name of the truth table; see `World.truth`.

        Raises:
            SourceError: The day lies before the first.
        """
        return self._world(as_of).truth()

    def _world(self, as_of: date) -> World:
        if as_of < self._starts_on:
            raise SourceError(
                f"The synthetic business has no records on {as_of.isoformat()}: it starts on "
                f"{self._starts_on.isoformat()}. Ask for a later day, or set an earlier start."
            )
        if self._kept is None or self._kept[0] != as_of:
            self._kept = (as_of, World(self._seed, self._customers, self._starts_on, as_of))
        return self._kept[1]
