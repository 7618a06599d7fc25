"""The one right to write to a home, held for a whole run."""

import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import dagster as dg

from orchestration.modes import writing_privately

# Dagster gives every resource that asks for the lock a lock of its own; within one process they share one hold.
_holds: dict[Path, int] = {}
_handles: dict[Path, IO[str]] = {}


@contextmanager
def writer_lock(home: Path, log: Callable[[str], None] | None = None) -> Iterator[None]:
    """Hold the one right to write to a home; wait for it, and say so, when another process has it.

    Held again within the same process it is shared, and freed by the last to leave. The kernel frees it when the
    process ends, however it ends. What is written meanwhile is for the owner's eyes alone.
    """
    home = home.resolve()
    if not _holds.get(home):
        _handles[home] = _lock_file(home, log)
    _holds[home] = _holds.get(home, 0) + 1
    try:
        with writing_privately(home):
            yield
    finally:
        _holds[home] -= 1
        if not _holds[home]:
            _handles.pop(home).close()


@contextmanager
def writer_lock_if_free(home: Path) -> Iterator[bool]:
    """Hold the lock if no other process, and nobody else in this one, has it; never waits.

    Yields:
        Whether it is held.
    """
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    if _holds.get(home):
        yield False
        return
    with (home / ".writer.lock").open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _lock_file(home: Path, log: Callable[[str], None] | None) -> IO[str]:
    home.mkdir(parents=True, exist_ok=True)
    handle = (home / ".writer.lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if log is not None:
            log(f"Another refresh is under way in this home{_said_by(handle)}; waiting for it to finish.")
        fcntl.flock(handle, fcntl.LOCK_EX)
    handle.truncate(0)
    handle.write(json.dumps({"pid": os.getpid(), "command": _command(), "since": _now()}))
    handle.flush()
    return handle


@dataclass(frozen=True)
class Holder:
    """Who has the lock.

    Args:
        pid: Its process.
        command: What was typed.
        since: From when on, in UTC.
    """

    pid: int
    command: str
    since: str


def lock_holder(home: Path) -> Holder | None:
    """Who has the right to write to a home now, or None."""
    path = home / ".writer.lock"
    if not path.exists():
        return None
    with path.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _noted(handle) or Holder(0, "unknown", "unknown")
    return None


def _noted(handle: IO[str]) -> Holder | None:
    """What the holder wrote into the file; None where it has not yet."""
    handle.seek(0)
    try:
        return Holder(**json.load(handle))
    except (ValueError, TypeError):
        return None


def _said_by(handle: IO[str]) -> str:
    holder = _noted(handle)
    return f" ({holder.command}, process {holder.pid}, since {holder.since} UTC)" if holder else ""


def _command() -> str:
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")


class WriterLock(dg.ConfigurableResource):
    """Holds a home's writer lock for a whole run."""

    home: str

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["WriterLock"]:
        """Wait for the lock, and keep it until the run has ended."""
        log = context.log.info if context.log else None
        with writer_lock(Path(self.home), log):
            yield self
