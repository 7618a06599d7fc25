"""Files as a source: recognition, values, quarantine, keys and the row equation."""

import csv
import io
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.contracts import BY_NAME, CONTRACTS, Kind
from sources.delivery import Changes, Delivery, KnownFile, Request, SourceError
from sources.files import has_files
from sources.month_files import PROVENANCE
from sources.quarantine import quarantine_file
from tests.unit.landing import Landing, at
from tests.unit.landing import rows as read_rows

SAMPLES = Path(__file__).parents[2] / "data" / "samples"


class Reader(Landing):
    """A landing folder, what is refused in it, and what goes to quarantine."""

    def refusal(self, path: Path | None = None) -> str:
        with pytest.raises(SourceError) as caught:
            self.deliver(path)
        return str(caught.value)

    def quarantined(self, delivery: Delivery) -> list[tuple[Any, ...]]:
        file = quarantine_file(self.quarantine, delivery.table, delivery.name, str(delivery.content_hash))
        return duckdb.execute(f"select * exclude (header) from '{file}' order by line").fetchall()


def rows(delivery: Delivery, columns: str = "* exclude (_batch, _file)") -> list[tuple[Any, ...]]:
    return read_rows(delivery, columns)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


# Recognition


@pytest.mark.parametrize(
    ("header", "line", "table"),
    [
        (
            "CustomerID,TransactionDate,TransactionAmount,ProductCategory,Quantity",
            "7,2024-01-05,9.5,Toys,2",
            "shop.sales",
        ),
        ("CustomerID,EventDate,EventType,RevenueImpact", "7,2024-01-05,call,1.25", "usage.activity"),
        ("customer_id,churn_score", "7,0.25", "scores.churn"),
        (
            "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country",
            "536365,85123A,HOLDER,6,12/13/2010 8:26,2.55,17850.0,United Kingdom",
            "shop.sales",
        ),
        ("Order ID,Customer ID,Customer Name,City,Order Date,Sales", "1,7,Ann,Rome,2024-01-05,3", "shop.sales"),
        ("customer_id,name,email,country", "7,Ann,a@b.c,IT", "shop.customers"),
        ("SKU,Title,Price,Cost", "A1,Chair,9,4", "shop.products"),
        ("ticket_id,customer_id,product_id,created_at", "1,7,A1,2024-01-05", "helpdesk.tickets"),
        *(
            (
                ",".join(contract.column_names),
                ",".join(
                    column.allowed[0]
                    if column.allowed
                    else {"timestamp": "2024-01-05", "date": "2024-01-05", "text": "x", "flag": "no"}.get(
                        column.kind, "1"
                    )
                    for column in contract.columns
                ),
                contract.name,
            )
            for contract in CONTRACTS
        ),
    ],
)
def test_a_header_is_recognised(reader: Reader, header: str, line: str, table: str):
    delivery = reader.one(reader.write("export.csv", f"{header}\n{line}\n"))
    assert (delivery.table, delivery.rows, delivery.quarantined) == (table, 1, 0)


def test_an_invoice_line_is_read_whole(reader: Reader):
    path = reader.write(
        "retail.csv",
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,85123A,HOLDER,6,12/13/2010 8:26,2.55,17850.0,United Kingdom\n"
        "C536379,D,Discount,-1,12/1/2010 9:41,27.5,,United Kingdom\n",
    )
    found = rows(reader.one(path), "order_id, customer_id, product_id, sold_at, quantity, unit_price, amount, _line")
    assert found == [
        ("536365", "17850", "85123A", at(2010, 12, 13, 8, 26), 6, Decimal("2.55"), Decimal("15.30"), 2),
        ("C536379", None, "D", at(2010, 12, 1, 9, 41), -1, Decimal("27.5"), Decimal("-27.50"), 3),
    ]


def test_the_parquet_has_the_contracts_columns_and_types(reader: Reader):
    for contract in CONTRACTS:
        row = ",".join(_SOME[column.kind] if not column.allowed else column.allowed[0] for column in contract.columns)
        reader.write(f"{contract.source}/{contract.table}/one.csv", f"{','.join(contract.column_names)}\n{row}\n")
    for delivery in reader.deliver():
        contract = BY_NAME[delivery.table]
        assert (delivery.rows, delivery.quarantined) == (1, 0), delivery.examples
        described = duckdb.execute(f"describe from '{delivery.parquet}/*.parquet'").fetchall()
        expected = [(c.name, c.kind.sql_type) for c in contract.columns] + list(PROVENANCE.items())
        assert [(row[0], row[1].lower()) for row in described] == expected


_SOME = {
    Kind.ID: "7",
    Kind.TEXT: "text",
    Kind.NUMBER: "1.5",
    Kind.INTEGER: "1",
    Kind.RATE: "0.5",
    Kind.FLAG: "yes",
    Kind.TIMESTAMP: "2024-01-05 10:00",
    Kind.DATE: "2024-01-05",
}


def test_a_header_that_fits_nothing_is_refused_with_the_nearest_table(reader: Reader):
    message = reader.refusal(reader.write("odd.csv", "CustomerID,OrderDate,Whatever\n1,2024-01-05,3\n"))
    for part in ("odd.csv", "CustomerID, OrderDate, Whatever", "shop.sales", "misses amount", "sources.yml", "table:"):
        assert part in message


def test_a_sales_file_without_amount_is_not_taken_for_customers(reader: Reader):
    assert "amount" in reader.refusal(reader.write("odd.csv", "CustomerID,City,OrderDate,Paid\n1,Rome,2024-01-05,3\n"))


