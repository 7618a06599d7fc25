"""`pulse backup` and `pulse restore`: everything of a home that cannot be made again, in one file.

That is the landing files and what says how they are read, quarantine, trained models, the record of refreshes, and raw
data where not all of its rows can be read from the landing files. The warehouse, pages and published files are built
from these by a refresh; Dagster's history of runs is left out.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from orchestration.lock import writer_lock
from orchestration.resources import build_resources
from orchestration.settings import Settings
from orchestration.sources import is_synthetic, open_source, synthetic_start
from sources.delivery import SourceError
from sources.files import has_files
from sources.store import RawFolder

_FORMAT = 1
_CARD = "backup.json"
_RECORD = "record.duckdb"
_MADE_AGAIN = (
    *("raw", "warehouse.duckdb", "warehouse.duckdb.wal", "work.duckdb", "work.duckdb.wal"),
    *("pulse.duckdb", "reports", "exports", "versions", "dagster", "dbt", "samples", "spark", "spark-servers"),
)
"""What a refresh makes, and what comes with the project; of raw it is decided case by case."""
_HIDDEN_AND_KEPT = frozenset({".pii-salt"})
"""With another salt, hashed names and addresses would be others, and nobody would be known again."""
_ASIDE = "before-restore"
_PIECE = 1 << 20


class BackupError(Exception):
    """A backup cannot be made or brought back; the message says why and what to do."""


def back_up(settings: Settings, target: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Write a backup of a home; a refresh under way is waited for, readers go on.

    Args:
        settings: The home.
        target: The file, which must not exist.
        say: Is told what the user should know.

    Returns:
        The backup's card: what is in it.

    Raises:
        BackupError: The file exists or lies in the home, or there is nothing to keep.
    """
    target = target.expanduser().resolve()
    if target.exists():
        raise BackupError(f"{target} exists already. Give another name.")
    if target.is_relative_to(settings.home):
        raise BackupError(f"{target} lies in the home that it is a backup of. Give a place outside {settings.home}.")
    unfinished = target.with_name(f".{target.name}.unfinished")
    with writer_lock(settings.home, say), tempfile.TemporaryDirectory(prefix="pulse-") as scratch:
        finish_restore(settings.home)
        with_raw = _needs_raw(settings, say)
        files = dict(_files_to_keep(settings, with_raw=with_raw))
        record = _record(settings, Path(scratch))
        if record is not None:
            files[_RECORD] = record
        if not files:
            raise BackupError(f"{settings.home} holds nothing to keep yet.")
        try:
            card = _write(settings, unfinished, files, with_raw=with_raw)
            unfinished.replace(target)
        except OSError as error:
            raise BackupError(f"{target} cannot be written: {error}.") from error
        finally:
            unfinished.unlink(missing_ok=True)
    return card


def _write(settings: Settings, target: Path, files: dict[str, Path], *, with_raw: bool) -> dict[str, Any]:
    """Write the archive, its card last: an archive that was cut short has none."""
    listed: dict[str, dict[str, Any]] = {}
    # It holds customers' data.
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        with tarfile.open(fileobj=out, mode="w:gz", compresslevel=3, dereference=True) as archive:
            for name, path in sorted(files.items()):
                with path.open("rb") as handle:
                    info = archive.gettarinfo(arcname=name, fileobj=handle)
                    reader = _Hashing(handle)
                    archive.addfile(info, reader)
                listed[name] = {"size": info.size, "sha256": reader.digest.hexdigest()}
            card = {
                "format": _FORMAT,
                "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "version": version("customer-pulse"),
                "with_raw": with_raw,
                "settings": {
                    "PULSE_SOURCE": settings.source,
                    "PULSE_TIMEZONE": settings.timezone,
                    "PULSE_SEED": str(settings.seed),
                    "PULSE_SCALE": str(settings.scale),
                },
                "files": listed,
            }
            text = json.dumps(card, indent=1).encode()
            info = tarfile.TarInfo(_CARD)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
        out.flush()
        os.fsync(out.fileno())
    return card


class _Hashing(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, inner: IO[bytes]) -> None:
        self._inner = inner
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._inner.read(size)
        self.digest.update(piece)
        return piece


def _needs_raw(settings: Settings, say: Callable[[str], None]) -> bool:
    """Whether raw holds rows that cannot be read again from the landing files."""
    folder = RawFolder(settings.raw)
    if not folder.exists():
        return False
    if is_synthetic(settings) or settings.source != "auto":
        if not is_synthetic(settings):
            say(f"The files of {settings.source} lie outside the home and are not in the backup; their rows are.")
        return True
    state = folder.remembered()
    source = open_source(settings, synthetic_start(state.began_on, settings.today()), folder.memory)
    try:
        changes = source.changes(state.files)
    except SourceError:
        return True
    return bool(changes.gone) or not state.files


def _files_to_keep(settings: Settings, *, with_raw: bool) -> Iterator[tuple[str, Path]]:
    """Every file of a home that belongs into its backup, by its path there."""
    made_again = set(_MADE_AGAIN) - ({"raw"} if with_raw else set())
    for top in sorted(settings.home.iterdir()):
        # Other hidden files at the top are locks and unfinished work, or secrets such as .env.
        is_hidden = top.name.startswith(".") and top.name not in _HIDDEN_AND_KEPT
        if is_hidden or top.name in made_again or top.name.startswith(_ASIDE):
            continue
        if top.is_file():
            yield top.name, top
            continue
        for parent, folders, names in os.walk(top, followlinks=True):
            folders.sort()
            for name in sorted(names):
                path = Path(parent) / name
                if path.is_file():
                    yield path.relative_to(settings.home).as_posix(), path
    own = Path(settings.source)
    if settings.source not in ("auto", "synthetic") and own.suffix in (".yml", ".yaml") and own.is_file():
        yield f"settings/{own.name}", own


