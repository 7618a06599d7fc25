"""Which contract a header fits, and which file column feeds which contract column.

It looks at names only, never at values, and refuses where two readings are possible. How fields are separated is
`text_files`' business, how values are read `typing_sql`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import yaml

from sources.contracts import BY_NAME, CONTRACTS, Column, Contract, Kind
from sources.delivery import SourceError
from sources.mapping import HELPERS, ColumnMapping, FileMapping, Sign, Unit, columns_by_name, entry_mistakes, suggestion


@dataclass(frozen=True)
class Feed:
    """Where one contract column's values come from.

    Args:
        index: Position of the file column, counted from 0; None for a constant.
        label: The file column's name as the header spells it, or the constant.
        why: How it was found, in a few words.
        format: How its dates are written, where the user said so.
        constant: The value of every row, where there is no file column.
        unit: What its numbers count, where not the contract's unit.
        sign: How its numbers' sign becomes the contract's.
        zone: IANA name of the zone of its times that carry none; the business's own where None.
        joined: Positions of further file columns that are joined to it by a space.
        values: What the file's values stand for; others count as missing. Empty where they stand for themselves.
        said: Whether sources.yml, or the known form of an export, names it, rather than the column's own name.
    """

    index: int | None
    label: str
    why: str
    format: str | None = None
    constant: str | None = None
    unit: Unit | None = None
    sign: Sign | None = None
    zone: str | None = None
    joined: tuple[int, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    said: bool = False


Feeds = dict[str, Feed]
"""Feeds by contract column, in the contract's order, helpers last."""


def columns_of(contract: Contract, feeds: Feeds) -> list[Column]:
    """The contract's columns, and the helpers that a file feeds."""
    helpers = [column for column in HELPERS.get(contract.name, ()) if column.name in feeds]
    return [*contract.columns, *helpers]


def plain(name: str) -> str:
    """A column name without case, spaces and punctuation."""
    return "".join(character for character in name.casefold() if character.isalnum())


class Export(FileMapping):
    """The known form of a program's export: how a file with that header is read.

    Args:
        name: What it is called.
        recognised_by: Columns that together make it unmistakable.
        note: What its reader should know.
    """

    path: str = ""
    name: str
    note: str = ""
    recognised_by: tuple[str, ...]

    def and_said(self, entry: FileMapping | None) -> Export:
        """This form, with what sources.yml adds to it.

        Args:
            entry: An entry without columns, or None.
        """
        if entry is None:
            return self
        said = {name: getattr(entry, name) for name in entry.model_fields_set - {"path", "table", "columns"}}
        for name in ("where", "where_not"):
            if name in said:
                said[name] = getattr(self, name) | said[name]
        return self.model_copy(update=said)


@cache
def known_exports() -> tuple[Export, ...]:
    """The exports of exports.yml.

    Raises:
        ValueError: exports.yml says something it may not.
    """
    document = yaml.safe_load(Path(__file__).with_name("exports.yml").read_text(encoding="utf-8"))
    exports = tuple(Export.model_validate(entry) for entry in document)
    for export in exports:
        if mistakes := entry_mistakes(export.name, export):
            raise ValueError(f"exports.yml: {'; '.join(mistakes)}")
    return exports


@cache
def _built_in_names(table: str) -> dict[str, str]:
    """Contract column by plain name, for one table.

    Raises:
        ValueError: aliases.yml names an unknown table or column, or gives one name to two columns.
    """
    document = yaml.safe_load(Path(__file__).with_name("aliases.yml").read_text(encoding="utf-8"))
    if unknown := set(document) - set(BY_NAME):
        raise ValueError(f"aliases.yml: no contract is called {sorted(unknown)}")
    contract = BY_NAME[table]
    names = {plain(column): column for column in contract.column_names}
    for column, aliases in document[table].items():
        contract.column(column)
        for alias in aliases:
            if names.setdefault(plain(alias), column) != column:
                raise ValueError(f"aliases.yml: {table}: {alias!r} stands for two columns")
    return names


@dataclass(frozen=True)
class Vocabulary:
    """The names that columns go by.

    Args:
        own: Names that sources.yml adds, by table and contract column; they go before the built-in ones.
    """

    own: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def column(self, table: str, label: str) -> str | None:
        """The contract column that a file column is named for."""
        for column, names in self.own.get(table, {}).items():
            if plain(label) in map(plain, names):
                return column
        return _built_in_names(table).get(plain(label))

    def named(self, contract: Contract, header: Sequence[str]) -> dict[str, list[int]]:
        """Positions of the file columns by the contract column they are named for."""
        found: dict[str, list[int]] = {}
        for index, label in enumerate(header):
            column = self.column(contract.name, label)
            if column is not None:
                found.setdefault(column, []).append(index)
        return found


