"""Puts a home right before a refresh: what a killed process, a full disk or a failing one left is removed or made anew.

Raw data is judged where it is read (`orchestration.assets.raw`), for it is the source that it is made from. Nothing
is removed here that could not be made again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from orchestration.backup import finish_restore
from orchestration.resources import Warehouse
from orchestration.settings import Settings
from orchestration.soundness import is_as_noted, trouble_with_duckdb, trouble_with_sqlite
from orchestration.versions import kept_versions, publish_waiting, published_refresh, put_in_place

_LEFTOVERS = (".*.duckdb.new", "*.duckdb.tmp", ".sound.json.new", "models/.*", "versions/.new")
"""What only an unfinished step leaves: unfinished copies, and what DuckDB wrote to disk for want of memory."""

_SPARE = 1.5
"""Free space that a refresh should find, as a multiple of the warehouse: a copy of it is published, and it grows."""


def mend_home(settings: Settings, warehouse: Warehouse, say: Callable[[str], None]) -> None:
    """Put right whatever keeps a refresh from succeeding, or readers from reading; the writer lock must be held.

    Args:
        settings: The home.
        warehouse: Its warehouse.
        say: Is told what was wrong and what was done about it.

    Raises:
        InUseError: Another program has the warehouse open.
    """
    if finish_restore(settings.home):
        say("A restore that was interrupted has been finished.")
    for leftover in leftovers(settings):
        _remove(leftover)
    _mend_published(settings, say)
    _mend_warehouse(settings, warehouse, say)
    warehouse.settle(published_refresh(settings))
    _mind_space(settings, say)


def leftovers(settings: Settings) -> list[Path]:
    """Files and folders that an unfinished step left and nothing will use."""
    return sorted(path for pattern in _LEFTOVERS for path in settings.home.glob(pattern))


def mend_history(settings: Settings, say: Callable[[str], None]) -> None:
    """Lay aside Dagster's history where it cannot be read; nothing but the history of runs is lost with it.

    Args:
        settings: The home.
        say: Is told.
    """
    for folder, databases in HISTORY.items():
        broken = settings.dagster_home / folder
        troubles = [
            f"{name}: {trouble}"
            for name in databases
            if (trouble := trouble_with_sqlite(settings.dagster_home / folder / name)) is not None
        ]
        if troubles:
            aside = broken.with_name(f"{folder}-damaged")
            shutil.rmtree(aside, ignore_errors=True)
            broken.rename(aside)
            say(
                f"Dagster's {folder} could not be read ({'; '.join(troubles)}); it begins anew. What was there lies in "
                f"{aside}."
            )


HISTORY = {"history": ("runs.db", "runs/index.db"), "schedules": ("schedules.db",)}
"""Folders of Dagster's storage, and the databases in them that every run needs."""


def _mend_published(settings: Settings, say: Callable[[str], None]) -> None:
    refresh = published_refresh(settings)
    if refresh is not None:
        # Of a process that died after the file was put in place and before what belongs beside it.
        publish_waiting(settings, refresh)
    if is_as_noted(settings, settings.published):
        return
    trouble = trouble_with_duckdb(settings.published, settings.build_memory)
    if trouble is None:
        return
    sound = next((version for version in kept_versions(settings) if version.damage() is None), None)
    if sound is None:
        say(f"{settings.published} cannot be read ({trouble}); it is replaced at the end of this refresh.")
        return
    put_in_place(settings, sound)
    say(
        f"{settings.published} could not be read ({trouble}); until the end of this refresh readers see refresh "
        f"{sound.refresh} (as of {sound.as_of}) again."
    )


def _mend_warehouse(settings: Settings, warehouse: Warehouse, say: Callable[[str], None]) -> None:
    troubles = {
        path: None if is_as_noted(settings, path) else trouble_with_duckdb(path, settings.build_memory)
        for path in (settings.warehouse, settings.work)
    }
    if trouble := troubles[settings.warehouse]:
        damaged = settings.warehouse.with_name(".warehouse-damaged.duckdb.new")
        settings.warehouse.rename(damaged)
        record = warehouse.begin_anew(damaged, settings.published)
        damaged.unlink()
        kept = "the record of earlier refreshes is kept"
        if record != damaged:
            kept = f"the record of earlier refreshes is that of {record}" if record else "the record begins anew"
        say(f"{settings.warehouse} could not be read ({trouble}); it is built anew from raw, {kept}.")
    elif trouble := troubles[settings.work]:
        for file in (settings.work, settings.work.with_name(f"{settings.work.name}.wal")):
            file.unlink(missing_ok=True)
        say(f"{settings.work} could not be read ({trouble}); it is built anew from raw.")


def _mind_space(settings: Settings, say: Callable[[str], None]) -> None:
    free = shutil.disk_usage(settings.home).free
    wanted = space_wanted(settings)
    if free < wanted:
        say(f"{settings.home} has {free / 1e6:,.0f} MB of free space; this refresh may need {wanted / 1e6:,.0f} MB.")


def space_wanted(settings: Settings) -> int:
    """Bytes that should be free for a refresh."""
    size = settings.warehouse.stat().st_size if settings.warehouse.exists() else 0
    return int(_SPARE * size)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
