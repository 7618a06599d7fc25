"""Bad and odd files: each is read right, or refused with file, line, column, value and remedy."""

import csv
import gzip
import io
import itertools
import json
import os
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from sources.contracts import BY_NAME, Contract
from sources.delivery import Delivery, KnownFile, Outcome, Request, SourceError
from sources.quarantine import quarantine_file
from sources.store import RawFolder, RawState
from tests.unit.landing import RECEIVED, SOLD, Landing, at, rows

ROOT = Path(__file__).parents[2]
SALES = BY_NAME["shop.sales"]
NOT_A_NUMBER = "is not a number, or has more than 14 digits before the point"
YEAR_FIRST = "is not a date written year first"
CUT_SHORT = "was cut short by a spreadsheet; export the column as text"
OPEN_QUOTE = "a quoted field does not close, or goes on after its closing quote"


class Refusals(Landing):
    """A folder of files, what is read from it, and what is refused."""

    def read(self, content: str | bytes, columns: str = SOLD, **request: Any) -> list[tuple[Any, ...]]:
        """Good rows of a file that has no bad ones."""
        delivery = self.one(self.write("x.csv", content), **request)
        assert delivery.quarantined == 0, delivery.examples
        return rows(delivery, columns)

    def bad(self, delivery: Delivery) -> list[tuple[Any, ...]]:
        """Line, column, value and reason of the bad rows."""
        file = quarantine_file(self.quarantine, delivery.table, delivery.name, str(delivery.content_hash))
        if not file.exists():
            return []
        return duckdb.execute(f'select line, "column", "value", reason from \'{file}\' order by line').fetchall()

    def refusal(self, path: Path | None = None) -> str:
        """Why a file is refused, without where to save the lines shown."""
        with pytest.raises(SourceError) as caught:
            self.deliver(path)
        return str(caught.value).split("\n  Save it as")[0]