def derives_amount(contract: Contract, present: Iterable[str]) -> bool:
    """Whether these contract columns give an amount: those of a sale, with quantity and unit price among them."""
    return contract.name == "shop.sales" and {"quantity", "unit_price"} <= set(present)


def missing(contract: Contract, present: Sequence[str] | set[str]) -> list[str]:
    """Required contract columns that are absent.

    Args:
        contract: The table.
        present: Names of the contract columns at hand.

    Returns:
        Names in contract order. An amount is not missing where it can be derived from quantity and unit price.
    """
    absent = [name for name in contract.required if name not in present]
    if derives_amount(contract, present):
        absent = [name for name in absent if name != "amount"]
    return absent


def _stranger(
    words: Vocabulary, contract: Contract, header: Sequence[str], named: dict[str, list[int]]
) -> tuple[str, str] | None:
    """A file column that makes the file something other than this table of customers, products or campaigns.

    Those tables require nothing but their key, which nearly every export carries. So a column that they do not
    know and that an event needs (a customer, a time, an amount) speaks against them.

    Returns:
        The file column, and the ``table.column`` it belongs to; None when nothing speaks against it.
    """
    if contract.required != (contract.key,):
        return None
    own = {index for indexes in named.values() for index in indexes}
    for index, label in enumerate(header):
        for other in CONTRACTS:
            column = words.column(other.name, label)
            if index not in own and other.event_at is not None and column in other.required:
                return label, f"{other.name}.{column}"
    return None


def _fits(words: Vocabulary, contract: Contract, header: Sequence[str]) -> bool:
    named = words.named(contract, header)
    if missing(contract, set(named)) or _stranger(words, contract, header, named):
        return False
    return len(named) > 1


def known_export(header: Sequence[str], contract: Contract | None = None) -> Export | None:
    """The program whose export has such a header.

    Args:
        header: The file's column names.
        contract: The table the file is read as, where that is said.

    Returns:
        The export that the most columns speak for; None when none does.
    """
    present = set(map(plain, header))
    fitting = [
        export
        for export in known_exports()
        if present.issuperset(map(plain, export.recognised_by)) and contract in (None, export.contract)
    ]
    return max(fitting, key=lambda export: len(export.recognised_by), default=None)


def could_be_header(header: Sequence[str], contract: Contract | None, words: Vocabulary) -> bool:
    """Whether a line names what a table needs, so that lines above it are no more than a title.

    Args:
        header: The line's fields.
        contract: The table the file is read as, where that is said.
        words: The names that columns go by.
    """
    if known_export(header, contract):
        return True
    if contract is not None:
        return not missing(contract, set(words.named(contract, header)))
    return any(_fits(words, contract, header) for contract in CONTRACTS)


def recognise(name: str, header: Sequence[str], words: Vocabulary) -> Contract:
    """Find the one contract that a header fits.

    A contract fits when all it requires is there. Of two that fit, the one that explains every column the other
    does, and more, is meant.

    Args:
        name: The file's name, for messages.
        header: The file's column names.
        words: The names that columns go by.

    Returns:
        The contract.

    Raises:
        SourceError: No contract fits, or more than one does.
    """
    if export := known_export(header):
        return export.contract
    explained = {
        contract.name: {index for indexes in words.named(contract, header).values() for index in indexes}
        for contract in CONTRACTS
        if _fits(words, contract, header)
    }
    fitting = [table for table, own in explained.items() if not any(own < other for other in explained.values())]
    if len(fitting) == 1:
        return BY_NAME[fitting[0]]
    if fitting:
        raise SourceError(
            f"{name}: its header fits {' and '.join(fitting)}.\n"
            f"  found: {shortened(header)}\n"
            f"  Say which: put the file into landing/{fitting[0].replace('.', '/')}/ (or the other's folder), "
            f"or name the table in sources.yml:\n{setting_lines(name, BY_NAME[fitting[0]], {})}"
        )
    raise _no_fit(name, header, words)


