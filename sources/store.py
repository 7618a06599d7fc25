"""The raw folder: one current row per key, as Parquet, one file a month and table.

Merges deliveries into what is there and counts what became of every row. It does not read users' files (see
`sources.files`) and knows nothing of what happens downstream.
"""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sources.checksums import damage, read_notes, write_notes
from sources.contracts import BY_NAME, CONTRACTS, Contract
from sources.delivery import Delivery, KnownFile, Outcome
from sources.merging import COMMIT, PENDING, Merge, move_into_place, sync
from sources.month_files import PROVENANCE
from sources.sql import first_row, literal, quoted_name

_EMPTY = "none"
_STATE = "_state.json"
_STATE_COPY = "_state.copy.json"

RAW_FORMAT = 2
"""Changes whenever raw files are written otherwise, so that a home of an earlier version is rebuilt."""


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
        memory_limit: What merging may use, as DuckDB writes it; beyond it goes to disk.
    """

    def __init__(self, path: Path, memory_limit: str = "512MB") -> None:
        self.path = path
        self._memory_limit = memory_limit

    def folder(self, contract: Contract) -> Path:
        """Where a table's files lie."""
        return self.path / contract.source / contract.table

    def glob(self, contract: Contract) -> str:
        """The pattern that reads a table."""
        return str(self.folder(contract) / "*.parquet")

    def state(self) -> RawState:
        """What earlier refreshes left.

        Raises:
            ValueError: It cannot be read, nor its copy.
        """
        files = [self.path / name for name in (_STATE, _STATE_COPY)]
        if not any(file.exists() for file in files):
            return RawState()
        read = (_read_state(file) for file in files)
        stored = next((state for state in read if state is not None), None)
        if stored is None:
            raise ValueError(f"{files[0]} cannot be read, nor its copy")
        return RawState(
            stored["identity"],
            stored["batch"],
            stored["began_on"],
            {
                # JSON knows no tuples; files of earlier versions have no labels.
                content_hash: KnownFile(**{**known, "labels": tuple(known.get("labels", ()))})
                for content_hash, known in stored["files"].items()
            },
            # Homes filled before this was remembered do not have it.
            stored.get("delivered_to"),
        )

    def save(self, state: RawState) -> None:
        """Replace the remembered state, in one step."""
        self.path.mkdir(parents=True, exist_ok=True)
        content = asdict(state)
        text = json.dumps(
            {"checksum": _state_checksum(content), **content}, indent=1, sort_keys=True, ensure_ascii=False
        )
        for name in (_STATE, _STATE_COPY):
            _replace_text(self.path / name, text)

    def exists(self) -> bool:
        """Whether a refresh has ever completed the raw stage here."""
        return (self.path / "pulse" / "clock" / "clock.parquet").exists()

    @contextmanager
    def replacing(self) -> Iterator[None]:
        """Fill the folder anew. What lay there comes back if that fails; the batch number goes on counting."""
        batch = self.remembered().batch
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

    def damage(self) -> list[str]:
        """What is wrong with the files here: each that is not as it was written, and why; none when all is well."""
        found = []
        try:
            self.state()
        except ValueError as error:
            found.append(str(error))
        for contract in CONTRACTS:
            folder = self.folder(contract)
            found += [f"{folder / name} {why}" for name, why in damage(folder).items()]
        return found

    def strangers(self, contract: Contract) -> list[Path]:
        """Parquet files of a table that no refresh has written; none where nothing was noted."""
        folder = self.folder(contract)
        try:
            notes = read_notes(folder)
        except ValueError:
            return []
        return sorted(file for file in folder.glob("*.parquet") if file.name not in notes) if notes else []

    def remembered(self) -> RawState:
        """What earlier refreshes left, as far as it can be read."""
        try:
            return self.state()
        except ValueError:
            return RawState()

    def recover(self) -> None:
        """Finish what a killed refresh had decided and drop what it had not."""
        self._bring_back()
        for contract in CONTRACTS:
            folder = self.folder(contract)
            shutil.rmtree(folder / PENDING, ignore_errors=True)
            if (folder / COMMIT).exists():
                move_into_place(folder)
        self.clear_incoming()
        if self.exists():
            try:
                self.clock()
            except (OSError, pa.ArrowException):
                # Damaged; every refresh writes it anew.
                (self.path / "pulse" / "clock" / "clock.parquet").unlink()

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
        later one stays. Only the months concerned are written, and a month that is new as a whole is moved, not
        written again.

        Args:
            contract: The table.
            deliveries: What the source delivered for it.
            batch: Number of this refresh; stored as `_batch` with every row that is new or changed.

        Returns:
            One outcome a delivery, in their order.
        """
        folder = self.folder(contract)
        folder.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(f"set memory_limit = {literal(self._memory_limit)}")
            connection.execute(f"set temp_directory = {literal(str(self.path / '.incoming' / 'spill'))}")
            if not any(folder.glob("*.parquet")):
                _write_empty(connection, contract, folder / f"{_EMPTY}.parquet")
            counts = Merge(connection, contract, folder, deliveries, batch).run()
        return [_outcome(delivery, *counts.get(number, (0, 0, 0))) for number, delivery in enumerate(deliveries)]

    def row_count(self, contract: Contract) -> int:
        """Rows of a table."""
        with duckdb.connect() as connection:
            row = first_row(connection, f"select count(*) from read_parquet({literal(self.glob(contract))})")
        return int(row[0])

    def buyers(self) -> tuple[int, int]:
        """How many customers have a sale, and how many of these the table of customers knows."""
        sales, customers = (literal(self.glob(BY_NAME[name])) for name in ("shop.sales", "shop.customers"))
        with duckdb.connect() as connection:
            buyers, known = first_row(
                connection,
                f"""
                select count(*), count(c.customer_id)
                from (select distinct customer_id from read_parquet({sales}) where customer_id is not null) as s
                left join read_parquet({customers}) as c using (customer_id)
                """,
            )
        return int(buyers), int(known)

    def first_event(self, contract: Contract) -> date | None:
        """Day of the first event of one table, or None without rows."""
        with duckdb.connect() as connection:
            day = f"min(cast({quoted_name(contract.event_at or '')} as date))"
            first: date | None = first_row(
                connection, f"select {day} from read_parquet({literal(self.glob(contract))})"
            )[0]
        return first

    def latest_event(self) -> date | None:
        """Day of the latest event of all tables that set the clock, or None without any."""
        latest: list[date] = []
        with duckdb.connect() as connection:
            for contract in CONTRACTS:
                if not contract.sets_clock or not self.folder(contract).exists():
                    continue
                day = f"max(cast({quoted_name(contract.event_at or '')} as date))"
                (last,) = first_row(connection, f"select {day} from read_parquet({literal(self.glob(contract))})")
                if last is not None:
                    latest.append(last)
        return max(latest, default=None)

    def write_clock(
        self, as_of: date, received_on: date, batch: int, pii: str = "keep", pii_salt: str | None = None
    ) -> None:
        """Write the one-row table ``pulse.clock``: the day everything downstream is computed for.

        Args:
            as_of: That day.
            received_on: The day of the refresh.
            batch: Its number.
            pii: What becomes of names and e-mail addresses from staging on: keep, mask or hash.
            pii_salt: What they are hashed with.
        """
        folder = self.path / "pulse" / "clock"
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / ".clock.parquet"
        with duckdb.connect() as connection:
            connection.execute(
                f"""
                copy (
                    select
                        date '{as_of}' as as_of, date '{received_on}' as received_on, {batch}::bigint as refresh,
                        {literal(pii)} as pii, {literal(pii_salt) if pii_salt else "null::varchar"} as pii_salt
                ) to {literal(str(temporary))} (format parquet)
                """
            )
        sync([temporary])
        temporary.replace(folder / "clock.parquet")

    def pii(self) -> str:
        """What becomes of names and e-mail addresses in what was built from here; keep where nothing was."""
        file = self.path / "pulse" / "clock" / "clock.parquet"
        if not file.exists():
            return "keep"
        with duckdb.connect() as connection:
            relation = f"read_parquet({literal(str(file))})"
            # Clocks of earlier versions do not say: they knew nothing else.
            names = [column[0] for column in connection.execute(f"describe from {relation}").fetchall()]
            return str(first_row(connection, f"select pii from {relation}")[0]) if "pii" in names else "keep"

    def clock(self) -> tuple[date, int]:
        """``as_of`` and the refresh number that downstream tables are built for.

        Raises:
            FileNotFoundError: Nothing was refreshed yet.
            OSError, pyarrow.ArrowException: The file is damaged.
        """
        # Every asset asks; a database in memory takes twenty times as long.
        (row,) = pq.read_table(
            self.path / "pulse" / "clock" / "clock.parquet", columns=["as_of", "refresh"]
        ).to_pylist()
        return row["as_of"], row["refresh"]


def _outcome(delivery: Delivery, inserted: int, restated: int, duplicate: int) -> Outcome:
    """Account for every row of a delivery.

    Raises:
        RuntimeError: Rows are unaccounted for: a defect of the merge, never the user's.
    """
    if delivery.parquet is None and delivery.set_aside is None:
        duplicate = delivery.rows - delivery.quarantined
    duplicate += delivery.known_before
    outcome = Outcome(
        delivery.name,
        delivery.table,
        delivery.rows,
        inserted,
        restated,
        duplicate,
        delivery.quarantined,
        delivery.set_aside,
        delivery.left_out,
        delivery.currency,
    )
    accounted = inserted + restated + duplicate + outcome.quarantined
    if accounted != outcome.rows:
        raise RuntimeError(f"{delivery.name}: {outcome.rows} rows came in, {accounted} are accounted for: {outcome}")
    return outcome


def _write_empty(connection: duckdb.DuckDBPyConnection, contract: Contract, file: Path) -> None:
    columns = ", ".join(f'null::{column.kind.sql_type} as "{column.name}"' for column in contract.columns)
    provenance = ", ".join(f"null::{sql_type} as {name}" for name, sql_type in PROVENANCE.items())
    temporary = file.with_name(f".{file.name}")
    connection.execute(
        f"copy (select {columns}, {provenance} where false) to {literal(str(temporary))} (format parquet)"
    )
    temporary.replace(file)
    write_notes(file.parent, {}, [file])


def _read_state(file: Path) -> dict[str, Any] | None:
    """The state in a file, or None where it is absent or not as it was written."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(stored, dict):
        return None
    # Homes of earlier versions have none.
    expected = stored.pop("checksum", None)
    return stored if expected in (None, _state_checksum(stored)) else None


def _state_checksum(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def _replace_text(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}")
    temporary.write_text(text, encoding="utf-8")
    sync([temporary])
    temporary.replace(file)