_NO_FIT = """\
odd.csv: its header fits no table: nearest is {why}.
  found: {header}
  Say in sources.yml what the columns are:
    files:
      - path: odd.csv
        table: {table}
{settings}
  Save it as {folder}/sources.yml and run: pulse run --source {folder}/sources.yml"""
_MORE_OF_SALES = "order_id, product_id, quantity, unit_price, discount_rate, channel, returned_at, category"


@pytest.mark.parametrize(
    ("header", "table", "why", "absent"),
    [
        (
            "Name,Email,Total,Created at,Lineitem quantity,Lineitem price",
            "shop.sales",
            "shop.sales, which misses customer_id",
            ["customer_id"],
        ),
        (
            "SKU,Title,Price,Cost,Order Date",
            "shop.sales",
            "shop.sales, which misses customer_id, amount",
            ["customer_id", "amount"],
        ),
        (
            "name,email,city,Revenue",
            "shop.sales",
            "shop.sales, which misses customer_id, sold_at",
            ["customer_id", "sold_at"],
        ),
        ("Name,Email,City", "shop.customers", "shop.customers, which misses customer_id", ["customer_id"]),
        ("Title,Price,Cost", "shop.products", "shop.products, which misses product_id", ["product_id"]),
        (
            "SKU,Title,Price,Cost,Event Type",
            "shop.products",
            "shop.products, but 'Event Type' looks like web.events.event_type",
            [],
        ),
    ],
)
def test_what_fits_nothing_is_told_with_lines_to_save_and_a_command(
    reader: Reader, header: str, table: str, why: str, absent: list[str]
):
    more = {
        "shop.sales": _MORE_OF_SALES,
        "shop.customers": "name, email, industry, region, city, age_group, loyalty_tier, acquisition_channel, "
        "signed_up_at, marketing_consent",
        "shop.products": "name, category, list_price, unit_cost, launched_on",
    }[table]
    lines = [f"          {column}: <column of the file>" for column in absent]
    wanted = ["        columns:", *lines, f"          # also: {more}"] if absent else [f"        # columns: {more}"]
    message = reader.refusal(reader.write("odd.csv", f"{header}\n"))
    assert message == _NO_FIT.format(
        why=why,
        header=", ".join(header.split(",")),
        table=table,
        settings="\n".join(wanted),
        folder=reader.landing,
    )


def test_lines_for_sources_yml_do_what_the_message_says(reader: Reader):
    path = reader.write("odd.csv", "CustomerID,OrderDate,Paid\n1,2024-01-05,3\n")
    message = reader.refusal(path)
    lines = message.split("columns are:\n")[1].split("\n  Save")[0]
    yml = reader.write("sources.yml", lines.replace("<column of the file>", "Paid"))
    assert message.endswith(f"\n  Save it as {yml} and run: pulse run --source {yml}")
    assert rows(reader.one(yml), "customer_id, sold_at, amount") == [("1", at(2024, 1, 5), Decimal(3))]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("odd.csv", "CustomerID,OrderDate,Whatever\n1,2024-01-05,3\n"),
        ("shop/sales/x.csv", "customer_id,date\n1,2024-01-05\n"),
        ("both.csv", "customer_id,date,amount,churn_score\n1,2024-01-05,3,0.5\n"),
        ("two.csv", "customer_id,date,Amount,Total\n1,2024-01-05,3,4\n"),
        ("dates.csv", "customer_id,date,amount\n1,03/04/2024,3\n"),
        ("dates.csv", "customer_id,date,amount\n1,13/01/2024,3\n1,01/13/2024,3\n"),
    ],
)
def test_every_message_with_lines_for_sources_yml_says_where_they_go(reader: Reader, name: str, content: str):
    path = reader.write(name, content)
    yml = reader.landing / "sources.yml"
    # A folder is read with its sources.yml, and its other files too.
    assert reader.refusal().endswith(f"\n  Save it as {yml} and run: pulse run --source {reader.landing}")
    if "/" not in name:
        assert reader.refusal(path).endswith(f"\n  Save it as {yml} and run: pulse run --source {yml}")
    yml.write_text("timezone: UTC")
    assert reader.refusal().endswith(
        f"\n  Add it to {yml} (one entry a file) and run: pulse run --source {reader.landing}"
    )


def test_the_command_quotes_a_folder_with_spaces(reader: Reader):
    path = reader.write("my sales/odd.csv", "a,b\n")
    yml = path.parent / "sources.yml"
    assert reader.refusal(path).endswith(f"\n  Save it as {yml} and run: pulse run --source '{yml}'")


def test_messages_without_lines_for_sources_yml_keep_their_end(reader: Reader):
    assert reader.refusal(reader.write("x.csv", "\n")) == (
        "x.csv: the file is empty, without even a header line. Remove it, or give header: in sources.yml."
    )


def test_a_header_that_fits_two_tables_is_refused(reader: Reader):
    message = reader.refusal(reader.write("both.csv", "customer_id,date,amount,churn_score\n1,2024-01-05,3,0.5\n"))
    assert "shop.sales and scores.churn" in message
    assert "landing/shop/sales/" in message
    reader.write("both.csv", "")
    (reader.landing / "both.csv").unlink()
    reader.write("scores/churn/both.csv", "customer_id,date,amount,churn_score\n1,2024-01-05,3,0.5\n")
    assert rows(reader.one(), "customer_id, churn_score") == [("1", 0.5)]


def test_two_columns_for_one_are_refused_by_name(reader: Reader):
    message = reader.refusal(reader.write("two.csv", "customer_id,date,Amount,Total\n1,2024-01-05,3,4\n"))
    assert "'Amount' and 'Total' both stand for shop.sales.amount" in message
    assert "amount: Amount" in message


