"""A folder of files that is published as a whole: filled beside the published one, put in its place by publish.

What lies in the folder is made elsewhere. Readers find the files of one refresh, never of two.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path


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
        shutil.rmtree(self._old, ignore_errors=True)
        if self.published.exists():
            self.published.rename(self._old)
        waiting.rename(self.published)
        shutil.rmtree(self._old, ignore_errors=True)

    def recover(self) -> None:
        """Put back what a process left that died between the two steps in which a folder is replaced."""
        if self._old.exists() and not self.published.exists():
            self._old.rename(self.published)

    @property
    def _old(self) -> Path:
        return self.home / f".{self.name}-old"
