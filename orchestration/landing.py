"""Which files lie there, which of them are complete, and which the last refresh has seen; nothing is opened.

A file is complete when it has not changed for `PULSE_LANDING_SETTLE_SECONDS`, by the file system's own clock of
changes (ctime), which copying tools cannot set back. Files that are written under another name and renamed when they
are whole (.part, .tmp, hidden) are not seen at all before that: see `sources.containers`.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from orchestration.settings import Settings
from orchestration.sources import is_synthetic, open_your_files
from sources.files import MAPPING_NAME


@dataclass(frozen=True)
class Landing:
    """The files of a source at a moment.

    Args:
        complete: Size and time of change of each complete file, as text, by name.
        growing: Likewise of files that are still being written.
        paths: Where each file lies.
    """

    complete: Mapping[str, str] = field(default_factory=dict)
    growing: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)

    def as_read(self, *, attended: bool) -> Landing:
        """The files as a refresh takes them: somebody who starts one wants every file read, and growing ones too."""
        return Landing({**self.complete, **self.growing}, {}, self.paths) if attended else self

    @property
    def left(self) -> frozenset[Path]:
        """Files to leave to a later refresh, by their resolved paths."""
        return frozenset(Path(os.path.realpath(self.paths[name])) for name in self.growing)

    def unseen(self, seen: Mapping[str, str]) -> list[str]:
        """Complete files that are new or have changed since the refresh that saw the others."""
        return sorted(name for name, version in self.complete.items() if seen.get(name) != version)

    def key(self, batch: int) -> str:
        """A name for this set of complete files in a home whose raw data is of a certain refresh.

        The same files on the same raw data have the same key, so that a set that cannot be read is tried once.
        """
        told = json.dumps([batch, sorted(self.complete.items())])
        return hashlib.sha256(told.encode()).hexdigest()[:32]


def look(settings: Settings, now_ns: int | None = None) -> Landing:
    """The files that the settings name; none where the source is the synthetic business.

    Args:
        settings: The settings.
        now_ns: This moment, in nanoseconds since 1970.

    Raises:
        SourceError: The source does not exist, or its sources.yml cannot be understood.
    """
    if is_synthetic(settings):
        return Landing()
    now_ns = time.time_ns() if now_ns is None else now_ns
    source = open_your_files(settings)
    paths = source.files()
    # A changed mapping is a reason to read the files again.
    if source.mapping_path is not None:
        paths = {**paths, MAPPING_NAME: source.mapping_path}
    complete: dict[str, str] = {}
    growing: dict[str, str] = {}
    for name, path in paths.items():
        try:
            stat = path.stat()
        except FileNotFoundError:
            # Gone since it was listed, or a link to nowhere: the refresh says so.
            continue
        # A time that lies ahead says nothing: the clock of a machine may have been set.
        changed_ns = max((t for t in (stat.st_mtime_ns, stat.st_ctime_ns) if t <= now_ns), default=0)
        settled = now_ns - changed_ns >= settings.landing_settle_seconds * 1_000_000_000
        # A mapping is small and written at once; without it the files would be read otherwise.
        settled = settled or path == source.mapping_path
        (complete if settled else growing)[name] = f"{stat.st_size} {stat.st_mtime_ns}"
    return Landing(complete, growing, paths)


def remember(raw: Path, read: Mapping[str, str]) -> None:
    """Note which files a refresh has read.

    Args:
        raw: The raw folder they were read into.
        read: What is known of each, by name, from before it was read.
    """
    temporary = raw / f".{_SEEN}"
    temporary.write_text(json.dumps(dict(read), indent=1, sort_keys=True, ensure_ascii=False), "utf-8")
    temporary.replace(raw / _SEEN)


def remembered(raw: Path) -> dict[str, str]:
    """The files that the last refresh has read; none before the first."""
    file = raw / _SEEN
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


_SEEN = "_landing.json"
