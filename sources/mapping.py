"""What a user says about files that do not speak for themselves: `sources.yml`, read and checked.

Every mistake in it is reported with the file, the path of the key and what is allowed there. Which header fits which
contract is decided in `recognition`; no data file is opened here.
"""

from __future__ import annotations

import datetime
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

from sources.contracts import BY_NAME, Column, Contract, Kind
from sources.delivery import SourceError

Delimiter = Literal[",", ";", "\t", "|", "whitespace"]
"""What separates the fields of a line; "whitespace" is any run of spaces and tabs."""

DATE_KINDS = (Kind.TIMESTAMP, Kind.DATE)
NUMBER_KINDS = (Kind.NUMBER, Kind.INTEGER, Kind.RATE)

EXCEL = "excel"
"""The format of dates that are numbers of days, as spreadsheets count them."""

UNIX_UNITS = {"unix": 1, "unix_ms": 1000}
"""Formats of times that are numbers since 1970, with their ticks a second."""

Decimal = Literal[".", ","]
"""What separates a number's decimals."""

Unit = Literal["cents", "percent", "thousands"]
"""What a number counts, where it is not the contract's own unit."""

Sign = Literal["reversed", "negative", "positive"]
"""How a number's sign becomes the contract's: turned round, or the same for every row."""

HELPERS: dict[str, tuple[Column, ...]] = {
    "shop.sales": (
        Column("discount_amount", Kind.NUMBER, "Money taken off the line; gives discount_rate and amount."),
        Column("order_amount", Kind.NUMBER, "Paid for all lines of the order together; derived amounts add up to it."),
    ),
}
"""Columns that are no contract's own but help to derive one, by table."""


def columns_by_name(contract: Contract) -> dict[str, Column]:
    """All columns that sources.yml may map for a table, its helpers last."""
    return {column.name: column for column in (*contract.columns, *HELPERS.get(contract.name, ()))}


def _spelled_out(value: Any) -> Any:
    """`sold_at: date` is short for `sold_at: {from: date}`, and a list for columns to be joined."""
    return {"from": value} if isinstance(value, str | list) else value


def _tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _constant_text(value: Any) -> Any:
    """A constant as a file would hold it: YAML reads `1`, `true` and `2024-01-05` as something other than text."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if value is None or isinstance(value, dict | list) else str(value)


def _texts(value: Any) -> Any:
    """`Status: paid` is short for `Status: [paid]`; YAML's numbers and truths are text in a file."""
    return tuple(_constant_text(one) for one in (value if isinstance(value, list | tuple) else [value]))


_One = str | int | float | bool


class ColumnMapping(BaseModel):
    """Where one contract column comes from.

    Args:
        from_: The file's column, as its header spells it; several are joined by a space.
        format: How its dates are written: strptime's codes, excel, unix or unix_ms; for dates and timestamps only.
        constant: The same value for every row, in place of a file column.
        unit: What its numbers count, where not whole units of money or shares of one: cents, percent or thousands.
        sign: For numbers: reversed where the file writes sales as negative; negative or positive to give every row
            that sign, as for a file of refunds written without one.
        values: What the file's values stand for; others count as missing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_: Annotated[tuple[StrictStr, ...], BeforeValidator(_tuple, json_schema_input_type=str | list[str])] = Field(
        default=(), alias="from"
    )
    format: StrictStr | None = None
    constant: Annotated[
        StrictStr | None,
        BeforeValidator(_constant_text, json_schema_input_type=str | int | float | bool | datetime.date | None),
    ] = None
    unit: Unit | None = None
    sign: Sign | None = None
    values: dict[
        StrictStr,
        Annotated[StrictStr, BeforeValidator(_constant_text, json_schema_input_type=str | int | float | bool)],
    ] = Field(default_factory=dict)


class FillDown(BaseModel):
    """Columns that stand on one row of several that belong together, such as an order's status on its first line.

    Args:
        by: The file column whose equal values tell which rows belong together.
        columns: The file columns to fill in on the others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: StrictStr
    columns: tuple[StrictStr, ...]


