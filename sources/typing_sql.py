"""SQL that turns the text of a field into a value of its contract column, or null where it is none.

How a file writes its dates and numbers has been found out in `inference`. Files are neither found nor opened here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from sources.contracts import Column, Contract, Kind
from sources.mapping import DATE_KINDS, EXCEL, UNIX_UNITS
from sources.recognition import Feed, Feeds, columns_of
from sources.sql import literal, quoted_name

_CLOCK = r"[T ] *\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"  # 10:15:00.5
_AM_PM = r" ?[AaPp]\.?[Mm]\.?"
_ZONE = r" ?(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?)"
ZONED = r":\d{2}.*(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?)$"
"""Matches a time that carries its zone."""
HALF_DAY = r"[AaPp]\.?[Mm]\.?$"
"""Matches a time written with AM or PM."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL = "january|february|march|april|june|july|august|september|october|november|december|sept"
_MONTH_NAME = rf"(?i:{_FULL}|{'|'.join(_MONTHS)})\.?"
_DAYS = {
    "year first": r"(\d{4}([-/.])\d{1,2}[-/.]\d{1,2}|\d{8})",
    "year last": r"\d{1,2}[-/.]\d{1,2}[-/.]\d{4}",
    "year short": r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2}",
    "month named": rf"(\d{{1,2}}[ -]{_MONTH_NAME},?[ -]\d{{4}}|{_MONTH_NAME} \d{{1,2}},? \d{{4}}),?",
    "month named, year short": rf"\d{{1,2}}[ -]{_MONTH_NAME}[ -]\d{{2}}",
}
SHAPES = {name: f"{day}({_CLOCK}({_AM_PM}|{_ZONE})?)?" for name, day in _DAYS.items()}
"""What dates look like, as far as looks alone tell."""

# How a value becomes year-month-day under each order of digits.
_REORDERED = {
    "year first": (r"^(\d{4})[-/.]?(\d{1,2})[-/.]?(\d{1,2})", r"\1-\2-\3"),
    "day first": (r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})", r"\3-\2-\1"),
    "month first": (r"^(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})", r"\3-\1-\2"),
}

_SPACES = " \u00a0\u202f'\u2019"
_MINUS = "-\u2212"
CURRENCY_MARK = r"[$€£¥₹]|\b[A-Z]{3}\b"
"""Matches the currency that an amount is written with."""
_EXPONENT = r"([eE][+-]?\d+)?"
_PLAIN = {
    False: rf"[+-]?(\d+(\.\d*)?|\.\d+){_EXPONENT}",
    True: rf"[+-]?(\d+(,\d*)?|,\d+){_EXPONENT}",
}


def _grouped(point: str, separator: str) -> str:
    body = (
        rf"(\d+({point}\d*)?|{point}\d+|[1-9]\d{{0,2}}({separator}\d{{3}})+({point}\d*)?"
        rf"|[1-9]\d{{0,2}}([{_SPACES}]\d{{3}})+({point}\d*)?){_EXPONENT}"
    )
    mark = rf"(({CURRENCY_MARK})[{_SPACES}]?)?"
    behind = rf"([{_SPACES}]?({CURRENCY_MARK}))?"
    sign = rf"[{_MINUS}+]?"
    return rf"({sign}{mark}{sign}{body}{behind}|\({mark}{body}{behind}\)|{mark}{body}{behind}[{_MINUS}])"


NUMBERS = {False: _grouped(r"\.", ","), True: _grouped(",", r"\.")}
"""What a number looks like, by whether it has a decimal comma."""

_CUT_SHORT = r"\d(\.\d+)?[eE]\+\d+"

EARLIEST = date(1970, 1, 1)
"""An event before this day is a placeholder or a mistake."""