class Home(Refusals):
    """A landing folder and the raw folder that its files are merged into."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.raw = RawFolder(folder / "raw")

    def refresh(self, contract: Contract = SALES) -> list[Outcome]:
        state = self.raw.state()
        request = Request(
            received_on=RECEIVED, as_of=None, timezone="UTC", known=dict(state.files), batch=state.batch + 1
        )
        deliveries = self.source().deliver(contract, self.raw.incoming(contract), request)
        outcomes = self.raw.merge(contract, deliveries, request.batch)
        for read in deliveries:
            known = KnownFile(read.name, read.table, read.rows, read.quarantined, request.batch, read.set_aside)
            state.files.setdefault(str(read.content_hash), known)
        self.raw.save(RawState("files", request.batch, None, state.files))
        return outcomes

    def counts(self) -> list[tuple[str, int, int, int, int, int]]:
        """Name, rows, and what became of them, of each file of a refresh."""
        return [(o.name, o.rows, o.inserted, o.restated, o.duplicate, o.quarantined) for o in self.refresh()]

    def stored(self, columns: str) -> list[tuple[Any, ...]]:
        return duckdb.execute(f"select {columns} from '{self.raw.glob(SALES)}' order by all").fetchall()


@pytest.fixture
def landing(tmp_path: Path) -> Refusals:
    return Refusals(tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def sales(*lines: str) -> str:
    """A file of sales."""
    return "".join(f"{line}\n" for line in ("customer_id,date,amount", *lines))


def money(*amounts: str) -> str:
    """A file of sales that differ in their amounts, separated by semicolons."""
    return "customer_id;date;amount\n" + "".join(f"1;2024-01-05;{amount}\n" for amount in amounts)


def amounts_of(*amounts: str) -> list[tuple[Decimal]]:
    return [(Decimal(amount),) for amount in amounts]


def entry(table: str = "shop.sales", path: str = "x.csv", **more: str) -> str:
    """A sources.yml of one file."""
    said = "".join(f", {key}: {value}" for key, value in more.items())
    return f"files: [{{path: {path}, table: {table}{said}}}]"


ANN, BOB = ("1", at(2024, 1, 5), Decimal(5)), ("2", at(2024, 1, 6), Decimal("7.5"))
TWO = sales("1,2024-01-05,5", "2,2024-01-06,7.5")


# Laid out oddly, and read


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(TWO, id="plain"),
        pytest.param(TWO.rstrip("\n"), id="no line end after the last row"),
        pytest.param("\ufeff" + TWO, id="byte order mark"),
        pytest.param("\ufeff\ufeff" + TWO, id="two byte order marks"),
        pytest.param("\ufeff" + TWO.replace(",", ";"), id="byte order mark and semicolons"),
        pytest.param(TWO.encode("utf-16"), id="UTF-16 with its mark"),
        pytest.param(b"\xfe\xff" + TWO.encode("utf-16-be"), id="UTF-16, the other way round"),
        pytest.param(TWO.encode("utf-16-le"), id="UTF-16 without a mark"),
        pytest.param(TWO.encode("utf-16-be"), id="UTF-16 without a mark, the other way round"),
        pytest.param(TWO.replace(",", "\t").encode("utf-16"), id="what Excel calls Unicode text"),
        pytest.param(TWO.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(TWO.replace("\n", "\r"), id="old Macintosh line ends"),
        pytest.param(TWO.replace("\n", "\r\n", 1), id="mixed line ends"),
        pytest.param(TWO.replace("\n", "\n\n\n"), id="blank lines"),
        pytest.param("\n\n" + TWO + "\n \n\t\n", id="blank lines above and below"),
        pytest.param(TWO.replace(",", " , "), id="space around commas"),
        pytest.param(TWO.replace(",", "\u00a0;\u00a0"), id="unbreakable space around semicolons"),
        pytest.param(TWO.replace(",", "   "), id="columns made of spaces"),
        pytest.param(TWO.replace(",", "|"), id="pipes"),
        pytest.param(TWO.replace(",", "\t"), id="tabs"),
        pytest.param("".join('"' + line.replace(",", '","') + '"\n' for line in TWO.split()), id="all quoted"),
        pytest.param("".join('"' + line.replace(",", '", "') + '"\n' for line in TWO.split()), id="space, then quote"),
        pytest.param("sep=;\n" + TWO.replace(",", ";"), id="Excel's line that names the separator"),
        pytest.param("Sales report\n\nAll shops, 2024\n\n" + TWO, id="title above the header"),
        pytest.param(TWO.replace("customer_id,date", '"Customer\nID",Date'), id="line break in the header"),
        pytest.param(TWO.replace("customer_id,date,amount", "CUSTOMER-ID,Order Date,Total Amount"), id="other words"),
        pytest.param(TWO.replace("\n", ",\n"), id="a comma ends every line"),
        pytest.param(TWO.replace("2,2024", "customer_id,date,amount\n2,2024"), id="header again"),
        pytest.param(TWO.replace("2,2024", "customer_id , date, amount\n2,2024"), id="header again, with spaces"),
        pytest.param(TWO.replace("2,2024", "\ufeffcustomer_id,date,amount\n2,2024"), id="header again, with a mark"),
    ],
)
def test_two_rows_come_through_every_layout(landing: Refusals, content: str | bytes):
    assert landing.read(content) == [ANN, BOB]


@pytest.mark.parametrize("name", ["X.CSV", "x.tsv", "x.txt", "x.csv.gz", "x.zip", "x.zip/y.CSV.gz"])
def test_endings_of_names(landing: Refusals, name: str):
    content = TWO.encode()
    if name.lower().endswith(".gz"):
        content = gzip.compress(content)
    if name.startswith("x.zip"):
        content = packed({name.partition("/")[2] or "y.csv": content})
    assert rows(landing.one(landing.write(name.split("/", maxsplit=1)[0], content))) == [ANN, BOB]


def packed(files: Mapping[str, str | bytes]) -> bytes:
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "names"),
    [
        pytest.param("1,Zoë Müller\n".encode("cp1252"), ["Zoë Müller"], id="Latin-1"),
        pytest.param("1,“5 €” \u2013 né\n".encode("cp1252"), ["“5 €” \u2013 né"], id="Windows-1252"),
        pytest.param("1,K\u0081ln\n".encode("latin-1"), ["K\u0081ln"], id="a byte that only Latin-1 knows"),
        pytest.param("1,Zoë\n2,Zoe\u0308\n".encode(), ["Zoë", "Zoe\u0308"], id="accents of two kinds"),
        pytest.param(
            "1,محمد علي\n2,שלום\n3,\u200fabc\u202e\n", ["محمد علي", "שלום", "\u200fabc\u202e"], id="right to left"
        ),
        pytest.param("1,山田 太郎\n2,😀👩‍👩‍👧\n", ["山田 太郎", "😀👩‍👩‍👧"], id="other scripts"),
        pytest.param('1,"=1+2"\n2,=HYPERLINK(1)\n3,+4\n4,@x\n', ["=1+2", "=HYPERLINK(1)", "+4", "@x"], id="formulas"),
        pytest.param(
            "1,<script>alert(1)</script>\n2,<b>A & B</b>\n3,&amp;\n",
            ["<script>alert(1)</script>", "<b>A & B</b>", "&amp;"],
            id="HTML",
        ),
        pytest.param('1,"\'; drop table x; --"\n2,${a}{{b}}%s\n', ["'; drop table x; --", "${a}{{b}}%s"], id="code"),
        pytest.param('1,"a,b"\n2,"a""b"\n3,"a\nb"\n4,5" pipe\n', ["a,b", 'a"b', "a\nb", '5" pipe'], id="quoting"),
        pytest.param('1, "a"\n2,"b" \n3,"c"\n', ["a", "b", "c"], id="space around quotes"),
        pytest.param('1,""\n2, \n3,\u00a0\n4,"   "\n5,x\n', [None, None, None, None, "x"], id="nothing in many ways"),
        pytest.param(
            "1,NULL\n2,None\n3,-\n4,n/a\n", ["NULL", "None", None, "n/a"], id="a name may be any word, a hyphen is none"
        ),
        pytest.param(f"1,{'x' * 140_000}\n2,y\n", ["x" * 140_000, "y"], id="a very long text"),
        pytest.param(f'1,"{"x, " * 50_000}"\n2,y\n', [("x, " * 50_000).strip(), "y"], id="a very long quoted text"),
    ],
)
def test_texts_come_through_unchanged(landing: Refusals, content: str | bytes, names: list[str | None]):
    content = content if isinstance(content, bytes) else content.encode()
    assert landing.read(b"customer_id,name\n" + content, "name") == [(name,) for name in names]


@pytest.mark.parametrize(
    "name", ["Übersicht größe.csv", "売上.csv", "مبيعات.csv", "a'b\"c.csv", "%s {x} $1;.csv", "-.csv"]
)
def test_names_of_files(landing: Refusals, name: str):
    delivery = landing.one(landing.write(name, sales("1,2024-01-05,5", "1,soon,5")))
    assert (delivery.name, delivery.rows, rows(delivery)) == (name, 2, [ANN])
    assert delivery.examples == (f"{name}, line 3, date (sold_at): 'soon' {YEAR_FIRST}",)
    assert landing.bad(delivery) == [(3, "date (sold_at)", "soon", YEAR_FIRST)]


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("17850.0", "17850"),
        ("17850.00", "17850.00"),
        ("00042", "00042"),
        ("'00042", "00042"),
        ("'", None),
        ("Ann@Example.COM", "ann@example.com"),
        (" 7 ", "7"),
        ("1,5", "1,5"),
        ("12345678901234567890", "12345678901234567890"),
        ("a-b_c/d.0", "a-b_c/d.0"),
        ("nan", None),
        ("NULL", None),
        ("None", None),
        ("#N/A", None),
        (r"\N", None),
        ("<NA>", None),
        ("0", "0"),
        ("Ñandú 7", "Ñandú 7"),
    ],
)
def test_ids_stay_as_they_are_meant(landing: Refusals, written: str, kept: str | None):
    quoted = f'"{written}"' if "," in written else written
    assert landing.read(sales(f"{quoted},2024-01-05,5"), "customer_id") == [(kept,)]


def test_one_row_one_customer_one_day(landing: Refusals):
    assert landing.read(sales("1,2024-01-05,5")) == [ANN]
    assert landing.read(sales("1,2024-01-05,5", "1,2024-01-05,5")) == [ANN, ANN]


def test_a_header_alone_is_a_file_of_no_rows(landing: Refusals):
    for content in ("customer_id,date,amount", "customer_id,date,amount\r\n\r\n", '"customer_id","date","amount"\n'):
        delivery = landing.one(landing.write("x.csv", content))
        assert (delivery.table, delivery.rows, delivery.quarantined, rows(delivery)) == ("shop.sales", 0, 0, [])


def test_many_columns(landing: Refusals):
    """Ten thousand columns, the ones that count in the middle; and then too few for one row."""
    others = [f"c{i}" for i in range(5_000)]
    header = ",".join([*others, "customer_id", "date", "amount", *(f"d{i}" for i in range(4_997))])
    row = "x," * 5_000 + "1,2024-01-05,5" + ",y" * 4_997
    delivery = landing.one(landing.write("x.csv", f"{header}\n{row}\n{row},z\n"))
    assert rows(delivery) == [ANN]
    assert landing.bad(delivery) == [(3, None, None, "10001 fields where the header has 10000")]
    refused = landing.refusal(landing.write("x.csv", ",".join(others)))
    assert f"found: {', '.join(others[:100])} and 4,900 more\n" in refused


# Dates


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["2024-01-05 10:00:00.123456"], [at(2024, 1, 5, 10, 0, 0, 123456)]),
        (["13/02/2024", "05/05/2024"], [at(2024, 2, 13), at(2024, 5, 5)]),
        (["5 Jan 2024", "15-FEB-2024"], [at(2024, 1, 5), at(2024, 2, 15)]),
        (["January 5, 2024", "Sept 7, 2023"], [at(2024, 1, 5), at(2023, 9, 7)]),
        (["Jan 5, 2024, 3:15 PM", "Jan. 6 2024 12:01 AM"], [at(2024, 1, 5, 15, 15), at(2024, 1, 6, 0, 1)]),
        (["1/13/2024 12:00 a.m.", "1/2/2024 12:00 p.m."], [at(2024, 1, 13), at(2024, 1, 2, 12)]),
        (["20240229"], [at(2024, 2, 29)]),
        (["'2024-01-05"], None),
        (["2024-07-01 23:59:59"], [at(2024, 7, 1, 23, 59, 59)]),
        (["1970-01-01"], [at(1970, 1, 1)]),
    ],
)
def test_dates(landing: Refusals, written: list[str], expected: list[datetime] | None):
    content = "customer_id;date;amount\n" + "".join(f"1;{day};5\n" for day in written)
    delivery = landing.one(landing.write("x.csv", content))
    if expected is None:
        assert landing.bad(delivery) == [(2, "date (sold_at)", written[0], YEAR_FIRST)]
    else:
        assert rows(delivery, "sold_at") == [(moment,) for moment in expected]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("2024-07-02", "lies after 2024-07-01, the day after receipt"),
        ("9999-12-31", "lies after 2024-07-01, the day after receipt"),
        ("1900-01-01", "lies before 1970-01-01"),
        ("1899-12-30 00:00", "lies before 1970-01-01"),
        ("0001-01-01", "lies before 1970-01-01"),
        ("0000-00-00", YEAR_FIRST),
        ("2023-02-29", YEAR_FIRST),
        ("2024-13-01", YEAR_FIRST),
        ("2024-01-05 25:00", YEAR_FIRST),
        ("45296", YEAR_FIRST),
        ("1704448800", YEAR_FIRST),
        ("Friday", YEAR_FIRST),
        ("2024-01", YEAR_FIRST),
        ("2024-01-05 bis 2024-01-07", YEAR_FIRST),
        ("2024-01-05 10:00 CEST", YEAR_FIRST),
        ("NULL", "is missing"),
        ("", "is missing"),
        ("-", "is missing"),
    ],
)
def test_bad_dates_are_quarantined(landing: Refusals, written: str, reason: str):
    delivery = landing.one(landing.write("x.csv", sales("1,2024-01-05,5", f"1,{written},6", "2,2024-01-06,7.5")))
    assert rows(delivery) == [ANN, BOB]
    assert landing.bad(delivery) == [(3, "date (sold_at)", written or None, reason)]


def test_dates_of_people_and_products_may_be_any(landing: Refusals):
    content = "customer_id,name,signup_date\n1,A,1900-01-01\n2,B,9999-12-31\n3,C,2024-01-05\n"
    assert landing.read(content, "signed_up_at") == [(at(1900, 1, 1),), (at(9999, 12, 31),), (at(2024, 1, 5),)]


_DATED = "x.csv: column 'date' (shop.sales.sold_at) "


def _lines(said: str) -> str:
    return f"    files:\n      - path: x.csv\n        table: shop.sales\n        columns:\n          sold_at: {said}"


_NUMBERED = "If so, say in sources.yml:\n" + _lines('{from: date, format: "%s"}')


@pytest.mark.parametrize(
    ("written", "message", "form", "expected"),
    [
        (
            ["45296", "45296.5"],
            "holds numbers such as '45296', which look like days since 1900, as spreadsheets count them.\n  "
            + _NUMBERED % "excel",
            "excel",
            [at(2024, 1, 5), at(2024, 1, 5, 12)],
        ),
        (
            ["1704448800", "1704448801"],
            "holds numbers such as '1704448800', which look like seconds since 1970.\n  " + _NUMBERED % "unix",
            "unix",
            [at(2024, 1, 5, 10), at(2024, 1, 5, 10, 0, 1)],
        ),
        (
            ["1704448800000"],
            "holds numbers such as '1704448800000', which look like milliseconds since 1970.\n  "
            + _NUMBERED % "unix_ms",
            "unix_ms",
            [at(2024, 1, 5, 10)],
        ),
        (
            ["05/05/2024", "03/04/2024"],
            "can be read with the day first or the month first, as in '03/04/2024'; no value decides it.\n"
            "  Say in sources.yml how the dates are written:\n"
            + _lines('{from: date, format: "%d/%m/%Y"}')
            + "\n    or, if the other order is meant:\n"
            + _lines('{from: date, format: "%m/%d/%Y"}'),
            "%d/%m/%Y",
            [at(2024, 5, 5), at(2024, 4, 3)],
        ),
        (
            ["5-Jan-24", "6-Feb-24"],
            "has years of two digits, such as '5-Jan-24': century and order would be guesses.\n"
            "  Say in sources.yml how the dates are written:\n" + _lines('{from: date, format: "%d-%b-%y"}'),
            "%d-%b-%y",
            [at(2024, 1, 5), at(2024, 2, 6)],
        ),
        (
            ["05.01.24"],
            "has years of two digits, such as '05.01.24': century and order would be guesses.\n"
            "  Say in sources.yml how the dates are written:\n"
            + _lines('{from: date, format: "%d.%m.%y"}')
            + "\n    or, if the other order is meant:\n"
            + _lines('{from: date, format: "%m.%d.%y"}'),
            "%d.%m.%y",
            [at(2024, 1, 5)],
        ),
    ],
    ids=["Excel", "unix", "unix_ms", "either order", "short years, named", "short years"],
)
def test_dates_that_may_be_read_in_two_ways(
    landing: Refusals, written: list[str], message: str, form: str, expected: list[datetime]
):
    landing.write("x.csv", sales(*(f"1,{day},5" for day in written)))
    assert landing.refusal() == _DATED + message
    landing.write("sources.yml", entry(columns=f'{{sold_at: {{from: date, format: "{form}"}}}}'))
    assert rows(landing.one(), "sold_at") == [(moment,) for moment in expected]


@pytest.mark.parametrize(
    ("written", "first", "second", "orders"),
    [
        (["13/01/2024", "01/14/2024"], "13/01/2024", "01/14/2024", ["%d/%m/%Y", "%m/%d/%Y"]),
        (["2024-01-31", "31.01.2024"], "2024-01-31", "31.01.2024", ["%Y-%m-%d", "%d.%m.%Y"]),
        (["5 Jan 2024", "2024-01-05"], "2024-01-05", "5 Jan 2024", ["%Y-%m-%d", "%d %b %Y"]),
    ],
)
def test_dates_of_two_orders(landing: Refusals, written: list[str], first: str, second: str, orders: list[str]):
    settled = "\n    or, if the other order is meant:\n".join(
        _lines(f'{{from: date, format: "{order}"}}') for order in orders
    )
    landing.write("x.csv", sales(*(f"1,{day},5" for day in written)))
    assert landing.refusal() == (
        f"{_DATED}mixes orders of day, month and year: {first!r} beside {second!r}.\n"
        f"  Say in sources.yml how the dates are written:\n{settled}\n  Values written otherwise are then quarantined."
    )


def test_the_last_row_of_many_may_decide_the_order(landing: Refusals):
    path = landing.write("x.csv", sales(*["1,03/04/2024,5"] * 20_500, "1,04/13/2024,5"))
    delivery = landing.one(path)
    found = duckdb.execute(f"select sold_at, count(*) from '{delivery.parquet}/*.parquet' group by 1 order by 1")
    assert found.fetchall() == [(at(2024, 3, 4), 20_500), (at(2024, 4, 13), 1)]
    landing.write("x.csv", sales("1,04/13/2024,5", *["1,03/04/2024,5"] * 20_500, "1,13/04/2024,5"))
    assert landing.refusal(path).startswith(
        f"{_DATED}mixes orders of day, month and year: '13/04/2024' beside '04/13/2024'."
    )


def test_the_hour_that_occurs_twice(landing: Refusals):
    """Offsets tell the two apart; both are half past two on the clock. Without an offset the clock's time is kept."""
    written = ("2023-10-29T02:30:00+02:00", "2023-10-29T02:30:00+01:00", "2023-10-29T00:30:00Z", "2023-10-29T01:30:00Z")
    berlin = landing.read(sales(*(f"1,{moment},5" for moment in written)), "sold_at", timezone="Europe/Berlin")
    assert berlin == [(at(2023, 10, 29, 2, 30),)] * 4
    utc = landing.read(sales(*(f"1,{moment},5" for moment in written)), "sold_at")
    assert utc == [(at(2023, 10, 29, hour, 30),) for hour in (0, 1, 0, 1)]
    bare = landing.read(sales("1,2023-10-29 02:30,5", "1,2024-03-31 02:30,5"), "sold_at", timezone="Europe/Berlin")
    assert bare == [(at(2023, 10, 29, 2, 30),), (at(2024, 3, 31, 2, 30),)]