def test_a_missing_required_column_is_told(reader: Reader):
    reader.write("shop/sales/x.csv", "customer_id,date\n1,2024-01-05\n")
    assert "read as shop.sales, it misses amount" in reader.refusal()


@pytest.mark.parametrize("name", ["x.docx", "x.pdf", "x.csv.bz2", "x"])
def test_an_unknown_kind_of_file_is_refused(reader: Reader, name: str):
    reader.write(name, "customer_id,churn_score\n1,0.5\n")
    assert name in reader.refusal()
    assert ".parquet" in reader.refusal()


def test_notes_hidden_and_unfinished_files_are_ignored(reader: Reader):
    assert not has_files(reader.landing)
    assert not has_files(reader.landing / "none")
    for name in (".gitkeep", "README.md", "x.csv.part", "y.tmp", ".hidden/x.csv", "shop/sales/.x.csv", "sources.yml"):
        reader.write(name, "")
    assert not has_files(reader.landing)
    assert reader.deliver() == []
    reader.write("shop/sales/a.csv", "")
    assert has_files(reader.landing)


# Text


def test_cdnow_is_read_whole(reader: Reader):
    content = " customer_id  date number_of_cds  dollar_value\r\n" + "".join(
        f" {line}\r\n"
        for line in ("00001 19970101  1   11.77", "00002 19970112  1   12.00", "00002 19970112  1   12.00")
    )
    delivery = reader.one(reader.write("CDNOW_master.txt", content))
    assert rows(delivery, "customer_id, sold_at, quantity, amount, _line") == [
        ("00001", at(1997, 1, 1), 1, Decimal("11.77"), 2),
        ("00002", at(1997, 1, 12), 1, Decimal("12"), 3),
        ("00002", at(1997, 1, 12), 1, Decimal("12"), 4),
    ]
    assert len(set(rows(delivery, "sale_id"))) == 3


def test_the_cdnow_sample_is_read_by_its_mapping(reader: Reader):
    delivery = reader.one(SAMPLES / "cdnow" / "sources.yml")
    assert (delivery.name, delivery.table, delivery.rows, delivery.quarantined) == (
        "CDNOW_sample.txt",
        "shop.sales",
        6919,
        0,
    )
    query = f"""select count(distinct customer_id), count(distinct sale_id), sum(amount), min(sold_at), max(sold_at),
        count(*) filter (amount = 0), min(customer_id) from '{delivery.parquet}/*.parquet'"""
    assert duckdb.execute(query).fetchall() == [
        (2357, 6919, Decimal("244091.9400"), at(1997, 1, 1), at(1998, 6, 30), 8, "00004")
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separator_encoding_and_line_end_are_found_out(reader: Reader, separator: str, encoding: str, end: str):
    lines = (("customer_id", "name", "city"), ("1", "Zoë Müller", "Köln"), ("2", '"A ""B"""', f'"x{separator}y"'))
    content = end.join(separator.join(line) for line in lines)
    delivery = reader.one(reader.write("x.csv", content.encode(encoding)))
    assert rows(delivery, "customer_id, name, city, _line") == [
        ("1", "Zoë Müller", "Köln", 2),
        ("2", 'A "B"', f"x{separator}y", 3),
    ]


def test_names_of_all_scripts_are_kept(reader: Reader):
    path = reader.write("kunden-ü.csv", "customer_id,name\n1,山田太郎\n2,Ёлка\n3,😀\n")
    assert rows(reader.one(path), "name") == [("山田太郎",), ("Ёлка",), ("😀",)]


def test_quoted_fields_may_span_lines(reader: Reader):
    path = reader.write("x.csv", 'customer_id,name\n1,"a\nb, ""c""\n\nd"\n\n2,5" pipe\n3,"e"\n')
    delivery = reader.one(path)
    assert rows(delivery, "customer_id, name, _line") == [
        ("1", 'a\nb, "c"\n\nd', 2),
        ("2", '5" pipe', 7),
        ("3", "e", 8),
    ]


def test_a_quote_that_never_closes_costs_one_row(reader: Reader):
    delivery = reader.one(reader.write("x.csv", 'customer_id,name\n1,"a\n2,b\n3,c\n'))
    assert rows(delivery, "customer_id, _line") == [("2", 3), ("3", 4)]
    reason = "a quoted field does not close, or goes on after its closing quote"
    assert reader.quarantined(delivery) == [("x.csv", 2, None, None, reason, '1,"a')]
    delivery = reader.one(reader.write("x.csv", 'customer_id,name\n1,"a\n2,b\n3,"c"d\n4,e\n'))
    assert rows(delivery, "customer_id, _line") == [("4", 5)]
    assert reader.quarantined(delivery) == [("x.csv", 2, None, None, reason, '1,"a\n2,b\n3,"c"d')]


def test_line_numbers_count_blank_lines_and_ragged_lines(reader: Reader):
    good = "".join(f"{i},n{i}\n" for i in range(100))
    delivery = reader.one(reader.write("x.csv", f"\ncustomer_id,name\n\n7\n8,a,b\n{good}"))
    assert (delivery.rows, delivery.quarantined) == (102, 2)
    assert rows(delivery, "_line")[0] == (6,)
    assert reader.quarantined(delivery) == [
        ("x.csv", 4, None, None, "1 fields where the header has 2", "7"),
        ("x.csv", 5, None, None, "3 fields where the header has 2", "8,a,b"),
    ]
    assert delivery.examples[0] == "x.csv, line 4: 1 fields where the header has 2"


def test_an_empty_file_needs_a_header(reader: Reader):
    path = reader.write("x.csv", "\n \n")
    assert "x.csv: the file is empty" in reader.refusal(path)
    yml = reader.write("sources.yml", "files: [{path: x.csv, table: scores.churn, header: [customer_id, churn_score]}]")
    assert (reader.one(yml).rows, rows(reader.one(yml))) == (0, [])


def test_binary_files_are_refused(reader: Reader):
    packed = reader.write("x.csv", b"PK\x03\x04\x00\x00customer_id,churn_score")
    assert "this is a zip archive or a workbook, whatever its name says" in reader.refusal(packed)
    nul = reader.write("x.csv", b"customer_id,churn_score\n7,0.5\n8,\x000.5\n")
    assert "not a text file (a NUL byte in line 3)" in reader.refusal(nul)
    assert "Parquet" in reader.refusal(reader.write("x.parquet", b"customer_id,churn_score"))


# Values


def _sales(dates: list[str]) -> str:
    return "customer_id,date,amount\n" + "".join(f"1,{day},5\n" for day in dates)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["2024-01-05"], ["2024-01-05 00:00:00"]),
        (["2024/1/5 7:05", "2024.01.06"], ["2024-01-05 07:05:00", "2024-01-06 00:00:00"]),
        (["2024-01-05T10:00:00.25", "2024-01-05T10:00"], ["2024-01-05 10:00:00.25", "2024-01-05 10:00:00"]),
        (["20240105"], ["2024-01-05 00:00:00"]),
        (["13/02/2024", "03/02/2024"], ["2024-02-13 00:00:00", "2024-02-03 00:00:00"]),
        (["13.2.2024 10:15", "3.2.2024 7:05:09"], ["2024-02-13 10:15:00", "2024-02-03 07:05:09"]),
        (["02-13-2024", "02-03-2024"], ["2024-02-13 00:00:00", "2024-02-03 00:00:00"]),
        (["1/13/2024 3:45 PM", "1/2/2024 12:00:01 am"], ["2024-01-13 15:45:00", "2024-01-02 00:00:01"]),
        (["05/05/2024"], ["2024-05-05 00:00:00"]),
    ],
)
def test_dates_are_read_as_they_are_written(reader: Reader, written: list[str], expected: list[str]):
    delivery = reader.one(reader.write("x.csv", _sales(written)))
    assert rows(delivery, "cast(sold_at as varchar)") == [(text,) for text in expected]


