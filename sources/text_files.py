"""From the bytes of a delimited text file to numbered records and their fields: encoding, lines, delimiter, header.

Records go to DuckDB in Arrow batches, a few megabytes at a time, and DuckDB splits them; so a line that does not
split as it should is still there, with its number and its text. What the fields mean is not decided here.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa

from sources.delivery import SourceError
from sources.mapping import Delimiter
from sources.typing_sql import literal, quoted_name

DELIMITERS: tuple[Delimiter, ...] = (",", ";", "\t", "|")
"""Separators that are looked for in a first line; without any of them, fields are separated by whitespace."""

SPACE = " \t\r\n\v\f\u00a0\ufeff"
"""Characters that surround a value without belonging to it."""

_CHUNK = 1 << 22
_LONGEST_RECORD = 1000
"""Lines that a quoted field may span; a quote that closes later than that was never meant to open one."""

_SCHEMA = pa.schema([("line", pa.int64()), ("text", pa.string())])


@dataclass(frozen=True)
class Fingerprint:
    """What one pass over a file's bytes shows.

    Args:
        sha256: Digest of the bytes, not yet finished, so that more can be added.
        encoding: Python's name of the encoding; None when it is not text.
    """

    sha256: hashlib._Hash
    encoding: str | None


def fingerprint(path: Path) -> Fingerprint:
    """Hash a file, and find its encoding: UTF-8, UTF-16 with a byte order mark, or else Windows-1252/Latin-1.

    Args:
        path: The file.
    """
    digest = hashlib.sha256()
    utf8 = codecs.getincrementaldecoder("utf-8")()
    is_utf8, has_nul, undefined_in_1252, start = True, False, False, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            start = start or chunk[:4]
            digest.update(chunk)
            has_nul = has_nul or b"\0" in chunk
            undefined_in_1252 = undefined_in_1252 or any(byte in chunk for byte in b"\x81\x8d\x8f\x90\x9d")
            if is_utf8:
                try:
                    utf8.decode(chunk)
                except UnicodeDecodeError:
                    is_utf8 = False
    # A multi-byte character cut off at the very end leaves bytes in the decoder.
    is_utf8 = is_utf8 and not utf8.getstate()[0]
    encoding: str | None
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif has_nul:
        encoding = None
    elif is_utf8:
        encoding = "utf-8-sig"
    else:
        encoding = "latin-1" if undefined_in_1252 else "cp1252"
    return Fingerprint(digest, encoding)


@dataclass(frozen=True)
class Layout:
    """How a text file is laid out.

    Args:
        encoding: Python's name of the encoding.
        delimiter: What separates fields.
        header: Column names, as written.
        header_line: Line of the header, counted from 1; 0 when the file has none.
    """

    encoding: str
    delimiter: Delimiter
    header: tuple[str, ...]
    header_line: int


def lay_out(
    path: Path, name: str, encoding: str | None, delimiter: Delimiter | None, header: Sequence[str] | None
) -> Layout:
    """Find header and delimiter.

    Args:
        path: The file.
        name: Its name for messages.
        encoding: As `fingerprint` found it.
        delimiter: What the user said, or None to find out.
        header: The column names the user gave for a file without a header line, or None.

    Raises:
        SourceError: The file is not text, is empty without a given header, or its first line does not have as many
            fields as the given header.
    """
    if encoding is None:
        raise SourceError(f"{name}: this is not a text file. Export it as CSV (UTF-8) or Parquet.")
    number, first = _first_line(path, name, encoding)
    if header is not None:
        columns = tuple(header)
        if first is None:
            return Layout(encoding, delimiter or ",", columns, 0)
        found = delimiter or _detect(first, len(columns))
        fields = split_line(first, found)
        if len(fields) != len(columns):
            raise SourceError(
                f"{name}, line {number}: {len(fields)} fields where sources.yml's header names {len(columns)} "
                f"columns: {first!r}. Correct header: or delimiter: in sources.yml."
            )
        return Layout(encoding, found, columns, 0)
    if first is None:
        raise SourceError(
            f"{name}: the file is empty, without even a header line. Remove it, or give header: in sources.yml."
        )
    found = delimiter or _detect(first)
    return Layout(encoding, found, tuple(field.strip(SPACE) for field in split_line(first, found)), number)


def split_line(text: str, delimiter: Delimiter) -> list[str]:
    """The fields of one line."""
    if delimiter == "whitespace":
        return text.split()
    return next(csv.reader([text], delimiter=delimiter), [""])


def _first_line(path: Path, name: str, encoding: str) -> tuple[int, str | None]:
    with path.open(encoding=encoding) as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip(SPACE):
                    return number, line.rstrip("\n")
        except UnicodeDecodeError as error:
            raise SourceError(f"{name}: not readable as {encoding} ({error.reason}). Save it as UTF-8.") from error
    return 0, None


def _detect(line: str, wanted: int | None = None) -> Delimiter:
    """The separator that gives the wanted number of fields, or else the most."""
    counts: dict[Delimiter, int] = {delimiter: len(split_line(line, delimiter)) for delimiter in DELIMITERS}
    for delimiter, count in counts.items():
        if count == wanted:
            return delimiter
    best = max(counts, key=lambda delimiter: counts[delimiter])
    if counts[best] > 1 and wanted is None:
        return best
    return "whitespace" if len(line.split()) > 1 else ","


def records(path: Path, layout: Layout) -> pa.RecordBatchReader:
    """Stream a file's records: number of the first line, and text without the line end.

    Lines are joined where a quoted field runs over several. Nothing is left out, the header and blank lines included.

    Args:
        path: The file.
        layout: As `lay_out` found it.
    """
    return pa.RecordBatchReader.from_batches(_SCHEMA, _batches(path, layout))


def _batches(path: Path, layout: Layout) -> Iterator[pa.RecordBatch]:
    number = 1
    waiting: list[str] = []
    for chunk, is_last in _chunks(path, layout.encoding):
        lines = waiting + chunk
        offsets, texts, used = _join(lines, layout.delimiter, is_last)
        numbers = pa.array((number + offset for offset in offsets), pa.int64())
        yield pa.record_batch([numbers, pa.array(texts, pa.string())], schema=_SCHEMA)
        waiting = lines[used:]
        number += used


def _chunks(path: Path, encoding: str) -> Iterator[tuple[list[str], bool]]:
    """Lines in groups, and whether the group is the last; every kind of line end counts as one."""
    rest = ""
    with path.open(encoding=encoding) as file:
        while chunk := file.read(_CHUNK):
            *lines, rest = (rest + chunk).split("\n")
            yield lines, False
    yield ([rest] if rest else []), True


def _join(lines: list[str], delimiter: Delimiter, is_last: bool) -> tuple[list[int], list[str], int]:
    """Join lines into records.

    Returns:
        Offset of each record's first line, the records' texts, and how many lines were used: the others belong to a
        record that ends in the next chunk.
    """
    odd = [] if delimiter == "whitespace" else [i for i, line in enumerate(lines) if line.count('"') % 2]
    offsets: list[int] = []
    texts: list[str] = []
    position = 0
    for start in odd:
        if start < position:
            continue
        offsets.extend(range(position, start))
        texts.extend(lines[position:start])
        span = _span(lines[start : start + _LONGEST_RECORD], delimiter)
        if span == 0:
            if not is_last and len(lines) - start < _LONGEST_RECORD:
                return offsets, texts, start
            span = 1
        offsets.append(start)
        texts.append("\n".join(lines[start : start + span]))
        position = start + span
    offsets.extend(range(position, len(lines)))
    texts.extend(lines[position:])
    return offsets, texts, len(lines)


def _span(lines: list[str], delimiter: Delimiter) -> int:
    """How many lines the first record takes; 0 when its quote is not closed by the last line."""
    reader = csv.reader(chain((f"{line}\n" for line in lines), ("",)), delimiter=delimiter)
    try:
        next(reader)
    except csv.Error:
        # A field beyond csv's size limit: its quote was never meant to open one, and the line is judged by itself.
        return 1
    return reader.line_num if reader.line_num <= len(lines) else 0


def fields_query(relation: str, layout: Layout, positions: dict[str, int]) -> str:
    """SQL that splits records into fields.

    Args:
        relation: Name of the relation that holds `records`.
        layout: How the file is laid out.
        positions: Position of each wanted field, counted from 0, by the name it shall have.

    Returns:
        A select of _line, _text, _field_count (-1 where quotes do not close) and the wanted fields, unquoted, with
        surrounding space removed, null where empty.
    """
    space = literal(SPACE)
    if layout.delimiter == "whitespace":
        split, count = f"string_split_regex(trim(text, {space}), '[ \\t]+')", "len(fields)"
    else:
        split, count = _quoted_split(layout.delimiter)
    columns = "".join(
        f", nullif(trim(fields[{index + 1}], {space}), '') as {quoted_name(name)}" for name, index in positions.items()
    )
    return (
        f"with split as (select line, text, {split} as fields from {relation} "
        f"where line <> {layout.header_line} and trim(text, {space}) <> '') "
        f"select line as _line, text as _text, {count} as _field_count{columns} from split"
    )


def _quoted_split(delimiter: str) -> tuple[str, str]:
    """SQL for the unquoted fields of a text, and for their number, -1 where quotes do not close."""
    separator, mark = literal(delimiter), re.escape(delimiter)
    quoted = r'[ ]*"(?:[^"]|"")*"[ ]*'
    bare = rf"[ ]*(?:[^{mark}\" ][^{mark}]*)?"
    # The quick way out for text without quotes takes a tenth of the time.
    fields = f"regexp_extract_all({separator} || text, {literal(f'{mark}({quoted}|[^{mark}]*)')}, 1)"
    unquoted = f"""list_transform({fields}, lambda f: case when starts_with(ltrim(f), '"')
        then replace(trim(f)[2:-2], '""', '"') else f end)"""
    whole = literal(f"(?:{quoted}|{bare})(?:{mark}(?:{quoted}|{bare}))*")
    return (
        f"case when contains(text, '\"') then {unquoted} else string_split(text, {separator}) end",
        f"case when contains(text, '\"') and not regexp_full_match(text, {whole}) then -1 else len(fields) end",
    )
