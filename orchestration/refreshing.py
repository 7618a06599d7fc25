"""A job as the command line runs it: what is shown meanwhile, what it came to, and who hears of it.

Also how it ends when somebody presses Ctrl+C or the disk is full. Dagster and dbt, which take seconds to import, are
imported when a job starts.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from orchestration.settings import Settings

INTERRUPTED = 128 + signal.SIGINT
"""Exit code of what Ctrl+C ended, as shells have it."""
_MOST_ALERTS_SHOWN = 5
_SHOW_CURSOR = "\x1b[?25h"


def execute(job: str, settings: Settings, console: Console, *, verbose: bool = False) -> bool:
    """Run a job in this process, and tell who is to know of it.

    Args:
        job: Its name.
        settings: The home.
        console: Where to print.
        verbose: A line an asset.

    Returns:
        Whether it succeeded.
    """
    before = _identity(settings.published)
    # dbt's semaphores have a process of their own to look after them; that they are left to it is nobody's concern.
    os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")
    # A log that cannot be written, for want of room, is no reason for a traceback a line: what is wrong is told below.
    logging.raiseExceptions = False
    with _ending_at_once(settings, before):
        try:
            succeeded, failures = _run(job, settings, console, before, verbose=verbose)
        except Exception as error:
            from orchestration.disk import full_disk, words_of

            if (told := full_disk(settings, words_of(error))) is None:
                raise
            # Not even Dagster could note it.
            console.print(f"[red]✗[/] {job}: ", end="")
            console.print(told, markup=False, highlight=False, soft_wrap=True)
            succeeded, failures = False, [told]
    if not succeeded:
        console.print(_state(settings, before), markup=False, highlight=False, soft_wrap=True)
    _tell(console, settings, job, failures, before)
    return succeeded


def _run(
    job: str, settings: Settings, console: Console, before: tuple[int, int] | None, *, verbose: bool
) -> tuple[bool, list[str]]:
    """Run a job; whether it succeeded, and if not, why."""
    with console.status("starting"):
        # Before Dagster and dbt: for each of scipy's functions it looks through every module there is.
        import skops.io  # noqa: F401

        from orchestration.dbt import DbtError
        from orchestration.definitions import build_defs
        from orchestration.disk import full_disk
        from orchestration.instance import close_dead_runs, open_instance, run_job
        from orchestration.lock import writer_lock
        from orchestration.spark.session import SparkUnavailableError

        try:
            if settings.target == "spark":
                from orchestration.spark.client import require_server

                require_server(settings)
            definitions = build_defs(settings)
        except (DbtError, SparkUnavailableError) as error:
            console.print("[red]✗[/] ", end="")
            _said(console)(str(error))
            return False, [str(error)]
    from orchestration.progress import Progress

    progress = Progress(console, verbose=verbose)
    said = _said(console)
    # Held to the end of the run, so that no other process takes this run for dead.
    with open_instance(settings, said) as instance, writer_lock(settings.home, said):
        close_dead_runs(settings, instance)
        try:
            succeeded = run_job(definitions, job, instance, progress)
        finally:
            progress.stop()
        progress.finish(succeeded, has_published=_identity(settings.published) != before)
        if (told := full_disk(settings, progress.failures)) is not None:
            said(told)
            progress.failures.append(told)
        if not succeeded and settings.warehouse.exists():
            _note_failure(settings, said)
    return succeeded, progress.failures


def _note_failure(settings: Settings, said: Callable[[str], None]) -> None:
    """Note in the warehouse that the refresh failed; where it cannot be opened, say so: the next refresh notes it."""
    import duckdb

    from orchestration.resources import InUseError, build_resources

    try:
        build_resources(settings)["warehouse"].fail_refresh()
    except (duckdb.Error, InUseError) as error:
        said(f"That this refresh failed could not be noted, the next one will note it: {str(error).splitlines()[0]}")


@contextmanager
def _ending_at_once(settings: Settings, before: tuple[int, int] | None) -> Iterator[None]:
    """While it lasts, Ctrl+C (or TERM) ends the process on the spot, with a line that says what that means.

    A refresh can be killed at any moment: readers never see half of one, and the next one puts right what is
    unfinished. To wind it up instead would take as long as what dbt or a model is at, and can be interrupted again.

    A thread of its own waits for the signal: Dagster puts handlers of its own in place while a step runs, and a handler
    has to wait for whatever the main thread is at.
    """
    # Dagster has a handler for TERM as well, which would wind the run up.
    heard = {signal.SIGTERM}
    # A job in the background of a script ignores INT: Ctrl+C is meant for somebody else.
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        heard.add(signal.SIGINT)
    ear, mouth = socket.socketpair()
    mouth.setblocking(False)

    def wait() -> None:
        while numbers := ear.recv(16):
            for number in heard & set(numbers):
                restore = _SHOW_CURSOR if sys.stderr.isatty() else ""
                line = f"\nInterrupted. {_state(settings, before)} The next refresh puts right what is unfinished.\n"
                os.write(sys.stderr.fileno(), (restore + line).encode())
                os._exit(128 + number)

    waiting = threading.Thread(target=wait, name="interrupt", daemon=True)
    waiting.start()
    # Whatever handler is in place, Python writes the number of a signal there, at once.
    earlier = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        mouth.close()
        waiting.join()
        ear.close()


def _state(settings: Settings, before: tuple[int, int] | None) -> str:
    """What became of the published file in a run that did not end well."""
    if _identity(settings.published) != before:
        return f"{settings.published} was published before that; it is whole, and of this refresh."
    if before is None:
        return "Nothing has been published yet."
    return f"{settings.published} is as it was before."


def _identity(file: Path) -> tuple[int, int] | None:
    """Tells a file from the one that replaces it; None where there is none."""
    return (file.stat().st_ino, file.stat().st_mtime_ns) if file.exists() else None


def _tell(console: Console, settings: Settings, job: str, failures: list[str], before: tuple[int, int] | None) -> None:
    """Send new alerts, and why a job failed, to whoever is to know."""
    from orchestration.notify import failure, tell
    from orchestration.resources import now

    at = now()
    run_id = f"{settings.home}, {at.isoformat()}"
    further = [failure(run_id, job, failures, at, _state(settings, before))] if failures else []
    alerts: list[str] = []
    # What has failed has been printed already.
    report = tell(
        settings, _said(console), further, show=lambda told: alerts.append(told.line) if told not in further else None
    )
    for line in alerts[:_MOST_ALERTS_SHOWN]:
        console.print(f"Alert, {line}", markup=False, highlight=False, soft_wrap=True)
    if len(alerts) > _MOST_ALERTS_SHOWN:
        console.print(f"and {len(alerts) - _MOST_ALERTS_SHOWN} more alerts: `pulse alerts` shows them", highlight=False)
    if report.waiting:
        console.print(
            f"{report.waiting} alerts wait to be sent; they are sent after the next refresh.", highlight=False
        )


def _said(console: Console) -> Callable[[str], None]:
    return lambda message: console.print(message, markup=False, highlight=False, soft_wrap=True)
