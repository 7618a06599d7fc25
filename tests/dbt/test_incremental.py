"""Incremental builds equal full rebuilds, value for value, whatever arrives: new, late and restated rows, days back.

dbt runs in this process, on a shop of a few hundred rows: what is tested does not depend on size.
"""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest

from sources.contracts import CONTRACTS
from sources.delivery import Request
from sources.store import RawFolder
from tests.dbt.homes import Dbt, Home, Rows

FIRST_DAY = date(2024, 1, 20)
STARTS = date(2024, 5, 10)
INCREMENTAL = ("--select", "+config.materialized:incremental")
KEYS = {contract.name: contract.key for contract in CONTRACTS}


@dataclass
class Shop:
    """Raw rows as they would be delivered, by table and key; a batch changes some and adds some."""

    seed: int
    as_of: date = STARTS
    rows: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """A shop of some months."""
        self.draw = random.Random(self.seed)  # noqa: S311 - test data
        self.rows = {contract.name: {} for contract in CONTRACTS}
        for number in range(6):
            self.add("shop.products", f"p{number}", self.product())
        for number in range(12):
            self.add("shop.customers", f"c{number}", self.profile())
        self.add("marketing.campaigns", "m", {"fixed_cost": 10, "cost_per_contact": 1, "offer_type": "discount"})
        for _ in range(220):
            self.grow(self.between(FIRST_DAY, self.as_of))

    def add(self, table: str, key: str, row: dict[str, Any]) -> None:
        self.rows[table][key] = {KEYS[table]: key, **row}

    def between(self, first: date, last: date) -> datetime:
        day = first + timedelta(days=self.draw.randint(0, (last - first).days))
        return datetime.combine(day, datetime.min.time()) + timedelta(minutes=self.draw.randint(0, 1439))

    def maybe(self, share: float, value: Any) -> Any:
        return value if self.draw.random() < share else None

    def later(self, moment: datetime, share: float, days: int) -> datetime | None:
        return self.maybe(share, moment + timedelta(minutes=self.draw.randint(5, days * 1440)))

    def product(self) -> dict[str, Any]:
        return {"category": self.draw.choice(["Books", "Toys", None]), "unit_cost": self.maybe(0.8, 3)}

    def profile(self) -> dict[str, Any]:
        signed_up = self.between(FIRST_DAY, self.as_of)
        return {
            "industry": self.draw.choice(["telecom", "banking", None]),
            "region": self.draw.choice(["North", None]),
            "signed_up_at": self.maybe(0.7, signed_up),
        }

    def sale(self, at: datetime) -> dict[str, Any]:
        sign = -1 if self.draw.random() < 0.06 else 1
        return {
            # orders with lines of several days, also across the end of a month
            "order_id": self.maybe(0.7, f"o{at.toordinal() // 20}-{self.draw.randint(0, 9)}"),
            "customer_id": self.maybe(0.9, f"c{self.draw.randint(0, 60)}"),
            "product_id": self.maybe(0.9, f"p{self.draw.randint(0, 19)}"),
            "sold_at": at,
            "quantity": sign * self.draw.randint(1, 3),
            "amount": sign * self.draw.randint(1, 40),
            "discount_rate": self.maybe(0.3, 0.1),
            "category": self.draw.choice(["Games", "Toys", None]),
            "returned_at": self.later(at, 0.15, 40),
        }

    def ticket(self, at: datetime) -> dict[str, Any]:
        resolved = self.later(at, 0.7, 20)
        return {
            "customer_id": self.maybe(0.9, f"c{self.draw.randint(0, 60)}"),
            "product_id": self.maybe(0.5, f"p{self.draw.randint(0, 19)}"),
            "opened_at": at,
            "first_response_at": self.later(at, 0.8, 4),
            "resolved_at": resolved,
            "status": self.draw.choice(["open", "Reopened", "resolved"]),
            "priority": self.draw.choice(["high", "low", "odd", None]),
            "topic": self.draw.choice(["billing", "late", None]),
            "sentiment_score": self.maybe(0.8, self.draw.choice([-0.8, -0.1, 0.5])),
            "satisfaction_score": self.draw.randint(1, 5) if resolved else None,
        }

    def grow(self, at: datetime) -> None:
        """One more row of some table, and what belongs to it."""
        number = sum(map(len, self.rows.values()))
        table = self.draw.choices(["sale", "ticket", "visit", "contact", "usage"], [60, 12, 16, 6, 6])[0]
        customer = f"c{self.draw.randint(0, 60)}"
        if table == "sale":
            self.add("shop.sales", f"s{number}", self.sale(at))
        elif table == "ticket":
            self.add("helpdesk.tickets", f"t{number}", self.ticket(at))
        elif table == "contact":
            self.add(
                "marketing.contacts",
                f"k{number}",
                {
                    "campaign_id": "m",
                    "customer_id": customer,
                    "is_control": (control := self.draw.random() < 0.3),
                    "assigned_at": at,
                    "sent_at": None if control else self.later(at, 0.9, 1),
                },
            )
        elif table == "usage":
            kind = self.draw.choice(["data_usage", "login"])
            row = {"customer_id": customer, "occurred_on": at.date(), "activity_type": kind, "quantity": 2}
            self.add("usage.activity", f"u{number}", row)
        else:
            cart = self.maybe(0.5, self.draw.randint(1, 50))
            visit = {"customer_id": self.maybe(0.7, customer), "started_at": at, "device_type": "mobile"}
            self.add("web.sessions", f"v{number}", {**visit, "cart_value": cart, "order_id": self.maybe(0.2, "o")})
            for turn, kind in enumerate(self.draw.choices(["page_view", "product_view", "add_to_cart"], k=2)):
                event = {"session_id": f"v{number}", "event_type": kind, "occurred_at": at + timedelta(hours=turn)}
                self.add("web.events", f"e{number}-{turn}", {**event, "product_id": "p1"})

    def deliver_more(self, days: int) -> None:
        """Some days later: new rows, late ones of up to 60 days ago, some of tomorrow, and restated ones."""
        before, self.as_of = self.as_of, self.as_of + timedelta(days=days)
        for _ in range(3 * max(days, 2)):
            self.grow(self.between(before, self.as_of + timedelta(days=3)))
        for _ in range(6):
            self.grow(self.between(before - timedelta(days=60), before))
        for table, change in (("shop.sales", self.sale), ("helpdesk.tickets", self.ticket)):
            moment = {"shop.sales": "sold_at", "helpdesk.tickets": "opened_at"}[table]
            for key in self.draw.sample(sorted(self.rows[table]), 5):
                at = self.rows[table][key][moment] + timedelta(days=self.draw.choice([-40, 0, 0, 0, 2]))
                self.add(table, key, change(max(at, datetime(2024, 1, 1))))  # noqa: DTZ001 - local times have no zone
        for key in self.draw.sample(sorted(self.rows["web.sessions"]), 2):
            self.rows["web.sessions"][key] = {**self.rows["web.sessions"][key], "cart_value": 7, "customer_id": "c1"}
        # what is known of a customer and of a message changes without any sale
        for number in self.draw.sample(range(12), 3):
            self.add("shop.customers", f"c{number}", self.profile())
        for key in self.draw.sample(sorted(self.rows["marketing.contacts"]), 2):
            contact = self.rows["marketing.contacts"][key]
            self.rows["marketing.contacts"][key] = {**contact, "opened_at": self.later(contact["assigned_at"], 1, 20)}
        # a product's record changes, and with it every line of the product
        self.add("shop.products", "p2", self.product())


