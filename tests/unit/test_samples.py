"""The examples of a sources.yml that lie under data/samples: what they give, worked out by hand."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sources.contracts import BY_NAME
from sources.delivery import Delivery, Request
from sources.files import open_files
from sources.mapping import json_schema

ROOT = Path(__file__).parents[2]


def deliver(sample: str, table: str, folder: Path) -> list[Delivery]:
    source = open_files(ROOT / "data" / "samples" / sample / "sources.yml", folder / "quarantine")
    target = folder / table
    target.mkdir()
    return source.deliver(BY_NAME[table], target, Request(date(2024, 7, 10), None, "UTC", {}))


def rows(deliveries: list[Delivery], columns: str) -> list[tuple[Any, ...]]:
    files = [f"{delivery.parquet}/*.parquet" for delivery in deliveries]
    return duckdb.execute(f"select {columns} from read_parquet({files}) order by _file, _line").fetchall()


def at(*parts: int) -> datetime:
    return datetime(*parts)  # noqa: DTZ001


def test_the_kiosk(tmp_path: Path) -> None:
    (sales,) = deliver("kiosk", "shop.sales", tmp_path)
    assert (sales.rows, sales.left_out, sales.quarantined) == (4, 1, 0)
    columns = "order_id, customer_id, sold_at, quantity, unit_price, discount_rate, amount, channel"
    morning = at(2024, 6, 28, 10, 15)
    # 2 x 12.50 less 10 %; 8.99; 3 x 2.50 by a guest; a return.
    assert rows([sales], columns) == [
        ("B-1001", "K-7", morning, 2, Decimal("12.5"), 0.1, Decimal("22.5"), "store"),
        ("B-1001", "K-7", morning, 1, Decimal("8.99"), 0.0, Decimal("8.99"), "store"),
        ("B-1003", None, at(2024, 6, 30, 9, 5), 3, Decimal("2.5"), 0.0, Decimal("7.5"), "store"),
        ("B-1004", "K-8", at(2024, 7, 1, 12, 30), -1, Decimal("8.99"), 0.0, Decimal("-8.99"), "store"),
    ]
    customers = deliver("kiosk", "shop.customers", tmp_path)
    assert rows(customers, "customer_id, name, city, signed_up_at, marketing_consent") == [
        ("K-7", "Jürgen Groß", "Köln", at(2023, 2, 3), True),
        ("K-8", "Zoë Weiß", "Görlitz", at(2023, 11, 17), False),
        ("K-9", "Änne Öz", "Lübeck", at(2024, 5, 21), None),
    ]


def test_the_studio(tmp_path: Path) -> None:
    sales = deliver("studio", "shop.sales", tmp_path)
    assert [delivery.currency for delivery in sales] == ["USD", "USD"]
    # 1719570000 is 2024-06-28 10:20 UTC, four hours earlier in New York in summer.
    assert sorted(rows(sales, "sale_id, customer_id, sold_at, amount")) == [
        ("py_1", "cus_1", at(2024, 6, 28, 6, 20), Decimal(29)),
        ("py_2", "cus_2", at(2024, 6, 28, 19, 0), Decimal(120)),
        ("py_3", None, at(2024, 7, 1, 18, 45), Decimal("4.5")),
        ("re_1", "cus_2", at(2024, 7, 2, 19, 20), Decimal(-30)),
    ]
    tickets = deliver("studio", "helpdesk.tickets", tmp_path)
    assert rows(tickets, "ticket_id, customer_id, opened_at, first_response_at, sentiment_score") == [
        ("1", "cus_2", at(2024, 7, 2, 11, 10), at(2024, 7, 2, 12, 0), -0.8),
        ("2", "cus_1", at(2024, 7, 2, 22, 30), None, 0.1),
    ]


def test_every_example_is_in_the_documentation() -> None:
    text = (ROOT / "sources" / "README.md").read_text(encoding="utf-8")
    for example in (ROOT / "data" / "samples").glob("*/sources.yml"):
        assert f"data/samples/{example.parent.name}" in text


def test_the_schema_is_the_one_of_the_code() -> None:
    assert (ROOT / "sources" / "sources.schema.json").read_text(encoding="utf-8") == json_schema()


@pytest.mark.parametrize("key", ["timezone", "currency", "aliases", "files"])
def test_the_schema_knows_every_key(key: str) -> None:
    assert key in json.loads(json_schema())["properties"]
