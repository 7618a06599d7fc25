"""From the bytes of a delimited text file to numbered records and their fields: encoding, lines, delimiter, header.

Records go to DuckDB in Arrow batches, a few megabytes at a time, and DuckDB splits them; so a line that does not
split as it should is still there, with its number and its text. What the fields mean is not decided here.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import duckdb
import pyarrow as pa

from sources.delivery import SourceError
from sources.mapping import Delimiter
from sources.sql import literal, quoted_name

DELIMITERS: tuple[Delimiter, ...] = (",", ";", "\t", "|")
"""Separators that are looked for in a first line; without any of them, fields are separated by whitespace."""

SPACE = " \t\r\n\v\f\u00a0\ufeff"
"""Characters that surround a value without belonging to it."""

NEWLINE = b"\n"

_CHUNK = 1 << 22
_BUFFER = 8_000_000
"""Bytes that DuckDB splits at a time, per thread; its own choice takes four times the memory and no less time."""

# A header or a description may be longer than csv's limit; a record's length is bounded by its lines.
csv.field_size_limit(_CHUNK)
_TAIL = 1 << 16
_LONGEST_RECORD = 1000
"""Lines that a quoted field may span; a quote that closes later than that was never meant to open one."""
_LONGEST_HEADER = 50
_TITLE_LINES = 12
"""Lines that are looked at for a header: a report may have a title above it."""

# Western letters, dashes and quotes in UTF-8; in Latin-1 these pairs of characters are no text.
_UTF8_LETTER = re.compile(rb"[\xc3-\xc5][\x80-\xbf]|\xe2\x80[\x90-\xa6]")
_ONE_BYTE = ("cp1252", "latin-1")

_MAGIC = {b"PK\x03\x04": "a zip archive or a workbook", b"PAR1": "a Parquet file", b"%PDF": "a PDF"}

_SCHEMA = pa.schema([("line", pa.int64()), ("text", pa.string())])


@dataclass(frozen=True)
class Fingerprint:
    """What one pass over a file's bytes shows.

    Args:
        sha256: Digest of the bytes, not yet finished, so that more can be added.
        encoding: Python's name of the encoding; None when it is not text.
        lines: Lines that hold anything, where blank ones stand only at the end and all lines end alike; else None.
        broken_line: The first line that is no UTF-8, in a file of which other letters are.
    """

    sha256: hashlib._Hash
    encoding: str | None
    lines: int | None
    broken_line: int | None = None


def fingerprint(path: Path) -> Fingerprint:
    """Hash a file, count its lines, and find its encoding: UTF-8, UTF-16, or else Windows-1252/Latin-1.

    Args:
        path: The file.
    """
    digest = hashlib.sha256()
    utf8 = codecs.getincrementaldecoder("utf-8")()
    is_utf8, has_nul, undefined_in_1252, start = True, False, False, b""
    ends, returns, pairs, last = 0, 0, 0, b""
    before, broken_line, has_letters = 0, None, False
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            start = start or chunk[:4]
            digest.update(chunk)
            has_nul = has_nul or b"\0" in chunk
            ends += chunk.count(b"\n")
            if b"\r" in chunk:
                returns += chunk.count(b"\r")
                pairs += chunk.count(b"\r\n")
            pairs += last == b"\r" and chunk[:1] == b"\n"
            last = chunk[-1:]
            if is_utf8 and not (chunk.isascii() and not utf8.getstate()[0]):
                try:
                    utf8.decode(chunk)
                except UnicodeDecodeError as error:
                    is_utf8 = False
                    broken_line = before + error.object.count(NEWLINE, 0, error.start) + 1
            before = ends
            if not has_letters and not chunk.isascii():
                has_letters = _UTF8_LETTER.search(chunk) is not None
            if not is_utf8:
                undefined_in_1252 = undefined_in_1252 or any(byte in chunk for byte in b"\x81\x8d\x8f\x90\x9d")
    # A multi-byte character cut off at the very end leaves bytes in the decoder.
    if is_utf8 and utf8.getstate()[0]:
        is_utf8, broken_line = False, ends + 1
    encoding: str | None
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif has_nul:
        # Text of Western letters in two bytes each, without the mark that says so.
        encoding = {b"\0": "utf-16-be"}.get(start[:1], "utf-16-le" if start[1::2] == b"\0\0" else None)
    elif is_utf8:
        encoding = "utf-8-sig"
    else:
        encoding = _ONE_BYTE[undefined_in_1252]
    is_even = returns == 0 or returns == pairs == ends
    lines = ends + (last not in (b"", b"\n")) - _blank_at_end(path) if is_even and encoding == "utf-8-sig" else None
    return Fingerprint(digest, encoding, lines, broken_line if has_letters and encoding in _ONE_BYTE else None)


def _blank_at_end(path: Path) -> int:
    """How many blank lines end a file."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        tail = file.read()
    rest = tail.rstrip(b" \t\r\n")
    blank = tail[len(rest) :]
    return max(0, blank.count(b"\n") - 1) + (b"\n" in blank and not blank.endswith(b"\n"))


