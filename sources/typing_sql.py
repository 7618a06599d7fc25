"""SQL that turns the text of a field into a value of its contract column, or null where it is none.

How dates and decimals are written is inferred here from all values of a file, and refused where two readings are
possible. Files are neither found nor opened here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from sources.contracts import Column, Contract, Kind
from sources.delivery import SourceError
from sources.mapping import DATE_KINDS
from sources.recognition import Feed, Feeds, setting, yaml_text

_TIME = (
    r"([T ] *\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm]| ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)?"  # 10:15:00.5+02:00, 3:45 PM
)
_YEAR_FIRST = rf"(\d{{4}}([-/.])\d{{1,2}}[-/.]\d{{1,2}}|\d{{8}}){_TIME}"
_YEAR_LAST = rf"\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{4}}{_TIME}"
_YEAR_SHORT = rf"\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2}}{_TIME}"
_ZONED = r":\d{2}.*(Z|UTC|[+-]\d{2}(:?\d{2})?)$"
_HALF_DAY = r"[AaPp][Mm]$"

# What a value must look like under each order, and how it becomes year-month-day.
_ORDERS = {
    "year first": (_YEAR_FIRST, r"^(\d{4})[-/.]?(\d{1,2})[-/.]?(\d{1,2})", r"\1-\2-\3"),
    "day first": (_YEAR_LAST, r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})", r"\3-\2-\1"),
    "month first": (_YEAR_LAST, r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})", r"\3-\1-\2"),
}

_SIGNS = r"([+-]?[$€£¥]?|[$€£¥][+-])"
_POINT = rf"{_SIGNS}(\d+(\.\d*)?|\.\d+|\d{{1,3}}(,\d{{3}})+(\.\d*)?)([eE][+-]?\d+)?"
_COMMA = rf"{_SIGNS}(\d+(,\d*)?|,\d+|\d{{1,3}}(\.\d{{3}})+(,\d*)?)([eE][+-]?\d+)?"

_NUMBER_KINDS = (Kind.NUMBER, Kind.INTEGER, Kind.RATE)


def literal(text: str) -> str:
    """Text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def quoted_name(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class DateStyle:
    """How a column's dates are written.

    Args:
        order: "year first", "day first" or "month first"; or None when `format` says it.
        format: The user's strptime format, or None.
        zoned: Some values carry a zone.
        half_day: Some values carry AM or PM.
    """

    order: str | None
    format: str | None = None
    zoned: bool = False
    half_day: bool = False

    @property
    def words(self) -> str:
        """For messages: what a value should have been."""
        return f"a date like {self.format}" if self.format else f"a date written {self.order}"


@dataclass(frozen=True)
class Styles:
    """How a file's values are written.

    Args:
        dates: Style by contract column, for date and timestamp columns the file has.
        decimal_comma: Numbers are written 1.234,56 in place of 1,234.56.
    """

    dates: Mapping[str, DateStyle]
    decimal_comma: bool


def infer_styles(con: duckdb.DuckDBPyConnection, relation: str, name: str, contract: Contract, feeds: Feeds) -> Styles:
    """Find out how dates and decimals are written, from all values.

    Args:
        con: A connection that sees the relation.
        relation: Name of a relation with one text column per fed contract column, null where empty.
        name: The file's name for messages.
        contract: The table it is read as.
        feeds: Where its columns come from.

    Raises:
        SourceError: A column's dates can be read in two ways, mix two orders, or have years of two digits.
    """
    dates = {}
    for column in contract.columns:
        if column.name in feeds and column.kind in DATE_KINDS:
            said = feeds[column.name].format
            dates[column.name] = (
                DateStyle(None, said)
                if said
                else _infer_dates(con, relation, name, contract, column=column.name, feed=feeds[column.name])
            )
    numbers = [
        column.name
        for column in contract.columns
        if column.kind in _NUMBER_KINDS and column.name in feeds and feeds[column.name].constant is None
    ]
    return Styles(dates, _has_decimal_commas(con, relation, numbers))


def _infer_dates(
    con: duckdb.DuckDBPyConnection, relation: str, name: str, contract: Contract, *, column: str, feed: Feed
) -> DateStyle:
    value = quoted_name(column)
    rows = con.execute(
        f"""
        with valued as (select {value} as v from {relation} where {value} is not null),
        shaped as (
            select v, case
                when regexp_full_match(v, {literal(_YEAR_FIRST)}) then 'year first'
                when regexp_full_match(v, {literal(_YEAR_LAST)}) then 'year last'
                when regexp_full_match(v, {literal(_YEAR_SHORT)}) then 'year short' end as shape
            from valued
        ),
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
            min(v), bool_or(regexp_matches(v, {literal(_ZONED)})), bool_or(regexp_matches(v, {literal(_HALF_DAY)}))
        from parted group by reading order by reading
        """
    ).fetchall()
    examples = {reading: example for reading, example, _, _ in rows if reading != "neither"}
    zoned, half_day = any(row[2] for row in rows), any(row[3] for row in rows)
    origin = f"{'from' if feed.constant is None else 'constant'}: {yaml_text(feed.label)}"
    where = f"{name}: column {feed.label!r} ({contract.name}.{column})"

    def settle(*orders: tuple[str, str]) -> str:
        lines = "\n    or, if the other order is meant:\n".join(
            setting(name, contract, column, f'{{{origin}, format: "{strptime_format(example, order)}"}}')
            for order, example in orders
        )
        return f"  Say in sources.yml how the dates are written:\n{lines}"

    if "year short" in examples:
        example = examples["year short"]
        raise SourceError(
            f"{where} has years of two digits, such as {example!r}: century and order would be guesses.\n"
            + settle(("day first", example), ("month first", example))
        )
    found = [order for order in _ORDERS if order in examples]
    year_last = [reading for reading in examples if reading != "year first"]
    if len(found) > 1 or ("year first" in found and year_last):
        shown = [examples[reading] for reading in (*found, *year_last)]
        first, second = dict.fromkeys(shown[:1] + [text for text in shown if text != shown[0]][:1])
        raise SourceError(
            f"{where} mixes orders of day, month and year: {first!r} beside {second!r}.\n"
            + settle(*((order, examples[order]) for order in found))
            + "\n  Values written otherwise are then quarantined."
        )
    if "either" in examples and not found:
        example = examples["either"]
        raise SourceError(
            f"{where} can be read with the day first or the month first, as in {example!r}; no value decides it.\n"
            + settle(("day first", example), ("month first", example))
        )
    order = found[0] if found else "day first" if "same" in examples else "year first"
    return DateStyle(order, None, zoned, half_day)


def strptime_format(example: str, order: str) -> str:
    """The strptime format of dates written like an example.

    Args:
        example: A date, with or without time, that `infer_styles` knows the shape of.
        order: "year first", "day first" or "month first".
    """
    parts = re.match(r"(\d{8})|(\d+)([-/.])(\d+)[-/.](\d+)", example)
    if parts is None:
        raise ValueError(f"{example!r} is not a date of a known shape")
    time = example[parts.end() :]
    if parts[1]:
        day = "%Y%m%d"
    else:
        year = "%y" if len(parts[5]) == 2 and len(parts[2]) < 4 else "%Y"
        codes = {"year first": (year, "%m", "%d"), "day first": ("%d", "%m", year), "month first": ("%m", "%d", year)}
        day = parts[3].join(codes[order])
    time = re.sub(r"[AaPp][Mm]$", "%p", time)
    time = re.sub(r"(:\d{2}.*?)(Z|UTC|[+-]\d{2}(:?\d{2})?)$", r"\1%z", time)
    hour = "%I" if time.endswith("%p") else "%H"
    time = re.sub(r"\d+:\d+(:\d+)?", lambda clock: f"{hour}:%M" + (":%S" if clock[1] else ""), time)
    return day + re.sub(r"\.\d+", ".%f", time)


def _has_decimal_commas(con: duckdb.DuckDBPyConnection, relation: str, columns: list[str]) -> bool:
    """Whether most of the numbers that can be read in one way only have a decimal comma.

    The file decides as a whole, for 1.234 in one column means what the next column's 12,50 says. Where nothing says
    so, a comma separates thousands.
    """
    if not columns:
        return False

    def share(only: str, other: str) -> str:
        return " + ".join(
            f"count(*) filter (regexp_full_match({quoted_name(column)}, {literal(only)}) "
            f"and not regexp_full_match({quoted_name(column)}, {literal(other)}))"
            for column in columns
        )

    commas = " or ".join(f"contains({quoted_name(column)}, ',')" for column in columns)
    row = con.execute(
        f"select {share(_COMMA, _POINT)}, count(*) filter ({commas}) from {relation} where {commas}"
    ).fetchone()
    if not row or not row[0]:
        return False
    points = con.execute(f"select {share(_POINT, _COMMA)} from {relation}").fetchone()
    return points is not None and row[0] > points[0]


def typed(column: Column, text: str, styles: Styles, timezone: str, is_constant: bool = False) -> str:
    """SQL for a column's value.

    Args:
        column: The contract column.
        text: SQL for the field's text, null where empty.
        styles: How the file's values are written.
        timezone: IANA name of the zone that zoned times are converted to.
        is_constant: The text comes from sources.yml, where decimals have a point.

    Returns:
        An expression of the column's type; null where the text is none such.
    """
    if column.kind == Kind.TEXT:
        return text
    if column.kind == Kind.ID:
        return f"regexp_replace({text}, '^(\\d+)\\.0$', '\\1')"
    if column.kind == Kind.FLAG:
        return (
            f"case when lower({text}) in ('true', 'yes', '1', '1.0') then true "
            f"when lower({text}) in ('false', 'no', '0', '0.0') then false end"
        )
    if column.kind in DATE_KINDS:
        style = styles.dates[column.name]
        value = _formatted(text, style.format, timezone) if style.format else _dated(text, style, timezone)
        return f"cast({value} as {column.kind.sql_type})"
    decimal_comma = styles.decimal_comma and not is_constant
    shape = _COMMA if decimal_comma else _POINT
    digits = f"translate({text}, '$€£¥,', '')"
    if decimal_comma:
        digits = f"replace(translate({text}, '$€£¥.', ''), ',', '.')"
    if column.kind == Kind.INTEGER:
        number = f"try_cast({digits} as decimal(38, 10))"
        number = f"case when {number} = trunc({number}) then try_cast({number} as bigint) end"
    else:
        number = f"try_cast({digits} as {column.kind.sql_type})"
    return f"case when regexp_full_match({text}, {literal(shape)}) then {number} end"


def _formatted(text: str, date_format: str, timezone: str) -> str:
    """A date in the user's own format."""
    if "%z" not in date_format and "%Z" not in date_format:
        return f"try_strptime({text}, {literal(date_format)})"
    offset = f"regexp_replace({text}, '(Z|UTC)$', '+00:00')"
    return f"timezone({literal(timezone)}, try_strptime({offset}, {literal(date_format)}))"


def _dated(text: str, style: DateStyle, timezone: str) -> str:
    """A date in a known order."""
    shape, pattern, replacement = _ORDERS[style.order or "year first"]
    ordered = f"regexp_replace({text}, {literal(pattern)}, {literal(replacement)})"
    value = f"try_cast({ordered} as timestamp)"
    if style.zoned:
        # The cast to a zoned type wants the offset right behind the time.
        offset = f"regexp_replace({ordered}, ' ([+-]\\d{{2}}(:?\\d{{2}})?)$', '\\1')"
        zoned = f"timezone({literal(timezone)}, try_cast({offset} as timestamptz))"
        value = f"case when regexp_matches({text}, {literal(_ZONED)}) then {zoned} else {value} end"
    if style.half_day:
        spaced = f"regexp_replace(upper({ordered}), ' ?([AP]M)$', ' \\1')"
        clock = f"try_strptime({spaced}, ['%Y-%m-%d %I:%M %p', '%Y-%m-%d %I:%M:%S %p'])"
        value = f"case when regexp_matches({text}, {literal(_HALF_DAY)}) then {clock} else {value} end"
    return f"case when regexp_full_match({text}, {literal(shape)}) then {value} end"


@dataclass(frozen=True)
class Problem:
    """Something that makes a row a bad one.

    Args:
        column: The contract column.
        condition: SQL that is true for such a row.
        reason: What is wrong, in words that follow the value.
    """

    column: str
    condition: str
    reason: str


def problems(contract: Contract, feeds: Feeds, styles: Styles, received_on: date) -> list[Problem]:
    """All that may be wrong with a row's values, in the order in which it is reported.

    Args:
        contract: The table.
        feeds: Where its columns come from.
        styles: How the file's values are written.
        received_on: Day of the refresh; an event may be dated a day later, for the world has time zones.

    Returns:
        Conditions over a relation with each contract column's value under its own name and, for fed columns, its
        text under the name with ``$`` before it.
    """
    found = []
    for column in contract.columns:
        value = quoted_name(column.name)
        if column.name in feeds:
            text = quoted_name(f"${column.name}")
            what = _WHAT.get(column.kind, "")
            if column.kind in DATE_KINDS:
                what = styles.dates[column.name].words
            if what:
                # An unreadable amount stays one, even where quantity and price would give another.
                found.append(Problem(column.name, f"{text} is not null and {value} is null", f"is not {what}"))
        if column.low is not None:
            found.append(Problem(column.name, f"{value} < {column.low}", f"is below {column.low:g}"))
        if column.high is not None:
            found.append(Problem(column.name, f"{value} > {column.high}", f"is above {column.high:g}"))
        if column.allowed:
            listed = ", ".join(literal(text) for text in column.allowed)
            found.append(
                Problem(column.name, f"{value} not in ({listed})", f"is not one of {', '.join(column.allowed)}")
            )
        if column.required and not column.may_be_null:
            found.append(Problem(column.name, f"{value} is null", "is missing"))
    if contract.event_at is not None:
        last = received_on + timedelta(days=1)
        condition = f"cast({quoted_name(contract.event_at)} as date) > date '{last.isoformat()}'"
        found.append(Problem(contract.event_at, condition, f"lies after {last.isoformat()}, the day after receipt"))
    return found


_WHAT = {
    Kind.NUMBER: "a number, or has more than 14 digits before the point",
    Kind.INTEGER: "a whole number",
    Kind.RATE: "a number",
    Kind.FLAG: "one of true, false, yes, no, 1, 0",
}
