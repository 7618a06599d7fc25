"""Files that tests write, and the rows that are read from them."""

import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from sources.contracts import CONTRACTS
from sources.delivery import Delivery, KnownFile, Request
from sources.files import FilesSource, open_files

RECEIVED = date(2024, 6, 30)
SOLD = "customer_id, sold_at, amount"


def at(*parts: int) -> datetime:
    """A local time."""
    return datetime(*parts)  # noqa: DTZ001


def rows(delivery: Delivery, columns: str = SOLD) -> list[tuple[Any, ...]]:
    """The good rows, in the file's order."""
    assert delivery.parquet is not None
    if not any(delivery.parquet.iterdir()):
        return []
    return duckdb.execute(f"select {columns} from '{delivery.parquet}/*.parquet' order by _line").fetchall()


class Landing:
    """A folder of files, and what is read from it.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.landing = folder / "landing"
        self.quarantine = folder / "quarantine"
        self.landing.mkdir()
        self._runs = 0

    def write(self, name: str, content: str | bytes, age: int | None = None) -> Path:
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if age is not None:
            os.utime(path, (age, age))
        return path

    def source(self, path: Path | None = None) -> FilesSource:
        return open_files(path or self.landing, self.quarantine)

    def deliver(
        self,
        path: Path | None = None,
        *,
        timezone: str = "UTC",
        received: date = RECEIVED,
        known: Mapping[str, KnownFile] | None = None,
    ) -> list[Delivery]:
        """Deliveries of all tables."""
        source = self.source(path)
        request = Request(received_on=received, as_of=None, timezone=timezone, known=known or {})
        found = []
        for contract in CONTRACTS:
            self._runs += 1
            target = self.folder / f"out{self._runs}"
            target.mkdir()
            found += source.deliver(contract, target, request)
        for delivery in found:
            if delivery.parquet is not None:
                assert delivery.rows == len(rows(delivery, "_line")) + delivery.quarantined
        return found

    def one(self, path: Path | None = None, **request: Any) -> Delivery:
        (delivery,) = self.deliver(path, **request)
        return delivery