@dataclass(frozen=True)
class Layout:
    """How a text file is laid out.

    Args:
        encoding: Python's name of the encoding.
        delimiter: What separates fields; "json" where every line is a JSON object.
        header: Column names, as written, line breaks and runs of spaces made one space.
        header_line: Last line of the header, counted from 1, or of what stands above the first row; 0 when rows begin
            at once.
        lines: As in `Fingerprint`.
    """

    encoding: str
    delimiter: Delimiter | Literal["json"]
    header: tuple[str, ...]
    header_line: int
    lines: int | None


def lay_out(
    path: Path,
    name: str,
    seen: Fingerprint,
    *,
    delimiter: Delimiter | None = None,
    header: Sequence[str] | None = None,
    skip_lines: int | None = None,
    could_be_header: Callable[[Sequence[str]], bool] = lambda _: True,
) -> Layout:
    """Find header and delimiter.

    Args:
        path: The file.
        name: Its name for messages.
        seen: What `fingerprint` found.
        delimiter: What the user said, or None to find out.
        header: The column names the user gave for a file without a header line, or None.
        skip_lines: Lines above the header, or None to find out.
        could_be_header: Whether the fields of a line make a header; the first of the first lines that do is taken, or
            else the first line.

    Raises:
        SourceError: The file is not text, is empty without a given header, or its first line does not have as many
            fields as the given header.
    """
    encoding = seen.encoding
    if encoding is None:
        raise SourceError(
            f"{name}: {_why_binary(path)}. Export it as CSV (UTF-8), Excel (.xlsx), JSON lines (.jsonl) or Parquet."
        )
    if seen.broken_line is not None:
        raise SourceError(
            f"{name}, line {seen.broken_line}: a letter is no UTF-8 although others of the file are; the file was cut "
            "off, or put together from several. Save it as UTF-8."
        )
    if encoding.startswith("utf-16"):
        _check_letters(path, name, encoding)
    first = [one for one in _first_records(path, name, encoding) if one.line > (skip_lines or 0)]
    if header is not None:
        columns, above = tuple(header), skip_lines or 0
        if not first:
            return Layout(encoding, delimiter or ",", columns, above, seen.lines)
        found = delimiter or _detect(first[0].text, len(columns))
        fields = split_line(first[0].text, found)
        if len(fields) != len(columns):
            raise SourceError(
                f"{name}, line {first[0].line}: {len(fields)} fields where sources.yml's header names {len(columns)} "
                f"columns: {first[0].text!r}. Correct header: or delimiter: in sources.yml."
            )
        return Layout(encoding, found, columns, above, seen.lines)
    if not first:
        raise SourceError(
            f"{name}: the file is empty, without even a header line. Remove it, or give header: in sources.yml."
        )
    layouts = [_headed(one, encoding, delimiter, seen) for one in (first[:1] if skip_lines is not None else first)]
    if found_header := next((layout for layout in layouts if could_be_header(layout.header)), None):
        return found_header
    # A title stands alone in its line; what follows it is more likely meant.
    is_title = sum(map(bool, layouts[0].header)) == 1
    return next((one for one in layouts if is_title and sum(map(bool, one.header)) > 2), layouts[0])