def _no_fit(name: str, header: Sequence[str], words: Vocabulary) -> SourceError:
    """Says what the nearest contract lacks, and how to give it."""

    def nearness(contract: Contract) -> tuple[int, bool]:
        named = words.named(contract, header)
        return len(named), bool(missing(contract, set(named)))

    nearest = max(CONTRACTS, key=nearness)
    # A file of sales is what people bring first, and names of buyers and products stand in it too.
    if nearest.name in ("shop.customers", "shop.products"):
        sales = BY_NAME["shop.sales"]
        if {"sold_at", "amount"} & set(words.named(sales, header)):
            nearest = sales
    named = words.named(nearest, header)
    absent = missing(nearest, set(named))
    stranger = _stranger(words, nearest, header, named)
    if absent:
        why = f"nearest is {nearest.name}, which misses {', '.join(absent)}"
    elif stranger:
        why = f"nearest is {nearest.name}, but {stranger[0]!r} looks like {stranger[1]}"
    else:
        why = f"nearest is {nearest.name}, but nothing beside {nearest.key} is there"
    return SourceError(
        f"{name}: its header fits no table: {why}.\n"
        f"  found: {shortened(header)}\n"
        f"  Say in sources.yml what the columns are:\n"
        f"{_blanks(name, nearest, absent)}"
    )


def yaml_text(text: str) -> str:
    """Text as YAML takes it: in quotes unless it is a plain word."""
    return text if re.fullmatch(r"[^\W\d][\w ./-]*", text) else json.dumps(text, ensure_ascii=False)


_FIRST_LINE = "    files:"

WORKBOOKS = ("xlsx", "xlsm", "xlsb", "xls", "ods")
"""Endings of workbooks; a sheet's name is the workbook's, a slash, and its own."""


def setting_lines(
    name: str, contract: Contract, columns: dict[str, str], note: str = "", more: dict[str, str] | None = None
) -> str:
    """The lines for sources.yml that settle how a file is read, indented for a message.

    Args:
        name: The file's name.
        contract: The table it is read as.
        columns: Contract column to what sources.yml shall say of it, as YAML.
        note: A comment to end with.
        more: Other keys of the entry, as YAML.
    """
    book = re.fullmatch(rf"(.*\.(?:{'|'.join(WORKBOOKS)}))/(.+)", name, re.IGNORECASE)
    path, sheet = (book[1], book[2]) if book else (name, None)
    lines = [_FIRST_LINE, f"      - path: {yaml_text(path)}", f"        table: {contract.name}"]
    if sheet is not None:
        lines.append(f"        sheet: {yaml_text(sheet)}")
    lines += [f"        {key}: {value}" for key, value in (more or {}).items()]
    if columns:
        lines += ["        columns:", *(f"          {column}: {source}" for column, source in columns.items())]
    if note:
        lines.append(f"{' ' * (10 if columns else 8)}# {note}")
    return "\n".join(lines)


def filter_text(label: str, value: str) -> str:
    """A filter by one value of one file column, as YAML."""
    return f"{{{yaml_text(label)}: [{yaml_text(value)}]}}"


def shows_settings(message: str) -> bool:
    """Whether a message shows lines for sources.yml."""
    return _FIRST_LINE in message.splitlines()


def setting(name: str, contract: Contract, column: str, value: str) -> str:
    """The lines for sources.yml that settle how one column is read, indented for a message."""
    return setting_lines(name, contract, {column: value})


def _blanks(name: str, contract: Contract, absent: Sequence[str]) -> str:
    """Lines for sources.yml with absent columns to fill in, and a comment on what else may be said."""
    more = ", ".join(c.name for c in contract.columns if not c.required and c.name != contract.key)
    note = f"{'also' if absent else 'columns'}: {more}" if more else ""
    return setting_lines(name, contract, dict.fromkeys(absent, "<column of the file>"), note)


def feeds(
    name: str,
    contract: Contract,
    header: Sequence[str],
    words: Vocabulary,
    *,
    mapping: FileMapping | None,
    where: str = "",
) -> Feeds:
    """Decide where each contract column comes from.

    What the user did not map is recognised by name, except an amount where quantity and unit price are mapped. In the
    known export of a program nothing is recognised by name.

    Args:
        name: The file's name, for messages.
        contract: The table it is read as.
        header: The file's column names.
        words: The names that columns go by.
        mapping: What the user said about it, or the known form of an export.
        where: The mapping's place, for messages.

    Returns:
        Feeds of all contract columns the file has.

    Raises:
        SourceError: A mapped column is not in the file, two file columns are meant for one contract column, or a
            required column is missing.
    """
    if isinstance(mapping, Export):
        taken = _exported(mapping, header)
    else:
        taken = _said(name, header, mapping, where) if mapping else {}
        _add_named(taken, name, contract, header, words)
    if absent := missing(contract, set(taken)):
        raise SourceError(
            f"{name}: read as {contract.name}, it misses {', '.join(absent)}.\n"
            f"  found: {shortened(header)}\n"
            f"  Say in sources.yml which columns they are:\n"
            f"{_blanks(name, contract, absent)}"
        )
    zone = mapping.timezone if mapping else None
    return {
        name: replace(
            feed := taken[name],
            zone=_zone(feed, zone),
            unit=feed.unit or (_unit_of(feed.label, column) if feed.index is not None else None),
        )
        for name, column in columns_by_name(contract).items()
        if name in taken
    }


