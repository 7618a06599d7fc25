"""How a file writes its dates and numbers, found out from its values, and refused where two readings are possible.

How a value is then read is `typing_sql`'s business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from sources.contracts import Column, Contract, Kind
from sources.delivery import SourceError
from sources.mapping import DATE_KINDS, EXCEL, Decimal
from sources.recognition import Feed, Feeds, columns_of, filter_text, setting, setting_lines, yaml_text
from sources.sql import first_row, literal, quoted_name
from sources.typing_sql import CURRENCY_MARK, HALF_DAY, NUMBERS, SHAPES, ZONED, DateStyle, NumberStyle, Styles

NUMBER_KINDS = (Kind.NUMBER, Kind.INTEGER, Kind.RATE)

_PLAIN_CHARACTERS = r"^[-+0-9.eE]*$"
_ORDERS = ("year first", "day first", "month first")


@dataclass(frozen=True)
class Inferred:
    """What values show.

    Args:
        styles: How they are read.
        is_settled: Other values of the same file could not lead to other styles without being unreadable under these.
    """

    styles: Styles
    is_settled: bool


def infer_styles(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    name: str,
    contract: Contract,
    feeds: Feeds,
    *,
    native: frozenset[str] = frozenset(),
    decimal: Decimal | None = None,
    may_group: bool = True,
) -> Inferred:
    """Find out how dates and numbers are written.

    Args:
        con: A connection that sees the relation.
        relation: Name of a relation with one text column per fed contract column, null where empty.
        name: The file's name for messages.
        contract: The table it is read as.
        feeds: Where its columns come from.
        native: Columns that are no text but hold times or numbers already.
        decimal: The decimal mark that sources.yml says.
        may_group: A point may separate thousands; not so where programs wrote the numbers, as in JSON.

    Raises:
        SourceError: A column's dates can be read in two ways, mix two orders, or have years of two digits; amounts
            carry more than one currency.
    """
    dates, is_settled = {}, True
    columns = [column for column in columns_of(contract, feeds) if column.name in feeds and column.name not in native]
    for column in columns:
        if column.kind in DATE_KINDS:
            feed = feeds[column.name]
            if feed.format:
                dates[column.name] = DateStyle(None, feed.format)
            else:
                dates[column.name], decided = _dates(con, relation, name, contract, column=column.name, feed=feed)
                is_settled = is_settled and decided
    numbers = [c for c in columns if c.kind in NUMBER_KINDS and feeds[c.name].constant is None]
    style, decided = _numbers(
        con, relation, name, contract, columns=numbers, feeds=feeds, decimal=decimal, may_group=may_group
    )
    # Among numbers with marks another currency may follow, and reads well.
    return Inferred(Styles(dates, style, native), is_settled and decided and style.plain)


def _dates(
    con: duckdb.DuckDBPyConnection, relation: str, name: str, contract: Contract, *, column: str, feed: Feed
) -> tuple[DateStyle, bool]:
    value = quoted_name(column)
    shapes = " ".join(
        f"when regexp_full_match(v, {literal(shape)}) then {literal(kind)}" for kind, shape in SHAPES.items()
    )
    rows = con.execute(
        f"""
        with valued as (select {value} as v from {relation} where {value} is not null),
        shaped as (select v, case {shapes} end as shape from valued),
        parted as (
            select *, case when shape = 'year last' then cast(regexp_extract(v, '^\\d+') as integer) end as a,
                case when shape = 'year last' then cast(regexp_extract(v, '^\\d+\\D(\\d+)', 1) as integer) end as b
            from shaped where shape is not null
        )
        select
            case when shape = 'year last' then case
                when a between 13 and 31 and b <= 12 then 'day first'
                when b between 13 and 31 and a <= 12 then 'month first'
                when a <= 12 and b <= 12 and a <> b then 'either'
                when a <= 12 and a = b then 'same' else 'neither' end
            else shape end as reading,
            min(v), bool_or(regexp_matches(v, {literal(ZONED)})), bool_or(regexp_matches(v, {literal(HALF_DAY)})),
            bool_and(regexp_matches(v, '^\\d{{4}}-'))
        from parted group by reading order by reading
        """
    ).fetchall()
    examples = {reading: example for reading, example, *_ in rows if reading != "neither"}
    zoned, half_day = any(row[2] for row in rows), any(row[3] for row in rows)
    said = _Said(name, contract, column, feed)
    if not examples:
        _refuse_numbers_as_dates(con, relation, said)
    for reading in ("year short", "month named, year short"):
        if reading in examples:
            example = examples[reading]
            orders = ("day first", "month first") if reading == "year short" else ("month named",)
            raise SourceError(
                f"{said.where} has years of two digits, such as {example!r}: century and order would be guesses.\n"
                + said.settle(*((order, example) for order in orders))
            )
    found = [order for order in (*_ORDERS, "month named") if order in examples]
    year_last = [reading for reading in ("either", "same") if reading in examples]
    if len(found) > 1 or (found in (["year first"], ["month named"]) and year_last):
        shown = [examples[reading] for reading in (*found, *year_last)]
        first, second = dict.fromkeys(shown[:1] + [text for text in shown if text != shown[0]][:1])
        raise SourceError(
            f"{said.where} mixes orders of day, month and year: {first!r} beside {second!r}.\n"
            + said.settle(*((order, examples[order]) for order in found))
            + "\n  Values written otherwise are then quarantined."
        )
    if "either" in examples and not found:
        example = examples["either"]
        raise SourceError(
            f"{said.where} can be read with the day first or the month first, as in {example!r}; no value decides it.\n"
            + said.settle(("day first", example), ("month first", example))
        )
    order = found[0] if found else "day first" if "same" in examples else "year first"
    iso = order == "year first" and all(row[4] for row in rows)
    return DateStyle(order, None, zoned, half_day, iso), bool(found)


@dataclass(frozen=True)
class _Said:
    """A column as messages speak of it."""

    name: str
    contract: Contract
    column: str
    feed: Feed

    @property
    def where(self) -> str:
        return f"{self.name}: column {self.feed.label!r} ({self.contract.name}.{self.column})"

    def lines(self, date_format: str) -> str:
        origin = f"{'from' if self.feed.constant is None else 'constant'}: {yaml_text(self.feed.label)}"
        return setting(self.name, self.contract, self.column, f'{{{origin}, format: "{date_format}"}}')

    def settle(self, *orders: tuple[str, str]) -> str:
        lines = "\n    or, if the other order is meant:\n".join(
            self.lines(strptime_format(example, order)) for order, example in orders
        )
        return f"  Say in sources.yml how the dates are written:\n{lines}"


def _refuse_numbers_as_dates(con: duckdb.DuckDBPyConnection, relation: str, said: _Said) -> None:
    """Refuse a column of dates that holds nothing but the numbers that programs count time in.

    Raises:
        SourceError: It does.
    """
    value = quoted_name(said.column)
    row = first_row(
        con,
        f"""
        select count(v), count(*) filter (regexp_full_match(v, '[234567]\\d{{4}}([.,]\\d+)?')),
            count(*) filter (regexp_full_match(v, '\\d{{9,10}}')),
            count(*) filter (regexp_full_match(v, '\\d{{12,13}}')),
            min(v)
        from (select {value} as v from {relation})
        """,
    )
    if not row[0]:
        return
    for count, how, what in (
        (row[1], EXCEL, "days since 1900, as spreadsheets count them"),
        (row[2], "unix", "seconds since 1970"),
        (row[3], "unix_ms", "milliseconds since 1970"),
    ):
        if count == row[0]:
            raise SourceError(
                f"{said.where} holds numbers such as {row[4]!r}, which look like {what}.\n"
                f"  If so, say in sources.yml:\n{said.lines(how)}"
            )


def strptime_format(example: str, order: str) -> str:
    """The strptime format of dates written like an example.

    Args:
        example: A date, with or without time, that `infer_styles` knows the shape of.
        order: "year first", "day first", "month first" or "month named".
    """
    if order == "month named":
        day, time = _named_format(example)
    else:
        parts = re.match(r"(\d{8})|(\d+)([-/.])(\d+)[-/.](\d+)", example)
        if parts is None:
            raise ValueError(f"{example!r} is not a date of a known shape")
        time = example[parts.end() :]
        if parts[1]:
            day = "%Y%m%d"
        else:
            year = "%y" if len(parts[5]) == 2 and len(parts[2]) < 4 else "%Y"
            codes = {
                "year first": (year, "%m", "%d"),
                "day first": ("%d", "%m", year),
                "month first": ("%m", "%d", year),
            }
            day = parts[3].join(codes[order])
    time = re.sub(r"[AaPp][Mm]$", "%p", time)
    time = re.sub(r"(:\d{2}.*?)(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?)$", r"\1%z", time)
    hour = "%I" if time.endswith("%p") else "%H"
    time = re.sub(r"\d+:\d+(:\d+)?", lambda clock: f"{hour}:%M" + (":%S" if clock[1] else ""), time)
    return day + re.sub(r"\.\d+", ".%f", time)


def _named_format(example: str) -> tuple[str, str]:
    """Format of the day, and the text behind it, of a date with the month's name."""
    parts = re.match(r"([A-Za-z]+\.? )?(\d{1,2})([ ,-]+)([A-Za-z]+)?([ ,-]+)?(\d{4}|\d{2})", example)
    if parts is None:
        raise ValueError(f"{example!r} is not a date of a known shape")
    name = (parts[1] or parts[4] or "").strip()
    month = "%b" if len(name.rstrip(".")) == 3 else "%B"
    month += "." if name.endswith(".") else ""
    year = "%Y" if len(parts[6]) == 4 else "%y"
    if parts[1]:
        return f"{month} %d{parts[3]}{year}", example[parts.end() :]
    return f"%d{parts[3]}{month}{parts[5]}{year}", example[parts.end() :]


