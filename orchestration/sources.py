"""Which source a refresh reads: your files where there are any, else the synthetic business."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from orchestration.settings import Settings
from sources.delivery import Source, SourceError
from sources.files import FilesSource, has_files, open_files
from sources.synthetic import SyntheticSource

_TWO_YEARS = timedelta(days=730)


def is_synthetic(settings: Settings) -> bool:
    """Whether a refresh with these settings reads the synthetic business."""
    return settings.source == "synthetic" or (settings.source == "auto" and not has_files(settings.landing))


def synthetic_start(began_on: str | None, last_day: date) -> date:
    """First day of the synthetic business: the one it began with in this home, else two years before its last day."""
    kept = date.fromisoformat(began_on) if began_on else None
    return kept if kept is not None and kept < last_day else last_day - _TWO_YEARS


def open_source(settings: Settings, starts_on: date, memory: Path, leave: frozenset[Path] = frozenset()) -> Source:
    """Open the source that the settings name.

    Args:
        settings: The settings.
        starts_on: First day of the synthetic business, where that is the source.
        memory: Folder in which it remembers what it delivered.
        leave: Files that are not to be read yet, by their resolved paths.

    Raises:
        SourceError: There is no such source.
    """
    if is_synthetic(settings):
        return SyntheticSource(seed=settings.seed, customers=settings.scale, starts_on=starts_on, memory=memory)
    return open_your_files(settings, leave)


def open_your_files(settings: Settings, leave: frozenset[Path] = frozenset()) -> FilesSource:
    """Open the files that the settings name.

    Args:
        settings: The settings.
        leave: Files that are not to be read yet, by their resolved paths.

    Raises:
        SourceError: There are none.
    """
    path = settings.landing if settings.source == "auto" else Path(settings.source)
    if not path.exists():
        raise SourceError(
            f"{path} does not exist. A source is auto, synthetic, or the path of a sources.yml, a folder or a file."
        )
    return open_files(path, settings.quarantine, leave)