def test_times_of_another_zone(landing: Refusals):
    landing.write("x.csv", sales("1,2024-01-05 20:00,5", "1,2024-06-05,5", "1,2024-06-05 20:00:00-07:00,5"))
    landing.write("sources.yml", entry(timezone="America/New_York"))
    delivery = landing.one(timezone="Europe/Berlin")
    assert rows(delivery, "sold_at") == [(at(2024, 1, 6, 2),), (at(2024, 6, 5),), (at(2024, 6, 6, 5),)]


# Numbers


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(["1,234.50", "12"], ["1234.5", "12"], id="thousands and decimals"),
        pytest.param(["1.234,50", "12"], ["1234.5", "12"], id="the German way"),
        pytest.param(["12,50", "1.234"], ["12.5", "1234"], id="what 1.234 means is said by 12,50"),
        pytest.param(["1,234", "5"], ["1234", "5"], id="a lone comma before three digits"),
        pytest.param(["1 234,50", "1\u00a0234,50", "1\u202f234,50"], ["1234.5"] * 3, id="the French way"),
        pytest.param(["1'234.50", "1\u2019234.50"], ["1234.5"] * 2, id="the Swiss way"),
        pytest.param(["€ 5", "€5", "5 €", "5€", "-€5", "€-5"], ["5", "5", "5", "5", "-5", "-5"], id="euro signs"),
        pytest.param(["$1,234.50", "$5", "-$5"], ["1234.5", "5", "-5"], id="dollars"),
        pytest.param(["12,50 EUR", "EUR 1.234,00"], ["12.5", "1234"], id="currency codes"),
        pytest.param(["(5.00)", "(1,234.50)", "7"], ["-5", "-1234.5", "7"], id="parentheses"),
        pytest.param(["5.00-", "\u22125.00", "- 5"], ["-5", "-5", None], id="minus signs"),
        pytest.param(["0", "-0", "0.00", "-5"], ["0", "0", "0", "-5"], id="nothing and less"),
        pytest.param(["99999999999999.9999", "-99999999999999"], ["99999999999999.9999", "-99999999999999"], id="huge"),
        pytest.param(["1e3", "1.5E-1", "+7"], ["1000", "0.15", "7"], id="scientific"),
        pytest.param(["5", "1,2,3"], ["5", None], id="commas anywhere"),
        pytest.param(["5", "1,00,000"], ["5", None], id="the Indian way"),
        pytest.param(["5", "12.50.00"], ["5", None], id="two points"),
        pytest.param(["5", "1e15", "100000000000000"], ["5", None, None], id="too huge"),
        pytest.param(["5", "free"], ["5", None], id="a word"),
        pytest.param(["5", "5 pcs"], ["5", None], id="a unit"),
        pytest.param(["5", "12.50", "12,50"], ["5", "12.5", None], id="both marks"),
        pytest.param(["5", "#REF!"], ["5", None], id="a spreadsheet's error"),
        pytest.param(["5", "=2+3"], ["5", None], id="a formula"),
        pytest.param(["5", "Infinity"], ["5", None], id="infinity"),
        pytest.param(["5", "\u0665"], ["5", None], id="other digits"),
        pytest.param(["5", "(-5)"], ["5", None], id="twice negative"),
        pytest.param(["5", "5%"], ["5", None], id="a share"),
    ],
)
def test_amounts(landing: Refusals, written: list[str], expected: list[str | None]):
    delivery = landing.one(landing.write("x.csv", money(*written)))
    assert rows(delivery, "amount") == amounts_of(*(value for value in expected if value is not None))
    assert landing.bad(delivery) == [
        (line, "amount", text, NOT_A_NUMBER)
        for line, (text, value) in enumerate(zip(written, expected, strict=True), start=2)
        if value is None
    ]


@pytest.mark.parametrize("nothing", ["", "-", "NULL", "nan", " - ", "N/A"])
def test_missing_amounts_are_quarantined(landing: Refusals, nothing: str):
    delivery = landing.one(landing.write("x.csv", money("5", nothing)))
    assert (len(rows(delivery)), delivery.quarantined) == (1, 1)
    assert [row[:2] + row[3:] for row in landing.bad(delivery)] == [(3, "amount", "is missing")]


def test_cancellations_and_guests_are_sales(landing: Refusals):
    content = (
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123A,HOLDER,6,12/13/2010 8:26,2.55,17850.0,United Kingdom\n"
        "C536379,85123A,HOLDER,-2,12/14/2010 9:41,2.55,17850.0,United Kingdom\n"
        "536380,22423,STAND,1,12/14/2010 9:50,0,,United Kingdom\n"
        "A563185,B,Adjust bad debt,1,12/14/2010 10:00,-11062.06,,United Kingdom\n"
    )
    assert landing.read(content, "order_id, customer_id, product_id, quantity, amount") == [
        ("536365", "17850", "85123A", 6, Decimal("15.30")),
        ("C536379", "17850", "85123A", -2, Decimal("-5.10")),
        ("536380", None, "22423", 1, Decimal(0)),
        ("A563185", None, "B", 1, Decimal("-11062.06")),
    ]


_TWO_CURRENCIES = """\
{what}
  Convert them, or say in sources.yml {how}:
    files:
      - path: x.csv
        table: shop.sales
        where: {{{where}}}"""


@pytest.mark.parametrize("late", [0, 20_500])
def test_two_currency_marks_are_refused(landing: Refusals, late: int):
    path = landing.write("x.csv", money("€5", *["€6"] * late, "$6"))
    assert landing.refusal(path) == _TWO_CURRENCIES.format(
        what="x.csv: column 'amount' (shop.sales.amount) has amounts in more than one currency: '$6' beside '€5'. "
        "They cannot be added up.",
        how="by which column to tell the rows that count",
        where='"<column of the file>": ["<value of the rows to keep>"]',
    )


_CURRENCIES = "customer_id,date,amount,Currency\n1,2024-01-05,5,EUR\n2,2024-01-06,7.5,{}\n3,2024-01-07,9,{}\n"
_TOLD = "x.csv: EUR in line 2, USD in line 4: amounts in more than one currency cannot be added up."


def test_a_column_of_two_currencies_is_refused_and_settled_by_the_lines_shown(landing: Refusals):
    landing.write("x.csv", _CURRENCIES.format("EUR", "USD"))
    message = landing.refusal()
    assert message == _TWO_CURRENCIES.format(what=_TOLD, how="which rows count", where="Currency: [EUR]")
    landing.write("sources.yml", message.split("which rows count:\n")[1])
    kept = landing.one()
    assert (rows(kept), kept.left_out, kept.currency) == ([ANN, BOB], 1, "EUR")


def test_the_lines_shown_keep_a_currency_however_it_is_written(landing: Refusals):
    landing.write("x.csv", _CURRENCIES.format("eur", "USD"))
    message = landing.refusal()
    landing.write("sources.yml", message.split("which rows count:\n")[1])
    kept = landing.one()
    assert (rows(kept), kept.left_out, kept.currency) == ([ANN, BOB], 1, "EUR")
    assert message.startswith(_TOLD)


def test_one_currency_is_told(landing: Refusals):
    path = landing.write("x.csv", _CURRENCIES.format("eur", "EUR"))
    assert landing.one(path).currency == "EUR"
    landing.write("sources.yml", "currency: USD")
    assert landing.refusal(path) == (
        "x.csv: its amounts are in EUR, but sources.yml says currency: USD. Convert them, or take the file out."
    )
    landing.write("x.csv", money("£5", "£6"))
    assert landing.refusal(path) == (
        "x.csv: its amounts are in GBP, but sources.yml says currency: USD. Convert them, or take the file out."
    )


# Rows that are none


def fifty(*odd: str) -> str:
    """Names of customers with odd lines among them, at lines 2 and on."""
    return "customer_id,name\n" + "".join(f"{line}\n" for line in odd) + "".join(f"k{i},n{i}\n" for i in range(50))


