"""`pulse sources`: how files would be read, and what was refused, shown to the person who brings them.

Nothing is decided here; reading is `sources`' business.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestration.settings import Settings
from orchestration.terminal import shown
from sources.delivery import Request, SourceError
from sources.dry_run import DryRun, Reading, dry_run
from sources.files import MAPPING_NAME, has_files, open_files
from sources.quarantine import hand_back, refused_rows

_SHOWN_ROWS = 5
_SHOWN_COLUMNS = 20


def check(console: Console, settings: Settings, path: Path, *, write: bool) -> bool:
    """Show how files would be read, without keeping anything.

    Args:
        console: Where to.
        settings: Zone and memory.
        path: A sources.yml, a folder or a file.
        write: Save what was recognised as a sources.yml beside the files.

    Returns:
        Whether a refresh would read them all.

    Raises:
        SourceError: There is nothing at that path, or a sources.yml lies there already that must not be overwritten.
    """
    target = (path if path.is_dir() else path.parent) / MAPPING_NAME
    if write and target.exists():
        raise SourceError(f"{target} exists already; it is not overwritten. Move it away, or edit it.")
    if path.is_dir() and not has_files(path):
        raise SourceError(f"{path} holds no file that can be read. Put your exports there.")
    with tempfile.TemporaryDirectory(prefix="pulse-") as quarantine:
        source = open_files(path, Path(quarantine))
        request = Request(settings.today(), None, settings.timezone, {}, 1, settings.memory)
        with console.status("reading"):
            found = dry_run(source, Path(quarantine), request)
    for reading in found.readings:
        _show(console, reading)
    _show_uses(console, found)
    if write:
        target.write_text(found.sources_yml, encoding="utf-8")
        console.print(f"\nSaved what was recognised as {target}.", markup=False, highlight=False, soft_wrap=True)
    return not any(reading.error or (reading.outcome and reading.outcome.set_aside) for reading in found.readings)


def _show(console: Console, reading: Reading) -> None:
    console.print()
    if reading.error is not None or reading.delivery is None or reading.outcome is None:
        console.rule(Text.assemble(shown(reading.name, "red"), " cannot be read"), align="left")
        for line in str(reading.error).splitlines():
            console.print(shown(line), soft_wrap=True)
        return
    console.rule(Text.assemble(shown(reading.name, "bold"), f" is {reading.table}"), align="left")
    columns = Table(box=None, pad_edge=False)
    for title in ("column of the file", "is", "because of", "read as"):
        columns.add_column(title)
    unused = [column.label or "" for column in reading.delivery.columns if column.column is None]
    for column in reading.delivery.columns:
        if column.column is not None:
            label = column.label or f"(always {column.constant})"
            columns.add_row(*map(shown, (label, column.column, column.why, column.how)))
    console.print(columns)
    if unused:
        more = f" and {len(unused) - _SHOWN_COLUMNS:,} more" if len(unused) > _SHOWN_COLUMNS else ""
        console.print(shown(f"Not used: {', '.join(unused[:_SHOWN_COLUMNS])}{more}"))
    console.print()
    rows = Table(box=None, pad_edge=False)
    for name in reading.columns:
        rows.add_column(shown(name), overflow="ellipsis", no_wrap=True, max_width=24)
    for row in reading.preview:
        rows.add_row(*map(shown, row))
    console.print(rows)
    outcome = reading.outcome
    console.print(
        f"\nRows: {outcome.rows:,} = {outcome.inserted:,} new + {outcome.restated:,} restated + "
        f"{outcome.duplicate:,} duplicate + {outcome.quarantined:,} in quarantine"
        + (f"; {outcome.left_out:,} more left out by a filter." if outcome.left_out else "."),
        highlight=False,
    )
    if outcome.set_aside:
        console.print(shown(f"The whole file would be set aside: {outcome.set_aside}", "red"))
    for note in reading.delivery.notes:
        console.print(shown(f"Note: {note}", "yellow"))
    for refused in reading.refused:
        _show_refused(console, *refused)


def _show_uses(console: Console, found: DryRun) -> None:
    console.print()
    console.rule("What these data can feed", align="left")
    for what in found.can:
        console.print(f"  [green]yes[/]  {what}", highlight=False)
    for what in found.cannot:
        console.print(f"  [yellow]no[/]   {what}", highlight=False)


def _show_refused(console: Console, line: int, column: str | None, value: str | None, reason: str) -> None:
    told = f"  line {line}" + (f", {column}" if column else "") + (f": {value!r}" if value is not None else ":")
    console.print(shown(f"{told} {reason}"))


def show_quarantine(console: Console, settings: Settings, folder: Path | None) -> None:
    """Show what lies in quarantine, and hand it back for mending.

    Args:
        console: Where to.
        settings: The home.
        folder: Where to write the rows as they stood in their files, or None.
    """
    found = refused_rows(settings.quarantine)
    if not found:
        console.print("Nothing is in quarantine.")
        return
    for refused in found:
        name = refused.rows[0][0]
        console.print(shown(f"{name} ({refused.table}): {len(refused.rows):,} rows"))
        for _, line, column, value, reason, _ in refused.rows[:_SHOWN_ROWS]:
            _show_refused(console, line, column, value, reason)
        if len(refused.rows) > _SHOWN_ROWS:
            console.print(f"  and {len(refused.rows) - _SHOWN_ROWS:,} more")
        if folder is not None:
            path = hand_back(refused, folder)
            console.print(shown(f"  written to {path}"), soft_wrap=True)
    if folder is not None:
        console.print(
            f"Mend them, copy what is in {folder} into {settings.landing}, and run again.", markup=False, soft_wrap=True
        )
