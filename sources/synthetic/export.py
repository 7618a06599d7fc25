"""The simulated business as files for other programs: Parquet, CSV or JSON lines, a folder a table, a file a window.

The folders are named as `landing/` expects them, so that an export can be read back like anybody's files.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sources.synthetic.seasons import day_of
from sources.synthetic.world import DELIVERED, World

FORMATS = ("parquet", "csv", "jsonl")


def export(worlds: Iterable[World], folder: Path, file_format: str) -> dict[str, int]:
    """Write the rows of windows, each table into ``<source>/<table>/<first day>.<format>``.

    Args:
        worlds: Windows of a simulation.
        folder: Where to; files of the same names are replaced.
        file_format: One of FORMATS.

    Returns:
        Rows written, by contract name.
    """
    rows: dict[str, int] = {}
    for world in worlds:
        first_day = day_of(world.window.since).isoformat()
        for name in DELIVERED:
            table = world.table(name)
            if not table.num_rows:
                continue
            place = folder.joinpath(*name.split("."))
            place.mkdir(parents=True, exist_ok=True)
            write_table(table, place / f"{first_day}.{file_format}")
            rows[name] = rows.get(name, 0) + table.num_rows
    return rows


def write_table(table: pa.Table, file: Path) -> None:
    """Write one table in the format that the file's name ends in."""
    if file.suffix == ".parquet":
        pq.write_table(table, file, compression="zstd")
        return
    options = "format json" if file.suffix == ".jsonl" else "format csv, header"
    with duckdb.connect() as connection:
        connection.register("rows", table)
        connection.execute(f"copy rows to '{str(file).replace(chr(39), 2 * chr(39))}' ({options})")
