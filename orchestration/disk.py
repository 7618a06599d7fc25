"""A full disk: recognised in what the system, DuckDB, SQLite and dbt say of it, and told so that one can act.

Whether there is room before a refresh begins is judged in `orchestration.recovery`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from orchestration.recovery import space_wanted
from orchestration.settings import Settings

_SAID = re.compile(
    r"no space left on device|database or disk is full|disk quota exceeded|errno 28\b|max_temp_directory_size",
    re.IGNORECASE,
)
"""What each of them says; the last is DuckDB's, when what it has no memory for does not fit on the disk either."""
_MAYBE_SAID = re.compile("disk i/o error", re.IGNORECASE)
"""What SQLite says of a disk that is full or broken: the former, if there is no room."""
_NO_ROOM = 1 << 20
_PATH = re.compile(r"""["'](/[^"']+)["']""")
_MB = 1e6


def full_disk(settings: Settings, told: Iterable[str]) -> str | None:
    """What to say where one of some messages is that of a full disk, or None.

    Args:
        settings: The home.
        told: Why something failed, in the words of whoever noticed.
    """
    has_room = shutil.disk_usage(settings.home).free >= _NO_ROOM
    message = next((text for text in told if _SAID.search(text) or (not has_room and _MAYBE_SAID.search(text))), None)
    if message is None:
        return None
    place = _place(message) or settings.home
    usage = shutil.disk_usage(place)
    return (
        f"The disk that holds {place} was full: {usage.free / _MB:,.0f} of {usage.total / _MB:,.0f} MB are free now, "
        f"a refresh may need {max(space_wanted(settings) / _MB, 1):,.0f} MB. Nothing is lost: files, raw data and what "
        "is published are kept. Make room and run again; the next refresh goes on from what is whole."
    )


def words_of(error: BaseException) -> list[str]:
    """An error and those that led to it, in words."""
    told: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        told.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    return told


def _place(message: str) -> Path | None:
    """The folder that a message names, if there is one."""
    for name in _PATH.findall(message):
        folder = next((path for path in Path(name).parents if path.is_dir()), None)
        if folder is not None and folder != Path("/"):
            return folder
    return None
