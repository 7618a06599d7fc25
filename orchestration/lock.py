"""The one right to write to a home, held for a whole run."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
            log("Another refresh is under way in this home; waiting for it to finish.")
        fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


class WriterLock(dg.ConfigurableResource):
    """Holds a home's writer lock for a whole run."""

    home: str

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["WriterLock"]:
        """Wait for the lock, and keep it until the run has ended."""
        log = context.log.info if context.log else None
        with writer_lock(Path(self.home), log):
            yield self
