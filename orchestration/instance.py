"""Dagster's own storage in a home: the history of runs, and runs whose process died."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import dagster as dg

from orchestration.lock import writer_lock
from orchestration.settings import Settings

_CONFIG = """\
# Written by `pulse`; your changes here are kept.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    # One writer: a second run waits in the queue.
    max_concurrent_runs: 1
"""

_UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The home's Dagster instance, made on first use."""
    folder = settings.dagster_home
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "dagster.yaml"
    if not config.exists():
        config.write_text(_CONFIG, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(folder)
    with dg.DagsterInstance.get() as instance:
        yield instance


def close_dead_runs(settings: Settings, instance: dg.DagsterInstance, log: Callable[[str], None] | None = None) -> None:
    """Note runs as failed whose process died: nobody else does, and the UI would wait for them for ever.

    With the writer lock held no run can be alive.
    """
    with writer_lock(settings.home, log):
        for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
            instance.report_run_failed(run, "Its process died before the run had ended.")


def run_job(
    definitions: dg.Definitions, name: str, instance: dg.DagsterInstance, listener: Callable[[Any], None]
) -> bool:
    """Run a job in this process.

    Args:
        definitions: The code location.
        name: The job.
        instance: Keeps the history.
        listener: Is called with every event as it happens.

    Returns:
        Whether the run succeeded.
    """
    run_id = str(uuid4())
    instance.add_event_listener(run_id, listener)
    # The listener shows what matters; Dagster's own console log would drown it.
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = definitions.resolve_job_def(name)
    result = job.execute_in_process(run_config=quiet, instance=instance, run_id=run_id, raise_on_error=False)
    return result.success
