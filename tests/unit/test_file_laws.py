"""Laws of files: any dialect of a table is the same table, both ways of reading agree, every row is accounted for."""

import csv
import gzip
import io
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sources import files
from sources.contracts import BY_NAME
from sources.delivery import Delivery, KnownFile, Request, SourceError
from sources.quarantine import quarantine_file
from sources.store import RawFolder
from sources.text_files import lay_out

RECEIVED = date(2024, 6, 30)
SALES = BY_NAME["shop.sales"]
LAW = settings(max_examples=30, deadline=None)


def read(folder: Path, path: Path) -> Delivery:
    """What a file of sales is read as."""
    out = folder / f"out{len(list(folder.iterdir()))}"
    out.mkdir()
    request = Request(received_on=RECEIVED, as_of=None, timezone="UTC", known={})
    (delivery,) = files.open_files(path, folder / "quarantine").deliver(SALES, out, request)
    return delivery


def rows(delivery: Delivery, columns: str) -> list[tuple[Any, ...]]:
    """The good rows, in the file's order."""
    if delivery.parquet is None or not any(delivery.parquet.iterdir()):
        return []
    return duckdb.execute(f"select {columns} from '{delivery.parquet}/*.parquet' order by _line").fetchall()


def bad(folder: Path, delivery: Delivery) -> list[tuple[Any, ...]]:
    """The bad rows."""
    file = quarantine_file(folder / "quarantine", delivery.table, delivery.name, str(delivery.content_hash))
    return duckdb.execute(f"select * from '{file}' order by line").fetchall() if file.exists() else []


# A table in any dialect


@dataclass(frozen=True)
class Dialect:
    """How a table is written."""

    delimiter: str
    encoding: str
    line_end: str
    quoting: Literal[0, 1]
    decimal_comma: bool
    separator: str
    dates: str
    is_packed: bool
    blank: int


_DIALECTS = st.builds(
    Dialect,
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    decimal_comma=st.booleans(),
    separator=st.sampled_from(["", "", "'", " ", "other mark"]),
    dates=st.sampled_from(
        ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y%m%d", "%d.%m.%Y", "%m/%d/%Y %I:%M %p", "%d-%b-%Y", "%d/%m/%Y %H:%M"]
    ),
    is_packed=st.booleans(),
    blank=st.sampled_from([0, 0, 1, 3]),
)

_WORD = st.text(alphabet="abcXYZ0189éüß_", min_size=1, max_size=8)
# A lone hyphen stands for nothing.
_TEXT = st.text(alphabet="ab1 ,;|\t\"'\n.éü-", max_size=12).map(str.strip).map(lambda t: None if t in ("", "-") else t)
_DAYS = st.datetimes(datetime(1970, 1, 1), datetime(2024, 6, 30))  # noqa: DTZ001
_MONEY = st.decimals(-10_000_000, 10_000_000, places=2, allow_nan=False)
_SALE = st.tuples(st.none() | _WORD, _DAYS, _MONEY, _TEXT)
# What decides which part is the day and which mark the decimal one.
_SENTINEL = ("last", datetime(2023, 11, 25), Decimal("0.50"), "x")  # noqa: DTZ001


def _number(value: Decimal, dialect: Dialect) -> str:
    point, other = (",", ".") if dialect.decimal_comma else (".", ",")
    separator = other if dialect.separator == "other mark" else dialect.separator
    return f"{value:,.2f}".replace(",", "\0").replace(".", point).replace("\0", separator)


def _written(table: Sequence[tuple[Any, ...]], dialect: Dialect) -> bytes:
    """The file."""

    def line(fields: Sequence[str]) -> str:
        stream = io.StringIO()
        csv.writer(
            stream, delimiter=dialect.delimiter, lineterminator=dialect.line_end, quoting=dialect.quoting
        ).writerow(fields)
        return stream.getvalue()

    lines = [line(["customer_id", "date", "amount", "channel"])] + [
        line([customer or "", day.strftime(dialect.dates), _number(amount, dialect), channel or ""])
        for customer, day, amount, channel in table
    ]
    if dialect.blank:
        lines = [text + dialect.line_end * (number % dialect.blank == 0) for number, text in enumerate(lines)]
    content = "".join(lines).encode(dialect.encoding)
    return gzip.compress(content) if dialect.is_packed else content