def test_zoned_times_become_local_times(reader: Reader):
    written = ["2024-01-05T10:00:00Z", "2024-07-05 10:00:00+02:00", "2024-01-05 10:00 -0500", "2024-01-05 10:00"]
    path = reader.write("x.csv", _sales(written[:1] + written[2:]) + "1,2024-04-05 10:00:00+02:00,5\n")
    assert rows(reader.one(path, timezone="Europe/Berlin"), "cast(sold_at as varchar)") == [
        ("2024-01-05 11:00:00",),
        ("2024-01-05 16:00:00",),
        ("2024-01-05 10:00:00",),
        ("2024-04-05 10:00:00",),
    ]


def test_a_zone_in_sources_yml_goes_first(reader: Reader):
    reader.write("x.csv", _sales(["2024-01-05T10:00:00Z"]))
    reader.write("sources.yml", "timezone: Asia/Tokyo")
    assert rows(reader.one(timezone="Europe/Berlin"), "sold_at") == [(at(2024, 1, 5, 19),)]


def test_ambiguous_dates_are_refused_and_settled_by_the_line_shown(reader: Reader):
    path = reader.write("x.csv", _sales(["05/05/2024", "03/04/2024 10:00"]))
    message = reader.refusal(path)
    for part in ("x.csv", "'date'", "'03/04/2024 10:00'", 'sold_at: {from: date, format: "%d/%m/%Y %H:%M"}'):
        assert part in message
    path.write_text(_sales(["03/04/2024", "05/05/2024"]))
    message = reader.refusal(path)
    assert 'sold_at: {from: date, format: "%d/%m/%Y"}' in message
    snippet = message.split("dates are written:\n")[1].split("\n    or,")[0]
    reader.write("sources.yml", snippet)
    assert rows(reader.one(), "sold_at") == [(at(2024, 4, 3),), (at(2024, 5, 5),)]


@pytest.mark.parametrize(
    "written", [["13/01/2024", "01/13/2024"], ["2024-01-31", "31/01/2024"], ["2024-01-31", "01/02/2024"]]
)
def test_mixed_dates_are_refused(reader: Reader, written: list[str]):
    message = reader.refusal(reader.write("x.csv", _sales(written)))
    for part in ("x.csv", "'date'", "mixes", written[0], written[1], "format:"):
        assert part in message


def test_years_of_two_digits_are_refused(reader: Reader):
    message = reader.refusal(reader.write("x.csv", _sales(["13/01/24"])))
    assert "two digits" in message
    assert 'format: "%d/%m/%y"' in message


def test_unreadable_dates_are_bad_rows(reader: Reader):
    delivery = reader.one(reader.write("x.csv", _sales(["2024-01-05"] * 100 + ["soon", "2024-02-30"])))
    assert delivery.quarantined == 2
    assert [row[1:5] for row in reader.quarantined(delivery)] == [
        (102, "date (sold_at)", "soon", "is not a date written year first"),
        (103, "date (sold_at)", "2024-02-30", "is not a date written year first"),
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("12", "12"),
        ("-3.50", "-3.50"),
        ("+.5", "0.5"),
        ("1e3", "1000"),
        ("2.5E-1", "0.25"),
        ('"1,234.56"', "1234.56"),
        ("$7", "7"),
        ("-£7.10", "-7.10"),
        ('"€1,000"', "1000"),
    ],
)
def test_numbers_are_read(reader: Reader, written: str, expected: str):
    path = reader.write("x.csv", f"customer_id,date,amount\n1,2024-01-05,{written}\n")
    assert rows(reader.one(path), "amount") == [(Decimal(expected),)]


