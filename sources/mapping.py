"""What a user says about files that do not speak for themselves: `sources.yml`, read and checked.

Every mistake in it is reported with the file, the path of the key and what is allowed there. Which header fits which
contract is decided in `recognition`; no data file is opened here.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, ValidationError
from pydantic_core import ErrorDetails

from sources.contracts import BY_NAME, Contract, Kind
from sources.delivery import SourceError

Delimiter = Literal[",", ";", "\t", "|", "whitespace"]
"""What separates the fields of a line; "whitespace" is any run of spaces and tabs."""

DATE_KINDS = (Kind.TIMESTAMP, Kind.DATE)


def _spelled_out(value: Any) -> Any:
    """`sold_at: date` is short for `sold_at: {from: date}`."""
    return {"from": value} if isinstance(value, str) else value


def _constant_text(value: Any) -> Any:
    """A constant as a file would hold it: YAML reads `1`, `true` and `2024-01-05` as something other than text."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None or isinstance(value, dict | list) else str(value)


class ColumnMapping(BaseModel):
    """Where one contract column comes from.

    Args:
        from_: The file's column, as its header spells it.
        format: How its dates are written, in strptime's codes; for dates and timestamps only.
        constant: The same value for every row, in place of a file column.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_: StrictStr | None = Field(default=None, alias="from")
    format: StrictStr | None = None
    constant: Annotated[StrictStr | None, BeforeValidator(_constant_text)] = None


class FileMapping(BaseModel):
    """How the files of one path, or of one glob pattern, are read.

    Args:
        path: File or glob pattern, relative to the sources.yml.
        table: The contract's name.
        delimiter: What separates fields; found out from the first line where not given.
        header: Column names of a file that has no header line.
        columns: Contract column to file column; others are recognised by their names, except the amount of a sale
            whose quantity and unit price are both given here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: StrictStr
    table: StrictStr
    delimiter: Delimiter | None = None
    header: tuple[StrictStr, ...] | None = None
    columns: dict[StrictStr, Annotated[ColumnMapping, BeforeValidator(_spelled_out)]] = Field(default_factory=dict)

    @property
    def contract(self) -> Contract:
        """The contract named by `table`."""
        return BY_NAME[self.table]

    @property
    def fingerprint(self) -> str:
        """Text that changes when the same file would be read otherwise."""
        return json.dumps(self.model_dump(by_alias=True, exclude={"path"}), sort_keys=True)

    def paths(self, base: Path) -> list[Path]:
        """The existing files it speaks of.

        Args:
            base: Folder of the sources.yml.
        """
        exact = base / self.path
        if exact.is_file():
            return [exact]
        pattern = Path(self.path)
        root = Path(pattern.anchor) if pattern.is_absolute() else base
        return sorted(path for path in root.glob(str(pattern.relative_to(pattern.anchor))) if path.is_file())