Values = Annotated[tuple[StrictStr, ...], BeforeValidator(_texts, json_schema_input_type=_One | list[_One])]
"""Values of a column, as the file writes them."""


class FileMapping(BaseModel):
    """How the files of one path, or of one glob pattern, are read.

    Args:
        path: File or glob pattern, relative to the sources.yml.
        table: The contract's name.
        sheet: The one sheet of a workbook that is meant; all of them where not given.
        delimiter: What separates fields; found out from the first line where not given.
        skip_lines: Lines above the header, or above the first row where there is no header.
        header: Column names of a file that has no header line.
        decimal: What separates decimals; found out from all its numbers where not given.
        timezone: IANA name of the zone of the file's times that carry none; the business's own where not given.
        where: File column to the values of the rows to keep; a row must fit all of them.
        where_not: File column to the values of the rows to leave out.
        fill_down: Columns to fill in before anything else is looked at.
        columns: Contract column to file column; others are recognised by their names, except the amount of a sale
            whose quantity and unit price are both given here.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: StrictStr
    table: StrictStr
    sheet: StrictStr | None = None
    delimiter: Delimiter | None = None
    skip_lines: int | None = Field(default=None, ge=0)
    header: tuple[StrictStr, ...] | None = None
    decimal: Decimal | None = None
    timezone: StrictStr | None = None
    where: dict[StrictStr, Values] = Field(default_factory=dict)
    where_not: dict[StrictStr, Values] = Field(default_factory=dict)
    fill_down: FillDown | None = None
    columns: dict[
        StrictStr,
        Annotated[ColumnMapping, BeforeValidator(_spelled_out, json_schema_input_type=str | list[str] | ColumnMapping)],
    ] = Field(default_factory=dict)

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


class Document(BaseModel):
    """The whole sources.yml.

    Args:
        timezone: IANA name of the business's zone, which times that carry one are converted to; UTC where neither it
            nor PULSE_TIMEZONE says otherwise.
        currency: What all amounts are in, such as EUR. A file that says otherwise is refused.
        aliases: Other names of contract columns, by table and column, beside those of aliases.yml.
        files: How files are read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    timezone: StrictStr | None = None
    currency: Annotated[StrictStr | None, Field(pattern=r"^[A-Z]{3}$")] = None
    aliases: dict[StrictStr, dict[StrictStr, Values]] = Field(default_factory=dict)
    files: tuple[FileMapping, ...] = ()


