"""`pulse` in processes that meet a fault: forked from one that has imported everything, so that each costs its work.

Reads a line of JSON a job on standard input, starts it, and answers with a line; see `Workshop` in `matrix`. A fault
strikes at a place: when an asset has been materialized, or when a file is about to be renamed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

ASSETS = {
    "staging": "staging/stg_shop__sales",
    "marts": "marts/fct_sales",
    "ml": "ml/customer_clusters",
    "insights": "marts/customer_360",
    "pages": "reports/overview",
}
"""Places by the asset that has just been materialized."""
RENAMES = {
    "raw": "shop/sales/.commit",
    "raw, half in place": "shop/sales/2026-01.parquet",
    "raw, state": "raw/_state.json",
    "publish": "pulse.duckdb",
    "publish, pages": "reports",
    "publish, version": "versions/2",
}
"""Places by the file that is about to get its name."""
LONGEST_TO_MEET = 300
"""Seconds."""


def arm(place: str, strike: Callable[[], None]) -> None:
    """Have something happen when a place is reached, once."""
    reached = False

    def once() -> None:
        nonlocal reached
        if not reached:
            reached = True
            strike()

    if place == "start":
        once()
    elif place in ASSETS:
        from orchestration import progress

        original = progress.Progress.__call__

        def seen(self: Any, entry: Any) -> None:
            original(self, entry)
            event = entry.dagster_event
            key = event.asset_key if event is not None and event.event_type_value == "ASSET_MATERIALIZATION" else None
            if key is not None and key.to_user_string() == ASSETS[place]:
                once()

        progress.Progress.__call__ = seen
    else:
        target = RENAMES[place]

        def audited(event: str, arguments: tuple[Any, ...]) -> None:
            if event == "os.rename" and str(arguments[1]).endswith(target):
                once()

        sys.addaudithook(audited)


def fill(home: Path) -> None:
    """Leave not a byte free on the home's disk."""
    with (home / "filler").open("wb", buffering=0) as filler:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while filler.write(b"\0" * size):
                    pass
            except OSError:
                continue


def shut(path: Path) -> None:
    path.chmod(0)


def shift(days: int) -> None:
    """Let the clock be wrong from now on, for everything here that asks it for the day or the time."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(days=days)

        @classmethod
        def utcnow(cls) -> datetime:
            return cls.now(None)

    import dbt.context.base

    from orchestration import resources, settings

    resources.datetime = Wrong
    settings.datetime = Wrong
    of_dbt = dbt.context.base.get_datetime_module_context
    dbt.context.base.get_datetime_module_context = lambda: {**of_dbt(), "datetime": Wrong}


def obey_permissions() -> None:
    """Give up root's right to read and write what is shut."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(header, sets) == 0
    for number in range(3):
        # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
        sets[number] &= ~0b110
    assert libc.capset(header, sets) == 0


def meet(folder: Path) -> None:
    """Tell that the place is reached, and stay there until another refresh waits for this one."""
    (folder / "reached").touch()
    until = time.monotonic() + LONGEST_TO_MEET
    while "waiting for it to finish" not in (folder / "log").read_text(encoding="utf-8", errors="replace"):
        assert time.monotonic() < until, "no other refresh came"
        time.sleep(0.02)


def run(job: dict[str, Any]) -> None:
    """One job, in a process of its own; ends the process."""
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    home = Path(job["home"])
    strikes: dict[str, Callable[[], None]] = {
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
        "fill": lambda: fill(home),
        "shut": lambda: shut(home / job["what"]),
        "shift": lambda: shift(int(job["what"])),
        "meet": lambda: meet(home.parent),
    }
    if job.get("obeys"):
        obey_permissions()
    if "strike" in job:
        arm(job["place"], strikes[job["strike"]])
    # Also where this runs in the background of a script, which would not hear of Ctrl+C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from orchestration.cli import main

    sys.argv = ["pulse", *job["arguments"]]
    code = 1
    try:
        main(job["arguments"], standalone_mode=False)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except Exception:  # noqa: BLE001 - shown as it would be to whoever types the command
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Start and await jobs until there is no more input."""
    import dagster_dbt  # noqa: F401
    import dbt.cli.main  # noqa: F401
    import duckdb  # noqa: F401
    import plotly  # noqa: F401
    import sklearn.ensemble  # noqa: F401
    import skops.io  # noqa: F401

    import orchestration.backup
    import orchestration.definitions
    import orchestration.doctor
    import orchestration.summary  # noqa: F401

    for line in sys.stdin:
        job = json.loads(line)
        if "await" in job:
            _, status = os.waitpid(job["await"], 0)
            answer = os.waitstatus_to_exitcode(status)
        elif (answer := os.fork()) == 0:
            run(job)
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve()