class Runs:
    """Homes of one shop, and dbt in this process."""

    def __init__(self, dbt: Dbt, folder: Path) -> None:
        self.dbt, self.folder = dbt, folder
        self.home = folder / "grown"

    def deliver(self, shop: Shop, batch: int) -> None:
        folder = RawFolder(self.home / "raw")
        request = Request(shop.as_of + timedelta(days=9), shop.as_of, "UTC", {})
        source = Rows({table: list(rows.values()) for table, rows in shop.rows.items()})
        for contract in CONTRACTS:
            folder.merge(contract, source.deliver(contract, folder.incoming(contract), request), batch)
        folder.clear_incoming()
        folder.write_clock(shop.as_of, shop.as_of + timedelta(days=1), batch)

    def build(self, home: Path, *arguments: str) -> Home:
        return self.dbt.build_here(home, "--exclude-resource-type", "unit_test", "test", *arguments)

    def rebuilt(self, *arguments: str) -> Home:
        """The same raw data, built from nothing."""
        home = self.folder / "rebuilt"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self.home / "raw", home / "raw")
        return self.build(home, *arguments)


def lose_a_column_of_a_seed(home: Path) -> None:
    """As the table of a version that did not have it yet."""
    with duckdb.connect(str(home / "work.duckdb")) as connection:
        table, column = connection.execute(
            """
            select table_name, max(column_name) from duckdb_columns() where schema_name = 'seeds'
            group by 1 order by 1 limit 1
            """
        ).fetchall()[0]
        connection.execute(f"alter table seeds.{table} drop column {column}")


def tables_of(home: Home) -> dict[str, pd.DataFrame]:
    names = home.frame(
        """
        select database_name || '.' || schema_name || '.' || table_name as name from duckdb_tables()
        where schema_name in ('marts', 'intermediate')
        """
    )["name"]
    return {name: home.frame(f"select * from {name} order by all") for name in sorted(names)}


def assert_equal(grown: Home, rebuilt: Home, shown: str) -> None:
    left, right = tables_of(grown), tables_of(rebuilt)
    # a list of changes is about the way, not about where it leads
    left.pop("work.intermediate.int_sales__changed"), right.pop("work.intermediate.int_sales__changed")
    assert left.keys() == right.keys()
    for name in left:
        pd.testing.assert_frame_equal(left[name], right[name], check_exact=True, obj=f"{name} ({shown})")


