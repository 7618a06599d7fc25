"""Whether rows add up from files to raw and from raw to the marts, and whether what is saved can be read."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestration.checks.verdict import Verdict


@dataclass(frozen=True)
class Inflow:
    """What a raw table holds, and what has come into it.

    Args:
        rows: Rows it holds.
        new: Rows that were counted as new since it was last counted.
        before: Rows it held when it was last counted; None where that is not known.
    """

    rows: int
    new: int
    before: int | None


def files_reconcile(tables: Mapping[str, Inflow]) -> Verdict:
    """Whether each raw table holds the rows of before and those that are new.

    Args:
        tables: By table.
    """
    wrong = [
        f"{name} holds {table.rows:,} rows, but {table.before:,} before and {table.new:,} new ones make "
        f"{table.before + table.new:,}"
        for name, table in sorted(tables.items())
        if table.before is not None and table.before + table.new != table.rows
    ]
    if wrong:
        return Verdict(False, f"{'; '.join(wrong)}. `pulse run --full-refresh` reads the files anew.")
    unknown = [name for name, table in sorted(tables.items()) if table.before is None]
    told = [table for table in tables.values() if table.before is not None and table.rows]
    rows = f"{sum(table.rows for table in told):,} rows of {len(told)} table{'' if len(told) == 1 else 's'} add up."
    if unknown:
        return Verdict(True, f"{rows} What others held before is not known, as an earlier refresh did not end.")
    return Verdict(True, rows)


def marts_reconcile(counts: Mapping[str, tuple[int, int]]) -> Verdict:
    """Whether the facts hold as many rows as raw does up to as_of.

    Args:
        counts: Rows in raw and in the fact table, by the fact table's name.
    """
    wrong = [
        f"{name} has {facts:,} rows, raw has {raw:,}" for name, (raw, facts) in sorted(counts.items()) if raw != facts
    ]
    if wrong:
        return Verdict(False, f"{'; '.join(wrong)}.")
    return Verdict(True, ", ".join(f"{name} {facts:,}" for name, (_, facts) in sorted(counts.items())) + " rows.")


def readable_artefacts(folder: Path) -> Verdict:
    """Whether saved models and their cards can be read from start to end; nothing in them is run or trusted.

    Args:
        folder: Folder of the home's models.
    """
    damaged, read = [], 0
    for path in sorted([*folder.glob("*.skops"), *folder.glob("*.json")]):
        try:
            if path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
            else:
                with zipfile.ZipFile(path) as archive:
                    if member := archive.testzip():
                        raise zipfile.BadZipFile(f"{member} is damaged")
        except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            damaged.append(f"{path.name} ({error})")
        else:
            read += 1
    if damaged:
        return Verdict(False, f"Cannot be read: {', '.join(damaged)}.")
    return Verdict(True, f"{read} files can be read.")
