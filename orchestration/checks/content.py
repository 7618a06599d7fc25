"""Whether new rows look like those before: columns of files, values that are missing, distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import pandas as pd

from orchestration.checks.verdict import Verdict

FEWEST_NEW = 50
"""New rows below which nothing is said about what is missing."""
FEWEST_TO_COMPARE = 200
"""New rows, and earlier ones, below which nothing is said about distributions."""
_LARGEST_CHANGE = 0.1
_FAR = 6.0
_SHOWN = 4


@dataclass(frozen=True)
class Header:
    """The columns of a file.

    Args:
        name: The file.
        table: What it was read as.
        refresh: The refresh that read it first.
        labels: Its columns, by its own names.
    """

    name: str
    table: str
    refresh: int
    labels: frozenset[str]


def same_columns(headers: Sequence[Header], refresh: int) -> Verdict:
    """Whether the files of a refresh have the columns of earlier ones.

    Several programs may write files of one table: each new file is compared with the earlier one most like it.

    Args:
        headers: Every file whose columns are known.
        refresh: The refresh whose files are judged.
    """
    told, compared = [], 0
    for new in (header for header in headers if header.refresh == refresh):
        earlier = [header for header in headers if header.table == new.table and header.refresh < refresh]
        if not earlier:
            continue
        compared += 1
        like = max(earlier, key=lambda header: (_alike(header.labels, new.labels), header.refresh, header.name))
        come, gone = sorted(new.labels - like.labels), sorted(like.labels - new.labels)
        parts = [f"has lost {_named(gone)}"] if gone else []
        parts += [f"brings {_named(come)}"] if come else []
        if parts:
            told.append(f"{new.name} ({new.table}) {' and '.join(parts)}, compared with {like.name}")
    if told:
        return Verdict(False, f"{_listed(told)}.")
    if not compared:
        return Verdict(True, "No new file has an earlier one to compare with.")
    return Verdict(True, f"{compared} new file{' has' if compared == 1 else 's have'} the columns of earlier ones.")


def _alike(one: frozenset[str], two: frozenset[str]) -> float:
    return len(one & two) / max(1, len(one | two))


@dataclass(frozen=True)
class Filled:
    """How many rows have a value in a column.

    Args:
        column: ``source.table.column``.
        new_rows: New rows.
        new_filled: Those with a value.
        rows: Earlier rows.
        filled: Those with a value.
    """

    column: str
    new_rows: int
    new_filled: int
    rows: int
    filled: int


def filled_as_before(columns: Sequence[Filled]) -> Verdict:
    """Whether values are missing in new rows more, or less, often than before.

    A change counts when it is both large (more than 10 of 100 rows) and far beyond chance.

    Args:
        columns: Every column but those that are filled in later.
    """
    compared = [each for each in columns if each.new_rows >= FEWEST_NEW and each.rows >= FEWEST_TO_COMPARE]
    told = []
    for each in compared:
        now, before = each.new_filled / each.new_rows, each.filled / each.rows
        pooled = (each.new_filled + each.filled) / (each.new_rows + each.rows)
        noise = sqrt(pooled * (1 - pooled) * (1 / each.new_rows + 1 / each.rows))
        if abs(now - before) > _LARGEST_CHANGE and abs(now - before) > _FAR * noise:
            told.append(
                (abs(now - before), f"{each.column} is filled in {now:.0%} of the new rows, before {before:.0%}")
            )
    if told:
        return Verdict(False, f"{_listed([text for _, text in sorted(told, reverse=True)])}.")
    if not compared:
        return Verdict(True, "There are too few new rows, or no earlier ones, to compare.")
    return Verdict(True, f"{len(compared)} columns are filled as often as before.")


def distributed_as_before(tables: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]]) -> Verdict:
    """Whether the values of new rows are spread as those of earlier ones, by the population stability index.

    Args:
        tables: New and earlier rows by table, with the same columns.
    """
    beyond: list[tuple[float, str]] = []
    compared = 0
    for name, (new, earlier) in sorted(tables.items()):
        if min(len(new), len(earlier)) < FEWEST_TO_COMPARE:
            continue
        from ml.drift import profile_columns, stability

        # A column that is empty on one side is the business of `filled_as_before`.
        columns = [column for column in earlier if earlier[column].notna().any() and new[column].notna().any()]
        moved = stability(profile_columns(earlier[columns], len(earlier)), new[columns], len(new))
        compared += len(moved)
        beyond += [
            (figures["psi"], f"{name}.{column} (PSI {figures['psi']:.2f})")
            for column, figures in moved.items()
            if figures["psi"] > figures["bound"]
        ]
    if beyond:
        return Verdict(False, f"New rows are spread otherwise: {_listed([text for _, text in sorted(beyond)[::-1]])}.")
    if not compared:
        return Verdict(True, "There are too few new rows, or no earlier ones, to compare.")
    return Verdict(True, f"{compared} columns are spread as before.")


def _named(columns: Sequence[str]) -> str:
    shown = ", ".join(columns[:_SHOWN])
    return shown if len(columns) <= _SHOWN else f"{shown} and {len(columns) - _SHOWN} more"


def _listed(told: Sequence[str]) -> str:
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return "; ".join(told[:_SHOWN]) + more