def _numbers(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    name: str,
    contract: Contract,
    *,
    columns: Sequence[Column],
    feeds: Feeds,
    decimal: Decimal | None,
    may_group: bool,
) -> tuple[NumberStyle, bool]:
    """How a file's numbers are written, and whether some value decides what the decimal mark is.

    The file decides as a whole, for 1.234 in one column means what the next column's 12,50 says. Where nothing says
    so, a comma separates thousands; points that could do so too are refused.

    Raises:
        SourceError: Its amounts carry more than one currency, or its points may separate thousands or decimals.
    """
    if not columns:
        return NumberStyle(), True
    names = [quoted_name(column.name) for column in columns]
    commas, points = first_row(con, f"select {_only(names, comma=True)}, {_only(names, comma=False)} from {relation}")
    if decimal is None and may_group and not commas and not points:
        _refuse_grouping_points(con, relation, name, contract, columns=columns, feeds=feeds)
    decimal_comma = decimal == "," if decimal is not None else bool(commas > points)
    money = [column.name for column in columns if column.kind == Kind.NUMBER]
    style = NumberStyle(
        decimal_comma,
        plain=_are_plain(con, relation, ", ".join(names), decimal_comma=decimal_comma),
        currency=_currency(con, relation, name, contract, columns=money, feeds=feeds),
    )
    return style, decimal is not None or not may_group or bool(commas or points)