@dataclass(frozen=True)
class DateStyle:
    """How a column's dates are written.

    Args:
        order: "year first", "day first", "month first" or "month named"; None when `format` says it.
        format: The user's strptime format, "excel", "unix" or "unix_ms"; or None.
        zoned: Some values carry a zone.
        half_day: Some values carry AM or PM.
        iso: All values are written year-month-day with hyphens.
    """

    order: str | None
    format: str | None = None
    zoned: bool = False
    half_day: bool = False
    iso: bool = False

    @property
    def words(self) -> str:
        """For messages: what a value should have been."""
        if self.format:
            return f"a date like {self.format}"
        return "a date with the month's name" if self.order == "month named" else f"a date written {self.order}"


@dataclass(frozen=True)
class NumberStyle:
    """How a file's numbers are written.

    Args:
        decimal_comma: 1.234,56 in place of 1,234.56.
        plain: Digits, sign and decimal mark only: no thousands separators, currencies, parentheses or percent signs.
        currency: The mark that amounts carry, such as € or USD; None where they carry none.
    """

    decimal_comma: bool = False
    plain: bool = True
    currency: str | None = None


@dataclass(frozen=True)
class Styles:
    """How a file's values are written.

    Args:
        dates: Style by contract column, for date and timestamp columns the file has as text.
        numbers: Style of all its numbers.
        native: Columns that Parquet holds as times or numbers already, rather than as text.
    """

    dates: Mapping[str, DateStyle]
    numbers: NumberStyle
    native: frozenset[str] = frozenset()


def typed(column: Column, feed: Feed, styles: Styles, timezone: str) -> str:
    """SQL for a column's value.

    Args:
        column: The contract column.
        feed: Where it comes from, with what sources.yml says of its unit and its sign.
        styles: How the file's values are written.
        timezone: IANA name of the zone that zoned times are converted to.

    Returns:
        An expression of the column's type over a column of its name: the field's text, null where empty, or Parquet's
        own value. Null where it is none such.
    """
    text = quoted_name(column.name)
    if column.kind in (Kind.ID, Kind.TEXT):
        return text
    if column.kind == Kind.FLAG:
        if column.name in styles.native:
            return text
        return (
            f"case when lower({text}) in ('true', 'yes', '1', '1.0', 'y', 't') then true "
            f"when lower({text}) in ('false', 'no', '0', '0.0', 'n', 'f') then false end"
        )
    if column.kind in DATE_KINDS:
        return f"cast({_date(column, feed, styles, timezone)} as {column.kind.sql_type})"
    value = _number(column, feed, styles)
    if feed.unit is not None:
        value = f"try_cast(cast({value} as decimal(28, 6)) * {_FACTORS[feed.unit]} as {column.kind.sql_type})"
    return {None: value, "reversed": f"-({value})", "negative": f"-abs({value})", "positive": f"abs({value})"}[
        feed.sign
    ]


_FACTORS = {"cents": "0.01", "percent": "0.01", "thousands": "1000"}


def _number(column: Column, feed: Feed, styles: Styles) -> str:
    text, style = quoted_name(column.name), styles.numbers
    if feed.constant is not None:
        style = NumberStyle()  # sources.yml writes decimals with a point
    # Units are applied before a rate is rounded to anything, and to more digits than money has.
    sql_type = "decimal(28, 6)" if feed.unit is not None and column.kind == Kind.NUMBER else column.kind.sql_type

    def cast(digits: str) -> str:
        if column.kind != Kind.INTEGER:
            return f"try_cast({digits} as {sql_type})"
        number = f"try_cast({digits} as decimal(38, 10))"
        return f"case when {number} = trunc({number}) then try_cast({number} as bigint) end"

    if column.name in styles.native:
        return cast(text)
    if style.plain:
        digits = f"replace({text}, ',', '.')" if style.decimal_comma else text
        found = f"when regexp_full_match({text}, {literal(_PLAIN[style.decimal_comma])}) then {cast(digits)}"
        if column.kind == Kind.NUMBER and not style.decimal_comma:
            # Of such texts the cast takes what the pattern does, in half the time.
            marks = " and ".join(f"not contains({text}, '{mark}')" for mark in "_eE")
            found = f"when {text} >= '-' and {text} < ':' and {marks} then {cast(digits)} {found}"
        return f"case {found} end"
    separators = _SPACES + (".+()" if style.decimal_comma else ",+()") + _MINUS
    # The exponent's own sign is not one of the number's.
    body = f"regexp_replace({text}, {literal(CURRENCY_MARK)}, '', 'g')"
    digits = f"translate(regexp_replace({body}, '[eE][+-]?[0-9]+$', ''), {literal(separators)}, '')"
    if style.decimal_comma:
        digits = f"replace({digits}, ',', '.')"
    digits = f"{digits} || regexp_extract({body}, '[eE][+-]?[0-9]+$')"
    is_negative = f"regexp_matches({text}, {literal(f'^[^0-9.,]*[{_MINUS}(]|[{_MINUS}]$')})"
    number = f"case when {is_negative} then -({cast(digits)}) else {cast(digits)} end"
    found = f"when regexp_full_match({text}, {literal(NUMBERS[style.decimal_comma])}) then {number}"
    if column.kind == Kind.RATE:
        share = f"rtrim({text}, '% ')"
        plain = literal(_PLAIN[style.decimal_comma])
        point = f"replace({share}, ',', '.')" if style.decimal_comma else share
        found += (
            f" when ends_with({text}, '%') and regexp_full_match({share}, {plain}) "
            f"then try_cast({point} as double) / 100"
        )
    return f"case {found} end"