@pytest.mark.parametrize(
    ("odd", "bad"),
    [
        (["1"], [(2, None, None, "1 fields where the header has 2")]),
        (
            ["1,a,b", "2,c,d,e"],
            [
                (2, None, None, "3 fields where the header has 2"),
                (3, None, None, "4 fields where the header has 2"),
            ],
        ),
        (['1,"a'], [(2, None, None, OPEN_QUOTE)]),
        (['1,"a"b'], [(2, None, None, OPEN_QUOTE)]),
        ([r'1,"a \"b\" c"'], [(2, None, None, OPEN_QUOTE)]),
        ([",nobody"], [(2, "customer_id", None, "is missing")]),
        (["1.2E+10,a"], [(2, "customer_id", "1.2E+10", CUT_SHORT)]),
        (["1.2345678901234568e+16,a"], [(2, "customer_id", "1.2345678901234568e+16", CUT_SHORT)]),
        (["# a comment"], [(2, None, None, "1 fields where the header has 2")]),
        (["---"], [(2, None, None, "1 fields where the header has 2")]),
        (["</html>"], [(2, None, None, "1 fields where the header has 2")]),
    ],
)  # fmt: skip
def test_odd_rows_are_quarantined_and_the_others_kept(landing: Refusals, odd: list[str], bad: list[tuple[Any, ...]]):
    delivery = landing.one(landing.write("x.csv", fifty(*odd)))
    assert (delivery.rows, delivery.quarantined, delivery.set_aside) == (50 + len(odd), len(odd), None)
    assert landing.bad(delivery) == bad
    assert rows(delivery, "customer_id, name") == [(f"k{i}", f"n{i}") for i in range(50)]


@pytest.mark.parametrize(
    ("total", "bad"),
    [
        (",,12.5", (4, "date (sold_at)", None, "is missing")),
        ("Total,,12.5", (4, "date (sold_at)", None, "is missing")),
        ("Total:;12.5", (4, None, None, "1 fields where the header has 3")),
        ("2 rows", (4, None, None, "1 fields where the header has 3")),
    ],
)
def test_a_line_of_totals_is_no_sale(landing: Refusals, total: str, bad: tuple[Any, ...]):
    delivery = landing.one(landing.write("x.csv", f"{TWO}{total}\n"))
    assert rows(delivery) == [ANN, BOB]
    assert landing.bad(delivery) == [bad]


@pytest.mark.parametrize(
    ("bad", "rows_in", "set_aside"),
    [(4, 10, False), (5, 100, False), (6, 100, True), (1, 100, False), (5, 10, True), (1, 1, False), (5, 5, True)],
)
def test_too_many_bad_rows_set_the_file_aside(landing: Refusals, bad: int, rows_in: int, set_aside: bool):
    lines = ["1,2024-01-05,5"] * (rows_in - bad) + ["1,2024-01-05,five"] * bad
    delivery = landing.one(landing.write("x.csv", sales(*lines)))
    example = f"x.csv, line {rows_in - bad + 2}, amount: 'five' {NOT_A_NUMBER}"
    assert delivery.examples[0] == example
    assert landing.bad(delivery) == [
        (line, "amount", "five", NOT_A_NUMBER) for line in range(rows_in - bad + 2, rows_in + 2)
    ]
    if set_aside:
        assert delivery.set_aside is not None
        assert delivery.set_aside.startswith(f"{bad} of {rows_in} rows are bad. First: {example}")
        assert (delivery.quarantined, delivery.parquet, delivery.newly_set_aside) == (rows_in, None, True)
    else:
        assert (delivery.quarantined, delivery.set_aside, rows(delivery)) == (bad, None, [ANN] * (rows_in - bad))


@pytest.mark.parametrize("rows_in", [3, 40])
def test_text_in_two_bytes_that_is_cut_off(landing: Refusals, rows_in: int):
    content = sales(*["1,2024-01-05,5"] * rows_in).encode("utf-16")
    message = landing.refusal(landing.write("x.csv", content[:-1]))
    assert message.startswith("x.csv: ")
    assert "utf-16" in message.lower()
    assert "Traceback" not in message
    assert message.endswith("Export it again.")


@pytest.mark.parametrize("cut", [b"3,Zo\xe9\n", b"3,Zo\xc3"], ids=["one line in Latin-1", "cut off within a letter"])
def test_one_broken_letter_does_not_spoil_the_others(landing: Refusals, cut: bytes):
    """Either the file is refused with the line, or the names that are whole stay whole."""
    path = landing.write("x.csv", "customer_id,name\n1,Zoë\n2,Jörg\n".encode() + cut)
    try:
        found = rows(landing.one(path), "name")[:2]
    except SourceError as error:
        found = str(error)
    assert found == [("Zoë",), ("Jörg",)] or ("x.csv" in found and "line 4" in found)


# Refused as a whole


_NOTHING = "x.csv: the file is empty, without even a header line. Remove it, or give header: in sources.yml."
_NO_FIT = "{}: its header fits no table: nearest is {}.\n  found: {}\n  Say in sources.yml what the columns are:\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", _NOTHING),
        ("\n \r\n\t\n", _NOTHING),
        ("\ufeff", _NOTHING),
        (
            b"customer_id,date,amount\n1,2024-01-05,5\n2,\x002024-01-06,6\n",
            "x.csv: this is not a text file (a NUL byte in line 3). Export it as CSV (UTF-8), Excel (.xlsx), JSON "
            "lines (.jsonl) or Parquet.",
        ),
        (
            b"%PDF-1.4\n\x00",
            "x.csv: this is a PDF, whatever its name says. Export it as CSV (UTF-8), Excel (.xlsx), JSON lines "
            "(.jsonl) or Parquet.",
        ),
        (
            "foo,bar\n1,2\n",
            _NO_FIT.format("x.csv", "shop.sales, which misses customer_id, sold_at, amount", "foo, bar"),
        ),
        (
            "1,2024-01-05,5\n2,2024-01-06,6\n",
            _NO_FIT.format("x.csv", "shop.sales, which misses customer_id, sold_at, amount", "1, 2024-01-05, 5"),
        ),
        (
            "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
            _NO_FIT.format("x.csv", "shop.sales, which misses customer_id, sold_at, amount", "<!DOCTYPE, html>"),
        ),
        (
            "customer_id,date,price\n1,2024-01-05,5\n",
            _NO_FIT.format("x.csv", "shop.sales, which misses amount", "customer_id, date, price"),
        ),
        (
            "customer_id\n1\n",
            _NO_FIT.format("x.csv", "shop.sales, which misses sold_at, amount", "customer_id"),
        ),
        (
            "customer_id,date,amount,amount\n1,2024-01-05,5,6\n",
            "x.csv: 'amount' and 'amount' both stand for shop.sales.amount.\n  Say in sources.yml which is meant:\n",
        ),
        (
            "customer_id,date,Amount,Total\n1,2024-01-05,5,6\n",
            "x.csv: 'Amount' and 'Total' both stand for shop.sales.amount.\n  Say in sources.yml which is meant:\n"
            "    files:\n      - path: x.csv\n        table: shop.sales\n        columns:\n          amount: Amount",
        ),
        (
            "customer_id,date,order_date,amount\n1,2024-01-05,2024-01-05,6\n",
            "x.csv: 'date' and 'order_date' both stand for shop.sales.sold_at.\n",
        ),
        (
            "customer_id,date,amount,churn_score\n1,2024-01-05,3,0.5\n",
            "x.csv: its header fits shop.sales and scores.churn.\n  found: customer_id, date, amount, churn_score\n"
            "  Say which: put the file into landing/shop/sales/ (or the other's folder), or name the table in "
            "sources.yml:\n    files:\n      - path: x.csv\n        table: shop.sales",
        ),
    ],
)  # fmt: skip
def test_refused_files(landing: Refusals, content: str | bytes, message: str):
    assert landing.refusal(landing.write("x.csv", content)).startswith(message)


def test_all_files_that_cannot_be_told_are_named_at_once(landing: Refusals):
    landing.write("a.csv", "")
    landing.write("b.csv", "foo\n1\n")
    landing.write("good.csv", TWO)
    message = landing.refusal()
    assert message.startswith("a.csv: the file is empty")
    assert "\nb.csv: its header fits no table" in message
    assert "good.csv" not in message


def test_a_customer_in_tickets_that_sales_do_not_know_is_kept(landing: Refusals):
    landing.write("sales.csv", TWO)
    landing.write("tickets.csv", "ticket_id,customer_id,created_at\n1,nobody,2024-01-05\n")
    bought, asked = landing.deliver()
    assert (bought.table, asked.table) == ("shop.sales", "helpdesk.tickets")
    assert rows(asked, "ticket_id, customer_id, opened_at") == [("1", "nobody", at(2024, 1, 5))]


# Files that are no files


def test_a_path_with_nothing_at_it(landing: Refusals):
    missing = landing.landing / "none.csv"
    with pytest.raises(SourceError) as caught:
        landing.source(missing)
    assert str(caught.value) == f"{missing}: there is no such file or folder."


def test_links_that_lead_nowhere(landing: Refusals):
    (landing.landing / "gone.csv").symlink_to("/nowhere/x.csv")
    (landing.landing / "self.csv").symlink_to("self.csv")
    remedy = "Restore it or its permissions, or take it out of the folder."
    assert landing.refusal() == (
        f"gone.csv (a link to /nowhere/x.csv): cannot be opened (No such file or directory). {remedy}\n"
        f"self.csv (a link to self.csv): cannot be opened (Too many levels of symbolic links). {remedy}"
    )


def test_links_out_of_the_folder_are_followed(landing: Refusals):
    outside = landing.folder / "outside"
    outside.mkdir()
    (outside / "x.csv").write_text(TWO)
    (landing.landing / "link.csv").symlink_to(outside / "x.csv")
    (landing.landing / "more").symlink_to(outside)
    assert [(d.name, rows(d)) for d in landing.deliver()] == [("link.csv", [ANN, BOB]), ("more/x.csv", [ANN, BOB])]


def test_a_loop_of_links_ends(landing: Refusals):
    landing.write("a/x.csv", TWO)
    (landing.landing / "a" / "up").symlink_to(landing.landing)
    (landing.landing / "again").symlink_to(landing.landing / "a")
    assert [delivery.name for delivery in landing.deliver()] == ["a/x.csv"]


