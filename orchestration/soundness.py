"""Whether a DuckDB file or an SQLite file can be read from end to end. What follows from that is decided elsewhere."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import duckdb

from orchestration.resources import in_use, looked_at
from orchestration.settings import Settings
from sources.checksums import checksum

_KNOWN = ".sound.json"
"""Checksums of the files as the last refresh left them: who still has those bytes need not be read through."""


def trouble_with_duckdb(path: Path, memory: str = "512MB") -> str | None:
    """Why a DuckDB file cannot be read, in a sentence of DuckDB's; None when all of its tables can, or it is absent.

    Args:
        path: The file.
        memory: What reading it may use, as DuckDB writes it.

    Raises:
        InUseError: Another program has it open for writing.
        OSError: It may not be read.
    """
    if not path.exists():
        return None
    with path.open("rb"):
        pass
    try:
        with looked_at(path) as connection:
            connection.execute(f"set memory_limit = '{memory}'")
            tables = connection.execute(
                "select schema_name, table_name from duckdb_tables() where database_name = 'file'"
            ).fetchall()
            for schema, table in tables:
                # Every block carries a checksum, which is compared when the block is read.
                connection.execute(f'select bit_xor(hash(t)) from file."{schema}"."{table}" as t').fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        if (reason := in_use(path, error)) is not None:
            raise reason from error
        return str(error).strip().splitlines()[0]
    return None


def trouble_with_sqlite(path: Path) -> str | None:
    """Why an SQLite file cannot be read; None when it can, or is absent or in use."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            (verdict,) = connection.execute("pragma quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        return None if "locked" in str(error) else str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if verdict == "ok" else str(verdict)


def note_sound(settings: Settings, published: Path) -> None:
    """Note the warehouse, its companion and the published file as they are now, closed and whole.

    Args:
        settings: The home.
        published: The published file, or what is about to be it.
    """
    files = {settings.warehouse: settings.warehouse, settings.work: settings.work, settings.published: published}
    known = {path.name: checksum(file) for path, file in files.items() if file.exists()}
    temporary = settings.home / f"{_KNOWN}.new"
    temporary.write_text(json.dumps(known), encoding="utf-8")
    temporary.replace(settings.home / _KNOWN)


def is_as_noted(settings: Settings, path: Path) -> bool:
    """Whether a file still has the bytes that the last refresh left."""
    known: dict[str, int] = {}
    with suppress(FileNotFoundError, ValueError):
        known = json.loads((settings.home / _KNOWN).read_text(encoding="utf-8"))
    return path.name in known and path.exists() and known[path.name] == checksum(path)