def _date(column: Column, feed: Feed, styles: Styles, timezone: str) -> str:
    text = quoted_name(column.name)
    if column.name in styles.native:
        return f"timezone({literal(timezone)}, timezone({literal(feed.zone)}, {text}))" if feed.zone else text
    style = styles.dates[column.name]
    local = _formatted(text, style.format, timezone) if style.format else _ordered(text, style, timezone)
    if feed.zone is None or style.format in UNIX_UNITS:
        return local
    # Only times have a zone to come from; a bare day is a day.
    moved = f"timezone({literal(timezone)}, timezone({literal(feed.zone)}, {local}))"
    own = f"regexp_matches({text}, {literal(ZONED)})" if style.zoned else "false"
    return f"case when {own} or not contains({text}, ':') then {local} else {moved} end"


def _formatted(text: str, date_format: str, timezone: str) -> str:
    """A date in the user's own format."""
    if date_format == EXCEL:
        days = f"try_cast({text} as double)"
        moment = f"timestamp '1899-12-30' + to_seconds(round({days} * 86400))"
        return f"case when {days} between 1 and 2958465 then {moment} end"
    if date_format in UNIX_UNITS:
        seconds = f"try_cast({text} as double) / {UNIX_UNITS[date_format]}"
        return f"timezone({literal(timezone)}, to_timestamp({seconds}))"
    if "%z" not in date_format and "%Z" not in date_format:
        return f"try_strptime({text}, {literal(date_format)})"
    offset = f"regexp_replace({text}, '(Z|UTC|GMT)$', '+00:00')"
    return f"timezone({literal(timezone)}, try_strptime({offset}, {literal(date_format)}))"


