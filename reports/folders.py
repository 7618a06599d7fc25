"""A folder of files that is published as a whole: filled beside the published one, put in its place by publish.

What lies in the folder is made elsewhere. Readers find the files of one refresh, never of two, and never none: where
the system can do it (Linux), old and new change places in one step.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

_HERE = -100
"""AT_FDCWD: paths count from the working folder."""
_EXCHANGE = 2
"""RENAME_EXCHANGE."""


@dataclass(frozen=True)
class PublishedFolder:
    """A folder of a home, replaced with every refresh.

    Args:
        home: The home.
        name: The folder's name in it.
    """

    home: Path
    name: str

    @property
    def published(self) -> Path:
        """What readers open."""
        return self.home / self.name

    def waiting(self, refresh: int) -> Path:
        """Where the files of a refresh wait to be published."""
        return self.home / f".{self.name}-{refresh}"

    def open(self, refresh: int) -> Path:
        """The folder for the files of a refresh, with those it has already; what was never published is cleared."""
        self.recover()
        folder = self.waiting(refresh)
        for forgotten in self.home.glob(f".{self.name}-*"):
            if forgotten != folder:
                shutil.rmtree(forgotten)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def begin(self, refresh: int) -> Path:
        """An empty folder for the files of a refresh."""
        shutil.rmtree(self.waiting(refresh), ignore_errors=True)
        return self.open(refresh)

    def publish(self, refresh: int) -> None:
        """Put the files of a refresh in place of the published ones; without new files, those stay."""
        self.recover()
        waiting = self.waiting(refresh)
        if not waiting.exists():
            return
        if not self.published.exists():
            waiting.rename(self.published)
            return
        # Tells afterwards which of the two is the new one, whenever the process dies.
        self._note.write_text(f"{waiting.stat().st_ino} {waiting.name}", encoding="utf-8")
        if not _exchange(waiting, self.published):
            self.published.rename(self._old)
            waiting.rename(self.published)
        self.recover()

    def recover(self) -> None:
        """Finish what a process left that died while it replaced the folder; what is no longer needed goes."""
        if self._note.exists():
            inode, _, name = self._note.read_text(encoding="utf-8").partition(" ")
            if name and self.published.exists() and str(self.published.stat().st_ino) == inode:
                # The new files are in place: what has their name now is what they replaced.
                shutil.rmtree(self.home / name, ignore_errors=True)
            self._note.unlink()
        if not self.published.exists() and self._old.exists():
            self._old.rename(self.published)
        shutil.rmtree(self._old, ignore_errors=True)

    @property
    def _old(self) -> Path:
        return self.home / f".{self.name}-old"

    @property
    def _note(self) -> Path:
        return self.home / f".{self.name}-exchange"


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change names in one step, so that neither name is ever without one.

    Returns:
        Whether this system and its file system can do that; if not, nothing has happened.
    """
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    # Told like every other renaming; this one Python does not know.
    sys.audit("os.rename", str(one), str(other), -1, -1)
    if renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        return False
    raise OSError(number, os.strerror(number), str(one), None, str(other))
