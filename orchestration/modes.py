"""Who may read what in a home: its owner everything, its group what is published, nobody else anything.

Also the home's salt, which is as private as the raw data.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE_FOLDERS = ("raw", "quarantine", "models", "dagster", "dbt", "alerts", "spark", "spark-servers")
PRIVATE_FILES = (".writer.lock", "warehouse.duckdb", "warehouse.duckdb.wal", "work.duckdb", "work.duckdb.wal")
_SALT = "pii-salt"


@contextmanager
def writing_privately(home: Path) -> Iterator[None]:
    """While it lasts, what this process writes is its owner's alone; what earlier versions left open is closed.

    Args:
        home: The home.
    """
    for name in PRIVATE_FOLDERS:
        _set_mode(home / name, 0o700)
    for name in PRIVATE_FILES:
        _set_mode(home / name, 0o600)
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def share(path: Path) -> None:
    """Let the group read a file, or a folder with all that is in it.

    Args:
        path: What is to be published, before it is put in place.
    """
    if not path.is_dir():
        path.chmod(0o640)
        return
    path.chmod(0o750)
    for entry in path.iterdir():
        share(entry)


def share_waiting(home: Path, refresh: int) -> None:
    """Let the group read the folders that a refresh has made and publish puts in place, such as the pages.

    Args:
        home: The home.
        refresh: Number of the refresh.
    """
    for folder in home.glob(f".*-{refresh}"):
        share(folder)


def pii_salt(home: Path, pii: str) -> str | None:
    """What personal data are hashed with in this home; made on first use, and the same from then on.

    Args:
        home: The home.
        pii: What becomes of them; nothing is hashed where they are kept.
    """
    if pii == "keep":
        return None
    file = home / _SALT
    if not file.exists():
        # Written whole under another name: half a salt would be another salt tomorrow.
        temporary = home / f".{_SALT}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as handle:
            handle.write(secrets.token_hex(16))
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(file)
    return file.read_text(encoding="ascii")


def _set_mode(path: Path, mode: int) -> None:
    """Change a mode where it differs, and where this user may."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return
    if stat.st_mode & 0o777 != mode and stat.st_uid == os.geteuid():
        path.chmod(mode)