@pytest.mark.parametrize(
    "written", ["abc", '"1,23,4"', "1.2.3", "NaN", "inf", "--1", "1 00", "1e30", "0x10", "(-5)", "5%"]
)
def test_other_numbers_are_bad_rows(reader: Reader, written: str):
    delivery = reader.one(reader.write("x.csv", f"customer_id,date,amount\n1,2024-01-05,{written}\n1,2024-01-05,1\n"))
    assert (delivery.rows, delivery.quarantined) == (2, 1)
    assert reader.quarantined(delivery)[0][2:4] == ("amount", written.strip('"'))


def test_decimal_commas_are_read_where_the_file_shows_them(reader: Reader):
    path = reader.write("x.csv", "customer_id;date;amount;quantity\n1;2024-01-05;12,50;1.234\n1;2024-01-05;1.000,5;2\n")
    assert rows(reader.one(path), "amount, quantity") == [(Decimal("12.5"), 1234), (Decimal("1000.5"), 2)]


def test_ids_stay_text(reader: Reader):
    path = reader.write("x.csv", "customer_id,churn_score\n007,0.5\n12.0,0.5\nA.0,0.5\n 1.50 ,0.5\n")
    assert rows(reader.one(path), "customer_id") == [("007",), ("12",), ("A.0",), ("1.50",)]


def test_flags_bounds_and_allowed_values(reader: Reader):
    contacts = "contact_id,campaign_id,customer_id,is_control,assigned_at\n" + "".join(
        f"{i},c,1,{flag},2024-01-05\n" for i, flag in enumerate(["TRUE", "yes", "1", "False", "NO", "0", "maybe", ""])
    )
    delivery = reader.one(reader.write("contacts.csv", contacts))
    assert [row[0] for row in rows(delivery, "is_control")] == [True, True, True, False, False, False]
    assert [row[2:5] for row in reader.quarantined(delivery)] == [
        ("is_control", "maybe", "is not one of true, false, yes, no, 1, 0"),
        ("is_control", None, "is missing"),
    ]
    (reader.landing / "contacts.csv").unlink()
    delivery = reader.one(reader.write("churn.csv", "customer_id,churn_score\n1,0\n2,1\n3,1.01\n4,-0.1\n"))
    assert rows(delivery, "churn_score") == [(0.0,), (1.0,)]
    assert [row[3:5] for row in reader.quarantined(delivery)] == [("1.01", "is above 1"), ("-0.1", "is below 0")]
    (reader.landing / "churn.csv").unlink()
    delivery = reader.one(
        reader.write("e.csv", "event_id,event_type,occurred_at\n1,review,2024-01-05\n2,x,2024-01-05\n")
    )
    assert rows(delivery, "event_type") == [("review",)]


def test_a_missing_required_value_is_a_bad_row(reader: Reader):
    path = reader.write("x.csv", "customer_id,date,amount\n,2024-01-05,3\n1,,3\n1,2024-01-05,\n")
    delivery = reader.one(path)
    assert rows(delivery, "customer_id, amount") == [(None, Decimal(3))]
    assert [row[1:5] for row in reader.quarantined(delivery)] == [
        (3, "date (sold_at)", None, "is missing"),
        (4, "amount", None, "is missing"),
    ]


def test_a_row_with_two_faults_counts_once(reader: Reader):
    delivery = reader.one(reader.write("x.csv", "customer_id,date,amount\n1,soon,abc\n1,2024-01-05,1\n"))
    assert delivery.quarantined == 1
    assert len(reader.quarantined(delivery)) == 1


def test_the_future_is_a_bad_row(reader: Reader):
    delivery = reader.one(reader.write("x.csv", _sales(["2024-06-30", "2024-07-01 23:59", "2024-07-02"])))
    assert len(rows(delivery)) == 2
    assert reader.quarantined(delivery)[0][3:5] == ("2024-07-02", "lies after 2024-07-01, the day after receipt")


def test_amounts_are_derived_row_by_row(reader: Reader):
    path = reader.write(
        "x.csv",
        "customer_id,date,quantity,unit_price,discount_rate,amount\n"
        "1,2024-01-05,3,2.50,0.1,\n1,2024-01-05,3,2.50,,\n1,2024-01-05,3,2.50,0.1,7\n1,2024-01-05,-2,2.50,0,\n"
        "1,2024-01-05,3,2.50,0.1,x\n1,2024-01-05,3,,,\n",
    )
    delivery = reader.one(path)
    assert [row[0] for row in rows(delivery, "amount")] == [Decimal(x) for x in ("6.75", "7.5", "7", "-5")]
    assert [row[1:5] for row in reader.quarantined(delivery)] == [
        (6, "amount", "x", "is not a number, or has more than 14 digits before the point"),
        (7, "amount", None, "is missing"),
    ]


_ORDERS = (
    "order_id,customer_id,date,Lineitem quantity,Lineitem price,Total\n"
    "1,7,2024-01-05,2,10,35\n1,7,2024-01-05,3,5,\n2,8,2024-01-06,1,4,4\n"
)


