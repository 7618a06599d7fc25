"""The simulated business as files for other programs: Parquet, CSV or JSON lines, a folder a table, a file a year.

The folders are named as `landing/` expects them, so that an export can be read back like anybody's files.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from sources.contracts import BY_NAME
from sources.synthetic import tables
from sources.synthetic.seasons import day_of
from sources.synthetic.world import DELIVERED, World

FORMATS = ("parquet", "csv", "jsonl")


def export(worlds: Iterable[World], folder: Path, file_format: str) -> dict[str, int]:
    """Write the rows of windows, each table into ``<source>/<table>/<year of the window>.<format>``.

    Args:
        worlds: Windows of a simulation.
        folder: Where to; without files of an earlier export.
        file_format: One of FORMATS.

    Returns:
        Rows written, by contract name.
    """
    rows = dict.fromkeys(DELIVERED, 0)
    with ExitStack() as open_files:
        writers: dict[Path, pq.ParquetWriter] = {}
        for world in worlds:
            for name in DELIVERED:
                table = world.table(name)
                if not table.num_rows:
                    continue
                rows[name] += table.num_rows
                file = folder.joinpath(*name.split("."), f"{day_of(world.window.since).year}.{file_format}")
                file.parent.mkdir(parents=True, exist_ok=True)
                if file_format != "parquet":
                    _append(table, file)
                    continue
                if file not in writers:
                    writer = pq.ParquetWriter(
                        file, table.schema, compression="zstd", use_dictionary=tables.repetitive(BY_NAME[name])
                    )
                    writers[file] = open_files.enter_context(writer)
                writers[file].write_table(table)
    return rows


def _append(table: pa.Table, file: Path) -> None:
    """Add rows to a file of text, in the format that its name ends in."""
    options = "format json" if file.suffix == ".jsonl" else f"format csv, header {not file.exists()}"
    part = file.with_name(f".{file.name}")
    with duckdb.connect() as connection:
        connection.register("rows", table)
        connection.execute(f"copy rows to '{str(part).replace(chr(39), 2 * chr(39))}' ({options})")
    with file.open("ab") as whole, part.open("rb") as rest:
        shutil.copyfileobj(rest, whole)
    part.unlink()
