"""Sizes and checksums of a folder's Parquet files, noted beside them, so that damage is known when it is met.

Parquet as DuckDB and Arrow write it carries no checksum of its own: a bit that flips in it may read as another amount.
What is done about damage is decided by whoever asks.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path

NOTES = "_files.json"
"""File that holds the notes of a folder: for each file its size in bytes and its CRC-32."""

Notes = dict[str, list[int]]

_PIECE = 1 << 20


def checksum(file: Path) -> int:
    """CRC-32 of a file's bytes."""
    value = 0
    with file.open("rb") as handle:
        while piece := handle.read(_PIECE):
            value = zlib.crc32(piece, value)
    return value


def read_notes(folder: Path) -> Notes | None:
    """What is noted of a folder's files, or None where nothing is.

    Raises:
        ValueError: The notes cannot be read.
    """
    file = folder / NOTES
    if not file.exists():
        return None
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file.name} cannot be read") from error


def write_notes(target: Path, noted: Mapping[str, list[int]], files: Iterable[Path]) -> Path:
    """Write notes of a folder's files.

    Args:
        target: Folder to write them into.
        noted: What is known of files that stay as they are.
        files: The files that are new or have changed.

    Returns:
        The file written.
    """
    notes = {**noted, **{file.name: [file.stat().st_size, checksum(file)] for file in files}}
    path = target / NOTES
    path.write_text(json.dumps(notes, indent=0, sort_keys=True), encoding="utf-8")
    return path


def damage(folder: Path) -> dict[str, str]:
    """What is wrong with the files that were noted, in a few words, by their names; files not noted are not judged."""
    try:
        notes = read_notes(folder)
    except ValueError as error:
        return {NOTES: str(error)}
    found = {}
    for name, (size, expected) in sorted((notes or {}).items()):
        file = folder / name
        if not file.exists():
            found[name] = "is missing"
        elif file.stat().st_size != size:
            found[name] = f"has {file.stat().st_size:,} bytes where {size:,} were written"
        elif checksum(file) != expected:
            found[name] = "holds other bytes than were written"
    return found
