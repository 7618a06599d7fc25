"""Deliveries merged into what a raw table holds: which rows are new, restated or known, and which months change.

Where tables lie, and what a refresh remembers, is the raw folder's business (`store`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sources.checksums import NOTES, read_notes, write_notes
from sources.contracts import Contract
from sources.delivery import Delivery
from sources.key_hashes import NO_HASHES, repeated_hashes
from sources.month_files import PROVENANCE, month_name
from sources.sql import first_row, literal, quoted_name

PENDING = ".pending"
"""Folder that a merge writes months into; nothing in it counts."""

COMMIT = ".commit"
"""What `PENDING` is renamed to when it is complete: from then on its months count."""


@dataclass(frozen=True)
class _Piece:
    """Rows of one delivery for one month.

    Args:
        delivery: Number of the delivery.
        month: Stem of the month's file.
        relation: SQL that reads the rows, as raw keeps them.
        file: The file that holds these rows and no others, in raw's form; None when there is no such file.
        rows: How many they are.
    """

    delivery: int
    month: str
    relation: str
    file: Path | None
    rows: int


class Merge:
    """One merge of deliveries into one table.

    Args:
        connection: A DuckDB to work with.
        contract: The table.
        folder: Where it lies.
        deliveries: What is to be merged, oldest first.
        batch: Number of the refresh.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        contract: Contract,
        folder: Path,
        deliveries: list[Delivery],
        batch: int,
    ) -> None:
        self._con = connection
        self._contract = contract
        self._folder = folder
        self._batch = batch
        self._key = quoted_name(contract.key)
        self._month = month_name(contract)
        self._values = ", ".join(map(quoted_name, contract.column_names))
        self._columns = ", ".join(map(quoted_name, (*contract.column_names, *PROVENANCE)))
        self._pieces = [
            piece for number, delivery in enumerate(deliveries) for piece in self._pieces_of(number, delivery)
        ]
        merged = [delivery for delivery in deliveries if delivery.parquet is not None]
        self._is_distinct = len(merged) == 1 and merged[0].keys_rise

    def _pieces_of(self, number: int, delivery: Delivery) -> Iterator[_Piece]:
        if delivery.parquet is None:
            return
        if delivery.parquet.is_dir():
            for file in sorted(delivery.parquet.glob("*.parquet")):
                relation = f"select {self._columns} from read_parquet({literal(str(file))})"
                rows = self._one(f"select count(*) from read_parquet({literal(str(file))})")
                yield _Piece(number, file.stem, relation, file, rows)
            return
        relation = (
            f"select {self._values}, {self._batch}::bigint as _batch, {literal(delivery.name)} as _file, _line "
            f"from read_parquet({literal(str(delivery.parquet))})"
        )
        months = self._con.execute(f"select {self._month}, count(*) from ({relation}) group by 1 order by 1").fetchall()
        for month, rows in months:
            yield _Piece(number, month, f"{relation} where {self._month} = {literal(month)}", None, rows)

    def _one(self, query: str) -> int:
        return int(first_row(self._con, query)[0])

    def run(self) -> dict[int, tuple[int, int, int]]:
        """Merge.

        Returns:
            Inserted, restated and duplicate rows by the delivery's number.
        """
        if not self._pieces:
            return {}
        self._find_contested()
        counts: dict[int, list[int]] = {}
        for piece in self._pieces:
            counts.setdefault(piece.delivery, [0, 0, 0])[0] += piece.rows
        contested: dict[tuple[int, str], int] = {}
        for number, month, outcome, rows in self._con.execute(
            "select _delivery, month, outcome, count(*) from chain where _delivery >= 0 group by all"
        ).fetchall():
            contested[number, month] = contested.get((number, month), 0) + rows
            counts[number][0] -= rows
            counts[number][("inserted", "restated", "duplicate").index(outcome)] += rows
        self._write(contested)
        return {number: (inserted, restated, duplicate) for number, (inserted, restated, duplicate) in counts.items()}

    def _find_contested(self) -> None:
        """Make the tables `contested` (keys that several rows claim) and `chain` (those rows, in order of age).

        Most keys arrive once and are new; only the others need to be put in order and compared.
        """
        key, values = self._key, f"row({self._values})"
        incoming = " union all ".join(
            f"select *, {piece.delivery} as _delivery, {literal(piece.month)} as month from ({piece.relation})"
            for piece in self._pieces
        )
        self._con.execute(f"create temp view incoming as {incoming}")
        self._con.execute(
            f"""
            create temp view existing as
            select {self._columns}, -1 as _delivery, {self._month} as month
            from read_parquet({literal(str(self._folder / "*.parquet"))})
            """
        )
        is_empty = self._one("select count(*) from (from existing limit 1)") == 0
        known = None if is_empty else f"select {key} from existing"
        is_distinct = is_empty and self._is_distinct
        self._con.register(
            "several", NO_HASHES if is_distinct else repeated_hashes(self._con, f"select {key} from incoming", known)
        )
        self._con.execute(
            f"""
            create temp table contested as
            select {key} as k
            from (
                select {key} from incoming where hash({key}) in (select h from several)
                union all
                select {key} from existing where hash({key}) in (select h from several)
            )
            group by 1 having count(*) > 1
            """
        )
        self._con.execute(
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
                from (
                    select * from incoming where {key} in (select k from contested)
                    union all
                    select * from existing where {key} in (select k from contested)
                )
                window by_age as (
                    partition by {key} order by _delivery, _line
                    rows between unbounded preceding and unbounded following
                )
            )
            """
        )
        # A row that is restated and put back again within a refresh is as it was.
        self._con.execute(
            f"""
            create temp table placed as
            select {self._values}, {self._batch}::bigint as _batch, _file, _line, month
            from chain where is_last and _delivery >= 0 and not (is_known and oldest = {values})
            """
        )

    def _write(self, contested: dict[tuple[int, str], int]) -> None:
        """Write the months that rows come into or move out of, then put them in place together."""
        new = {piece.month for piece in self._pieces if piece.rows > contested.get((piece.delivery, piece.month), 0)}
        moved = self._con.execute(
            f"""
            select month from placed
            union
            select month from chain where _delivery = -1 and {self._key} in (select {self._key} from placed)
            """
        ).fetchall()
        touched = sorted(new | {month for (month,) in moved})
        if not touched:
            return
        pending = self._folder / PENDING
        pending.mkdir(exist_ok=True)
        rewritten = {month for (month,) in moved}
        for month in touched:
            target = pending / f"{month}.parquet"
            pieces = [piece for piece in self._pieces if piece.month == month]
            existing = self._folder / f"{month}.parquet"
            if len(pieces) == 1 and month not in rewritten and not existing.exists():
                (only,) = pieces
                if only.file and not contested.get((only.delivery, month)):
                    only.file.rename(target)
                    continue
            parts = [
                f"select {self._columns} from ({p.relation}) where {self._key} not in (from contested)" for p in pieces
            ]
            if existing.exists():
                kept = f"{self._key} not in (select {self._key} from placed)"
                parts.insert(0, f"select {self._columns} from read_parquet({literal(str(existing))}) where {kept}")
            parts.append(f"select {self._columns} from placed where month = {literal(month)}")
            self._con.execute(
                f"copy ({' union all '.join(parts)}) to {literal(str(target))} (format parquet, compression zstd)"
            )
        noted = read_notes(self._folder)
        written = sorted(pending.iterdir())
        # A folder of an earlier version has no notes yet: then all its files are noted.
        others = [] if noted is not None else [f for f in self._folder.glob("*.parquet") if f.stem not in touched]
        sync([*written, write_notes(pending, noted or {}, [*written, *others])])
        pending.rename(self._folder / COMMIT)
        move_into_place(self._folder)


def move_into_place(folder: Path) -> None:
    """Finish a merge that was decided: put the months of `COMMIT` where they belong."""
    # The notes last: as long as they are here, nothing is judged by those of before.
    for file in sorted((folder / COMMIT).iterdir(), key=lambda file: (file.name == NOTES, file.name)):
        file.replace(folder / file.name)
    (folder / COMMIT).rmdir()


def sync(files: Iterable[Path]) -> None:
    """Make sure that files are on the disk."""
    for file in files:
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