@dataclass(frozen=True)
class Mapping:
    """A checked sources.yml.

    Args:
        path: The file itself.
        digest: SHA-256 of its content, in hex.
        document: What it says.
    """

    path: Path
    digest: str
    document: Document

    @property
    def files(self) -> tuple[FileMapping, ...]:
        """Its entries, in order."""
        return self.document.files

    @property
    def timezone(self) -> str | None:
        """IANA name of the business's zone, where it says one."""
        return self.document.timezone

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
        document = Document.model_validate(raw)
    except ValidationError as error:
        raise SourceError("\n".join(_in_words(path, detail) for detail in error.errors())) from error
    mistakes = [
        mistake for index, entry in enumerate(document.files) for mistake in entry_mistakes(f"files[{index}]", entry)
    ]
    mistakes += _zone_mistakes("timezone", document.timezone)
    mistakes += [mistake for table, names in document.aliases.items() for mistake in _alias_mistakes(table, names)]
    if mistakes:
        raise SourceError("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return Mapping(path, hashlib.sha256(content).hexdigest(), document)


def json_schema() -> str:
    """The JSON schema of a sources.yml, for editors; the tables' names and columns are among what it allows."""
    schema = Document.model_json_schema(by_alias=True, mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "sources.yml"
    entry = schema["$defs"]["FileMapping"]["properties"]
    entry["table"]["enum"] = list(BY_NAME)
    entry["columns"]["propertyNames"] = {
        "enum": sorted({name for contract in BY_NAME.values() for name in columns_by_name(contract)})
    }
    schema["properties"]["aliases"]["propertyNames"] = {"enum": list(BY_NAME)}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def suggestion(wrong: str, allowed: Iterable[str]) -> str:
    """A hint at the nearest allowed name, with a leading space, or nothing when none is near."""
    near = difflib.get_close_matches(wrong, list(allowed), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _zone_mistakes(place: str, zone: str | None) -> list[str]:
    if zone is None or zone in zoneinfo.available_timezones():
        return []
    hint = suggestion(zone, zoneinfo.available_timezones())
    return [f"{place}: {zone!r} is not an IANA zone such as Europe/Berlin.{hint}"]


def _no_such_table(place: str, table: str) -> str:
    return f"{place}: there is no table {table!r}.{suggestion(table, BY_NAME)} Allowed: {', '.join(BY_NAME)}."


def _no_such_column(place: str, table: str, name: str, names: Iterable[str]) -> str:
    names = list(names)
    return f"{place}: {table} has no column {name!r}.{suggestion(name, names)} Allowed: {', '.join(names)}."


def _alias_mistakes(table: str, names: dict[str, tuple[str, ...]]) -> list[str]:
    if table not in BY_NAME:
        return [_no_such_table(f"aliases.{table}", table)]
    columns = BY_NAME[table].column_names
    return [_no_such_column(f"aliases.{table}.{name}", table, name, columns) for name in names if name not in columns]


def entry_mistakes(here: str, entry: FileMapping) -> list[str]:
    """What is wrong in one entry beyond its shape.

    Args:
        here: The entry's place, for messages.
        entry: The entry.
    """
    if entry.table not in BY_NAME:
        return [_no_such_table(f"{here}.table", entry.table)]
    columns = columns_by_name(entry.contract)
    found = _zone_mistakes(f"{here}.timezone", entry.timezone)
    for name, column in entry.columns.items():
        place = f"{here}.columns.{name}"
        if name not in columns:
            found.append(_no_such_column(place, entry.table, name, columns))
            continue
        kind = columns[name].kind
        found += [
            f"{place}.{key}: {entry.table}.{name} holds {kind}, not a number; remove the {key}."
            for key, said in (("unit", column.unit), ("sign", column.sign))
            if said and kind not in NUMBER_KINDS
        ]
        if (not column.from_) == (column.constant is None):
            found.append(f"{place}: give either from (the file's column) or constant (one value for all rows).")
        if len(column.from_) > 1 and kind not in (Kind.TEXT, Kind.ID):
            found.append(f"{place}: {entry.table}.{name} holds {kind}; only text can be joined from several columns.")
        found += [
            f"{place}: {here}.header has no {label!r}.{suggestion(label, entry.header)}"
            for label in column.from_
            if entry.header is not None and label not in entry.header
        ]
        if column.format is not None:
            found += [
                f"{place}.format: {what}" for what in _format_mistakes(f"{entry.table}.{name}", kind, column.format)
            ]
    return found


def _format_mistakes(place: str, kind: Kind, text: str) -> list[str]:
    if kind not in DATE_KINDS:
        return [f"{place} holds {kind}, not a date; remove the format."]
    if text == EXCEL or text in UNIX_UNITS:
        return []
    try:
        duckdb.execute("select try_strptime('', $1)", [text])
    except duckdb.Error:
        return [
            f'{text!r} is not a date format. Write it in strptime\'s codes, such as "%d/%m/%Y %H:%M", or excel, unix '
            "or unix_ms."
        ]
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
        choices = str(detail.get("ctx", {}).get("expected", "")).replace("'", '"')
        return f"{path}: {key}: {detail['input']!r} is not allowed. Allowed: {choices}."
    wanted = {
        "string_type": "must be text; put it in quotes",
        "tuple_type": "must be a list",
        "dict_type": "must be a list of keys with values",
        "model_type": "must hold keys with values",
    }.get(detail["type"], detail["msg"])
    return f"{path}: {key}: {wanted} (found {detail['input']!r})."


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    """Which part of the document a key path lies in."""
    if "fill_down" in location:
        return FillDown
    if "columns" in location:
        return ColumnMapping
    return FileMapping if location and location[0] == "files" else Document
