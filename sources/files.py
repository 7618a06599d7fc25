"""Your files as a source: finds them, decides what each is read as, and in which order they are delivered.

Names are matched in `recognition`, a file is read in `reading`; what becomes of the delivered rows is the raw
folder's business.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Named
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb

from sources.containers import IGNORED_SUFFIXES, Part, unpack
from sources.contracts import BY_NAME, Contract
from sources.delivery import Changes, Delivery, KnownFile, Request, SourceError
from sources.file_rows import Plan, file_version
from sources.mapping import FileMapping, Mapping, load_mapping
from sources.reading import read_file
from sources.recognition import Vocabulary, could_be_header, feeds, known_export, recognise, shows_settings
from sources.sql import literal
from sources.text_files import fingerprint, lay_out, lay_out_json

MAPPING_NAME = "sources.yml"
"""The file that says how the files beside it are read."""


_PIECE = 1 << 20


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


def open_files(path: Path, quarantine: Path, leave: frozenset[Path] = frozenset()) -> FilesSource:
    """A source made of files.

    Args:
        path: A sources.yml, a folder such as landing/, or a single file.
        quarantine: Folder for bad rows; made when needed.
        leave: Files that are not to be read yet, by their resolved paths.

    Returns:
        The source. No data file has been read yet.

    Raises:
        SourceError: There is nothing at this path, or sources.yml says something it may not.
    """
    if path.is_dir():
        own = path / MAPPING_NAME
        return FilesSource(path, quarantine, load_mapping(own) if own.is_file() else None, leave)
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file or folder.")
    if path.suffix.lower() in (".yml", ".yaml"):
        mapping = load_mapping(path)
        if not mapping.files:
            raise SourceError(f"{path}: files: is empty. Name at least one path with its table.")
        return FilesSource(path, quarantine, mapping, leave)
    own = path.with_name(MAPPING_NAME)
    return FilesSource(path, quarantine, load_mapping(own) if own.is_file() else None, leave)


def has_files(folder: Path) -> bool:
    """Whether anything to read lies in a folder; notes, hidden and unfinished files do not count.

    Args:
        folder: A folder, which need not exist.
    """
    return bool(_visible(folder))


def _visible(folder: Path) -> list[Path]:
    """Files of a folder and its folders that are meant to be read, in order of their names; links are followed."""
    found, seen = [], set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        here = Path(parent)
        # A link may lead back to a folder above it.
        if (real := os.path.realpath(here)) in seen:
            folders.clear()
            continue
        seen.add(real)
        # Folders before links to them, so that a file goes by its own name.
        folders[:] = sorted(
            (name for name in folders if not name.startswith(".")), key=lambda name: ((here / name).is_symlink(), name)
        )
        for name in names:
            path = here / name
            is_mapping = here == folder and name == MAPPING_NAME
            if not (name.startswith(".") or name.lower().endswith(IGNORED_SUFFIXES) or is_mapping):
                found.append(path)
    return sorted(found)


class FilesSource:
    """Files as a source; see `sources.delivery.Source`.

    Args:
        path: A sources.yml, a folder, or a single file.
        quarantine: Folder for bad rows; made when needed.
        mapping: The sources.yml that applies, checked.
        leave: Files that are not to be read yet, by their resolved paths.
    """

    def __init__(
        self, path: Path, quarantine: Path, mapping: Mapping | None, leave: frozenset[Path] = frozenset()
    ) -> None:
        self._path = path
        self._quarantine = quarantine
        self._leave = leave
        self._mapping = mapping
        self._base = path if path.is_dir() else path.parent
        self._words = Vocabulary(mapping.document.aliases if mapping else {})
        # Every table asks about every file; each is unpacked, hashed and recognised once.
        self._planned: tuple[list[Plan], list[tuple[str, SourceError]]] | None = None
        self._unpacked: Path | None = None

    @property
    def identity(self) -> str:
        """Resolved path, and hash of the sources.yml's content."""
        read_by = f" read by {MAPPING_NAME} {self._mapping.digest}" if self._mapping else ""
        return f"files in {self._path.resolve()}{read_by}"

    @property
    def title(self) -> str:
        """The folder or the file in a few words."""
        if self._path.is_file() and self._mapping is None:
            return self._path.name
        here = Path.cwd()
        return f"files in {self._base.relative_to(here) if self._base.is_relative_to(here) else self._base}"

    @property
    def mapping_path(self) -> Path | None:
        """The sources.yml that applies."""
        return self._mapping.path if self._mapping else None

    def files(self) -> dict[str, Path]:
        """Every file by its name, none of them opened.

        Raises:
            SourceError: sources.yml names a file that is not there.
        """
        return {found.name: found.path for found in self._found()}

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
        path = (self._mapping.path if self._mapping else self._base / MAPPING_NAME).absolute()
        # A folder is read by its own sources.yml, and whole: by the sources.yml alone its other files would be left.
        source = self._path.absolute() if self._path.is_dir() else path
        what = f"Add it to {path} (one entry a file)" if path.exists() else f"Save it as {path}"
        return f"{what} and run: pulse run --source {shlex.quote(str(source))}"

    def _deliver(self, contract: Contract, folder: Path, request: Request) -> list[Delivery]:
        request = self.request(request)
        planned, mistakes = self.plans()
        if mistakes:
            raise SourceError("\n".join(str(error) for _, error in mistakes))
        plans = [plan for plan in planned if plan.contract == contract]

        def age(plan: Plan) -> tuple[bool, int, int, str]:
            known = request.known.get(plan.sha256)
            batch = known.batch if known else request.first_read.get(plan.sha256)
            return batch is None, batch or 0, plan.version[0], plan.name

        deliveries = []
        for number, plan in enumerate(sorted(plans, key=age)):
            known = request.known.get(plan.sha256)
            if known is None or known.is_due(request.received_on):
                # Of a file that was set aside nothing was taken.
                read_to = known.read_to if known is not None and known.set_aside is None else None
                after = date.fromisoformat(read_to) if read_to else None
                deliveries.append(read_file(plan, folder / f"{number:05d}", self._quarantine, request, after=after))
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
                        left_out=known.left_out,
                        currency=known.currency,
                        size=known.size,
                    )
                )
        return deliveries

    def _found(self) -> list[_Found]:
        """All files, with what is known about them before they are opened."""
        mapped = self._mapped()
        if self._path.is_file():
            if self._mapping is None:
                return [_Found(self._path, self._path.name, None)]
            if self._mapping.path == self._path:
                return mapped
            # One file was asked for; of the sources.yml beside it only what it says of that file counts.
            own = [found for found in mapped if found.path.resolve() == self._path.resolve()]
            return own or [_Found(self._path, self._path.name, None)]
        taken = {os.path.realpath(found.path) for found in mapped}
        found = [
            _Found(path, self._name(path), _placed(path.relative_to(self._path)))
            for path in _visible(self._path)
            if os.path.realpath(path) not in taken
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
            is_asked_for = self._path.is_dir() or self._path == self._mapping.path
            if not paths and is_asked_for and not (is_pattern and self._path.is_dir()):
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

    def plans(self) -> tuple[list[Plan], list[tuple[str, SourceError]]]:
        """How every file is read, and what is wrong with those that cannot be told or laid out, by the file's name."""
        if self._planned is None:
            plans: list[Plan] = []
            mistakes = []
            for found in self._found():
                # Unlike Path.resolve, this takes links that lead nowhere for what they are.
                if Path(os.path.realpath(found.path)) in self._leave:
                    continue
                try:
                    plans += self._plan(found)
                except SourceError as error:
                    mistakes.append((found.name, error))
            self._planned = plans, mistakes
        return self._planned

    def changes(self, known: Named[str, KnownFile]) -> Changes:
        """What has become of the files that earlier refreshes read; see `sources.delivery.Source`."""
        plans, _ = self.plans()
        present = {plan.sha256 for plan in plans}
        by_name = {(plan.name, plan.contract.name): plan for plan in plans}
        cut_short, gone = [], []
        for content_hash, file in known.items():
            if content_hash in present or file.set_aside is not None or file.rows == file.quarantined:
                continue
            longer = by_name.get((file.name, file.table))
            if longer is None or not _begins_with(longer, content_hash, file.size):
                gone.append(file.name)
            elif _is_within_a_line(longer.path, file.size):
                cut_short.append(file.name)
        return Changes(tuple(sorted(set(cut_short))), tuple(sorted(set(gone))))

    def request(self, request: Request) -> Request:
        """A request, completed by what sources.yml says of all files."""
        if self._mapping is None:
            return request
        said = self._mapping.document
        return replace(request, timezone=said.timezone or request.timezone, currency=said.currency or request.currency)

    def _plan(self, found: _Found) -> Iterator[Plan]:
        """How a file, each file of an archive, or each sheet of a workbook is read."""
        try:
            version = file_version(found.path)
            with found.path.open("rb"):
                pass
        except OSError as error:
            target = f" (a link to {found.path.readlink()})" if found.path.is_symlink() else ""
            raise SourceError(
                f"{found.name}{target}: cannot be opened ({error.strerror}). Restore it or its permissions, or take it "
                "out of the folder."
            ) from error
        if self._unpacked is None:
            self._unpacked = Path(tempfile.mkdtemp(prefix="pulse-"))
            weakref.finalize(self, shutil.rmtree, self._unpacked, ignore_errors=True)
        folder = self._unpacked / hashlib.sha256(str(found.path).encode()).hexdigest()
        parts = unpack(found.path, found.name, folder)
        if found.entry and found.entry.sheet is not None:
            sheets = [part.sheet for part in parts if part.sheet is not None]
            parts = [part for part in parts if part.sheet == found.entry.sheet]
            if not parts:
                raise SourceError(
                    f"{found.where}.sheet: {found.name} has no sheet {found.entry.sheet!r} that holds anything. "
                    f"Found: {', '.join(sheets)}."
                )
        plans, mistakes = [], []
        for part in parts:
            try:
                plans.append(self._plan_part(found, part, version))
            except SourceError as error:
                mistakes.append(error)
        # A workbook also holds notes and sums; they may be left alone when something else in it can be told.
        if mistakes and not (plans and all(part.sheet is not None for part in parts) and found.contract is None):
            raise mistakes[0]
        yield from plans

    def _plan_part(self, found: _Found, part: Part, version: tuple[int, int]) -> Plan:
        seen = fingerprint(part.path)
        types: tuple[str, ...] = ()
        layout = None
        entry = found.entry
        if part.kind == "parquet":
            header, types = _parquet_columns(part)
        elif part.kind == "json":
            with duckdb.connect() as con:
                layout = lay_out_json(con, part.path, part.name, seen)
            header = layout.header
        else:
            layout = lay_out(
                part.path,
                part.name,
                seen,
                delimiter="," if part.sheet is not None else entry.delimiter if entry else None,
                header=entry.header if entry else None,
                skip_lines=entry.skip_lines if entry else None,
                could_be_header=lambda fields: self._could_be_header(found, fields),
            )
            header = layout.header
        contract = found.contract or recognise(part.name, header, self._words)
        # An entry without columns adds to what is known of an export; one with columns replaces it.
        export = known_export(header, contract) if entry is None or not entry.columns else None
        if export is not None:
            entry = export.and_said(entry)
        digest = seen.sha256.copy()
        digest.update(_how_it_is_read(contract, entry))
        return Plan(
            path=part.path,
            origin=found.path,
            name=part.name,
            contract=contract,
            header=header,
            types=types,
            layout=layout,
            sheet=part.sheet,
            feeds=feeds(part.name, contract, header, self._words, mapping=entry, where=found.where),
            entry=entry,
            where=found.where,
            sha256=digest.hexdigest(),
            version=version,
            size=part.path.stat().st_size,
        )

    def _could_be_header(self, found: _Found, fields: Sequence[str]) -> bool:
        """Whether a line is the header, as far as can be told from what is asked of it."""
        if found.entry:
            asked = {label for column in found.entry.columns.values() for label in column.from_}
            if asked:
                return asked <= set(fields)
        return could_be_header(fields, found.contract, self._words)


def _how_it_is_read(contract: Contract, entry: FileMapping | None) -> bytes:
    """What a file's hash holds beside its bytes."""
    return json.dumps([contract.name, entry.fingerprint if entry else None]).encode()


def _begins_with(plan: Plan, content_hash: str, size: int) -> bool:
    """Whether a file begins with what was once all of it, read likewise."""
    if not 0 < size < plan.size:
        return False
    digest = hashlib.sha256()
    with plan.path.open("rb") as file:
        while size and (piece := file.read(min(size, _PIECE))):
            digest.update(piece)
            size -= len(piece)
    digest.update(_how_it_is_read(plan.contract, plan.entry))
    return digest.hexdigest() == content_hash


def _is_within_a_line(path: Path, place: int) -> bool:
    """Whether a line of a text goes on both before and after a place."""
    with path.open("rb") as file:
        file.seek(place - 1)
        around = file.read(2)
    return not any(end in around for end in (b"\r", b"\n"))


def _placed(relative: Path) -> Contract | None:
    """The table that a file's folder names: <source>/<table>/."""
    return BY_NAME.get(".".join(relative.parts[:2])) if len(relative.parts) > 2 else None


def _parquet_columns(part: Part) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names and types of the columns."""
    try:
        rows = duckdb.execute(f"describe from read_parquet({literal(str(part.path))})").fetchall()
    except duckdb.Error as error:
        raise SourceError(f"{part.name}: cannot be read as Parquet ({error}). Export it anew.") from error
    return tuple(row[0] for row in rows), tuple(str(row[1]) for row in rows)
