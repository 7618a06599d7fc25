"""What Dagster's daemon watches: new files, failed runs, alerts to send.

How files are judged complete is decided in `orchestration.landing`, how messages are sent in
`orchestration.notify`.
"""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import duckdb

from orchestration.automation.jobs import REFRESH
from orchestration.disk import full_disk
from orchestration.landing import look, remembered
from orchestration.lock import writer_lock_if_free
from orchestration.notify import failure, tell
from orchestration.progress import failure_text
from orchestration.resources import build_resources, now
from orchestration.settings import Settings
from sources.delivery import SourceError
from sources.store import RawFolder

_SECONDS_BETWEEN_LOOKS = 30
_ABOUT_TO_RUN = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]


def build_sensors(settings: Settings) -> list[dg.SensorDefinition]:
    """The sensors of one home, all of them on."""

    @dg.sensor(
        name="landing",
        job_name=REFRESH,
        minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Starts one refresh for all new, completely written files; a file that is growing waits.",
    )
    def landing(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return look_for_files(settings, context.instance)

    @dg.run_failure_sensor(
        name="failures",
        minimum_interval_seconds=_SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Notes a failed refresh in meta.refreshes and tells everyone who gets alerts.",
    )
    def failures(context: dg.RunFailureSensorContext) -> dg.SkipReason:
        reasons = [failure_text(event) for event in context.get_step_failure_events()]
        reasons = reasons or [context.failure_event.message or "The run failed."]
        reasons += filter(None, [full_disk(settings, reasons)])
        note_failure(settings)
        run = context.dagster_run
        what = run.job_name if not run.job_name.startswith("__") else "run"
        stats = context.instance.get_run_stats(run.run_id)
        state = state_after(settings.published, stats.start_time, stats.end_time)
        message = failure(run.run_id, what, reasons, now(), state)
        return dg.SkipReason(str(tell(settings, context.log.warning, [message])) or "Told already.")

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=2 * _SECONDS_BETWEEN_LOOKS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Sends each alert of the published file once to each sink, and what could not be sent before.",
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        return dg.SkipReason(str(tell(settings, context.log.warning)) or "No new alerts.")

    return [landing, failures, alerts]


def look_for_files(settings: Settings, instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    """A refresh for what lies there and was not read yet, or why there is none.

    Args:
        settings: The home.
        instance: Its history: while a refresh is about to run or under way no other is asked for.
    """
    try:
        found = look(settings)
    except SourceError as error:
        return dg.SkipReason(str(error))
    if not found.paths:
        return dg.SkipReason("There are no files; the source is the synthetic business.")
    new = found.unseen(remembered(settings.raw))
    growing = f" {len(found.growing)} still being written: {_named(sorted(found.growing))}." if found.growing else ""
    if not new:
        return dg.SkipReason(f"No new files.{growing}")
    if instance.get_runs_count(dg.RunsFilter(job_name=REFRESH, statuses=_ABOUT_TO_RUN)):
        return dg.SkipReason(f"A refresh is about to start; it reads {_named(new)} as well.{growing}")
    with writer_lock_if_free(settings.home) as is_free:
        if not is_free:
            return dg.SkipReason(f"A refresh is under way; {_named(new)} may come after it.{growing}")
    return dg.RunRequest(
        run_key=found.key(RawFolder(settings.raw).state().batch),
        tags={"pulse/files": str(len(new)), "pulse/first_file": new[0][:250]},
    )


def note_failure(settings: Settings, patience_seconds: float = 5) -> bool:
    """Note a refresh that ended as failed, unless another one is under way: that one notes it when it begins.

    Args:
        settings: The home.
        patience_seconds: How long to wait for the failed run to let go of the home.

    Returns:
        Whether it was noted.
    """
    if not settings.warehouse.exists():
        return False
    until = time.monotonic() + patience_seconds
    while True:
        with writer_lock_if_free(settings.home) as is_free:
            if is_free:
                try:
                    build_resources(settings)["warehouse"].fail_refresh()
                except duckdb.IOException:
                    # Somebody works in it with plain dbt, which takes no lock of ours.
                    return False
                return True
        if time.monotonic() >= until:
            return False
        time.sleep(0.5)


def state_after(published: Path, began: float | None, ended: float | None) -> str:
    """What a failed run means for readers: it may have published before it failed.

    Args:
        published: The published file.
        began: When the run began, in seconds since 1970, where that is known.
        ended: When it ended, likewise.
    """
    if not published.exists():
        return "Nothing has been published yet."
    if began is not None and began <= published.stat().st_mtime <= (ended or time.time()):
        return "The published file was replaced before that; it is whole, and of this refresh."
    return "The published file is as it was before."


def _named(names: list[str]) -> str:
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