@settings(LAW, max_examples=40)
@given(table=st.lists(_SALE, max_size=12), dialect=_DIALECTS)
def test_a_table_comes_back_from_any_dialect(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[Any, ...]], dialect: Dialect
):
    table = [*table, _SENTINEL]
    folder = tmp_path_factory.mktemp("dialect")
    path = folder / ("x.csv.gz" if dialect.is_packed else "x.csv")
    path.write_bytes(_written(table, dialect))
    delivery = read(folder, path)
    assert (delivery.rows, delivery.quarantined) == (len(table), 0), delivery.examples
    expected = [
        (customer, datetime.strptime(day.strftime(dialect.dates), dialect.dates), amount, channel)  # noqa: DTZ007
        for customer, day, amount, channel in table
    ]
    assert rows(delivery, "customer_id, sold_at, amount, channel") == expected


# Both ways of reading

_GOOD_LINE = st.builds(
    lambda customer, day, amount, channel: f"{customer},{day},{amount},{channel}",
    st.sampled_from(["1", "2", "", "007", "7.0", " 8 ", "a b", "NULL", "Ann@X.org", "'9", "1E+5"]),
    st.sampled_from(["2024-01-05", "2024-01-06 10:00", "2024-02-30", "", " 2024-03-07", "2025-01-01", "NULL"]),
    st.sampled_from(["5", "7.50", "-3", "x", "", " 4 ", "1e3", "nan", "$5", '"1,000.5"', "(2)"]),
    st.sampled_from(["web", "", "é", '"a,b"', '"a ""b"""', "NULL", " shop ", '"c"', ' "d"', '"e" ', "'f'"]),
)
_ODD_LINE = st.one_of(
    st.text(alphabet='a1,;" \té.-/', max_size=12),
    st.sampled_from(["", " ", ",,,", "1,2024-01-05,5", "1,2024-01-05,5,web,more", '1,2024-01-05,5,"two\nlines"']),
    st.sampled_from(
        [
            '1,2024-01-05,5,"open',
            '1,2024-01-05,5,5" pipe',
            "customer_id,date,amount,channel",
            "customer_id, date,amount ,channel",
            "Total,,9,",
        ]
    ),
)


def _outcome(folder: Path, path: Path) -> tuple[Any, ...]:
    try:
        delivery = read(folder, path)
    except SourceError as error:
        return (str(error),)
    good = rows(delivery, "sale_id, customer_id, sold_at, amount, channel, _line")
    facts = (delivery.rows, delivery.quarantined, delivery.set_aside, delivery.examples, delivery.currency)
    return (*facts, good, bad(folder, delivery))


@LAW
@example(lines=["1,2024-01-05,5,web"], odd=["customer_id,date , amount,channel"], line_end="\n", is_ended=True)
@given(
    lines=st.lists(_GOOD_LINE, min_size=1, max_size=8),
    odd=st.lists(_ODD_LINE, max_size=2),
    line_end=st.sampled_from(["\n", "\r\n"]),
    is_ended=st.booleans(),
)
def test_both_ways_of_reading_agree(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], odd: list[str], line_end: str, is_ended: bool
):
    folder = tmp_path_factory.mktemp("ways")
    path = folder / "x.csv"
    text = line_end.join(["customer_id,date,amount,channel", *lines[1:], *odd, lines[0]]) + line_end * is_ended
    path.write_bytes(text.encode())
    quick = _outcome(folder, path)
    with patch.object(files, "lay_out", lambda *args, **more: replace(lay_out(*args, **more), lines=None)):
        by_line = _outcome(folder, path)
    assert quick == by_line


# Every row is accounted for

Sale = tuple[str | None, str, str]  # key, day, amount

_SALES = st.lists(
    st.tuples(
        st.sampled_from([None, None, "a", "b", "c", "d"]),
        st.sampled_from(["2024-01-05", "2024-01-06", "2024-02-01"]),
        st.sampled_from(["5", "5.00", "7", "8", "five"]),
    ),
    max_size=9,
)


