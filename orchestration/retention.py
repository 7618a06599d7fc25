"""What goes when: runs in Dagster's history, records of old refreshes, refused rows, leftovers of killed processes.

Part of every refresh, so that a home that is left to itself does not fill its disk. Current data are never touched.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import duckdb

from orchestration.resources import Warehouse
from orchestration.settings import Settings

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_MOST_RUNS_AT_ONCE = 50
"""Runs that one refresh forgets at most: where there are many, the next ones go on."""
_DAY = 86_400


def tidy(
    settings: Settings, instance: dg.DagsterInstance, warehouse: Warehouse, say: Callable[[str], None]
) -> dict[str, int]:
    """Remove what is older than the settings allow.

    Args:
        settings: The home, and what it keeps.
        instance: Dagster's history.
        warehouse: Holds the records of refreshes.
        say: Takes what could not be removed; that is no reason to fail.

    Returns:
        What was removed, by kind.
    """
    removed = {"runs": forget_runs(instance, settings.dagster_home, settings.keep_runs)}
    if Path(warehouse.database).exists():
        try:
            warehouse.forget_refreshes(settings.keep_refreshes)
        except duckdb.Error as error:
            # A warehouse that cannot be opened is for the refresh itself to mend, or to complain of.
            say(f"Records of old refreshes stay: {error}")
    old = list(_older(settings.quarantine.rglob("*.parquet"), settings.keep_quarantine_days))
    for kind, paths in (("quarantined files", old), ("leftovers", list(_leftovers(settings)))):
        removed[kind] = 0
        for path in paths:
            try:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError as error:
                say(f"{path} is not needed any more and cannot be removed: {error.strerror}")
            else:
                removed[kind] += 1
    return removed


def forget_runs(instance: dg.DagsterInstance, dagster_home: Path, keep: int) -> int:
    """Remove the oldest ended runs with their events and logs, but never the last one that succeeded.

    Args:
        instance: Dagster's history.
        dagster_home: Where a history in files lies.
        keep: How many of the latest runs stay.

    Returns:
        Runs removed.
    """
    latest = instance.get_run_ids(limit=keep)
    if len(latest) < keep:
        return 0
    last_success = instance.get_run_ids(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1)
    old = instance.get_run_ids(dg.RunsFilter(statuses=_ENDED), cursor=latest[-1], limit=_MOST_RUNS_AT_ONCE)
    forgotten = [run_id for run_id in old if run_id not in last_success]
    for run_id in forgotten:
        instance.delete_run(run_id)
        # The history in files keeps one a run, and leaves it behind empty.
        for file in (dagster_home / "history" / "runs").glob(f"{run_id}.db*"):
            file.unlink(missing_ok=True)
        shutil.rmtree(dagster_home / "storage" / run_id, ignore_errors=True)
    return len(forgotten)


def _older(paths: Iterator[Path], days: float) -> Iterator[Path]:
    """Those that were last changed before so many days, and belong to this user."""
    for path in paths:
        stat = path.lstat()
        if stat.st_uid == os.geteuid() and time.time() - stat.st_mtime > days * _DAY:
            yield path


def _leftovers(settings: Settings) -> Iterator[Path]:
    """What a killed process has left and no other will use: half-written models, unpacked archives."""
    # The lock is held: nobody is writing a model.
    yield from settings.models.glob(".*")
    # Archives are unpacked outside the home; others may be doing so now.
    yield from _older(Path(tempfile.gettempdir()).glob("pulse-*"), 1)