def test_a_total_is_no_amount_where_quantity_and_unit_price_are_mapped(reader: Reader):
    reader.write("orders.csv", _ORDERS)
    entry = "files: [{path: orders.csv, table: shop.sales, columns: {%s}}]"
    both = "quantity: Lineitem quantity, unit_price: Lineitem price"
    yml = reader.write("sources.yml", entry % both)
    assert rows(reader.one(yml), "order_id, amount") == [("1", Decimal(20)), ("1", Decimal(15)), ("2", Decimal(4))]
    # Said is said: the given ones stay, and only the empty one is derived.
    yml.write_text(entry % f"{both}, amount: Total")
    assert rows(reader.one(yml), "amount") == [(Decimal(35),), (Decimal(15),), (Decimal(4),)]
    # With only one of them mapped there is nothing to derive it from, so it is recognised.
    yml.write_text(entry % "quantity: Lineitem quantity")
    delivery = reader.one(yml)
    assert rows(delivery, "amount") == [(Decimal(35),), (Decimal(4),)]
    assert [row[1:5] for row in reader.quarantined(delivery)] == [(3, "Total (amount)", None, "is missing")]


def test_two_totals_do_not_matter_where_quantity_and_unit_price_are_mapped(reader: Reader):
    reader.write("x.csv", "customer_id,date,n,each,Total,amount\n1,2024-01-05,2,3,9,8\n")
    yml = reader.write(
        "sources.yml", "files: [{path: x.csv, table: shop.sales, columns: {quantity: n, unit_price: each}}]"
    )
    assert rows(reader.one(yml), "amount") == [(Decimal(6),)]


def test_order_totals_are_not_mixed_with_amounts_of_lines(reader: Reader):
    recognised = _ORDERS.replace("Lineitem quantity", "Qty").replace("Lineitem price", "Item Price")
    path = reader.write("orders.csv", recognised)
    yml = reader.landing / "sources.yml"
    message = reader.refusal(path)
    assert message == (
        "orders.csv: column 'Total' (shop.sales.amount) is given on some lines of an order and empty on others, as "
        "where 'order_id' is '1'. If it is the order's total, it must not be mixed with the lines' own "
        "'Qty' x 'Item Price'.\n"
        "  Say in sources.yml that every line's amount is quantity x unit_price:\n"
        "    files:\n"
        "      - path: orders.csv\n"
        "        table: shop.sales\n"
        "        columns:\n"
        "          quantity: Qty\n"
        "          unit_price: Item Price\n"
        "    or, if it is what was paid for the line alone (quantity x unit_price then fills the empty ones):\n"
        "    files:\n"
        "      - path: orders.csv\n"
        "        table: shop.sales\n"
        "        columns:\n"
        "          amount: Total\n"
        f"  Save it as {yml} and run: pulse run --source {yml}"
    )
    first, second = message.split("unit_price:\n", 1)[1].split("\n  Save")[0].split("\n    or, ")
    yml.write_text(first)
    assert rows(reader.one(yml), "amount") == [(Decimal(20),), (Decimal(15),), (Decimal(4),)]
    yml.write_text(second.split("\n", 1)[1])
    assert rows(reader.one(yml), "amount") == [(Decimal(35),), (Decimal(15),), (Decimal(4),)]


def test_amounts_that_are_empty_for_whole_orders_are_derived(reader: Reader):
    path = reader.write(
        "x.csv",
        "order_id,customer_id,date,quantity,unit_price,amount\n"
        "1,7,2024-01-05,2,10,19\n1,7,2024-01-05,3,5,14\n2,8,2024-01-06,1,4,\n2,8,2024-01-06,2,4,\n"
        ",8,2024-01-06,1,6,\n,8,2024-01-06,1,6,5\n3,8,2024-01-06,1,4,4\n3,8,2024-01-06,,4,\n",
    )
    delivery = reader.one(path)
    assert [row[0] for row in rows(delivery, "amount")] == [Decimal(x) for x in (19, 14, 4, 8, 6, 5, 4)]
    assert [row[1:5] for row in reader.quarantined(delivery)] == [(9, "amount", None, "is missing")]


# Bad files


def test_bad_rows_below_the_limit_leave_the_file(reader: Reader):
    delivery = reader.one(reader.write("x.csv", _sales(["2024-01-05"] * 95 + ["soon"] * 5)))
    assert (delivery.rows, delivery.quarantined, delivery.set_aside) == (100, 5, None)
    delivery = reader.one(reader.write("x.csv", _sales(["2024-01-05"] + ["soon"] * 4)))
    assert (delivery.rows, delivery.quarantined, delivery.set_aside) == (5, 4, None)


def test_bad_rows_above_the_limit_set_the_file_aside(reader: Reader):
    delivery = reader.one(reader.write("x.csv", _sales(["2024-01-05"] * 94 + ["soon"] * 5)))
    assert (delivery.rows, delivery.quarantined, delivery.parquet, delivery.newly_set_aside) == (99, 99, None, True)
    assert delivery.set_aside is not None
    assert delivery.set_aside.startswith("5 of 99 rows are bad. First: x.csv, line 96, date (sold_at): 'soon' is not")
    assert len(reader.quarantined(delivery)) == 5


def test_a_known_file_is_not_read_again(reader: Reader):
    path = reader.write("x.csv", _sales(["2024-01-05"] * 3))
    first = reader.one(path)
    known = {str(first.content_hash): KnownFile("x.csv", "shop.sales", 3, 1, 1, "why")}
    again = reader.one(path, known=known)
    assert again == Delivery("x.csv", "shop.sales", first.content_hash, 3, 1, None, "why", (), False)
    yml = reader.write("sources.yml", "files: [{path: x.csv, table: shop.sales, columns: {channel: {constant: web}}}]")
    remapped = reader.one(yml, known=known)
    assert remapped.content_hash != first.content_hash
    assert rows(remapped, "channel") == [("web",)] * 3