def _record(settings: Settings, scratch: Path) -> Path | None:
    """The record of refreshes as a file of its own."""
    sources = [path for path in (settings.warehouse, settings.published) if path.exists()]
    file = scratch / _RECORD
    warehouse = build_resources(settings)["warehouse"]
    copy = type(warehouse)(
        lock=warehouse.lock,
        database=str(file),
        connection_config=warehouse.connection_config,
        work=str(scratch / "work.duckdb"),
    )
    return file if copy.begin_anew(*sources) else None


def restore(settings: Settings, source: Path, say: Callable[[str], None], *, force: bool = False) -> dict[str, Any]:
    """Bring a backup back: all of it is read and compared first, then put in place.

    What readers see stays until the next refresh publishes. What is replaced is kept in a folder beside.

    Args:
        settings: The home.
        source: The backup.
        say: Is told what the user should know.
        force: Also where the home holds something already.

    Returns:
        The backup's card.

    Raises:
        BackupError: It cannot be read or is not whole, or the home is not empty.
    """
    with writer_lock(settings.home, say):
        finish_restore(settings.home)
        held = list(_what_is_held(settings))
        if held and not force:
            raise BackupError(
                f"{settings.home} is not empty: it holds {', '.join(held)}. Restore into another home (--home), or "
                f"give --force to replace what it holds; that is kept in {_ASIDE}-<number>."
            )
        new, commit = settings.home / ".restore-new", settings.home / _COMMIT
        shutil.rmtree(new, ignore_errors=True)
        try:
            card = _unpack(source, new)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise
        record = new / _RECORD
        if record.exists():
            record.rename(new / settings.warehouse.name)
        new.rename(commit)
        finish_restore(settings.home)
    for variable, value in card["settings"].items():
        mine = settings.environment().get(variable)
        if mine != value:
            say(f"The backup was made with {variable}={value}; here it is {mine or 'not set'}.")
    return card


def _unpack(source: Path, target: Path) -> dict[str, Any]:
    """Unpack a backup into a folder, comparing every file with what the card says.

    Raises:
        BackupError: It is no backup, or not whole.
    """
    found: dict[str, dict[str, Any]] = {}
    card: dict[str, Any] | None = None
    target.mkdir(parents=True)
    try:
        # To its end and its checksum first: what damage makes of a name, a day or a size is not to be acted upon.
        with gzip.open(source) as packed:
            while packed.read(_PIECE):
                pass
        with tarfile.open(source, mode="r:gz") as archive:
            for info in archive:
                path = target / info.name
                if not info.isfile() or not path.resolve().is_relative_to(target.resolve()):
                    raise BackupError(f"{source} holds {info.name}, which belongs into no home: it is no backup.")
                content = archive.extractfile(info)
                assert content is not None  # noqa: S101 - a regular file has one
                if info.name == _CARD:
                    card = json.load(content)
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                reader = _Hashing(content)
                with path.open("wb") as out:
                    shutil.copyfileobj(reader, out, _PIECE)
                    out.flush()
                    os.fsync(out.fileno())
                # Files are read in the order of their age.
                os.utime(path, (info.mtime, info.mtime))
                found[info.name] = {"size": info.size, "sha256": reader.digest.hexdigest()}
    except FileNotFoundError:
        raise BackupError(f"{source} does not exist.") from None
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise BackupError(f"{source} cannot be read as a backup ({error}); nothing was changed.") from error
    if card is None:
        raise BackupError(f"{source} is not whole: it ends before its card. Nothing was changed.")
    if card.get("format") != _FORMAT:
        raise BackupError(f"{source} is of format {card.get('format')}; this version reads {_FORMAT}.")
    if found != card["files"]:
        wrong = sorted(name for name in {*found, *card["files"]} if found.get(name) != card["files"].get(name))
        raise BackupError(f"{source} is damaged: {', '.join(wrong[:3])} differ from its card. Nothing was changed.")
    return card


def _what_is_held(settings: Settings) -> Iterator[str]:
    """What a home holds that a restore would replace."""
    if has_files(settings.landing):
        yield "landing files"
    for name in ("raw", "models", "quarantine", "warehouse.duckdb", "pulse.duckdb"):
        path = settings.home / name
        if path.is_file() or (path.is_dir() and any(path.iterdir())):
            yield name


_COMMIT = ".restore-decided"
_PLACING = ".restore-placing"


def finish_restore(home: Path) -> bool:
    """Carry on with a restore that was decided; every step can be interrupted and is then taken up here.

    Returns:
        Whether there was one.
    """
    commit, placing = home / _COMMIT, home / _PLACING
    if not commit.exists() and not placing.exists():
        shutil.rmtree(home / ".restore-new", ignore_errors=True)
        return False
    if commit.exists():
        aside = _aside(home)
        replaced = {*(path.name for path in commit.iterdir()), "raw", "models", "quarantine"}
        replaced |= {"warehouse.duckdb", "warehouse.duckdb.wal", "work.duckdb", "work.duckdb.wal"}
        for name in sorted(replaced):
            if (home / name).exists():
                aside.mkdir(exist_ok=True)
                (home / name).rename(aside / name)
        # From here on nothing in the home is of before.
        commit.rename(placing)
    for path in sorted(placing.iterdir()):
        path.rename(home / path.name)
    placing.rmdir()
    return True


def _aside(home: Path) -> Path:
    """A folder that does not exist yet, for what a restore replaces."""
    number = 1
    while (home / f"{_ASIDE}-{number}").exists():
        number += 1
    return home / f"{_ASIDE}-{number}"
