"""What must be unpacked before it can be read: gzip, zip, workbooks, JSON arrays.

What comes out is delimited text, JSON lines or Parquet in plain files. What is in them is not looked at here.
"""

from __future__ import annotations

import csv
import gzip
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import duckdb
import python_calamine

from sources.delivery import SourceError
from sources.recognition import WORKBOOKS
from sources.sql import literal

TEXT_SUFFIXES = (".csv", ".txt", ".tsv")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet", ".pq")
WORKBOOK_SUFFIXES = tuple(f".{ending}" for ending in WORKBOOKS)
READABLE = (*TEXT_SUFFIXES, *JSON_SUFFIXES, *PARQUET_SUFFIXES, *WORKBOOK_SUFFIXES, ".gz", ".zip")
"""Endings of files that can be read."""

IGNORED_SUFFIXES = (".tmp", ".part", ".crdownload", ".md", ".yml.example")
"""Endings of notes and of files that are still being written."""


@dataclass(frozen=True)
class Part:
    """Something to read.

    Args:
        path: A plain file.
        name: As the user knows it: ``orders.csv``, ``2024.zip/orders.csv``, ``shop.xlsx/Sheet1``.
        kind: What the file holds.
        sheet: The sheet of a workbook it was made from.
    """

    path: Path
    name: str
    kind: Literal["text", "json", "parquet"]
    sheet: str | None = None


def unpack(path: Path, name: str, folder: Path) -> list[Part]:
    """Make what a file holds readable.

    Args:
        path: The file.
        name: As the user knows it.
        folder: An empty folder for what must be unpacked; made when needed.

    Returns:
        One part for a plain file, one each for the files of an archive and for the sheets of a workbook that hold
        anything.

    Raises:
        SourceError: It is damaged, locked, or of a kind that cannot be read.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in TEXT_SUFFIXES:
        return [Part(path, name, "text")]
    if suffix in PARQUET_SUFFIXES:
        return [Part(path, name, "parquet")]
    if suffix in JSON_SUFFIXES:
        return [Part(_lines_of_array(path, name, folder) if _is_array(path) else path, name, "json")]
    if suffix in WORKBOOK_SUFFIXES:
        return list(_sheets(path, name, folder))
    if suffix == ".gz":
        folder.mkdir(parents=True, exist_ok=True)
        inner = PurePosixPath(name).stem
        if not PurePosixPath(inner).suffix:
            raise _unreadable(name, suffix)
        target = folder / f"0{PurePosixPath(inner).suffix}"
        try:
            with gzip.open(path) as packed, target.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"{name}: damaged or cut off ({error}). Copy or export it again.") from error
        return [_renamed(part, name) for part in unpack(target, inner, folder / "0")]
    if suffix == ".zip":
        members = list(_members(path, name, folder))
        if not members:
            raise SourceError(f"{name}: there is no file in it. Take it out of the folder, or fill it.")
        return members
    raise _unreadable(name, suffix)


def _unreadable(name: str, suffix: str) -> SourceError:
    return SourceError(
        f"{name}: files ending {suffix or 'without a suffix'} cannot be read; readable are {', '.join(READABLE)}. "
        "Export it as CSV, or take it out of the folder."
    )


def _renamed(part: Part, name: str) -> Part:
    """A gzip file goes by its own name, whatever lies in it."""
    sheet = f"/{part.sheet}" if part.sheet is not None else ""
    return Part(part.path, name + sheet, part.kind, part.sheet)


def _members(path: Path, name: str, folder: Path) -> Iterator[Part]:
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(path) as archive:
            for number, member in enumerate(archive.infolist()):
                parts = PurePosixPath(member.filename).parts
                hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in parts)
                if member.is_dir() or hidden or member.filename.lower().endswith(IGNORED_SUFFIXES):
                    continue
                # Names from an archive are shown, never used as paths.
                target = folder / f"{number}{PurePosixPath(member.filename).suffix}"
                with archive.open(member) as packed, target.open("wb") as plain:
                    shutil.copyfileobj(packed, plain)
                yield from unpack(target, f"{name}/{member.filename}", folder / str(number))
    except (zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        raise SourceError(f"{name}: damaged or cut off ({error}). Copy or export it again.") from error
    except (RuntimeError, NotImplementedError) as error:
        raise SourceError(
            f"{name}: cannot be unpacked ({error}). Unpack it yourself and put the files here."
        ) from error


def _is_array(path: Path) -> bool:
    with path.open("rb") as file:
        while chunk := file.read(1 << 16):
            if text := chunk.lstrip(b"\xef\xbb\xbf \t\r\n"):
                return text[:1] == b"["
    return False


def _lines_of_array(path: Path, name: str, folder: Path) -> Path:
    """A JSON array of objects as JSON lines; lines are counted as its elements."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "array.jsonl"
    try:
        duckdb.execute(
            f"copy (select json(json)::varchar from read_json_objects({literal(str(path))}, format = 'array')) "
            f"to {literal(str(target))} (format csv, header false, quote '', escape '', delimiter '\x01')"
        )
    except duckdb.Error as error:
        raise SourceError(f"{name}: not a JSON array of objects ({error}). Export it as JSON lines.") from error
    return target


def _sheets(path: Path, name: str, folder: Path) -> Iterator[Part]:
    """The sheets of a workbook as CSV; a line is a row of the sheet."""
    try:
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
        sheets = [(sheet, workbook.get_sheet_by_name(sheet)) for sheet in workbook.sheet_names]
    except (python_calamine.CalamineError, OSError) as error:
        raise SourceError(
            f"{name}: cannot be read as a workbook ({error}). Open and save it again, without a password, or export "
            "its sheets as CSV."
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    found = False
    for number, (title, sheet) in enumerate(sheets):
        if not sheet.height:
            continue
        found = True
        target = folder / f"{number}.csv"
        with target.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            # Rows above the first one in use count, so that a line is the row that the program shows.
            writer.writerows([] for _ in range(sheet.start[0] if sheet.start else 0))
            width = sheet.width
            for row in sheet.iter_rows():
                cells = [_cell(value) for value in row]
                writer.writerow((cells + [""] * (width - len(cells))) if any(cells) else [])
        yield Part(target, f"{name}/{title}", "text", title)
    if not found:
        raise SourceError(f"{name}: all its sheets are empty. Remove it, or fill it.")


def _cell(value: Any) -> str:
    """A cell as text: numbers without a needless .0, times as year-month-day, line breaks as spaces."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return " ".join(str(value).split())
