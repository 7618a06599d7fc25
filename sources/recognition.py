"""Which contract a header fits, and which file column feeds which contract column.

It looks at names only, never at values, and refuses where two readings are possible. How fields are separated is
`text_files`' business, how values are read `typing_sql`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from sources.contracts import BY_NAME, CONTRACTS, Contract
from sources.delivery import SourceError
from sources.mapping import FileMapping, suggestion


@dataclass(frozen=True)
class Feed:
    """Where one contract column's values come from.

    Args:
        index: Position of the file column, counted from 0; None for a constant.
        label: The file column's name as the header spells it, or the constant.
        format: How its dates are written, where the user said so.
        constant: The value of every row, where there is no file column.
        said: Whether sources.yml names it, rather than the column's own name.
    """

    index: int | None
    label: str
    format: str | None = None
    constant: str | None = None
    said: bool = False


Feeds = dict[str, Feed]
"""Feeds by contract column, in the contract's order."""


def plain(name: str) -> str:
    """A column name without case, spaces and punctuation."""
    return "".join(character for character in name.casefold() if character.isalnum())


@cache
def _names(table: str) -> dict[str, str]:
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


def _named(contract: Contract, header: Sequence[str]) -> dict[str, list[int]]:
    """Positions of the file columns by the contract column they are named for."""
    found: dict[str, list[int]] = {}
    for index, label in enumerate(header):
        column = _names(contract.name).get(plain(label))
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


def _stranger(contract: Contract, header: Sequence[str], named: dict[str, list[int]]) -> tuple[str, str] | None:
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
            column = _names(other.name).get(plain(label))
            if index not in own and other.event_at is not None and column in other.required:
                return label, f"{other.name}.{column}"
    return None


def _fits(contract: Contract, header: Sequence[str]) -> bool:
    named = _named(contract, header)
    if missing(contract, set(named)) or _stranger(contract, header, named):
        return False
    return len(named) > 1


def recognise(name: str, header: Sequence[str]) -> Contract:
    """Find the one contract that a header fits.

    A contract fits when all it requires is there. Of two that fit, the one that explains every column the other
    does, and more, is meant.

    Args:
        name: The file's name, for messages.
        header: The file's column names.

    Returns:
        The contract.

    Raises:
        SourceError: No contract fits, or more than one does.
    """
    explained = {
        contract.name: {index for indexes in _named(contract, header).values() for index in indexes}
        for contract in CONTRACTS
        if _fits(contract, header)
    }
    fitting = [table for table, own in explained.items() if not any(own < other for other in explained.values())]
    if len(fitting) == 1:
        return BY_NAME[fitting[0]]
    if fitting:
        raise SourceError(
            f"{name}: its header fits {' and '.join(fitting)}.\n"
            f"  found: {', '.join(header)}\n"
            f"  Say which: put the file into landing/{fitting[0].replace('.', '/')}/ (or the other's folder), "
            f"or name the table in sources.yml:\n{setting_lines(name, BY_NAME[fitting[0]], {})}"
        )
    raise _no_fit(name, header)


def _no_fit(name: str, header: Sequence[str]) -> SourceError:
    """Says what the nearest contract lacks, and how to give it."""

    def nearness(contract: Contract) -> tuple[int, bool]:
        named = _named(contract, header)
        return len(named), bool(missing(contract, set(named)))

    nearest = max(CONTRACTS, key=nearness)
    # A file of sales is what people bring first, and names of buyers and products stand in it too.
    if nearest.name in ("shop.customers", "shop.products"):
        sales = BY_NAME["shop.sales"]
        if {"sold_at", "amount"} & set(_named(sales, header)):
            nearest = sales
    named = _named(nearest, header)
    absent = missing(nearest, set(named))
    stranger = _stranger(nearest, header, named)
    if absent:
        why = f"nearest is {nearest.name}, which misses {', '.join(absent)}"
    elif stranger:
        why = f"nearest is {nearest.name}, but {stranger[0]!r} looks like {stranger[1]}"
    else:
        why = f"nearest is {nearest.name}, but nothing beside {nearest.key} is there"
    return SourceError(
        f"{name}: its header fits no table: {why}.\n"
        f"  found: {', '.join(header)}\n"
        f"  Say in sources.yml what the columns are:\n"
        f"{_blanks(name, nearest, absent)}"
    )


def yaml_text(text: str) -> str:
    """Text as YAML takes it: in quotes unless it is a plain word."""
    return text if re.fullmatch(r"[^\W\d][\w ./-]*", text) else json.dumps(text, ensure_ascii=False)


_FIRST_LINE = "    files:"


def setting_lines(name: str, contract: Contract, columns: dict[str, str], note: str = "") -> str:
    """The lines for sources.yml that settle how a file is read, indented for a message.

    Args:
        name: The file's name.
        contract: The table it is read as.
        columns: Contract column to what sources.yml shall say of it, as YAML.
        note: A comment to end with.
    """
    lines = [_FIRST_LINE, f"      - path: {yaml_text(name)}", f"        table: {contract.name}"]
    if columns:
        lines += ["        columns:", *(f"          {column}: {source}" for column, source in columns.items())]
    if note:
        lines.append(f"{' ' * (10 if columns else 8)}# {note}")
    return "\n".join(lines)


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


def feeds(name: str, contract: Contract, header: Sequence[str], mapping: FileMapping | None, where: str = "") -> Feeds:
    """Decide where each contract column comes from.

    What the user did not map is recognised by name, except an amount where quantity and unit price are mapped.

    Args:
        name: The file's name, for messages.
        contract: The table it is read as.
        header: The file's column names.
        mapping: What the user said about it.
        where: The mapping's place, for messages.

    Returns:
        Feeds of all contract columns the file has.

    Raises:
        SourceError: A mapped column is not in the file, two file columns are meant for one contract column, or a
            required column is missing.
    """
    said = mapping.columns if mapping else {}
    taken: dict[str, Feed] = {}
    for column, source in said.items():
        if source.from_ is None:
            taken[column] = Feed(None, source.constant or "", source.format, source.constant, said=True)
            continue
        positions = [index for index, label in enumerate(header) if label == source.from_]
        if len(positions) != 1:
            what = "more than one column" if positions else "no column"
            hint = "" if positions else suggestion(source.from_, header)
            raise SourceError(
                f"{where}.columns.{column}: {name} has {what} {source.from_!r}.{hint} Found: {', '.join(header)}."
            )
        taken[column] = Feed(positions[0], source.from_, source.format, said=True)
    # Who maps both means the lines' own amounts; a column such as Total beside them may hold whole orders' amounts.
    refused = {"amount"} if derives_amount(contract, said) else set()
    used = {feed.index for feed in taken.values()}
    for column, indexes in _named(contract, header).items():
        free = [index for index in indexes if index not in used]
        if column in taken or column in refused or not free:
            continue
        if len(free) > 1:
            labels = [header[index] for index in free]
            raise SourceError(
                f"{name}: {' and '.join(repr(label) for label in labels)} both stand for {contract.name}.{column}.\n"
                f"  Say in sources.yml which is meant:\n{setting(name, contract, column, yaml_text(labels[0]))}"
            )
        taken[column] = Feed(free[0], header[free[0]])
    if absent := missing(contract, set(taken)):
        raise SourceError(
            f"{name}: read as {contract.name}, it misses {', '.join(absent)}.\n"
            f"  found: {', '.join(header)}\n"
            f"  Say in sources.yml which columns they are:\n"
            f"{_blanks(name, contract, absent)}"
        )
    return {column: taken[column] for column in contract.column_names if column in taken}
