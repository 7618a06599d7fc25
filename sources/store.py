"""The raw folder: one current row per key, as Parquet, one file a month and table.

Merges deliveries into what is there and counts what became of every row. It does not read users' files (see
`sources.files`) and knows nothing of what happens downstream.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path

import duckdb

from sources.contracts import CONTRACTS, Contract
from sources.delivery import Delivery, KnownFile, Outcome

_PENDING = ".pending"
_COMMIT = ".commit"
_UNDATED = "all"
_EMPTY = "none"


@dataclass
class RawState:
    """What the raw folder remembers between refreshes.

    Args:
        identity: The source it was filled from, or None while it is empty.
        batch: Number of the last refresh that wrote here.
        began_on: First day of the synthetic business kept here, as YYYY-MM-DD; None for files.
        files: Every file read so far, by content hash.
        delivered_to: Last day of the synthetic business kept here, likewise.
    """

    identity: str | None = None
    batch: int = 0
    began_on: str | None = None
    files: dict[str, KnownFile] = field(default_factory=dict)
    delivered_to: str | None = None


class RawFolder:
    """Raw Parquet of one home.

    Every table exists, if only as an empty typed file. A month is written to a temporary folder; the rename of
    that folder decides, so that a process killed at any moment leaves the table as it was or as it should be.

    Args:
        path: The folder, usually ``data/raw``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def folder(self, contract: Contract) -> Path:
        """Where a table's files lie."""
        return self.path / contract.source / contract.table

    def glob(self, contract: Contract) -> str:
        """The pattern that reads a table."""
        return str(self.folder(contract) / "*.parquet")

    def state(self) -> RawState:
        """What earlier refreshes left."""
        file = self.path / "_state.json"
        if not file.exists():
            return RawState()
        stored = json.loads(file.read_text(encoding="utf-8"))
        return RawState(
            stored["identity"],
            stored["batch"],
            stored["began_on"],
            {content_hash: KnownFile(**known) for content_hash, known in stored["files"].items()},
            # Homes filled before this was remembered do not have it.
            stored.get("delivered_to"),
        )

    def save(self, state: RawState) -> None:
        """Replace the remembered state, in one step."""
        self.path.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(state), indent=1, sort_keys=True, ensure_ascii=False)
        _replace_text(self.path / "_state.json", text)

    def exists(self) -> bool:
        """Whether a refresh has ever completed the raw stage here."""
        return (self.path / "pulse" / "clock" / "clock.parquet").exists()

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Fill the folder anew. What lay there comes back if that fails; the batch number goes on counting."""
        batch = self.state().batch
        if self.path.exists():
            self.path.rename(self._before)
        self.save(RawState(batch=batch))
        try:
            yield
        except BaseException:
            self._bring_back()
            raise
        shutil.rmtree(self._before, ignore_errors=True)

    @property
    def _before(self) -> Path:
        return self.path.with_name(f".{self.path.name}-before")

    def _bring_back(self) -> None:
        if self._before.exists():
            shutil.rmtree(self.path, ignore_errors=True)
            self._before.rename(self.path)

    def recover(self) -> None:
        """Finish what a killed refresh had decided and drop what it had not."""
        self._bring_back()
        for contract in CONTRACTS:
            folder = self.folder(contract)
            shutil.rmtree(folder / _PENDING, ignore_errors=True)
            if (folder / _COMMIT).exists():
                _move_into_place(folder)
        self.clear_incoming()

    def clear_incoming(self) -> None:
        """Remove what sources delivered, after it was merged."""
        shutil.rmtree(self.path / ".incoming", ignore_errors=True)

    @property
    def memory(self) -> Path:
        """A folder for a source to remember what it delivered; it comes and goes with the rows."""
        return self.path / ".memory"

    def incoming(self, contract: Contract) -> Path:
        """An empty folder for a source to deliver into."""
        folder = self.path / ".incoming" / contract.source / contract.table
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def merge(self, contract: Contract, deliveries: list[Delivery], batch: int) -> list[Outcome]:
        """Merge deliveries, oldest first, into one table.

        A row with a known key and the same values is a duplicate; with other values it is a restatement, and the
        later one stays. Only the months concerned are written.

        Args:
            contract: The table.
            deliveries: What the source delivered for it.
            batch: Number of this refresh; stored as `_batch` with every row that is new or changed.

        Returns:
            One outcome a delivery, in their order.
        """
        folder = self.folder(contract)
        folder.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(config={"temp_directory": str(self.path / ".incoming" / "spill")})
        try:
            if not any(folder.glob("*.parquet")):
                _write_empty(connection, contract, folder / f"{_EMPTY}.parquet")
            counts = self._merge(connection, contract, deliveries, batch)
        finally:
            connection.close()
        return [_outcome(delivery, *counts.get(number, (0, 0, 0))) for number, delivery in enumerate(deliveries)]

    def _merge(
        self, connection: duckdb.DuckDBPyConnection, contract: Contract, deliveries: list[Delivery], batch: int
    ) -> dict[int, tuple[int, int, int]]:
        read = [(number, delivery.parquet) for number, delivery in enumerate(deliveries) if delivery.parquet]
        if not read:
            return {}
        key = f'"{contract.key}"'
        columns = ", ".join(f'"{name}"' for name in contract.column_names)
        values = f"row({columns})"
        incoming = " union all ".join(
            f"select {columns}, {number} as _delivery, _line from read_parquet({_quote(path)})" for number, path in read
        )
        connection.execute(f"create temp view incoming as {incoming}")
        connection.execute(
            f"""
            create temp view existing as
            select {columns}, -1 as _delivery, 0::bigint as _line from read_parquet({_quote(self.glob(contract))})
            """
        )
        # Most keys arrive once and are new; only the others need to be put in order and compared.
        connection.execute(
            f"""
            create temp table contested as
            select {key} as k
            from (
                select {key} from incoming
                union all
                select {key} from existing where {key} in (select {key} from incoming)
            )
            group by 1
            having count(*) > 1
            """
        )
        connection.execute(
            f"""
            create temp table chain as
            select
                *,
                case
                    when before is null then 'inserted' when before = {values} then 'duplicate' else 'restated'
                end as outcome
            from (
                select
                    *,
                    lag({values}) over by_age as before,
                    first_value({values}) over by_age as oldest,
                    first_value(_delivery) over by_age = -1 as is_known,
                    lead(_delivery) over by_age is null as is_last
                from (select * from incoming union all select * from existing)
                where {key} in (select k from contested)
                window by_age as (
                    partition by {key} order by _delivery, _line
                    rows between unbounded preceding and unbounded following
                )
            )
            """
        )
        connection.execute(
            f"""
            create temp table winners as
            select {columns}, _delivery from incoming where {key} not in (select k from contested)
            union all
            select {columns}, _delivery from chain
            where is_last and _delivery >= 0 and not (is_known and oldest = {values})
            """
        )
        counts = connection.execute(
            """
            select
                _delivery,
                count(*) filter (outcome = 'inserted'),
                count(*) filter (outcome = 'restated'),
                count(*) filter (outcome = 'duplicate')
            from (
                select _delivery, outcome from chain where _delivery >= 0
                union all
                select _delivery, 'inserted' from winners where """
            + f"{key} not in (select k from contested)"
            + """
            )
            group by 1
            """
        ).fetchall()
        self._write_months(connection, contract, batch)
        return {number: (inserted, restated, duplicate) for number, inserted, restated, duplicate in counts}

    def _write_months(self, connection: duckdb.DuckDBPyConnection, contract: Contract, batch: int) -> None:
        """Write the months that winners come into or move out of, then put them in place together."""
        folder = self.folder(contract)
        key = f'"{contract.key}"'
        columns = ", ".join(f'"{name}"' for name in contract.column_names)
        month = f"strftime(\"{contract.event_at}\", '%Y-%m')" if contract.event_at else f"'{_UNDATED}'"
        touched = connection.execute(
            f"""
            select distinct {month} from winners
            union
            select distinct {month} from existing where {key} in (select {key} from winners)
            order by 1
            """
        ).fetchall()
        if not touched:
            return
        order = f'"{contract.event_at}", {key}' if contract.event_at else key
        pending = folder / _PENDING
        pending.mkdir(exist_ok=True)
        for (name,) in touched:
            file = folder / f"{name}.parquet"
            kept = (
                f"""
                select {columns}, _batch from read_parquet({_quote(file)})
                where {key} not in (select {key} from winners)
                union all
                """
                if file.exists()
                else ""
            )
            connection.execute(
                f"""
                copy (
                    {kept}
                    select {columns}, {batch}::bigint as _batch from winners where {month} = '{name}'
                    order by {order}
                ) to {_quote(pending / f"{name}.parquet")} (format parquet, compression zstd)
                """
            )
        _sync(pending.iterdir())
        pending.rename(folder / _COMMIT)
        _move_into_place(folder)

    def row_count(self, contract: Contract) -> int:
        """Rows of a table."""
        with duckdb.connect() as connection:
            row = connection.execute(f"select count(*) from read_parquet({_quote(self.glob(contract))})").fetchone()
        return int(row[0]) if row else 0

    def first_event(self, contract: Contract) -> date | None:
        """Day of the first event of one table, or None without rows."""
        with duckdb.connect() as connection:
            row = connection.execute(
                f'select min("{contract.event_at}"::date) from read_parquet({_quote(self.glob(contract))})'
            ).fetchone()
        return row[0] if row else None

    def latest_event(self) -> date | None:
        """Day of the latest event of all tables that set the clock, or None without any."""
        latest: list[date] = []
        with duckdb.connect() as connection:
            for contract in CONTRACTS:
                if not contract.sets_clock or not self.folder(contract).exists():
                    continue
                row = connection.execute(
                    f'select max("{contract.event_at}"::date) from read_parquet({_quote(self.glob(contract))})'
                ).fetchone()
                if row and row[0] is not None:
                    latest.append(row[0])
        return max(latest, default=None)

    def write_clock(self, as_of: date, received_on: date, batch: int) -> None:
        """Write the one-row table ``pulse.clock``: the day everything downstream is computed for."""
        folder = self.path / "pulse" / "clock"
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / ".clock.parquet"
        with duckdb.connect() as connection:
            connection.execute(
                f"""
                copy (
                    select
                        date '{as_of}' as as_of, date '{received_on}' as received_on, {batch}::bigint as refresh
                ) to {_quote(temporary)} (format parquet)
                """
            )
        _sync([temporary])
        temporary.replace(folder / "clock.parquet")

    def clock(self) -> tuple[date, int]:
        """``as_of`` and the refresh number that downstream tables are built for."""
        with duckdb.connect() as connection:
            row = connection.execute(
                f"select as_of, refresh from read_parquet({_quote(self.path / 'pulse' / 'clock' / 'clock.parquet')})"
            ).fetchone()
        if row is None:
            raise ValueError(f"{self.path / 'pulse' / 'clock'} holds no row: refresh the raw assets again")
        return row[0], int(row[1])


def _outcome(delivery: Delivery, inserted: int, restated: int, duplicate: int) -> Outcome:
    """Account for every row of a delivery.

    Raises:
        RuntimeError: Rows are unaccounted for: a defect of the merge, never the user's.
    """
    if delivery.parquet is None and delivery.set_aside is None:
        duplicate = delivery.rows - delivery.quarantined
    outcome = Outcome(
        delivery.name,
        delivery.table,
        delivery.rows,
        inserted,
        restated,
        duplicate,
        delivery.quarantined,
        delivery.set_aside,
    )
    accounted = inserted + restated + duplicate + outcome.quarantined
    if accounted != outcome.rows:
        raise RuntimeError(f"{delivery.name}: {outcome.rows} rows came in, {accounted} are accounted for: {outcome}")
    return outcome


def _write_empty(connection: duckdb.DuckDBPyConnection, contract: Contract, file: Path) -> None:
    columns = ", ".join(f'null::{column.kind.sql_type} as "{column.name}"' for column in contract.columns)
    temporary = file.with_name(f".{file.name}")
    connection.execute(
        f"copy (select {columns}, null::bigint as _batch where false) to {_quote(temporary)} (format parquet)"
    )
    temporary.replace(file)


def _move_into_place(folder: Path) -> None:
    for file in sorted((folder / _COMMIT).iterdir()):
        file.replace(folder / file.name)
    (folder / _COMMIT).rmdir()


def _replace_text(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}")
    temporary.write_text(text, encoding="utf-8")
    _sync([temporary])
    temporary.replace(file)


def _sync(files: Iterable[Path]) -> None:
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


def _quote(path: Path | str) -> str:
    return "'" + str(path).replace("'", "''") + "'"
