"""Rows on their way into raw: typed Arrow batches, split by month, one Parquet file a month.

What the rows mean is the contract's business; whether they are new is the raw folder's.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sources.contracts import Contract, Kind
from sources.key_hashes import repeated_hashes
from sources.sql import literal, quoted_name

UNDATED = "all"
"""Stem of the one file of a table that is not made of events."""

PROVENANCE = {"_batch": "bigint", "_file": "varchar", "_line": "bigint"}
"""What raw rows carry beside their contract columns: the refresh that brought them, their file and their line."""

MONTH = "_month"
"""Column of the batches that names the month: year x 12 + month - 1; 0 for a table without months."""

_GROUP_ROWS = 122_880
_WAITING_ROWS = 8 * _GROUP_ROWS
_SOME_ROWS = 20_000


def month_number(contract: Contract) -> str:
    """SQL for the `MONTH` column."""
    if contract.event_at is None:
        return "0"
    at = quoted_name(contract.event_at)
    return f"year({at}) * 12 + month({at}) - 1"


def month_name(contract: Contract) -> str:
    """SQL for the stem of the file that a row lies in."""
    return f"strftime({quoted_name(contract.event_at)}, '%Y-%m')" if contract.event_at else f"'{UNDATED}'"


def _stem(month: int) -> str:
    return f"{month // 12:04d}-{month % 12 + 1:02d}" if month else UNDATED


class MonthFiles:
    """Writes batches into ``<folder>/YYYY-MM.parquet``, rows in the order in which they come.

    Args:
        folder: An empty folder.
        contract: The table.
    """

    def __init__(self, folder: Path, contract: Contract) -> None:
        self._folder = folder
        self._columns = [*contract.column_names, *PROVENANCE]
        rising = ("_line", *(column.name for column in contract.columns if column.kind == Kind.TIMESTAMP))
        self._deltas = dict.fromkeys(rising, "DELTA_BINARY_PACKED")
        self._ordered = [contract.event_at] if contract.event_at else False
        self._waiting: dict[int, list[pa.Table]] = {}
        self._counts: dict[int, int] = {}
        self._writers: dict[int, pq.ParquetWriter] = {}

    def close(self) -> None:
        """Write what is waiting, and end the files."""
        for month in list(self._waiting):
            self._flush(month)
        for writer in self._writers.values():
            writer.close()

    def write(self, rows: pa.Table) -> None:
        """Add rows.

        Args:
            rows: Contract columns, provenance and `MONTH`.
        """
        if not rows.num_rows:
            return
        months = rows.column(MONTH).to_numpy()
        rows = rows.select(self._columns)
        if months[0] == months[-1] and (months == months[0]).all():
            self._add(int(months[0]), rows)
        else:
            order = np.argsort(months, kind="stable")
            found, starts = np.unique(months[order], return_index=True)
            sorted_rows = rows.take(pa.array(order))
            for month, start, end in zip(found, starts, [*starts[1:], len(order)], strict=True):
                self._add(int(month), sorted_rows.slice(start, end - start))
        while sum(self._counts.values()) > _WAITING_ROWS:
            self._flush(max(self._counts, key=lambda month: self._counts[month]))

    def _add(self, month: int, rows: pa.Table) -> None:
        self._waiting.setdefault(month, []).append(rows)
        self._counts[month] = self._counts.get(month, 0) + rows.num_rows
        if self._counts[month] >= _GROUP_ROWS:
            self._flush(month)

    def _alike(self, rows: pa.Table) -> list[str]:
        """Columns whose values repeat: of others a dictionary would be built and thrown away."""
        some = rows.slice(0, _SOME_ROWS)
        return [
            name
            for name in self._columns
            if name not in self._deltas and pc.count_distinct(some.column(name)).as_py() * 4 <= some.num_rows
        ]

    def _flush(self, month: int) -> None:
        rows = pa.concat_tables(self._waiting.pop(month))
        del self._counts[month]
        if month not in self._writers:
            self._writers[month] = pq.ParquetWriter(
                self._folder / f"{_stem(month)}.parquet",
                rows.schema,
                compression="zstd",
                # A sixth larger than at level 1, and written in three quarters of the time.
                compression_level=-1,
                use_dictionary=self._alike(rows),
                column_encoding=self._deltas,
                write_statistics=self._ordered,
                store_decimal_as_integer=True,
            )
        self._writers[month].write_table(rows, row_group_size=2 * _GROUP_ROWS)


def name_rows(contract: Contract) -> str:
    """SQL for the key of a row that has none: a hash of its values.

    Only what is present is hashed, so that a column which a contract gains one day changes no old key.
    """
    parts = ", ".join(
        f"'{column.name}:' || strlen({quoted_name(column.name)}) || ':' || {quoted_name(column.name)}"
        if column.kind in (Kind.ID, Kind.TEXT)
        else f"'{column.name}:' || {quoted_name(column.name)}"
        for column in contract.columns
        if column.name != contract.key
    )
    return f"'row-' || left(md5(concat({parts})), 24)"


_NAMED = "'row-[0-9a-f]{24}'"


def number_repeats(con: duckdb.DuckDBPyConnection, folder: Path, contract: Contract) -> None:
    """Give equal rows, which `name_rows` gave one key, keys of their own.

    The first keeps its key; the nth gets the hash of it and n. So equal purchases in one file stay apart, and a file
    exported again, under another name or in another order, names its rows as before.

    Args:
        con: A connection to work with.
        folder: What `MonthFiles` wrote.
        contract: The table.
    """
    key = quoted_name(contract.key)
    everything = f"read_parquet({literal(str(folder / '*.parquet'))})"
    if not any(folder.glob("*.parquet")):
        return
    con.register("several", repeated_hashes(con, f"select {key} from {everything}"))
    con.execute(
        f"""
        create temp table repeated as
        select {key} from {everything}
        where hash({key}) in (select h from several) and regexp_full_match({key}, {_NAMED})
        group by 1 having count(*) > 1
        """
    )
    months = con.execute(
        f"select distinct filename from read_parquet({literal(str(folder / '*.parquet'))}, filename = true) "
        f"where {key} in (select {key} from repeated)"
    ).fetchall()
    for (name,) in months:
        file = Path(name)
        mended = file.with_suffix(".tmp")
        con.execute(
            f"""
            copy (
                with numbered as (
                    select _line, row_number() over (partition by {key} order by _line) as nth
                    from read_parquet({literal(name)}) where {key} in (select {key} from repeated)
                )
                select s.* replace (
                    case when n.nth > 1 then 'row-' || left(md5(s.{key} || ':' || n.nth), 24) else s.{key} end as {key}
                )
                from read_parquet({literal(name)}) as s left join numbered as n using (_line)
            ) to {literal(str(mended))} (format parquet, compression zstd)
            """
        )
        mended.replace(file)
