"""Rows that were refused: kept as Parquet with their place and reason, and handed back for mending.

Which rows are bad is decided in `reading`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from sources.file_rows import Plan
from sources.sql import literal, quoted_name
from sources.typing_sql import Problem

_EXAMPLES = 3


def quarantine_file(quarantine: Path, table: str, name: str, sha256: str) -> Path:
    """Where the bad rows of a file lie.

    Args:
        quarantine: Folder of all tables' bad rows.
        table: ``source.table``.
        name: The file's name as the user knows it.
        sha256: Hash of its bytes and of how it is read.
    """
    readable = re.sub(r"[^\w.-]+", "_", name).strip("._")[-80:]
    return quarantine / table.replace(".", "/") / f"{readable}.{sha256[:12]}.parquet"


def write_bad_rows(
    con: duckdb.DuckDBPyConnection, relation: str, plan: Plan, wrong: Sequence[Problem], quarantine: Path
) -> tuple[str, ...]:
    """Write the bad rows of a file.

    Args:
        con: A connection on which `bad_lines` holds each bad row's `line` and number of its `problem`.
        relation: SQL for these rows: _line, _field_count, _text and each fed column as text.
        plan: The file and how it is read.
        wrong: The problems by number.
        quarantine: Folder of all tables' bad rows.

    Returns:
        The first few in words.
    """
    fed = plan.feeds

    def by_problem(texts: Sequence[str | None]) -> str:
        cases = " ".join(f"when {number} then {text}" for number, text in enumerate(texts) if text is not None)
        return f"case problem {cases} end" if cases else "null::varchar"

    columns = by_problem([literal(_told(plan, problem.column)) for problem in wrong])
    values = by_problem([f"f.{quoted_name(p.column)}" if p.column in fed else None for p in wrong])
    reasons = by_problem([literal(problem.reason) for problem in wrong])
    what = (
        "not a JSON object"
        if plan.layout and plan.layout.delimiter == "json"
        else ("a quoted field does not close, or goes on after its closing quote")
    )
    header = _header_line(plan)
    con.execute(
        f"""
        create temp table bad as
        select {literal(plan.name)} as file, _line as line, {columns} as "column", {values} as "value",
            case
                when problem >= 0 then {reasons}
                when _field_count = -1 then {literal(what)}
                else _field_count || ' fields where the header has {len(plan.header)}'
            end as reason,
            _text as original, {literal(header) if header is not None else "null::varchar"} as header
        from ({relation}) as f join bad_lines on line = _line
        """
    )
    target = quarantine_file(quarantine, plan.contract.name, plan.name, plan.sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".tmp")
    con.execute(f"copy (from bad order by line) to {literal(str(unfinished))} (format parquet)")
    unfinished.replace(target)
    first = con.execute(f'select line, "column", value, reason from bad order by line limit {_EXAMPLES}').fetchall()
    return tuple(
        f"{plan.name}, line {line}"
        + (f", {column}" if column else "")
        + ": "
        + (f"{_shortened(value)!r} " if value is not None else "")
        + reason
        for line, column, value, reason in first
    )


def _shortened(value: str) -> str:
    return value if len(value) <= 60 else f"{value[:57]}..."


def _told(plan: Plan, column: str) -> str:
    """A contract column, and the file's own name for it where that differs."""
    feed = plan.feeds.get(column)
    return column if feed is None or feed.index is None or feed.label == column else f"{feed.label} ({column})"


def _header_line(plan: Plan) -> str | None:
    """The line that lets the original lines be read again; None where they are JSON objects."""
    layout = plan.layout
    if layout is None or layout.delimiter == "json":
        return None
    if layout.delimiter == "whitespace":
        return " ".join(plan.header)
    return layout.delimiter.join(_quoted(label, layout.delimiter) for label in plan.header)


def _quoted(label: str, delimiter: str) -> str:
    return '"' + label.replace('"', '""') + '"' if delimiter in label or '"' in label else label


@dataclass(frozen=True)
class Refused:
    """The bad rows of one file.

    Args:
        table: The table they are for.
        rows: File, line, column, value, reason and original text of each, in order of the lines.
        header: The line that lets the originals be read again; None where they are JSON objects.
        stem: What to name a file after that holds them.
    """

    table: str
    rows: list[tuple[str, int, str | None, str | None, str, str]]
    header: str | None
    stem: str


def refused_rows(quarantine: Path) -> list[Refused]:
    """All rows in quarantine.

    Args:
        quarantine: Folder of all tables' bad rows.
    """
    found = []
    for file in sorted(quarantine.rglob("*.parquet")):
        rows = duckdb.execute(
            f'select file, line, "column", value, reason, original, header from read_parquet({literal(str(file))}) '
            "order by line"
        ).fetchall()
        table = ".".join(file.parent.relative_to(quarantine).parts)
        found.append(Refused(table, [row[:6] for row in rows], rows[0][6], file.stem))
    return found


def hand_back(refused: Refused, folder: Path) -> Path:
    """Write bad rows as they stood in their file, so that they can be mended and put into landing/.

    Args:
        refused: The rows.
        folder: Where to; the file lies in ``<source>/<table>/``, as in landing/.

    Returns:
        The file: the header and the original lines, or JSON lines.
    """
    suffix = ".jsonl" if refused.header is None else ".csv"
    path = folder / refused.table.replace(".", "/") / f"{refused.stem}.mended{suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ([] if refused.header is None else [refused.header]) + [row[5] for row in refused.rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