def _zone(feed: Feed, zone: str | None) -> str | None:
    """A column's own name may say that its times are UTC."""
    return zone or ("UTC" if re.search(r"\(UTC\)$", feed.label, re.IGNORECASE) else None)


def _exported(export: Export, header: Sequence[str]) -> Feeds:
    """The feeds of a known export; columns that this version of it does not have are left out."""
    why = f"{export.name} export"
    at = {plain(label): index for index, label in reversed(list(enumerate(header)))}
    found = {}
    for column, source in export.columns.items():
        indexes = [at[plain(label)] for label in source.from_ if plain(label) in at]
        if source.constant is not None or len(indexes) == len(source.from_):
            found[column] = _feed(source, indexes, [header[index] for index in indexes], why)
    return found


def _unit_of(label: str, column: Column) -> Unit | None:
    """The unit that a column's own name says."""
    words = re.sub(r"([a-z])([A-Z])", r"\1 \2", label).casefold()
    says_cents = not {"cent", "cents"}.isdisjoint(re.split(r"[^a-z]+", words))
    return "cents" if says_cents and column.kind == Kind.NUMBER else None


def _feed(source: ColumnMapping, indexes: Sequence[int], labels: Sequence[str], why: str) -> Feed:
    return Feed(
        index=indexes[0] if indexes else None,
        label=" + ".join(labels) if labels else source.constant or "",
        why=why,
        format=source.format,
        constant=source.constant,
        unit=source.unit,
        sign=source.sign,
        joined=tuple(indexes[1:]),
        values=tuple(source.values.items()),
        said=True,
    )


def _said(name: str, header: Sequence[str], mapping: FileMapping, where: str) -> Feeds:
    """The feeds that sources.yml names.

    Raises:
        SourceError: The file has no such column, or two.
    """
    found: Feeds = {}
    for column, source in mapping.columns.items():
        indexes = [position(name, header, label, f"{where}.columns.{column}") for label in source.from_]
        found[column] = _feed(source, indexes, source.from_, "sources.yml" if indexes else "constant")
    return found


def position(name: str, header: Sequence[str], label: str, where: str) -> int:
    """Position of the file column that sources.yml, or a known export, names.

    Raises:
        SourceError: There is no such column, or more than one.
    """
    positions = [index for index, own in enumerate(header) if own == label]
    if not positions:
        positions = [index for index, own in enumerate(header) if plain(own) == plain(label)]
    if len(positions) != 1:
        what = "more than one column" if positions else "no column"
        hint = "" if positions else suggestion(label, header)
        raise SourceError(f"{where}: {name} has {what} {label!r}.{hint} Found: {shortened(header)}.")
    return positions[0]


def _add_named(taken: Feeds, name: str, contract: Contract, header: Sequence[str], words: Vocabulary) -> None:
    """Add the feeds that file columns are named for.

    Raises:
        SourceError: Two are named for one contract column.
    """
    # Who maps both means the lines' own amounts; a column such as Total beside them may hold whole orders' amounts.
    refused = {"amount"} if derives_amount(contract, taken) else set()
    used = {index for feed in taken.values() for index in (feed.index, *feed.joined)}
    for column, indexes in words.named(contract, header).items():
        free = [index for index in indexes if index not in used]
        if column in taken or column in refused or not free:
            continue
        if len(free) > 1:
            labels = [header[index] for index in free]
            raise SourceError(
                f"{name}: {' and '.join(repr(label) for label in labels)} both stand for {contract.name}.{column}.\n"
                f"  Say in sources.yml which is meant:\n{setting(name, contract, column, yaml_text(labels[0]))}"
            )
        why = "its name" if plain(header[free[0]]) == plain(column) else "known name"
        taken[column] = Feed(free[0], header[free[0]], why)


def shortened(header: Sequence[str]) -> str:
    """Column names for a message, not more than a reader takes in."""
    more = len(header) - _SHOWN_COLUMNS
    return ", ".join(header[:_SHOWN_COLUMNS]) + (f" and {more:,} more" if more > 0 else "")


_SHOWN_COLUMNS = 100