def test_deliveries_come_oldest_first(reader: Reader):
    for name, age in (("a.csv", 300), ("b.csv", 100), ("c.csv", 200), ("d.csv", 100)):
        reader.write(f"shop/sales/{name}", _sales([f"2024-01-{10 + len(name)}"]) + f"{name},2024-01-01,1\n", age)
    first = reader.deliver()
    assert [delivery.name for delivery in first] == [f"shop/sales/{name}.csv" for name in "bdca"]
    hashes = {delivery.name[-5]: str(delivery.content_hash) for delivery in first}
    known = {hashes[n]: KnownFile(n, "shop.sales", 2, 0, batch, None) for n, batch in (("a", 1), ("b", 2))}
    assert [delivery.name[-5] for delivery in reader.deliver(known=known)] == list("abdc")


def test_a_file_that_changes_while_it_is_read_is_refused(reader: Reader, monkeypatch: pytest.MonkeyPatch):
    reader.write("x.csv", _sales(["2024-01-05"]))
    monkeypatch.setattr("sources.files.file_version", lambda _: (0, 0))
    assert "changed while it was read" in reader.refusal()


# Keys


def test_equal_rows_stay_and_a_file_exported_again_names_them_alike(reader: Reader):
    lines = ["1,2024-01-05,5", "1,2024-01-05,5", "2,2024-01-05,5", ",2024-01-05,5"]
    header = "customer_id,date,amount\n"
    first = rows(reader.one(reader.write("a.csv", header + "\n".join(lines))), "sale_id")
    second = rows(reader.one(reader.write("b.csv", header + "\n".join(reversed(lines)))), "sale_id")
    assert len(set(first)) == 4
    assert set(first) == set(second)
    # Other columns in another order, written otherwise: the same values.
    third = reader.write(
        "c.csv",
        "amount;date;customer id;channel\n"
        + "".join(
            f"{amount}.00;{day} 00:00;{customer};\n" for customer, day, amount in (line.split(",") for line in lines)
        ),
    )
    assert set(rows(reader.one(third), "sale_id")) == set(first)


def test_given_keys_are_kept(reader: Reader):
    path = reader.write("x.csv", "sale_id,customer_id,date,amount\n9,1,2024-01-05,5\n,1,2024-01-05,5\n")
    found = rows(reader.one(path), "sale_id")
    assert found[0] == ("9",)
    assert re.fullmatch("row-[0-9a-f]{24}", found[1][0])


# Kinds of source


def test_parquet_is_read(reader: Reader):
    path = reader.landing / "x.parquet"
    duckdb.execute(
        f"""copy (select * from (values (7.0::double, timestamp '2024-01-05 10:00', 12.5::double, true),
            (8.0, timestamp '2024-01-06', 1e3, null), (9.0, null, 1, null)) t("Customer ID", date, amount, paid))
        to '{path}' (format parquet)"""
    )
    delivery = reader.one(path)
    assert rows(delivery, "customer_id, sold_at, amount, _line") == [
        ("7", at(2024, 1, 5, 10), Decimal("12.5"), 1),
        ("8", at(2024, 1, 6), Decimal(1000), 2),
    ]
    ((_, line, column, value, reason, original),) = reader.quarantined(delivery)
    assert (line, column, value, reason) == (3, "date (sold_at)", None, "is missing")
    assert '"Customer ID":9.0' in original


def test_zoned_parquet_times_become_local_times(reader: Reader):
    path = reader.landing / "x.parquet"
    duckdb.execute(
        f"""copy (select '1' as customer_id, timestamptz '2024-01-05 10:00:00+00' as date, 5 as amount)
        to '{path}' (format parquet)"""
    )
    assert rows(reader.one(path, timezone="Europe/Berlin"), "sold_at") == [(at(2024, 1, 5, 11),)]


def test_identity_and_title(reader: Reader):
    path = reader.write("x.csv", "customer_id,churn_score\n")
    assert reader.source(path).title == "x.csv"
    assert reader.source(path).identity == f"files in {path.resolve()}"
    assert reader.source().title == f"files in {reader.landing}"
    plain = reader.source().identity
    reader.write("sources.yml", "timezone: Asia/Tokyo")
    mapped = reader.source().identity
    assert mapped.startswith(plain)
    assert mapped != plain


def test_a_folders_own_mapping_and_its_other_files_go_together(reader: Reader):
    reader.write("odd/data.csv", "who,when,paid\n1,2024-01-05,5\n")
    reader.write("scores.csv", "customer_id,churn_score\n1,0.5\n")
    reader.write(
        "sources.yml",
        "files: [{path: odd/*.csv, table: shop.sales, columns: {customer_id: who, sold_at: when, amount: paid}}]",
    )
    assert [(d.name, d.table) for d in reader.deliver()] == [
        ("odd/data.csv", "shop.sales"),
        ("scores.csv", "scores.churn"),
    ]


def test_a_mapping_that_does_not_fit_its_files_is_told(reader: Reader):
    reader.write("x.csv", "who,when,paid\n1,2024-01-05,5\n")
    entry = "{path: x.csv, table: shop.sales, columns: {customer_id: whom, sold_at: when, amount: paid}}"
    yml = reader.write("sources.yml", f"files: [{entry}]")
    message = reader.refusal(yml)
    assert "sources.yml: files[0].columns.customer_id" in message
    assert "Did you mean who?" in message
    yml.write_text(f"files: [{entry}, {entry}]")
    assert "files[1].path: x.csv is shop.sales by" in reader.refusal(yml)
    yml.write_text("files: [{path: y.csv, table: shop.sales}]")
    assert "files[0].path: there is no file 'y.csv'" in reader.refusal(yml)
    yml.write_text("files: [{path: x.csv, table: scores.churn, header: [customer_id, churn_score]}]")
    assert "x.csv, line 1" in reader.refusal(yml)
    with pytest.raises(SourceError, match="no such file"):
        reader.source(reader.landing / "none")