def test_a_folder_named_like_a_file_is_a_folder(landing: Refusals):
    landing.write("sales.csv/part-0.csv", TWO)
    (landing.landing / "empty.parquet").mkdir()
    assert [(d.name, rows(d)) for d in landing.deliver()] == [("sales.csv/part-0.csv", [ANN, BOB])]
    assert [delivery.name for delivery in landing.deliver(landing.landing / "sales.csv")] == ["part-0.csv"]


def test_a_file_that_grows_while_it_is_read(landing: Refusals, monkeypatch: pytest.MonkeyPatch):
    from sources import files

    path = landing.write("x.csv", TWO)
    plain = files.fingerprint

    def grow(read: Path) -> Any:
        seen = plain(read)
        with path.open("a") as file:
            file.write("3,2024-01-07,9\n")
        return seen

    monkeypatch.setattr(files, "fingerprint", grow)
    assert landing.refusal(path) == "x.csv: it changed while it was read. Refresh again once it is written."


_DAMAGED = "Copy or export it again."
_UNPACK = "Unpack it yourself and put the files here."
_AWAY = "take it out of the folder."
_SHEETS = "export its sheets as CSV."
_AS_LINES = "Export it as JSON lines."


def _locked() -> bytes:
    """An archive whose one file is marked as encrypted."""
    content = bytearray(packed({"x.csv": TWO}))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "start", "end"),
    [
        ("x.csv.gz", gzip.compress(TWO.encode(), mtime=0)[:-12], "x.csv.gz: damaged or cut off (", _DAMAGED),
        ("x.csv.gz", gzip.compress(TWO.encode(), mtime=0)[:20] + b"xx", "x.csv.gz: damaged or cut off (", _DAMAGED),
        ("x.csv.gz", TWO.encode(), "x.csv.gz: damaged or cut off (Not a gzipped file", _DAMAGED),
        ("x.csv.gz", b"", "x.csv.gz: the file is empty", "give header: in sources.yml."),
        ("x.gz", gzip.compress(TWO.encode(), mtime=0), "x.gz: files ending", _AWAY),
        ("x.zip", packed({"x.csv": TWO})[:-30], "x.zip: damaged or cut off (File is not a zip file)", _DAMAGED),
        ("x.zip", b"", "x.zip: damaged or cut off (File is not a zip file)", _DAMAGED),
        ("x.zip", packed({"x.csv": TWO}).replace(b"2024", b"2023", 1), "x.zip: damaged or cut off (Bad CRC", _DAMAGED),
        ("x.zip", _locked(), "x.zip: cannot be unpacked (File", "required for extraction). " + _UNPACK),
        ("x.zip", packed({}), "x.zip: ", ""),
        ("x.zip", packed({"y.doc": b"a"}), "x.zip/y.doc: files ending .doc cannot be read", _AWAY),
        ("x.zip", packed({"y.zip": b"a"}), "x.zip/y.zip: damaged or cut off (", _DAMAGED),
        ("x.xlsx", b"", "x.xlsx: cannot be read as a workbook (", _SHEETS),
        ("x.xls", b"<html><table></table></html>", "x.xls: cannot be read as a workbook (", _SHEETS),
        ("x.parquet", b"PAR1", "x.parquet: cannot be read as Parquet (", "Export it anew."),
        ("x.parquet", b"", "x.parquet: cannot be read as Parquet (", "Export it anew."),
        ("x.jsonl", b"", "x.jsonl: no line is a JSON object.", "an array of objects in a .json file."),
        ("x.json", b"[]", "x.json: no line is a JSON object.", "an array of objects in a .json file."),
        ("x.json", b'[{"customer_id": 1}, {"custo', "x.json: not a JSON array of objects (", _AS_LINES),
        ("x.json", b"[1, 2]", "x.json: no line is a JSON object.", "an array of objects in a .json file."),
        ("x.json", b"5", "x.json: no line is a JSON object.", "an array of objects in a .json file."),
        ("x.ini", b"a=1", "x.ini: files ending .ini cannot be read; readable are .csv, ", _AWAY),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_damaged_files(landing: Refusals, name: str, content: bytes, start: str, end: str):
    message = landing.refusal(landing.write(name, content))
    assert message.startswith(start)
    assert message.endswith(end)


def test_nothing_of_an_archive_leaves_its_folder(landing: Refusals):
    name = "/a/evil.csv"
    notes = {"__MACOSX/._a.csv": b"\0", "d/": b"", "README.md": "x", "d/.DS_Store": b"\0"}
    delivery = landing.one(landing.write("x.zip", packed({name: TWO, **notes})))
    assert (delivery.name, rows(delivery)) == (f"x.zip/{name}", [ANN, BOB])
    assert not list(landing.folder.rglob("evil.csv"))


def test_an_archive_of_several_files(landing: Refusals):
    later = gzip.compress(sales("3,2024-01-07,9").encode())
    files = {"2024/sales.csv": TWO, "more.csv.gz": later, "who.csv": "customer_id,name\n1,Ann\n"}
    found = {delivery.name: delivery for delivery in landing.deliver(landing.write("x.zip", packed(files)))}
    assert {name: (d.table, d.rows) for name, d in found.items()} == {
        "x.zip/2024/sales.csv": ("shop.sales", 2),
        "x.zip/more.csv.gz": ("shop.sales", 1),
        "x.zip/who.csv": ("shop.customers", 1),
    }
    assert rows(found["x.zip/more.csv.gz"]) == [("3", at(2024, 1, 7), Decimal(9))]


def workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[Any]]]) -> Path:
    """A workbook."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, lines in sheets.items():
        sheet = book.create_sheet(title)
        for line in lines:
            sheet.append(line)
    book.save(path)
    return path


def test_a_workbook_with_notes(landing: Refusals):
    header = ["Customer ID", "Order Date", "Amount", "Quantity"]
    path = workbook(
        landing.landing / "shop.xlsx",
        {
            "Notes": [["Made by Ann"], [], ["Call me", 5]],
            "2023": [header, [17850, at(2023, 1, 5, 10, 30), 12.5, 2], ["007", date(2023, 1, 6), 1e6, -1]],
            "Empty": [],
            "2024": [["Sales 2024"], [], header, [1, at(2024, 1, 5), "1.234", None], [2, "soon", 5, 1], [None] * 4],
        },
    )
    one, two = landing.deliver(path)
    assert (one.name, two.name) == ("shop.xlsx/2023", "shop.xlsx/2024")
    assert rows(one, f"{SOLD}, quantity") == [
        ("17850", at(2023, 1, 5, 10, 30), Decimal("12.5"), 2),
        ("007", at(2023, 1, 6), Decimal(1_000_000), -1),
    ]
    assert rows(two, f"{SOLD}, _line") == [("1", at(2024, 1, 5), Decimal("1.234"), 4)]
    assert landing.bad(two) == [(5, "Order Date (sold_at)", "soon", YEAR_FIRST)]
    landing.write("sources.yml", entry(path="shop.xlsx", sheet='"2023"'))
    assert [delivery.name for delivery in landing.deliver()] == ["shop.xlsx/2023"]
    landing.write("sources.yml", entry(path="shop.xlsx", sheet="Nots"))
    assert landing.refusal().endswith(
        "files[0].sheet: shop.xlsx has no sheet 'Nots' that holds anything. Found: Notes, 2023, 2024."
    )


def test_a_workbook_of_notes_only(landing: Refusals):
    path = workbook(landing.landing / "x.xlsx", {"Notes": [["Made by Ann"]], "More": [["Nothing"]]})
    assert landing.refusal(path).startswith("x.xlsx/Notes: its header fits no table")
    workbook(path, {"A": [], "B": []})
    assert landing.refusal(path) == "x.xlsx: all its sheets are empty. Remove it, or fill it."


def test_text_and_line_breaks_in_a_workbook(landing: Refusals):
    lines = [["customer\nid", "name", "opt in"], [1, 'a\nb, "c"', True], [2, "=x", False], ["'3", "<b>", None]]
    path = workbook(landing.landing / "x.xlsx", {"S": lines})
    # A formula that no spreadsheet program has computed has no value.
    assert rows(landing.one(path), "customer_id, name, marketing_consent") == [
        ("1", 'a b, "c"', True),
        ("2", None, False),
        ("3", "<b>", None),
    ]


def test_json_lines(landing: Refusals):
    lines = [
        '{"customer_id": 17850.0, "date": "2024-01-05", "amount": 5, "tags": ["a", {"b": 1}]}',
        "",
        '{"amount": 7.5, "date": "2024-01-06T00:00:00", "customer_id": "2", "channel": "a\\nb"}',
        '{"date": "2024-01-07", "customer_id": null, "amount": 1e1}',
        '{"date": "2024-01-07", "customer_id": 3}',
        '{"date": "2024-01-07", "amount": {"value": 5}, "customer_id": 3}',
        '{"date": "2024-01-07", ',
        '["2024-01-07", 3, 5]',
    ]
    delivery = landing.one(landing.write("x.jsonl", "\n".join(lines)))
    assert rows(delivery, f"{SOLD}, channel") == [
        (*("17850", *ANN[1:]), None),
        (*BOB, "a\nb"),
        (None, at(2024, 1, 7), Decimal(10), None),
    ]
    assert landing.bad(delivery) == [
        (5, "amount", None, "is missing"),
        (6, "amount", '{"value":5}', NOT_A_NUMBER),
        (7, None, None, "not a JSON object"),
        (8, None, None, "not a JSON object"),
    ]


@pytest.mark.parametrize("name", ["x.json", "x.jsonl", "x.json.gz", "x.zip"])
def test_json_arrays(landing: Refusals, name: str):
    content = json.dumps(
        [{"customer_id": "1", "date": "2024-01-05", "amount": "5,00"}, {"customer_id": "2", "date": "2024-01-06"}],
        indent=2,
    ).encode()
    if name.endswith(".gz"):
        content = gzip.compress(content)
    if name.endswith(".zip"):
        content = packed({"x.json": content})
    delivery = landing.one(landing.write(name, content))
    assert rows(delivery) == [ANN]
    assert landing.bad(delivery) == [(2, "amount", None, "is missing")]


def test_json_keys_of_any_kind(landing: Refusals):
    content = '{"Customer/ID~": "1", "order date": "2024-01-05", "a\\"b": 1, "Amount €": 5}\n'
    landing.write("x.jsonl", content)
    columns = '{customer_id: "Customer/ID~", sold_at: order date, amount: "Amount €"}'
    landing.write("sources.yml", entry(path="x.jsonl", columns=columns))
    assert rows(landing.one()) == [ANN]


def test_parquet_with_its_own_types(landing: Refusals):
    path = landing.landing / "x.parquet"
    duckdb.execute(
        f"""copy (select * from (values
            (17850::bigint, date '2024-01-05', 5.25::decimal(9, 2), 2::tinyint, 0.5::float, [1, 2], true),
            (null, date '2024-01-06', -7.5, null, null, null, false), (3, date '1900-01-01', 1, 1, 0, null, null),
            (4, date '2024-01-07', 1, 1, 1.5, null, null), (5, null, 1, 1, 1, null, null))
            t(customer_id, "Order Date", amount, quantity, discount_rate, basket, gift)) to '{path}' (format parquet)"""
    )
    delivery = landing.one(path)
    assert rows(delivery, f"{SOLD}, quantity, discount_rate") == [
        ("17850", at(2024, 1, 5), Decimal("5.25"), 2, 0.5),
        (None, at(2024, 1, 6), Decimal("-7.5"), None, None),
    ]
    assert landing.bad(delivery) == [
        (3, "Order Date (sold_at)", "1900-01-01", "lies before 1970-01-01"),
        (4, "discount_rate", "1.5", "is above 1"),
        (5, "Order Date (sold_at)", None, "is missing"),
    ]


def test_parquet_of_texts_times_and_odd_numbers(landing: Refusals):
    path = landing.landing / "x.parquet"
    duckdb.execute(
        f"""copy (select '00' || i as customer_id, '13/02/2024' as date, timestamp_ns '2024-01-05 10:00:00.5' as
            returned_at, amount::double as amount from (values (1, 5), (2, 'nan'), (3, 'inf'), (4, 1e15), (5, 0.1))
            t(i, amount)) to '{path}' (format parquet)"""
    )
    delivery = landing.one(path)
    assert rows(delivery, f"{SOLD}, returned_at") == [
        ("001", at(2024, 2, 13), Decimal(5), at(2024, 1, 5, 10, 0, 0, 500_000)),
        ("005", at(2024, 2, 13), Decimal("0.1"), at(2024, 1, 5, 10, 0, 0, 500_000)),
    ]
    assert [row[:2] + row[3:] for row in landing.bad(delivery)] == [
        (line, "amount", NOT_A_NUMBER) for line in (2, 3, 4)
    ]
    duckdb.execute(f"copy (select 1 as customer_id, date '2024-01-05' as date, 2 as amount limit 0) to '{path}'")
    assert (landing.one(path).rows, landing.one(path).quarantined) == (0, 0)


_LARGE = """
    import json, resource, sys
    from datetime import date
    from pathlib import Path
    from sources.contracts import BY_NAME
    from sources.delivery import Request
    from sources.files import open_files

    def used():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    path, out = map(Path, sys.argv[1:])
    small = path.with_name("small.csv")
    request = Request(received_on=date(2024, 6, 30), as_of=None, timezone="UTC", known={}, memory="40MB")
    found = []
    for file in (small, path):
        (out / file.stem).mkdir(parents=True)
        (read,) = open_files(file, out / "quarantine").deliver(BY_NAME["shop.sales"], out / file.stem, request)
        found.append([read.rows, read.quarantined, used()])
    print(json.dumps(found))