def _refuse_grouping_points(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    name: str,
    contract: Contract,
    *,
    columns: Sequence[Column],
    feeds: Feeds,
) -> None:
    """Refuse 1.250 where no other number of the file tells whether that is a little or a lot.

    Raises:
        SourceError: There is such a number.
    """
    for column in columns:
        value = quoted_name(column.name)
        (example,) = first_row(
            con, f"select min({value}) from {relation} where regexp_full_match({value}, '{_GROUPED_BY_POINTS}')"
        )
        if example is not None:
            lines = [setting_lines(name, contract, {}, more={"decimal": f'"{mark}"'}) for mark in (",", ".")]
            raise SourceError(
                f"{name}: column {feeds[column.name].label!r} ({contract.name}.{column.name}) has numbers such as "
                f"{example!r}, and none in the file tells whether the point separates thousands or decimals.\n"
                f"  Say in sources.yml, if it separates thousands:\n{lines[0]}\n"
                f"    or, if it separates decimals:\n{lines[1]}"
            )


_GROUPED_BY_POINTS = r"[+-]?[1-9]\d{0,2}(\.\d{3})+"


def _only(names: Sequence[str], *, comma: bool) -> str:
    """SQL for how many values can be read with that decimal mark only."""
    own, other = literal(NUMBERS[comma]), literal(NUMBERS[not comma])
    return " + ".join(
        f"count(*) filter (regexp_full_match({value}, {own}) and not regexp_full_match({value}, {other}))"
        for value in names
    )


def _are_plain(con: duckdb.DuckDBPyConnection, relation: str, columns: str, *, decimal_comma: bool) -> bool:
    allowed = r"^[-+0-9,eE]*$" if decimal_comma else _PLAIN_CHARACTERS
    odd = " or ".join(f"not regexp_matches({value}, {literal(allowed)})" for value in columns.split(", "))
    return not con.execute(f"select 1 from {relation} where {odd} limit 1").fetchall()


def _currency(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    name: str,
    contract: Contract,
    *,
    columns: Sequence[str],
    feeds: Feeds,
) -> str | None:
    """The one currency that amounts are written with.

    Raises:
        SourceError: There are two.
    """
    marks: dict[str, str] = {}
    for column in columns:
        value = quoted_name(column)
        rows = con.execute(
            f"""
            select regexp_extract({value}, {literal(CURRENCY_MARK)}) as mark, min({value}) from {relation}
            where regexp_full_match({value}, {literal(NUMBERS[False])})
                or regexp_full_match({value}, {literal(NUMBERS[True])})
            group by 1 having mark <> '' order by 1
            """
        ).fetchall()
        for mark, example in rows:
            marks.setdefault(mark, example)
            if len(marks) > 1:
                raise SourceError(
                    f"{name}: column {feeds[column].label!r} ({contract.name}.{column}) has amounts in more than one "
                    f"currency: {' beside '.join(map(repr, marks.values()))}. They cannot be added up.\n"
                    "  Convert them, or say in sources.yml by which column to tell the rows that count:\n"
                    + setting_lines(
                        name,
                        contract,
                        {},
                        more={"where": filter_text("<column of the file>", "<value of the rows to keep>")},
                    )
                )
    return next(iter(marks), None)