def since(home: Home) -> list[tuple[int, Any]]:
    """Every build of the list of changes, with the refresh it started from; nothing when all was built anew."""
    states = home.frame(
        "select refresh, from_refresh from work.meta.incremental_state "
        "where model = 'int_sales__changed' order by recorded_at"
    )
    return [(row.refresh, None if pd.isna(row.from_refresh) else row.from_refresh) for row in states.itertuples()]


def mark_pages(home: Path, value: str) -> None:
    """Write something into every visit that only building it again would take away; the shop counts no pages."""
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        connection.execute(f"update marts.fct_sessions set pages_visited = {value}")


@pytest.fixture(scope="module")
def runs(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(dbt, tmp_path_factory.mktemp("incremental"))


def test_incremental_equals_full_rebuild(runs: Runs) -> None:
    """Three batches one after the other; another random shop by PULSE_TEST_SEED, which a failure names."""
    seed = int(os.environ.get("PULSE_TEST_SEED", "20240510"))
    shop = Shop(seed)
    runs.deliver(shop, 1)
    runs.build(runs.home, *INCREMENTAL)
    shop.deliver_more(1)
    runs.deliver(shop, 2)
    runs.build(runs.home, *INCREMENTAL)
    shop.deliver_more(30)
    runs.deliver(shop, 3)
    lose_a_column_of_a_seed(runs.home)
    grown = runs.build(runs.home)
    # the features of a third of the customers at a time
    lines = grown.frame("select count(*) as n from marts.fct_sales")["n"].iloc[0]
    rebuilt = runs.rebuilt("--vars", f"{{lines_a_slice: {-(-lines // 3)}}}")
    compiled = runs.dbt.project / "target/compiled/customer_pulse/models/intermediate/int_features__sales.sql"
    assert "hash(customer_id) % 3 = 0" in compiled.read_text()
    assert_equal(grown, rebuilt, f"PULSE_TEST_SEED={seed}")
    # and each went on from the one before
    assert since(grown) == [(1, None), (2, 1), (3, 2)]


def test_what_may_not_be_carried_on_is_built_anew(runs: Runs) -> None:
    """An untouched row stays as it lies there, be it wrong; a day back or a restated event computes it anew."""
    shop = Shop(7)
    runs.home = runs.home.with_name("turned")
    runs.deliver(shop, 1)
    runs.build(runs.home, *INCREMENTAL)
    with duckdb.connect(str(runs.home / "warehouse.duckdb")) as connection:
        connection.execute("update marts.daily_sales set unit_count = -1 where sales_date = date '2024-01-25'")
        connection.execute("update marts.fct_sessions set event_count = -1 where started_on < date '2024-02-10'")
        connection.execute("update marts.customer_metrics set purchase_count = -1")
        connection.execute("update marts.customer_features set product_count = -1")
    shop.deliver_more(1)
    runs.deliver(shop, 2)
    grown = runs.build(runs.home, *INCREMENTAL)
    wrong = grown.frame(
        """
        select
            (select count(*) from marts.daily_sales where unit_count = -1) as days,
            (select count(*) from marts.fct_sessions where event_count = -1) as sessions,
            (select count(*) from marts.customer_metrics where purchase_count = -1) as customers,
            (select count(*) from marts.customer_features where product_count = -1) as features
        """
    )
    assert wrong["days"].tolist() == [1]
    assert wrong["sessions"].iloc[0] > 5
    assert wrong["customers"].iloc[0] > 5
    assert wrong["features"].iloc[0] > 5

    moved, *_, target = sorted(shop.rows["web.events"])
    session = shop.rows["web.events"][target]["session_id"]
    shop.rows["web.events"][moved] = {**shop.rows["web.events"][moved], "session_id": session}
    shop.as_of -= timedelta(days=20)
    runs.deliver(shop, 3)
    assert_equal(runs.build(runs.home, *INCREMENTAL), runs.rebuilt(*INCREMENTAL), "a day back")

    # the day forward again, and one event of long ago in another visit
    shop.as_of += timedelta(days=1)
    shop.rows["web.events"][target] = {**shop.rows["web.events"][target], "session_id": None}
    runs.deliver(shop, 4)
    mark_pages(runs.home, "-1")
    grown = runs.build(runs.home, *INCREMENTAL)
    # the other visits were left alone
    assert grown.frame("select count(*) as n from marts.fct_sessions where pages_visited = -1")["n"].iloc[0] > 5
    mark_pages(runs.home, "null")
    assert_equal(grown, runs.rebuilt(*INCREMENTAL), "an event restated")

    # other code, even where only a macro differs
    macro = runs.dbt.project / "macros" / "numbers" / "money.sql"
    text = macro.read_text(encoding="utf-8")
    try:
        macro.write_text(text.replace("decimal(18, 4)", "decimal(18,4)"), encoding="utf-8")
        edited = runs.build(runs.home, *INCREMENTAL)
    finally:
        macro.write_text(text, encoding="utf-8")
    assert since(edited)[-2:] == [(4, 3), (4, None)]