def _headed(record: _Record, encoding: str, delimiter: Delimiter | None, seen: Fingerprint) -> Layout:
    """The layout of a file with that record as its header."""
    found = delimiter or _detect(record.text)
    header = tuple(" ".join(field.strip(SPACE).split()) for field in split_line(record.text, found))
    # Where the header itself breaks lines, so may its fields, and lines cannot be counted as rows.
    lines = seen.lines if record.span == 1 else None
    return Layout(encoding, found, header, record.line + record.span - 1, lines)


def _why_binary(path: Path) -> str:
    """What makes a file no text, with the place."""
    line = 1
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if start in _MAGIC:
            return f"this is {_MAGIC[start]}, whatever its name says"
        while chunk := file.read(_CHUNK):
            at = chunk.find(b"\0")
            if at >= 0:
                return f"this is not a text file (a NUL byte in line {line + chunk.count(NEWLINE, 0, at)})"
            line += chunk.count(NEWLINE)
    return "this is not a text file"


def split_line(text: str, delimiter: Delimiter) -> list[str]:
    """The fields of one record."""
    if delimiter == "whitespace":
        return text.split()
    return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [""])


@dataclass(frozen=True)
class _Record:
    """One of the first records: its first line, its text, and how many lines it spans."""

    line: int
    text: str
    span: int


def _first_records(path: Path, name: str, encoding: str) -> list[_Record]:
    """The first records that are not blank; of a file with many columns the header alone is long."""
    found: list[_Record] = []
    waiting: list[str] = []
    with path.open(encoding=encoding) as file:
        try:
            for number, line in enumerate(file, start=1):
                waiting.append(line.rstrip("\n"))
                text = "\n".join(waiting)
                if text.count('"') % 2 and len(waiting) < _LONGEST_HEADER:
                    continue
                if text.count('"') % 2:
                    text, waiting = waiting[0], waiting[:1]
                if text.strip(SPACE):
                    found.append(_Record(number - len(waiting) + 1, text, len(waiting)))
                waiting = []
                if len(found) == _TITLE_LINES or number > _LONGEST_RECORD:
                    break
        except UnicodeError as error:
            raise _cut_off(name, encoding, error) from error
    if waiting and not found:
        found.append(_Record(1, waiting[0], 1))
    return found


def _check_letters(path: Path, name: str, encoding: str) -> None:
    """Read a whole file in an encoding of which only the beginning has been seen.

    Raises:
        SourceError: It is not in that encoding to its end.
    """
    with path.open(encoding=encoding) as file:
        try:
            while file.read(_CHUNK):
                pass
        except UnicodeError as error:
            raise _cut_off(name, encoding, error) from error


def _cut_off(name: str, encoding: str, error: UnicodeError) -> SourceError:
    return SourceError(f"{name}: cut off, or not the {encoding.upper()} that it begins as ({error}). Export it again.")


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


def lay_out_json(con: duckdb.DuckDBPyConnection, path: Path, name: str, seen: Fingerprint) -> Layout:
    """The layout of a file of JSON lines: its columns are all keys that any line has, in order of their coming.

    Args:
        con: A connection to work with.
        path: The file.
        name: Its name for messages.
        seen: What `fingerprint` found.

    Raises:
        SourceError: No line is a JSON object.
    """
    if seen.encoding is None:
        raise SourceError(f"{name}: {_why_binary(path)}. Export it as JSON lines (UTF-8).")
    bare = Layout(seen.encoding, "json", (), 0, None)
    con.register("json_records", records(path, bare))
    rows = con.execute(
        """
        with keyed as (
            select line, unnest(json_keys(text)) as key, generate_subscripts(json_keys(text), 1) as place
            from json_records where json_valid(text) and json_type(text) = 'OBJECT'
        )
        select key from keyed group by key order by min(line), min(place)
        """
    ).fetchall()
    con.unregister("json_records")
    if not rows:
        raise SourceError(
            f"{name}: no line is a JSON object. Needed is one object a line, such as "
            '{"customer_id": "7", "date": "2024-01-05", "amount": 12.5}, or an array of objects in a .json file.'
        )
    return Layout(seen.encoding, "json", tuple(row[0] for row in rows), 0, None)


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