def _ordered(text: str, style: DateStyle, timezone: str) -> str:
    """A date in a known order."""
    order = style.order or "year first"
    # A zone or half day that the style does not know must not be read over.
    tail = "|".join(part for part, present in ((_AM_PM, style.half_day), (_ZONE, style.zoned)) if present)
    clock = f"({_CLOCK}({tail})?)?" if tail else f"({_CLOCK})?"
    if style.iso:
        day, ordered = r"\d{4}-\d{1,2}-\d{1,2}", text
    elif order == "month named":
        day = _DAYS[order]
        names = ", ".join(map(literal, _MONTHS))
        month = f"list_position([{names}], lower(regexp_extract({text}, '[A-Za-z]{{3}}')))"
        number = f"regexp_extract({text}, '(^|[ -])([0-9]{{1,2}})([ ,-])', 2)"
        time = rf"regexp_extract({text}, '[0-9]{{4}},?[T ]*(.*)$', 1)"
        ordered = f"trim(concat(regexp_extract({text}, '[0-9]{{4}}'), '-', {month}, '-', {number}, ' ', {time}))"
    else:
        pattern, replacement = _REORDERED[order]
        day = _DAYS["year first" if order == "year first" else "year last"]
        ordered = f"regexp_replace({text}, {literal(pattern)}, {literal(replacement)})"
    value = f"try_cast({ordered} as timestamp)"
    if style.zoned:
        # The cast to a zoned type wants the offset right behind the time, and no name.
        offset = f"regexp_replace({ordered}, ' ?(Z|UTC|GMT)$', '+00')"
        offset = f"regexp_replace({offset}, ' ?([+-]\\d{{2}}):?(\\d{{2}})?$', '\\1:\\2')"
        offset = f"regexp_replace({offset}, ':$', '')"
        zoned = f"timezone({literal(timezone)}, try_cast({offset} as timestamptz))"
        value = f"case when regexp_matches({text}, {literal(ZONED)}) then {zoned} else {value} end"
    if style.half_day:
        spaced = f"regexp_replace(replace(upper({ordered}), '.M.', 'M'), ' ?([AP]M)$', ' \\1')"
        half = f"try_strptime({spaced}, ['%Y-%m-%d %I:%M %p', '%Y-%m-%d %I:%M:%S %p'])"
        value = f"case when regexp_matches({text}, {literal(HALF_DAY)}) then {half} else {value} end"
    return f"case when regexp_full_match({text}, {literal(day + clock)}) then {value} end"


@dataclass(frozen=True)
class Problem:
    """Something that makes a row a bad one.

    Args:
        column: The contract column.
        condition: SQL that is true for such a row.
        reason: What is wrong, in words that follow the value.
        is_reading: The value could not be read, rather than being one that may not be.
        may_pass: The same row may be a good one on a later day.
    """

    column: str
    condition: str
    reason: str
    is_reading: bool = False
    may_pass: bool = False


def problems(contract: Contract, feeds: Feeds, styles: Styles, received_on: date) -> list[Problem]:
    """All that may be wrong with a row's values, in the order in which it is reported.

    Args:
        contract: The table.
        feeds: Where its columns come from.
        styles: How the file's values are written.
        received_on: Day of the refresh; an event may be dated a day later, for the world has time zones.

    Returns:
        Conditions over a relation with each contract column's value under its own name and, for fed columns, its
        text (or Parquet's own value) under the name with ``$`` before it.
    """
    found = []
    for column in columns_of(contract, feeds):
        value = quoted_name(column.name)
        if column.name in feeds:
            text = quoted_name(f"${column.name}")
            what = _WHAT.get(column.kind, "")
            if column.kind in DATE_KINDS:
                style = styles.dates.get(column.name)
                what = style.words if style else "a date"
            if what:
                # An unreadable amount stays one, even where quantity and price would give another.
                condition = f"{text} is not null and {value} is null"
                found.append(Problem(column.name, condition, f"is not {what}", is_reading=True))
            if column.kind == Kind.ID and feeds[column.name].constant is None:
                # The plain search first: it costs an eighth of the pattern.
                condition = f"contains({text}, '+') and regexp_full_match({text}, {literal(_CUT_SHORT)})"
                why = "was cut short by a spreadsheet; export the column as text"
                found.append(Problem(column.name, condition, why))
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
        at, last = quoted_name(contract.event_at), received_on + timedelta(days=1)
        late = f"cast({at} as date) > date '{last.isoformat()}'"
        why = f"lies after {last.isoformat()}, the day after receipt"
        found.append(Problem(contract.event_at, late, why, may_pass=True))
        early = f"cast({at} as date) < date '{EARLIEST.isoformat()}'"
        found.append(Problem(contract.event_at, early, f"lies before {EARLIEST.isoformat()}"))
    return found


_WHAT = {
    Kind.NUMBER: "a number, or has more than 14 digits before the point",
    Kind.INTEGER: "a whole number",
    Kind.RATE: "a number",
    Kind.FLAG: "one of true, false, yes, no, 1, 0",
}
