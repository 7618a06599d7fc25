"""Dagster in a home: its history of runs, runs whose process died, a run in this process, and the UI's processes."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any
from uuid import uuid4

import dagster as dg

from orchestration.lock import writer_lock
from orchestration.recovery import mend_history
from orchestration.settings import PROJECT_ROOT, Settings

_CONFIG = """\
# Written by `pulse`; your changes here are kept.
telemetry:
  enabled: false
nux:
  enabled: false
event_log_storage:
  module: orchestration.history
  class: KeptOpenEventLogStorage
concurrency:
  runs:
    # One writer: a second run waits in the queue.
    max_concurrent_runs: 1
retention:
  schedule:
    purge_after_days: 365
  sensor:
    # They look every half minute.
    purge_after_days:
      skipped: 2
      failure: 30
      success: 365
"""
_EARLIER_CONFIG = _CONFIG.partition("retention:")[0]
"""What earlier versions wrote."""

_HOST = "127.0.0.1"
_SECONDS_TO_END = 30
_UNFINISHED = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


class UiError(Exception):
    """The UI cannot be started; the message says why and what to do."""


@contextmanager
def open_instance(
    settings: Settings, say: Callable[[str], None] = print, *, ui_is_open: bool | None = None
) -> Iterator[dg.DagsterInstance]:
    """The home's Dagster instance, made on first use, and made anew where its history cannot be read.

    Args:
        settings: The home.
        say: Is told when something had to be put right.
        ui_is_open: Whether this home has a UI, under which no file is replaced; found out if not given.
    """
    folder = settings.dagster_home
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "dagster.yaml"
    if not config.exists() or config.read_text(encoding="utf-8") == _EARLIER_CONFIG:
        unfinished = folder / ".dagster.yaml"
        unfinished.write_text(_CONFIG, encoding="utf-8")
        unfinished.replace(config)
    if not (_has_ui(settings) if ui_is_open is None else ui_is_open):
        mend_history(settings, say)
    os.environ["DAGSTER_HOME"] = str(folder)
    with dg.DagsterInstance.get() as instance:
        yield instance


def close_dead_runs(
    settings: Settings,
    instance: dg.DagsterInstance,
    log: Callable[[str], None] | None = None,
    *,
    ui_is_open: bool | None = None,
) -> None:
    """Note runs as failed whose process died: nobody else does, and the UI would wait for them for ever.

    A run of `pulse run` holds the writer lock from before its start to after its end: with the lock held here, none is
    alive. A run of the UI holds it for less than its life, but the UI's own server watches over it: those are dead
    only if there is no UI. Where Dagster runs as a service (PULSE_DAGSTER_HOME) there always is one.

    Args:
        settings: The home.
        instance: Its history.
        log: Is told when another process has to be waited for.
        ui_is_open: Whether this home has a UI; found out if not given.
    """
    with writer_lock(settings.home, log):
        if ui_is_open is None:
            ui_is_open = settings.dagster_folder is not None or _has_ui(settings)
        for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
            if run.remote_job_origin is None or not ui_is_open:
                instance.report_run_failed(run, "Its process died before the run had ended.")


def run_job(
    definitions: dg.Definitions,
    name: str,
    instance: dg.DagsterInstance,
    listener: Callable[[Any], None],
    only: list[dg.AssetKey] | None = None,
) -> bool:
    """Run a job in this process.

    Args:
        definitions: The code location.
        name: The job.
        instance: Keeps the history.
        listener: Is called with every event as it happens.
        only: The assets to materialize; all of the job by default.

    Returns:
        Whether the run succeeded.
    """
    run_id = str(uuid4())
    instance.add_event_listener(run_id, listener)
    # The listener shows what matters; Dagster's own console log would drown it.
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    job = definitions.resolve_job_def(name)
    result = job.execute_in_process(
        run_config=quiet, instance=instance, run_id=run_id, raise_on_error=False, asset_selection=only
    )
    return result.success


def serve_ui(settings: Settings, port: int, say: Callable[[str], None]) -> int:
    """Run Dagster's UI and daemon until they end or this process gets INT or TERM; none of them outlives it.

    Args:
        settings: The home and what its runs use.
        port: Port on this machine.
        say: Takes what the user should know.

    Returns:
        An exit code: 0 when it was asked to end.

    Raises:
        UiError: The port is taken, or this home has a UI already.
    """
    command = [
        *(sys.executable, "-m", "dagster", "dev", "--workspace", str(PROJECT_ROOT / "workspace.yaml")),
        *("--host", _HOST, "--port", str(port)),
    ]
    # Before the start of the child: of a parent that ignores INT, as jobs in a script's background do, it would
    # inherit that, and could not be ended.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with _ui_lock(settings) as lock:
            if lock is None:
                raise UiError(f"{settings.home} has a UI already; one home has one.")
            with open_instance(settings, say, ui_is_open=False) as instance:
                close_dead_runs(settings, instance, say, ui_is_open=False)
            _require_free(port)
            environment = {**os.environ, **settings.environment(), "DAGSTER_HOME": str(settings.dagster_home)}
            say(f"Dagster UI: http://{_HOST}:{port} (Ctrl+C ends it)")
            # In a session of its own, because it ignores TERM otherwise. It shares the lock, in case it is left alone.
            process = subprocess.Popen(  # noqa: S603
                command, env=environment, cwd=PROJECT_ROOT, start_new_session=True, pass_fds=[lock.fileno()]
            )
            try:
                return max(0, process.wait())
            finally:
                _end(process)
    except KeyboardInterrupt:
        return 0


@contextmanager
def _ui_lock(settings: Settings) -> Iterator[IO[str] | None]:
    """The right to be the home's UI, or None if there is one: two daemons would start every queued run twice."""
    settings.dagster_home.mkdir(parents=True, exist_ok=True)
    with (settings.dagster_home / ".ui.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield handle


def _has_ui(settings: Settings) -> bool:
    with _ui_lock(settings) as lock:
        return lock is None


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise UiError(f"port {port} cannot be used ({error.strerror}); choose another with --port.") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a session: its leader by INT, so that it can tidy up, then whatever is left, a refresh under way included."""
    try:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
