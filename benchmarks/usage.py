"""What processes use, from /proc: CPU-seconds and peak memory of this one, and of a session that somebody else runs.

A session is what was started together, as the servers of `pulse spark up` are: a JVM and its Python workers.
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def own_cpu() -> float:
    """CPU-seconds of this process and of its children that have ended, user and system."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def peak(process: int | str = "self") -> float:
    """Most memory that a process held at once since this was last asked for, in MB; 0 when it has ended."""
    try:
        status = (_PROC / str(process) / "status").read_text(encoding="ascii", errors="replace")
        (_PROC / str(process) / "clear_refs").write_text("5", encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


class Session:
    """What a session uses, those of its processes included that end meanwhile.

    They are looked at once a second: PySpark's daemon ignores the end of its workers, so that the kernel adds what they
    have used to nobody's account.

    Args:
        leader: The session's number, which is that of its first process.
    """

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._ticks: dict[tuple[int, str], int] = {}
        threading.Thread(target=self._watch, daemon=True).start()

    def cpu(self) -> float:
        """CPU-seconds so far, user and system; of processes that lived less than a second, perhaps nothing."""
        self._look()
        # A copy: the watch may find another process meanwhile.
        return sum(list(self._ticks.values())) / _TICKS

    def peak(self) -> float:
        """The peaks of the processes of now since this was last asked for, added up, in MB.

        No less than what they held together at any moment: their peaks need not coincide, and workers share pages.
        """
        return sum(peak(process) for process, _ in _processes(self._leader))

    def _watch(self) -> None:
        while True:
            self._look()
            time.sleep(1)

    def _look(self) -> None:
        for process, fields in _processes(self._leader):
            # With the moment it was started: numbers are used again.
            self._ticks[process, fields[19]] = int(fields[11]) + int(fields[12])


def _processes(session: int) -> Iterator[tuple[int, list[str]]]:
    """The processes of a session, with what /proc/N/stat says after the name."""
    for stat in _PROC.glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            # It has ended since it was listed.
            continue
        if int(fields[3]) == session:
            yield int(stat.parent.name), fields
