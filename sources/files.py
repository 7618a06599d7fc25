"""Your files as a source: finds them, decides what each is read as, and in which order they are delivered.

Names are matched in `recognition`, a file is read in `reading`; what becomes of the delivered rows is the raw
folder's business.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from sources.contracts import BY_NAME, Contract
from sources.delivery import Delivery, Request, SourceError
from sources.mapping import FileMapping, Mapping, load_mapping
from sources.reading import Plan, file_version, read_file
from sources.recognition import feeds, recognise, shows_settings
from sources.text_files import Fingerprint, Layout, fingerprint, lay_out
from sources.typing_sql import literal

TEXT_SUFFIXES = (".csv", ".txt", ".tsv")
"""File names that are read as delimited text."""

PARQUET_SUFFIX = ".parquet"

_MAPPING_NAME = "sources.yml"
_IGNORED_SUFFIXES = (".tmp", ".part", ".md")


@dataclass(frozen=True)
class _Found:
    """A file to read.

    Args:
        path: Where it lies.
        name: As the user knows it.
        contract: The table it is read as; None when its header shall tell.
        entry: What sources.yml says about it.
        where: The place in sources.yml, for messages.
    """

    path: Path
    name: str
    contract: Contract | None
    entry: FileMapping | None = None
    where: str = ""


def open_files(path: Path, quarantine: Path) -> FilesSource:
    """A source made of files.

    Args:
        path: A sources.yml, a folder such as landing/, or a single file.
        quarantine: Folder for bad rows; made when needed.

    Returns:
        The source. No data file has been read yet.

    Raises:
        SourceError: There is nothing at this path, or sources.yml says something it may not.
    """
    if path.is_dir():
        own = path / _MAPPING_NAME
        return FilesSource(path, quarantine, load_mapping(own) if own.is_file() else None)
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file or folder.")
    if path.suffix.lower() in (".yml", ".yaml"):
        mapping = load_mapping(path)
        if not mapping.files:
            raise SourceError(f"{path}: files: is empty. Name at least one path with its table.")
        return FilesSource(path, quarantine, mapping)
    return FilesSource(path, quarantine, None)


def has_files(folder: Path) -> bool:
    """Whether anything to read lies in a folder; notes, hidden and unfinished files do not count.

    Args:
        folder: A folder, which need not exist.
    """
    return bool(_visible(folder))


def _visible(folder: Path) -> list[Path]:
    """Files of a folder and its folders that are meant to be read, in order of their names."""
    found = []
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        unread = path.name.lower().endswith(_IGNORED_SUFFIXES) or parts == (_MAPPING_NAME,)
        if path.is_file() and not hidden and not unread:
            found.append(path)
    return found


class FilesSource:
    """Files as a source; see `sources.delivery.Source`.

    Args:
        path: A sources.yml, a folder, or a single file.
        quarantine: Folder for bad rows; made when needed.
        mapping: The sources.yml that applies, checked.
    """

    def __init__(self, path: Path, quarantine: Path, mapping: Mapping | None) -> None:
        self._path = path
        self._quarantine = quarantine
        self._mapping = mapping
        self._base = path if path.is_dir() else path.parent
        # Every table asks about every file that only its header can tell; the bytes are read once.
        self._seen: dict[tuple[Path, tuple[int, int]], Fingerprint] = {}

    @property
    def identity(self) -> str:
        """Resolved path, and hash of the sources.yml's content."""
        read_by = f" read by {_MAPPING_NAME} {self._mapping.digest}" if self._mapping else ""
        return f"files in {self._path.resolve()}{read_by}"

    @property
    def title(self) -> str:
        """The folder or the file in a few words."""
        if self._path.is_file() and self._mapping is None:
            return self._path.name
        here = Path.cwd()
        return f"files in {self._base.relative_to(here) if self._base.is_relative_to(here) else self._base}"

    def deliver(self, contract: Contract, folder: Path, request: Request) -> list[Delivery]:
        """Write the good rows of every file of one table as Parquet; see `sources.delivery.Source`.

        Args:
            contract: The table wanted.
            folder: An empty folder to write the Parquet files into.
            request: Day, zone and what is known already. A zone in sources.yml goes before the request's.

        Returns:
            One delivery a file: known ones in the order in which they were first read, then new ones by age and name.

        Raises:
            SourceError: A file cannot be told or read, or its dates or amounts can be read in two ways.
        """
        try:
            return self._deliver(contract, folder, request)
        except SourceError as error:
            if not shows_settings(str(error)):
                raise
            raise SourceError(f"{error}\n  {self._how_to_say_it()}") from error

    def _how_to_say_it(self) -> str:
        """Where lines for sources.yml are saved, and the command that then reads them."""
        path = (self._mapping.path if self._mapping else self._base / _MAPPING_NAME).absolute()
        # A folder is read by its own sources.yml, and whole: by the sources.yml alone its other files would be left.
        source = self._path.absolute() if self._path.is_dir() else path
        what = f"Add it to {path} (one entry a file)" if path.exists() else f"Save it as {path}"
        return f"{what} and run: pulse run --source {shlex.quote(str(source))}"

    def _deliver(self, contract: Contract, folder: Path, request: Request) -> list[Delivery]:
        if self._mapping and self._mapping.timezone:
            request = replace(request, timezone=self._mapping.timezone)
        plans = [plan for found in self._found() if (plan := self._plan(found, contract)) is not None]

        def age(plan: Plan) -> tuple[bool, int, str]:
            known = request.known.get(plan.sha256)
            return known is None, known.batch if known else plan.version[0], plan.name

        deliveries = []
        for number, plan in enumerate(sorted(plans, key=age)):
            known = request.known.get(plan.sha256)
            if known is None:
                deliveries.append(read_file(plan, folder / f"{number:05d}.parquet", self._quarantine, request))
            else:
                deliveries.append(
                    Delivery(
                        name=plan.name,
                        table=contract.name,
                        content_hash=plan.sha256,
                        rows=known.rows,
                        quarantined=known.quarantined,
                        parquet=None,
                        set_aside=known.set_aside,
                    )
                )
        return deliveries

    def _found(self) -> list[_Found]:
        """All files, with what is known about them before they are opened."""
        mapped = self._mapped()
        if self._path.is_file():
            return mapped if self._mapping else [_Found(self._path, self._path.name, None)]
        taken = {found.path.resolve() for found in mapped}
        found = [
            _Found(path, self._name(path), _placed(path.relative_to(self._path)))
            for path in _visible(self._path)
            if path.resolve() not in taken
        ]
        return mapped + found

    def _mapped(self) -> list[_Found]:
        """The files that sources.yml speaks of."""
        if self._mapping is None:
            return []
        found: dict[tuple[Path, str], _Found] = {}
        for index, entry in enumerate(self._mapping.files):
            where = self._mapping.where(index)
            paths = entry.paths(self._base)
            is_pattern = any(character in entry.path for character in "*?[")
            if not paths and not (is_pattern and self._path.is_dir()):
                raise SourceError(f"{where}.path: there is no file {entry.path!r} in {self._base}.")
            for path in paths:
                earlier = found.setdefault(
                    (path.resolve(), entry.table), _Found(path, self._name(path), entry.contract, entry, where)
                )
                if earlier.where != where:
                    raise SourceError(
                        f"{where}.path: {earlier.name} is {entry.table} by {earlier.where} already. Keep one of them."
                    )
        return list(found.values())

    def _name(self, path: Path) -> str:
        """A file's path as the user knows it."""
        return path.relative_to(self._base).as_posix() if path.is_relative_to(self._base) else str(path)

    def _fingerprint(self, path: Path, version: tuple[int, int]) -> Fingerprint:
        if (path, version) not in self._seen:
            self._seen[path, version] = fingerprint(path)
        return self._seen[path, version]

    def _plan(self, found: _Found, wanted: Contract) -> Plan | None:
        """How a file is read; None when it belongs to another table."""
        if found.contract is not None and found.contract != wanted:
            return None
        suffix = found.path.suffix.lower()
        layout: Layout | None = None
        version = file_version(found.path)
        if suffix not in (*TEXT_SUFFIXES, PARQUET_SUFFIX):
            known = ", ".join((*TEXT_SUFFIXES, PARQUET_SUFFIX))
            raise SourceError(
                f"{found.name}: files ending {suffix or 'without a suffix'} cannot be read; readable are {known}. "
                "Export it as CSV or Parquet, or take it out of the folder."
            )
        seen = self._fingerprint(found.path, version)
        if suffix == PARQUET_SUFFIX:
            header = _parquet_header(found)
        else:
            said = (found.entry.delimiter, found.entry.header) if found.entry else (None, None)
            layout = lay_out(found.path, found.name, seen.encoding, *said)
            header = layout.header
        contract = found.contract or recognise(found.name, header)
        if contract != wanted:
            return None
        digest = seen.sha256.copy()
        digest.update(json.dumps([contract.name, found.entry.fingerprint if found.entry else None]).encode())
        return Plan(
            path=found.path,
            name=found.name,
            contract=contract,
            header=header,
            layout=layout,
            feeds=feeds(found.name, contract, header, found.entry, found.where),
            sha256=digest.hexdigest(),
            version=version,
        )


def _placed(relative: Path) -> Contract | None:
    """The table that a file's folder names: <source>/<table>/."""
    return BY_NAME.get(".".join(relative.parts[:2])) if len(relative.parts) > 2 else None


def _parquet_header(found: _Found) -> tuple[str, ...]:
    try:
        rows = duckdb.execute(f"describe from read_parquet({literal(str(found.path))})").fetchall()
    except duckdb.Error as error:
        raise SourceError(f"{found.name}: cannot be read as Parquet ({error}). Export it anew.") from error
    return tuple(row[0] for row in rows)