class _Document(BaseModel):
    """The whole sources.yml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timezone: StrictStr | None = None
    files: tuple[FileMapping, ...] = ()


@dataclass(frozen=True)
class Mapping:
    """A checked sources.yml.

    Args:
        path: The file itself.
        digest: SHA-256 of its content, in hex.
        timezone: IANA name of the zone that zoned times are converted to, or None for the request's.
        files: Its entries, in order.
    """

    path: Path
    digest: str
    timezone: str | None
    files: tuple[FileMapping, ...]

    def where(self, index: int, *keys: str) -> str:
        """Names a place in the file for a message: ``sources.yml: files[0].columns.sold_at``."""
        return f"{self.path}: " + ".".join((f"files[{index}]", *keys))


def load_mapping(path: Path) -> Mapping:
    """Read and check a sources.yml.

    Args:
        path: The file.

    Returns:
        The mapping; tables, contract columns, formats and the zone named in it exist.

    Raises:
        SourceError: It cannot be read, is not YAML, or says something it may not; all mistakes are named at once.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}).") from error
    try:
        raw = yaml.safe_load(content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise SourceError(f"{path}{place}: not valid YAML ({getattr(error, 'problem', None) or error}).") from error
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise SourceError(f"{path}: must hold the key files, with a list of path and table. See data/samples/cdnow.")
    try:
        document = _Document.model_validate(raw)
    except ValidationError as error:
        raise SourceError("\n".join(_in_words(path, detail) for detail in error.errors())) from error
    mistakes = [mistake for index, entry in enumerate(document.files) for mistake in _mistakes(index, entry)]
    if document.timezone is not None and document.timezone not in zoneinfo.available_timezones():
        hint = suggestion(document.timezone, zoneinfo.available_timezones())
        mistakes.append(f"timezone: {document.timezone!r} is not an IANA zone such as Europe/Berlin.{hint}")
    if mistakes:
        raise SourceError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return Mapping(path, hashlib.sha256(content).hexdigest(), document.timezone, document.files)


def suggestion(wrong: str, allowed: Iterable[str]) -> str:
    """A hint at the nearest allowed name, with a leading space, or nothing when none is near."""
    near = difflib.get_close_matches(wrong, list(allowed), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _mistakes(index: int, entry: FileMapping) -> list[str]:
    """What is wrong in one entry beyond its shape."""
    here = f"files[{index}]"
    if entry.table not in BY_NAME:
        hint = suggestion(entry.table, BY_NAME)
        return [f"{here}.table: there is no table {entry.table!r}.{hint} Allowed: {', '.join(BY_NAME)}."]
    found = []
    for name, column in entry.columns.items():
        place = f"{here}.columns.{name}"
        if name not in entry.contract.column_names:
            names = entry.contract.column_names
            hint = suggestion(name, names)
            found.append(f"{place}: {entry.table} has no column {name!r}.{hint} Allowed: {', '.join(names)}.")
            continue
        if (column.from_ is None) == (column.constant is None):
            found.append(f"{place}: give either from (the file's column) or constant (one value for all rows).")
        if column.from_ is not None and entry.header is not None and column.from_ not in entry.header:
            hint = suggestion(column.from_, entry.header)
            found.append(f"{place}: {here}.header has no {column.from_!r}.{hint}")
        if column.format is not None:
            found.extend(f"{place}.format: {what}" for what in _format_mistakes(entry.contract, name, column.format))
    return found


def _format_mistakes(contract: Contract, name: str, text: str) -> list[str]:
    kind = contract.column(name).kind
    if kind not in DATE_KINDS:
        return [f"{contract.name}.{name} holds {kind}, not a date; remove the format."]
    try:
        duckdb.execute("select try_strptime('', $1)", [text])
    except duckdb.Error:
        return [f'{text!r} is not a date format. Write it in strptime\'s codes, such as "%d/%m/%Y %H:%M".']
    return []


def _in_words(path: Path, detail: ErrorDetails) -> str:
    """One of pydantic's findings as a sentence with the key's path."""
    location = detail["loc"]
    key = ""
    for part in location:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else part
    if detail["type"] == "extra_forbidden":
        model = _model_at(location[:-1])
        allowed = [field.alias or name for name, field in model.model_fields.items()]
        hint = suggestion(str(location[-1]), allowed)
        return f"{path}: {key}: unknown key.{hint} Allowed: {', '.join(allowed)}."
    if detail["type"] == "missing":
        return f"{path}: {key}: missing."
    if detail["type"] == "literal_error":
        return f'{path}: {key}: {detail["input"]!r} is not allowed. Allowed: ",", ";", "\\t", "|", whitespace.'
    wanted = {
        "string_type": "must be text; put it in quotes",
        "tuple_type": "must be a list",
        "dict_type": "must be a list of keys with values",
        "model_type": "must hold keys with values",
    }.get(detail["type"], detail["msg"])
    return f"{path}: {key}: {wanted} (found {detail['input']!r})."


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """Which part of the document a key path lies in."""
    if "columns" in location:
        return ColumnMapping
    return FileMapping if location else _Document