# The row equation

_TEXT = st.text(alphabet=st.sampled_from('a1,;"\n\t é.-/'), max_size=6)
_CELL = st.one_of(_TEXT, st.sampled_from(["1", "2.5", "2024-01-05", "2024-02-30", "x", "", "7.0", "-3", "1,5"]))
_LAW = settings(max_examples=100, deadline=None)


@_LAW
@given(table=st.lists(st.lists(_CELL, min_size=3, max_size=3), max_size=12), quoting=st.sampled_from([0, 1]))
def test_every_row_of_a_table_is_counted(
    tmp_path_factory: pytest.TempPathFactory, table: list[list[str]], quoting: Literal[0, 1]
):
    written = io.StringIO()
    csv.writer(written, lineterminator="\n", quoting=quoting).writerows([["customer_id", "date", "amount"], *table])
    reader = Reader(tmp_path_factory.mktemp("rows"))
    assert reader.one(reader.write("x.csv", written.getvalue())).rows == len(table)


@_LAW
@given(lines=st.lists(st.text(alphabet=st.sampled_from("a1,; é.-/"), max_size=9), max_size=12))
def test_every_line_of_any_text_is_counted(tmp_path_factory: pytest.TempPathFactory, lines: list[str]):
    reader = Reader(tmp_path_factory.mktemp("rows"))
    delivery = reader.one(reader.write("x.csv", "\n".join(["customer_id,name", *lines])))
    assert delivery.rows == sum(bool(line.strip()) for line in lines)


@_LAW
@given(table=st.lists(st.lists(st.sampled_from(["a", 'a"b', "c,d", "e\nf", "é"]), min_size=2, max_size=2), max_size=9))
def test_good_values_come_through_unchanged(tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]):
    written = io.StringIO()
    csv.writer(written).writerows([["customer_id", "name"], *table])
    reader = Reader(tmp_path_factory.mktemp("rows"))
    delivery = reader.one(reader.write("x.csv", written.getvalue()))
    assert rows(delivery, "customer_id, name") == [tuple(row) for row in table]


# Files that were read too early


def test_rows_that_lay_in_the_future_are_read_when_they_are_due(reader: Reader):
    path = reader.write("x.csv", _sales(["2024-06-29", "2024-06-29", "2024-07-03", "2024-07-09"]))
    first = reader.one(path)
    assert (first.rows, first.quarantined, first.due_on) == (4, 2, "2024-07-02")
    known = {
        str(first.content_hash): KnownFile(
            "x.csv", "shop.sales", 4, 2, 1, size=first.size, due_on=first.due_on, read_to="2024-07-01"
        )
    }
    assert reader.one(path, known=known, received=date(2024, 7, 1)).parquet is None
    source = reader.source(path)
    request = Request(received_on=date(2024, 7, 2), as_of=None, timezone="UTC", known=known)
    (second,) = source.deliver(BY_NAME["shop.sales"], reader.folder / "again", request)
    # the two that were taken before are not delivered again, the last one is still to come
    assert rows(second, "sold_at") == [(at(2024, 7, 3),)]
    assert (second.rows, second.known_before, second.quarantined, second.due_on) == (4, 2, 1, "2024-07-08")


def test_a_file_set_aside_for_its_dates_is_read_whole_when_they_are_due(reader: Reader):
    path = reader.write("x.csv", _sales(["2024-06-29"] * 5 + ["2024-08-03"] * 5))
    first = reader.one(path)
    assert first.set_aside is not None
    known = {
        str(first.content_hash): KnownFile(
            "x.csv", "shop.sales", 10, 10, 1, first.set_aside, due_on=first.due_on, read_to="2024-07-01"
        )
    }
    later = reader.one(path, known=known, received=date(2024, 8, 2))
    assert (later.quarantined, later.known_before, later.set_aside, len(rows(later))) == (0, 0, None, 10)
    assert not list(reader.quarantine.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("before", "after", "cut_short", "gone"),
    [
        ("1,2024-01-05,5\n", "1,2024-01-05,5\n2,2024-01-05,5\n", (), ()),
        ("1,2024-01-05,5", "1,2024-01-05,5\n2,2024-01-05,5\n", (), ()),
        ("1,2024-01-05,5", "1,2024-01-05,50\n2,2024-01-05,5\n", ("x.csv",), ()),
        ("1,2024-01-05,5\n", "2,2024-01-05,5\n", (), ("x.csv",)),
        ("1,2024-01-05,5\n", None, (), ("x.csv",)),
    ],
    ids=["goes on", "goes on without an end of line", "was half a line", "holds something else", "is gone"],
)
def test_what_became_of_a_file_that_was_read(
    reader: Reader, before: str, after: str | None, cut_short: tuple[str, ...], gone: tuple[str, ...]
):
    header = "customer_id,date,amount\n"
    path = reader.write("x.csv", header + before)
    reader.write("y.csv", header + "7,2024-01-07,7\n")
    known = {str(d.content_hash): KnownFile(d.name, d.table, d.rows, 0, 1, size=d.size) for d in reader.deliver()}
    path.unlink()
    if after is not None:
        reader.write("x.csv", header + after)
    assert reader.source().changes(known) == Changes(cut_short, gone)
