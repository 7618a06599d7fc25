"""What passes between a source and the raw folder: a request, deliveries, and what became of their rows.

A source turns what it has into typed Parquet that fits a contract; the raw folder merges it. Neither knows how
the other works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

from sources.contracts import Contract


class SourceError(Exception):
    """A mistake in the data or in how it was described; the message names place and remedy, for the user to read."""


@dataclass(frozen=True)
class Request:
    """What a refresh asks a source for.

    Args:
        received_on: The day of the refresh; an event more than a day later is a bad row.
        as_of: The last day wanted, or None for all there is.
        timezone: IANA name of the zone that zoned times are converted to.
        known: Files of earlier refreshes, by content hash.
        batch: Number of the refresh, kept with every row.
        memory: What may be used to read a file, as DuckDB writes it; beyond it goes to disk.
        currency: What amounts must be in, where that is said.
        delivered_to: For a source that can be asked for any day: the last day that is kept already, whole, or None.
        first_read: Of files to be read once more in their old order: the refresh that read each first, by content hash.
    """

    received_on: date
    as_of: date | None
    timezone: str
    known: Mapping[str, KnownFile]
    batch: int = 0
    memory: str = "512MB"
    currency: str | None = None
    delivered_to: date | None = None
    first_read: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class KnownFile:
    """A file that an earlier refresh has read.

    Args:
        name: Its path as the user knows it, relative to the source.
        table: The contract it was read as.
        rows: Rows it had, bad ones included.
        quarantined: Rows that were put into quarantine.
        batch: The refresh that read it first.
        set_aside: Why the whole file was refused, or None.
        left_out: Rows that sources.yml leaves out; not among `rows`.
        currency: What its amounts are in, where it says so.
        size: Its bytes; 0 where that was not noted.
        due_on: Day from which on rows are good that were refused because they lay in the future, as YYYY-MM-DD; None
            without any.
        read_to: Day up to which rows were taken when it was read, likewise; None where that does not matter.
        labels: Its columns, by its own names, where they have been noted.
    """

    name: str
    table: str
    rows: int
    quarantined: int
    batch: int
    set_aside: str | None = None
    left_out: int = 0
    currency: str | None = None
    size: int = 0
    due_on: str | None = None
    read_to: str | None = None
    labels: tuple[str, ...] = ()

    def is_due(self, day: date) -> bool:
        """Whether reading it again gives rows that lay in the future before."""
        return self.due_on is not None and date.fromisoformat(self.due_on) <= day


@dataclass(frozen=True)
class Changes:
    """What has become of the files whose rows are kept.

    Args:
        cut_short: Those that were read before they were written to the end: their last line was a part of one.
        gone: Those that are no longer there, or hold something else.
    """

    cut_short: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnRead:
    """How a column was read.

    Args:
        label: The file's name for it; None for a constant.
        column: The contract column it feeds; None when it is not used.
        why: How it was recognised, in a few words.
        how: How its values are written, in a few words.
        constant: The value of every row, where there is no file column.
    """

    label: str | None
    column: str | None
    why: str
    how: str
    constant: str | None = None


@dataclass(frozen=True)
class Delivery:
    """Rows of one file, or of a generator, for one raw table.

    Args:
        name: The file's path as the user knows it, relative to the source; "synthetic" for the generator.
        table: The contract's name.
        content_hash: SHA-256 of what was read and of how it was to be read; None for a generator.
        rows: Rows the file had, bad ones included.
        quarantined: Rows put into quarantine.
        parquet: The good rows, with keys filled in: either a file with the contract's columns in order and with its
            types, then `_line` (bigint, the row's place in the delivery); or a folder of one file a month, as raw
            keeps them (see `month_files`). None when there is nothing to merge, because the file is unchanged since
            an earlier refresh or was set aside.
        set_aside: Why the whole file was refused, or None.
        examples: A few quarantined rows in words (file, line, column, value, reason), for messages.
        newly_set_aside: Refused by this refresh, which must then fail; False when an earlier one refused it.
        left_out: Rows that sources.yml leaves out; not among `rows`.
        currency: What its amounts are in, where it says so.
        columns: How its columns were read, where it was read by this refresh.
        notes: What the user should know of it though it was read.
        keys_rise: Every row's key is known to be larger than the one before, so that none repeats.
        size: Bytes of what was read; 0 for a generator.
        due_on: As in `KnownFile`.
        known_before: Good rows that an earlier refresh has taken from this very file; not in `parquet`.
    """

    name: str
    table: str
    content_hash: str | None
    rows: int
    quarantined: int
    parquet: Path | None
    set_aside: str | None = None
    examples: tuple[str, ...] = ()
    newly_set_aside: bool = False
    left_out: int = 0
    currency: str | None = None
    columns: tuple[ColumnRead, ...] = ()
    notes: tuple[str, ...] = ()
    keys_rise: bool = False
    size: int = 0
    due_on: str | None = None
    known_before: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of the rows of one delivery: rows = inserted + restated + duplicate + quarantined.

    Args:
        name: As in the delivery.
        table: As in the delivery.
        rows: Rows the delivery had.
        inserted: Rows with a new key.
        restated: Rows with a known key and other values.
        duplicate: Rows with a known key and the same values.
        quarantined: Rows that were refused, whole files set aside included.
        set_aside: Why the whole file was refused, or None.
        left_out: Rows that sources.yml leaves out; not among `rows`.
        currency: What its amounts are in, where it says so.
    """

    name: str
    table: str
    rows: int
    inserted: int
    restated: int
    duplicate: int
    quarantined: int
    set_aside: str | None = None
    left_out: int = 0
    currency: str | None = None


class Source(Protocol):
    """Where raw data comes from."""

    @property
    def identity(self) -> str:
        """Names the source and how it is read. A home holds one source: another identity rebuilds it."""
        ...

    @property
    def title(self) -> str:
        """The source in a few words, for the summary and for messages."""
        ...

    def changes(self, known: Mapping[str, KnownFile]) -> Changes:
        """What has become of the files that earlier refreshes read.

        Args:
            known: These files, by content hash.
        """
        ...

    def deliver(self, contract: Contract, folder: Path, request: Request) -> list[Delivery]:
        """Write this source's rows of one table as Parquet.

        Args:
            contract: The table wanted.
            folder: An empty folder to write the Parquet files into.
            request: Day, zone and what is known already.

        Returns:
            One delivery a file, oldest first: of two rows with one key the later delivery's wins. Empty when the
            source has nothing for this table.

        Raises:
            SourceError: The source cannot be read as it stands.
        """
        ...