class Model:
    """What the raw folder ought to hold, as a dict, and what it ought to count."""

    def __init__(self) -> None:
        self.rows: dict[Any, tuple[str, Decimal]] = {}
        self._known: dict[str, tuple[int, int]] = {}

    def refresh(self, contents: Sequence[tuple[str, list[Sale]]]) -> list[tuple[int, int, int, int, int]]:
        """Rows, inserted, restated, duplicate and quarantined ones of each file."""
        known = dict(self._known)
        counts = []
        for text, sales in contents:
            if text in known:
                total, quarantined = known[text]
                counts.append((total, 0, 0, total - quarantined, quarantined))
                continue
            found = self._file(sales)
            counts.append(found)
            self._known[text] = (found[0], found[4])
        return counts

    def _file(self, sales: list[Sale]) -> tuple[int, int, int, int, int]:
        wrong = sum(amount == "five" for _, _, amount in sales)
        if wrong >= 5 and wrong > 0.05 * len(sales):
            return len(sales), 0, 0, 0, len(sales)
        seen: Counter[Any] = Counter()
        inserted, restated, duplicate = 0, 0, 0
        for key, day, amount in sales:
            if amount == "five":
                continue
            values = (day, Decimal(amount))
            seen[values] += key is None
            name = key or (values, seen[values])
            inserted += name not in self.rows
            restated += self.rows.get(name, values) != values
            duplicate += self.rows.get(name) == values
            self.rows[name] = values
        return len(sales), inserted, restated, duplicate, wrong


@settings(LAW, max_examples=16)
@given(refreshes=st.lists(st.lists(_SALES, max_size=2), min_size=1, max_size=4))
def test_every_row_is_inserted_restated_a_duplicate_or_quarantined(
    tmp_path_factory: pytest.TempPathFactory, refreshes: list[list[list[Sale]]]
):
    folder = tmp_path_factory.mktemp("rows")
    landing = folder / "landing"
    landing.mkdir()
    raw, model = RawFolder(folder / "raw"), Model()
    known: dict[str, KnownFile] = {}
    contents: list[tuple[str, list[Sale]]] = []
    for batch, new in enumerate(refreshes, start=1):
        for sales in new:
            lines = (f"{key or ''},1,{day},{amount}\n" for key, day, amount in sales)
            text = "sale_id,customer_id,date,amount\n" + "".join(lines)
            contents.append((text, sales))
            path = landing / f"{len(contents):02d}.csv"
            path.write_text(text)
            first = datetime(2024, 6, 1) + timedelta(minutes=len(contents))  # noqa: DTZ001
            os.utime(path, (first.timestamp(), first.timestamp()))
        request = Request(received_on=RECEIVED, as_of=None, timezone="UTC", known=dict(known), batch=batch)
        source = files.open_files(landing, folder / "quarantine")
        deliveries = source.deliver(SALES, raw.incoming(SALES), request)
        outcomes = raw.merge(SALES, deliveries, batch)
        for read_now in deliveries:
            facts = (read_now.name, read_now.table, read_now.rows, read_now.quarantined, batch, read_now.set_aside)
            known.setdefault(str(read_now.content_hash), KnownFile(*facts))
        found = {o.name: (o.rows, o.inserted, o.restated, o.duplicate, o.quarantined) for o in outcomes}
        expected = model.refresh(contents)
        assert found == {f"{number:02d}.csv": counts for number, counts in enumerate(expected, start=1)}
        assert all(counts[0] == sum(counts[1:]) for counts in found.values())
    stored = duckdb.execute(f"select sale_id, sold_at::date::varchar, amount from '{raw.glob(SALES)}'").fetchall()
    assert len({row[0] for row in stored}) == len(stored)
    named = {row[0]: row[1:] for row in stored if not re.fullmatch("row-[0-9a-f]{24}", row[0])}
    assert named == {key: values for key, values in model.rows.items() if isinstance(key, str)}
    unnamed = Counter(row[1:] for row in stored if row[0] not in named)
    assert unnamed == Counter(values for key, values in model.rows.items() if not isinstance(key, str))