"""


def test_a_file_larger_than_memory_streams(landing: Refusals):
    """A file of 180 MB under a cap of 40 MB takes less beyond a small file's needs than it is long."""
    note = "x" * 6_000
    landing.write("small.csv", f"customer_id,date,amount,note\n1,2024-01-05,5,{note}\n")
    script = landing.folder / "read.py"
    script.write_text(textwrap.dedent(_LARGE))
    path = landing.landing / "x.csv"
    with path.open("w") as file:
        file.write("customer_id,date,amount,note\n")
        file.writelines(f"{i},2024-01-{i % 28 + 1:02d},{i % 97}.5,{note}\n" for i in range(30_000))
        file.write("7,soon,5,x\n")
    assert path.stat().st_size > 180_000_000
    command = [sys.executable, str(script), str(path), str(landing.folder / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    path.unlink()
    assert done.returncode == 0, done.stderr[-500:]
    (_, _, before), (read, quarantined, peak) = json.loads(done.stdout)
    assert (read, quarantined) == (30_001, 1)
    assert peak - before < 165, f"{peak - before} MB more"


# What becomes of rows that are there already


KEYED = "sale_id,customer_id,date,amount\n"


def test_the_same_file_again_and_renamed(home: Home):
    path = home.write("a.csv", TWO, age=100)
    assert home.counts() == [("a.csv", 2, 2, 0, 0, 0)]
    assert home.counts() == [("a.csv", 2, 0, 0, 2, 0)]
    path.rename(path.with_name("b.csv"))
    assert home.counts() == [("b.csv", 2, 0, 0, 2, 0)]
    home.write("c.csv", TWO, age=300)
    assert home.counts() == [("b.csv", 2, 0, 0, 2, 0), ("c.csv", 2, 0, 0, 2, 0)]
    home.write("d.csv", TWO.replace(",", ";"), age=400)
    assert home.counts()[-1] == ("d.csv", 2, 0, 0, 2, 0)
    assert home.stored(f"{SOLD}, _batch") == [(*ANN, 1), (*BOB, 1)]


def test_keys_that_repeat(home: Home):
    home.write("a.csv", f"{KEYED}a,1,2024-01-05,5\na,1,2024-01-05,5.0\nb,2,2024-01-06,7\nb,2,2024-01-06,7.5\n", age=100)
    assert home.counts() == [("a.csv", 4, 2, 1, 1, 0)]
    assert home.stored(SOLD) == [ANN, BOB]
    home.write("b.csv", f"{KEYED}b,2,2024-02-06,8\na,1,2024-01-05,5\nc,1,2024-01-05,5\n", age=200)
    assert home.counts()[1:] == [("b.csv", 3, 1, 1, 1, 0)]
    assert home.stored(f"sale_id, {SOLD}") == [("a", *ANN), ("b", "2", at(2024, 2, 6), Decimal(8)), ("c", *ANN)]


def test_overlapping_exports_and_late_rows(home: Home):
    """Without keys equal purchases of one file stay apart, and those of the next one are the same again."""
    home.write("january.csv", sales("1,2024-01-05,5", "1,2024-01-05,5", "2,2024-01-06,7.5"), age=100)
    assert home.counts() == [("january.csv", 3, 3, 0, 0, 0)]
    late = sales("2,2024-01-06,7.5", "1,2024-01-05,5", "1,2024-01-05,5", "1,2024-01-05,5", "1,2023-12-31,1")
    home.write("february.csv", late, age=200)
    assert home.counts()[1] == ("february.csv", 5, 2, 0, 3, 0)
    assert home.stored(SOLD) == [("1", at(2023, 12, 31), Decimal(1)), ANN, ANN, ANN, BOB]


def test_a_file_set_aside_adds_nothing_and_its_mended_rows_come_later(home: Home):
    home.write("a.csv", TWO, age=100)
    home.write("b.csv", f"{TWO}{'9,soon,1' + chr(10)}" + "9,soon,1\n" * 4, age=200)
    assert home.counts() == [("a.csv", 2, 2, 0, 0, 0), ("b.csv", 7, 0, 0, 0, 7)]
    assert home.counts() == [("a.csv", 2, 0, 0, 2, 0), ("b.csv", 7, 0, 0, 0, 7)]
    home.write("b.csv", TWO + "9,2024-01-07,1\n" * 5, age=200)
    assert home.counts() == [("a.csv", 2, 0, 0, 2, 0), ("b.csv", 7, 5, 0, 2, 0)]
    assert len(home.stored(SOLD)) == 7


def test_removed_files_stay_read(home: Home):
    path = home.write("a.csv", TWO, age=100)
    home.refresh()
    path.unlink()
    assert home.refresh() == []
    assert home.stored(SOLD) == [ANN, BOB]
    path.write_text(TWO)
    assert home.counts() == [("a.csv", 2, 0, 0, 2, 0)]


# Exports of well-known programs


def export(header: str, *lines: Mapping[str, str]) -> str:
    """A file with that header, whose rows give some columns."""
    names = next(csv.reader([header]))
    written = io.StringIO()
    writer = csv.DictWriter(written, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return written.getvalue()


SHOPIFY_ORDERS = (
    "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,Shipping,"
    "Taxes,Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,Lineitem name,"
    "Lineitem price,Lineitem compare at price,Lineitem sku,Lineitem requires shipping,Lineitem taxable,"
    "Lineitem fulfillment status,Billing Name,Billing Street,Billing Address1,Billing Address2,Billing Company,"
    "Billing City,Billing Zip,Billing Province,Billing Country,Billing Phone,Shipping Name,Shipping Street,"
    "Shipping Address1,Shipping Address2,Shipping Company,Shipping City,Shipping Zip,Shipping Province,"
    "Shipping Country,Shipping Phone,Notes,Note Attributes,Cancelled at,Payment Method,Payment Reference,"
    "Refunded Amount,Vendor,Outstanding Balance,Employee,Location,Device ID,Id,Tags,Risk Level,Source,"
    "Lineitem discount,Tax 1 Name,Tax 1 Value,Phone,Receipt Number,Duties,Payment References"
)


def _order(name: str, email: str, day: str, line: str, sku: str, **first: str) -> dict[str, str]:
    """A line of an order; what `first` gives stands on an order's first line only."""
    quantity, price, off = line.split()
    return {
        "Name": name,
        "Email": email,
        "Created at": day,
        "Lineitem quantity": quantity,
        "Lineitem price": price,
        "Lineitem discount": off,
        "Lineitem sku": sku,
        **{key.replace("_", " "): value for key, value in first.items()},
    }


def _first(status: str, subtotal: str, total: str, source: str = "web") -> dict[str, str]:
    return {"Financial_Status": status, "Subtotal": subtotal, "Total": total, "Currency": "EUR", "Source": source}


def test_shopify_orders(landing: Refusals):
    zoe, omar = "zoe.lindqvist@example.com", "omar.haddad@example.com"
    content = export(
        SHOPIFY_ORDERS,
        _order("#1001", zoe, "2024-01-05 10:15:00 +0100", "2 24.50 0.00", "MUG-BLU",
               **_first("paid", "98.10", "103.00")),
        _order("#1001", zoe, "2024-01-05 10:15:00 +0100", "1 60.00 0.00", "THR-GRY"),
        _order("#1002", "Omar.Haddad@Example.com", "2024-01-07 23:40:12 +0100", "1 40.00 5.00", "BRD-OAK",
               **_first("paid", "35.00", "35.00")),
        _order("#1003", zoe, "2024-02-11 09:02:30 +0100", "1 60.00 0.00", "THR-GRY",
               **_first("refunded", "60.00", "64.90")),
        _order("#1004", "mai.nguyen@example.org", "2024-07-02 08:05:00 +0200", "3 12.00 0.00", "CND-BWX",
               **_first("partially_refunded", "36.00", "40.90")),
        _order("#1005", "", "2024-07-04 14:20:09 +0200", "1 24.50 0.00", "MUG-BLU",
               **_first("paid", "24.50", "24.50", "pos")),
        _order("#1006", omar, "2024-07-09 18:00:41 +0200", "1 24.50 0.00", "MUG-BLU",
               **_first("voided", "36.50", "41.40")),
        _order("#1006", omar, "2024-07-09 18:00:41 +0200", "1 12.00 0.00", "CND-BWX"),
    )  # fmt: skip
    delivery = landing.one(landing.write("orders_export.csv", content), received=date(2024, 7, 31))
    assert (delivery.rows, delivery.quarantined, delivery.left_out, delivery.currency) == (6, 0, 2, "EUR")
    assert rows(delivery, f"order_id, product_id, {SOLD}, channel") == [
        ("#1001", "MUG-BLU", zoe, at(2024, 1, 5, 9, 15), Decimal("44.10"), "web"),
        ("#1001", "THR-GRY", zoe, at(2024, 1, 5, 9, 15), Decimal("54.00"), "web"),
        ("#1002", "BRD-OAK", omar, at(2024, 1, 7, 22, 40, 12), Decimal("35.00"), "web"),
        ("#1003", "THR-GRY", zoe, at(2024, 2, 11, 8, 2, 30), Decimal("60.00"), "web"),
        ("#1004", "CND-BWX", "mai.nguyen@example.org", at(2024, 7, 2, 6, 5), Decimal("36.00"), "web"),
        ("#1005", "MUG-BLU", None, at(2024, 7, 4, 12, 20, 9), Decimal("24.50"), "pos"),
    ]


def test_shopify_customers(landing: Refusals):
    header = (
        "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,"
        "Default Address Address1,Default Address Address2,Default Address City,Default Address Province Code,"
        "Default Address Country Code,Default Address Zip,Default Address Phone,Phone,Accepts SMS Marketing,"
        "Total Spent,Total Orders,Note,Tax Exempt,Tags"
    )

    def customer(number: str, name: str, email: str, city: str, consent: str) -> dict[str, str]:
        return {
            "Customer ID": f"'730000000001{number}",
            "First Name": name.partition(" ")[0],
            "Last Name": name.partition(" ")[2],
            "Email": email,
            "Default Address City": city,
            "Accepts Email Marketing": consent,
            "Total Spent": "163.00",
            "Note": "Prefers pickup,\nrings twice",
        }

    content = export(
        header,
        customer("1", "Zoë Lindqvist", "zoe.lindqvist@example.com", "Malmö", "yes"),
        customer("2", "Omar Haddad", "Omar.Haddad@example.com", "Lyon", "no"),
        customer("3", "Mai Nguyễn", "mai.nguyen@example.org", "Wien", "yes"),
        customer("4", "Walk-in", "", "", "no"),
    )
    delivery = landing.one(landing.write("customers_export.csv", content))
    assert (delivery.rows, delivery.quarantined, delivery.left_out) == (3, 0, 1)
    assert rows(delivery, "customer_id, name, city, marketing_consent") == [
        ("zoe.lindqvist@example.com", "Zoë Lindqvist", "Malmö", True),
        ("omar.haddad@example.com", "Omar Haddad", "Lyon", False),
        ("mai.nguyen@example.org", "Mai Nguyễn", "Wien", True),
    ]


def test_shopify_customers_as_they_were(landing: Refusals):
    content = (
        "First Name,Last Name,Email,Company,Address1,Address2,City,Province,Province Code,Country,Country Code,Zip,"
        "Phone,Accepts Marketing,Total Spent,Total Orders,Tags,Note,Tax Exempt\n"
        "Renée,Tremblay,renee.tremblay@example.com,,1 rue Test,,Montréal,Quebec,QC,Canada,CA,H2X 0A1,'+15145550100,"
        "yes,120.00,3,,,no\n"
        "Sam,Okafor,sam.okafor@example.org,,,,Leeds,,,United Kingdom,GB,,,no,0.00,0,,,no\n"
        ",,guest.checkout@example.com,,,,,,,,,,,no,18.00,1,,,no\n"
    )
    assert landing.read(content, "customer_id, name, city, region, marketing_consent") == [
        ("renee.tremblay@example.com", "Renée Tremblay", "Montréal", "Quebec", True),
        ("sam.okafor@example.org", "Sam Okafor", "Leeds", None, False),
        ("guest.checkout@example.com", None, None, None, False),
    ]


PRODUCT = "product_id, name, category, list_price, unit_cost"
MUGS = [
    ("MUG-BLU", "Stoneware mug", "Kitchen", Decimal("24.50"), Decimal("9.10")),
    ("MUG-SND", "Stoneware mug", "Kitchen", Decimal("26.00"), Decimal("9.40")),
]


def test_shopify_products(landing: Refusals):
    header = (
        "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,"
        "Variant Price,Variant Compare At Price,Image Src,Image Position,Cost per item,Price / International,Status"
    )
    mug = {"Handle": "stoneware-mug", "Vendor": "Fjordhus"}
    content = export(
        header,
        {**mug, "Title": "Stoneware mug", "Body (HTML)": "<p>Hand thrown,\n300 ml</p>", "Type": "Kitchen",
         "Variant SKU": "MUG-BLU", "Variant Price": "24.50", "Cost per item": "9.10"},
        {**mug, "Variant SKU": "MUG-SND", "Variant Price": "26.00", "Cost per item": "9.40"},
        {**mug, "Image Src": "https://cdn.example.com/p/mug-3.jpg", "Image Position": "3"},
        {"Handle": "wool-throw", "Title": "Wool throw - Grey", "Type": "Textiles", "Variant SKU": "THR-GRY",
         "Variant Price": "60.00", "Variant Compare At Price": "75.00", "Cost per item": "31.00"},
        {"Handle": "oak-board", "Title": "Oak board \u2013 großes Brett", "Type": "Kitchen", "Variant Price": "40.00"},
    )  # fmt: skip
    delivery = landing.one(landing.write("products_export.csv", content))
    assert (delivery.rows, delivery.quarantined, delivery.left_out) == (3, 0, 2)
    assert rows(delivery, PRODUCT) == [
        *MUGS,
        ("THR-GRY", "Wool throw - Grey", "Textiles", Decimal("60.00"), Decimal("31.00")),
    ]


def test_shopify_products_by_their_new_names(landing: Refusals):
    header = (
        "Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,Barcode,"
        "Option1 name,Option1 value,Price,Compare-at price,Cost per item,Charge tax,Product image URL,Image position"
    )
    mug = {"URL handle": "stoneware-mug"}
    content = export(
        header,
        {**mug, "Title": "Stoneware mug", "Type": "Kitchen", "SKU": "MUG-BLU", "Price": "24.50",
         "Cost per item": "9.10"},
        {**mug, "SKU": "MUG-SND", "Price": "26.00", "Cost per item": "9.40"},
        {**mug, "Product image URL": "https://cdn.example.com/p/mug-3.jpg", "Image position": "3"},
    )  # fmt: skip
    delivery = landing.one(landing.write("products_export.csv", content))
    assert (delivery.rows, delivery.quarantined, delivery.left_out) == (2, 0, 1)
    assert rows(delivery, PRODUCT) == MUGS


def test_woocommerce_products(landing: Refusals):
    header = (
        'ID,Type,SKU,"GTIN, UPC, EAN, or ISBN",Name,Published,"Is featured?","Visibility in catalog",Description,'
        '"In stock?",Stock,"Sale price","Regular price",Categories,Tags,Parent,Position,"Attribute 1 name"'
    )
    content = "\ufeff" + export(
        header,
        {"ID": "101", "Type": "simple", "SKU": "TEA-JAS", "Name": "Jasmine tea 100 g", "Regular price": "12,50",
         "Categories": "Tea > Green, Gifts"},
        {"ID": "102", "Type": "variable", "SKU": "POT", "Name": "Teapot", "Categories": "Pots"},
        {"ID": "103", "Type": "variation", "SKU": "POT-S", "Name": "Teapot - Small", "Sale price": "29,00",
         "Regular price": "34,00", "Parent": "POT"},
        {"ID": "104", "Type": "simple, downloadable, virtual", "Name": "Brühanleitung (PDF)", "Regular price": "3,00"},
    )  # fmt: skip
    delivery = landing.one(landing.write("wc-product-export.csv", content))
    assert (delivery.rows, delivery.quarantined, delivery.left_out) == (3, 0, 1)
    assert rows(delivery, PRODUCT) == [
        ("TEA-JAS", "Jasmine tea 100 g", "Tea > Green, Gifts", Decimal("12.50"), None),
        ("POT", "Teapot", "Pots", None, None),
        ("POT-S", "Teapot - Small", None, Decimal("34.00"), None),
    ]


def test_woocommerce_customers(landing: Refusals):
    content = (
        "\ufeffName,Username,Last Active,Sign Up,Email,Orders,Total Spend,AOV,Country / Region,City,Region,"
        "Postal Code\n"
        "Ximena Álvarez,ximena,2024-03-05T09:12:00,2023-11-20T08:00:00,ximena.alvarez@example.com,1,46.50,46.50,ES,"
        "Sevilla,SE,41001\n"
        "Jo Park,,2024-03-02T16:00:00,,jo.park@example.org,1,20.00,20.00,DE,Köln,DE-NW,50667\n"
        ",,,,,0,0.00,0.00,,,,\n"
    )
    delivery = landing.one(landing.write("customers.csv", content))
    assert (delivery.rows, delivery.quarantined, delivery.left_out) == (2, 0, 1)
    assert rows(delivery, "customer_id, name, city, region, signed_up_at") == [
        ("ximena.alvarez@example.com", "Ximena Álvarez", "Sevilla", "SE", at(2023, 11, 20, 8)),
        ("jo.park@example.org", "Jo Park", "Köln", "DE-NW", None),
    ]


def test_woocommerce_orders(landing: Refusals):
    """What was refunded and what coupons took off is off the item cost and the quantity already."""
    header = (
        "Order Number,Order Status,Order Date,Customer Note,First Name (Billing),Email (Billing),Payment Method Title,"
        "Cart Discount Amount,Order Subtotal Amount,Order Shipping Amount,Order Refund Amount,Order Total Amount,SKU,"
        "Item #,Item Name,Quantity (- Refund),Item Cost,Coupon Code,Discount Amount,Discount Amount Tax"
    )
    names = ("Order Number", "Order Status", "Order Date", "Email (Billing)", "Order Total Amount", "SKU",
             "Quantity (- Refund)", "Item Cost", "Discount Amount")  # fmt: skip
    lines = [
        ("2001", "Completed", "2024-03-01 11:20", "ximena.alvarez@example.com", "64", "POT-S", "1", "34", ""),
        ("2001", "Completed", "2024-03-01 11:20", "ximena.alvarez@example.com", "64", "TEA-JAS", "1", "12.5", ""),
        ("2002", "Processing", "2024-03-02 16:00", "jo.park@example.org", "20", "TEA-JAS", "2", "10", "5"),
        ("2003", "Cancelled", "2024-03-03 07:45", "jo.park@example.org", "39", "POT-S", "1", "34", ""),
        ("2004", "Completed", "2024-03-04 19:30", "", "12.5", "TEA-JAS", "1", "12.5", ""),
    ]
    content = export(header, *(dict(zip(names, line, strict=True)) for line in lines))
    delivery = landing.one(landing.write("orders.csv", content))
    assert (delivery.rows, delivery.quarantined, delivery.left_out) == (4, 0, 1)
    assert rows(delivery, f"order_id, product_id, {SOLD}") == [
        ("2001", "POT-S", "ximena.alvarez@example.com", at(2024, 3, 1, 11, 20), Decimal(34)),
        ("2001", "TEA-JAS", "ximena.alvarez@example.com", at(2024, 3, 1, 11, 20), Decimal("12.5")),
        ("2002", "TEA-JAS", "jo.park@example.org", at(2024, 3, 2, 16), Decimal(20)),
        ("2004", "TEA-JAS", None, at(2024, 3, 4, 19, 30), Decimal("12.5")),
    ]


def test_a_list_of_orders_without_buyers_is_refused(landing: Refusals):
    content = (
        "\ufeffDate,Order #,N. Revenue (formatted),Status,Customer,Customer type,Product(s),Items sold,Coupon(s),"
        "Net Sales,Attribution\n"
        '2024-03-01 11:20:05,2001,€64.00,completed,Ximena Álvarez,new,"1\u00d7 Pot, 2\u00d7 Tea",3,,59,Direct\n'
        "2024-03-05 09:10:00,2001,-€12.50,completed,Ximena Álvarez,new,1\u00d7 Jasmine tea,-1,,-12.5,Direct\n"
    )
    assert landing.refusal(landing.write("orders.csv", content)).startswith(
        "orders.csv: its header fits no table: nearest is shop.sales, which misses amount."
    )


STRIPE = (
    "id,Created date (UTC),Amount,Amount Refunded,Currency,Captured,Converted Amount,Converted Amount Refunded,"
    "Converted Currency,Decline Reason,Description,Fee,Refunded date (UTC),Statement Descriptor,Status,Seller Message,"
    "Taxes On Fee,Card ID,Customer ID,Customer Description,Customer Email,Invoice ID,Transfer"
)


def _payments(created: str, header: str, *lines: str) -> str:
    names = ("id", created, "Amount", "Amount Refunded", "Currency", "Status", "Customer Email")
    return export(header, *(dict(zip(names, line.split(","), strict=True)) for line in lines))


_PAID = (
    "ch_01,2024-05-02 03:48:02,29.00,0.00,eur,Paid,aiko.tanaka@example.com",
    "ch_02,2024-05-02 12:00:10,120.00,30.00,eur,Paid,Lukasz.Nowak@example.org",
    "ch_03,2024-05-03 23:59:59,29.00,29.00,eur,Refunded,aiko.tanaka@example.com",
    "ch_04,2024-05-04 10:00:00,29.00,0.00,eur,Failed,bo.larsen@example.com",
    "py_06,2024-05-06 06:06:06,90.00,0.00,eur,Paid,",
)


@pytest.mark.parametrize(("timezone", "hours"), [("UTC", 0), ("Europe/Berlin", 2)])
def test_stripe_payments(landing: Refusals, timezone: str, hours: int):
    path = landing.write("unified_payments.csv", _payments("Created date (UTC)", STRIPE, *_PAID))
    delivery = landing.one(path, timezone=timezone)
    assert (delivery.rows, delivery.quarantined, delivery.left_out, delivery.currency) == (3, 0, 2, "EUR")
    assert rows(delivery, f"sale_id, {SOLD}") == [
        ("ch_01", "aiko.tanaka@example.com", at(2024, 5, 2, 3 + hours, 48, 2), Decimal(29)),
        ("ch_02", "lukasz.nowak@example.org", at(2024, 5, 2, 12 + hours, 0, 10), Decimal(90)),
        ("py_06", None, at(2024, 5, 6, 6 + hours, 6, 6), Decimal(90)),
    ]


def test_stripe_payments_of_two_currencies_are_settled_by_the_lines_shown(landing: Refusals):
    dollars = "ch_05,2024-05-05 18:20:00,15.00,0.00,usd,Paid,bo.larsen@example.com"
    landing.write("x.csv", _payments("Created date (UTC)", STRIPE, *_PAID[:4], dollars, _PAID[4]))
    message = landing.refusal()
    assert message == _TWO_CURRENCIES.format(
        what="x.csv: EUR in line 2, USD in line 6: amounts in more than one currency cannot be added up.",
        how="which rows count",
        where="Currency: [eur]",
    )
    landing.write("sources.yml", message.split("which rows count:\n")[1])
    delivery = landing.one()
    assert rows(delivery, "sale_id, amount") == [("ch_01", Decimal(29)), ("ch_02", Decimal(90)), ("py_06", Decimal(90))]


def test_stripe_payments_as_they_were(landing: Refusals):
    header = (
        "id,Description,Seller Message,Created (UTC),Amount,Amount Refunded,Currency,Converted Amount,"
        "Converted Amount Refunded,Fee,Taxes On Fee,Converted Currency,Status,Statement Descriptor,Customer ID,"
        "Customer Description,Customer Email,Captured,Card ID,Invoice ID,Transfer"
    )
    content = _payments(
        "Created (UTC)",
        header,
        "ch_11,2023-08-28 20:18,180.00,0.00,eur,Paid,aiko.tanaka@example.com",
        "ch_12,2023-08-25 15:53,170.00,170.00,eur,Refunded,bo.larsen@example.com",
        "ch_13,2023-08-24 00:37,50.00,0.00,eur,Failed,bo.larsen@example.com",
    )
    delivery = landing.one(landing.write("payments.csv", content))
    assert (delivery.rows, delivery.left_out) == (1, 2)
    assert rows(delivery, SOLD) == [("aiko.tanaka@example.com", at(2023, 8, 28, 20, 18), Decimal(180))]


def test_zendesk_tickets(landing: Refusals):
    """A hyphen is what this export writes where there is nothing; a visitor of a chat has no address."""
    header = (
        "Summation column,Id,Requester,Requester id,Requester external id,Requester email,Requester domain,Submitter,"
        "Assignee,Group,Subject,Tags,Status,Priority,Via,Ticket type,Created at,Updated at,Organization,Solved at,"
        "Satisfaction Score,Reopens,Replies,First reply time in minutes,Order number [txt]"
    )
    names = ("Id", "Requester email", "Subject", "Status", "Priority", "Via", "Ticket type", "Created at", "Solved at",
             "Satisfaction Score")  # fmt: skip
    lines = [
        ("9001", "zoe.lindqvist@example.com", "Mug arrived cracked", "Closed", "High", "Web form", "Problem",
         "2024-01-12 09:12", "2024-01-13 11:00", "Good"),
        ("9002", "mai.nguyen@example.org", "Where is my parcel, please?", "Solved", "Normal", "Mail", "Question",
         "2024-07-05 16:40", "2024-07-08 08:10", "Bad"),
        ("9003", "Omar.Haddad@example.com", 'Invoice, "copy"', "Open", "-", "Mail", "-", "2024-07-10 07:00", "",
         "Not Offered"),
        ("9004", "", "Chat with visitor", "Solved", "Low", "Chat", "-", "2024-07-11 12:00", "2024-07-11 12:15",
         "Offered"),
    ]  # fmt: skip
    content = export(header, *({**dict(zip(names, line, strict=True)), "Order number [txt]": "-"} for line in lines))
    delivery = landing.one(landing.write("tickets.csv", content), received=date(2024, 7, 31))
    assert rows(delivery, "ticket_id, customer_id, opened_at, resolved_at, priority, topic, satisfaction_score") == [
        ("9001", "zoe.lindqvist@example.com", at(2024, 1, 12, 9, 12), at(2024, 1, 13, 11), "High", "Problem", 5),
        ("9002", "mai.nguyen@example.org", at(2024, 7, 5, 16, 40), at(2024, 7, 8, 8, 10), "Normal", "Question", 1),
        ("9003", "omar.haddad@example.com", at(2024, 7, 10, 7), None, None, None, None),
        ("9004", None, at(2024, 7, 11, 12), at(2024, 7, 11, 12, 15), "Low", None, None),
    ]
    assert delivery.quarantined == 0
