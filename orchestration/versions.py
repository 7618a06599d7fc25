"""The last published versions, kept so that one can be put back: the file and the folders beside it.

A published file is never written to again, only replaced; so a version is made of links to it and costs no space of its
own until the next one is published.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from orchestration.beside import FOLDERS, publish_beside
from orchestration.lock import writer_lock
from orchestration.resources import build_resources, looked_at
from orchestration.settings import Settings
from reports.folders import PublishedFolder
from sources.checksums import checksum

_CARD = "version.json"


class RollbackError(Exception):
    """No version can be put back; the message says why and what there is."""


@dataclass(frozen=True)
class Version:
    """A version that readers once saw.

    Args:
        refresh: Number of its refresh.
        as_of: The day it was computed for.
        published_at: When it was published, in UTC.
        size: Bytes of the file.
        checksum: CRC-32 of the file.
        folder: Where it is kept.
    """

    refresh: int
    as_of: date
    published_at: datetime
    size: int
    checksum: int
    folder: Path

    @property
    def file(self) -> Path:
        """The kept file."""
        return self.folder / "pulse.duckdb"

    def damage(self) -> str | None:
        """Why its file is not as it was published, or None."""
        if not self.file.exists():
            return f"{self.file} is missing"
        if self.file.stat().st_size != self.size or checksum(self.file) != self.checksum:
            return f"{self.file} holds other bytes than were published"
        return None


def keep_version(settings: Settings, file: Path, refresh: int, as_of: date, published_at: datetime) -> None:
    """Keep what is about to be published, and forget the oldest versions beyond the number that is kept.

    Args:
        settings: The home.
        file: The file that is about to be published.
        refresh: Number of its refresh.
        as_of: The day it was computed for.
        published_at: This moment, in UTC.
    """
    root = settings.versions
    root.mkdir(parents=True, exist_ok=True)
    folder, unfinished = root / str(refresh), root / ".new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    _link_or_copy(file, unfinished / "pulse.duckdb")
    for name in FOLDERS:
        published = PublishedFolder(settings.home, name)
        # A refresh that has not made them anew leaves them as they are.
        kept = next((path for path in (published.waiting(refresh), published.published) if path.is_dir()), None)
        if kept is not None:
            shutil.copytree(kept, unfinished / name, copy_function=_link_or_copy)
    version = Version(refresh, as_of, published_at, file.stat().st_size, checksum(file), folder)
    card = {name: str(value) if name.endswith(("_of", "_at")) else value for name, value in asdict(version).items()}
    del card["folder"]
    (unfinished / _CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    for old in kept_versions(settings)[settings.keep_versions :]:
        shutil.rmtree(old.folder)


def kept_versions(settings: Settings) -> list[Version]:
    """The versions that are kept, the latest first; what cannot be read is none."""
    found = []
    for card in settings.versions.glob(f"*/{_CARD}"):
        try:
            stored = json.loads(card.read_text(encoding="utf-8"))
            found.append(
                Version(
                    int(stored["refresh"]),
                    date.fromisoformat(stored["as_of"]),
                    datetime.fromisoformat(stored["published_at"]),
                    int(stored["size"]),
                    int(stored["checksum"]),
                    card.parent,
                )
            )
        except (ValueError, KeyError, TypeError):
            continue
    return sorted(found, key=lambda version: -version.refresh)


def put_in_place(settings: Settings, version: Version) -> None:
    """Make a version what readers see: the file in one step, then the folders beside it."""
    temporary = settings.published.with_name(f".{settings.published.name}.new")
    temporary.unlink(missing_ok=True)
    _link_or_copy(version.file, temporary)
    temporary.replace(settings.published)
    for name in FOLDERS:
        if (version.folder / name).is_dir():
            place = PublishedFolder(settings.home, name)
            waiting = place.begin(version.refresh)
            shutil.copytree(version.folder / name, waiting, copy_function=_link_or_copy, dirs_exist_ok=True)
    publish_beside(settings.home, version.refresh)


def roll_back(settings: Settings, refresh: int | None, say: Callable[[str], None]) -> Version:
    """Put an earlier version back, and note it.

    Args:
        settings: The home.
        refresh: Its number; by default the one before what readers see now.
        say: Is told when another process has to be waited for.

    Returns:
        The version that readers now see.

    Raises:
        RollbackError: There is no such version, or it is damaged.
    """
    with writer_lock(settings.home, say):
        versions = kept_versions(settings)
        now = published_refresh(settings)
        chosen = [v for v in versions if (v.refresh == refresh if refresh is not None else v.refresh < (now or 0))]
        if not chosen:
            listed = ", ".join(f"{version.refresh} (as of {version.as_of})" for version in versions) or "none"
            wanted = f"refresh {refresh}" if refresh is not None else "an earlier refresh"
            raise RollbackError(f"{wanted} is not kept. Kept are: {listed}.")
        version = chosen[0]
        if damage := version.damage():
            raise RollbackError(f"refresh {version.refresh} cannot be put back: {damage}.")
        put_in_place(settings, version)
        if settings.warehouse.exists():
            build_resources(settings)["warehouse"].note_rolled_back(version.refresh)
        return version


def published_refresh(settings: Settings) -> int | None:
    """The refresh that readers see; None where nothing is published, or it cannot be read."""
    if not settings.published.exists():
        return None
    try:
        with looked_at(settings.published) as connection:
            ((refresh,),) = connection.execute(
                "select max(refresh) from file.meta.refreshes where status = 'published'"
            ).fetchall()
    except duckdb.Error:
        return None
    return int(refresh) if refresh is not None else None


def _link_or_copy(source: Path | str, target: Path | str) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one without links.
        shutil.copy2(source, target)