def _join(lines: list[str], delimiter: str, is_last: bool) -> tuple[list[int], list[str], int]:
    """Join lines into records.

    Returns:
        Offset of each record's first line, the records' texts, and how many lines were used: the others belong to a
        record that ends in the next chunk.
    """
    odd = [] if delimiter in ("whitespace", "json") else [i for i, line in enumerate(lines) if line.count('"') % 2]
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


def _span(lines: list[str], delimiter: str) -> int:
    """How many lines the first record takes; 0 when its quote is not closed by the last line."""
    reader = csv.reader(chain((f"{line}\n" for line in lines), ("",)), delimiter=delimiter)
    try:
        next(reader)
    except csv.Error:
        # A field beyond csv's size limit: its quote was never meant to open one, and the line is judged by itself.
        return 1
    return reader.line_num if reader.line_num <= len(lines) else 0


def fields_query(relation: str, layout: Layout, positions: dict[str, int], condition: str = "true") -> str:
    """SQL that splits records into fields.

    Args:
        relation: Name of the relation that holds `records`.
        layout: How the file is laid out.
        positions: Position of each wanted field, counted from 0, by the name it shall have.
        condition: Which records are wanted, by their `line`.

    Returns:
        A select of _line, _text, _is_whole (it has as many fields as the header, and its quotes close), _field_count
        (-1 where quotes do not close, or it is no JSON object) and the wanted fields, unquoted, with surrounding space
        removed, null where empty.
    """
    space, width = literal(SPACE), len(layout.header)
    at = {name: f"fields[{index + 1}]" for name, index in positions.items()}
    if layout.delimiter == "json":
        # A JSON pointer, for a key may hold any character.
        pointers = [
            literal("/" + layout.header[index].replace("~", "~0").replace("/", "~1")) for index in positions.values()
        ]
        is_object = "json_valid(text) and json_type(text) = 'OBJECT'"
        split = f"case when {is_object} then json_extract_string(text, [{', '.join(pointers)}]::varchar[]) end"
        count = f"case when fields is null then -1 else {width} end"
        at = {name: f"fields[{place}]" for place, name in enumerate(positions, start=1)}
    elif layout.delimiter == "whitespace":
        split, count = f"string_split_regex(trim(text, {space}), '[ \\t]+')", "len(fields)"
    else:
        split, count = _quoted_split(layout.delimiter)
    columns = "".join(f", nullif(trim({value}, {space}), '') as {quoted_name(name)}" for name, value in at.items())
    return (
        f"with split as (select line, text, {split} as fields from {relation} "
        f"where line > {layout.header_line} and trim(text, {space}) <> '' and {condition}), "
        f"counted as (select *, {count} as field_count from split) "
        f"select line as _line, text as _text, field_count as _field_count, field_count = {width} as _is_whole"
        f"{columns} from counted"
    )


def quick_query(path: Path, layout: Layout, positions: dict[str, int]) -> str:
    """SQL that gives the same as `fields_query`, without _text and untrimmed, when every line is one row.

    It takes a fraction of the time, and raises an error, or gives another number of rows than there are lines, where
    a line is not one whole row.

    Args:
        path: The file, in UTF-8, with a delimiter of one character.
        layout: How it is laid out.
        positions: As for `fields_query`.
    """
    types = ", ".join(f"'c{index}': 'varchar'" for index in range(len(layout.header)))
    columns = "".join(f", c{index} as {quoted_name(name)}" for name, index in positions.items())
    return (
        f"select {layout.header_line} + row_number() over () as _line, true as _is_whole{columns} from read_csv("
        f"{literal(str(path))}, auto_detect = false, header = false, skip = {layout.header_line}, "
        f"buffer_size = {_BUFFER}, delim = {literal(layout.delimiter)}, quote = '\"', escape = '\"', "
        f"strict_mode = true, columns = {{{types}}})"
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
