"""Lifetime models on counted customers: SQL counts what `ml` counts, and a fit on counts is the fit on rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from ml.lifetime import estimate_lifetime_value
from ml.lifetime.counts import Counts, refit
from ml.lifetime.orders import Ledger, histories_at, kept_share, read_bookings
from orchestration.assets.insights.lifetime import BOOKINGS, counted, counted_histories

DAY = date(2025, 6, 30)
TYPES = {
    "customer_id": "varchar",
    "sold_on": "date",
    "returned_on": "date",
    "is_order_line": "boolean",
    "gross_revenue": "decimal(18, 4)",
    "returned_revenue": "decimal(18, 4)",
    "is_return": "boolean",
    "unit_cost": "decimal(18, 4)",
    "quantity": "decimal(18, 4)",
}
SALES = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())


def read(connection: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
    return connection.execute(query, list(parameters)).df()


@pytest.fixture
def shop() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(f"create schema marts; create table marts.fct_sales ({SALES})")
        yield connection


def fill(connection: duckdb.DuckDBPyConnection, has_costs: bool) -> None:
    """Sales of 300 customers who differ: several lines a day, returns, unknown costs, guests, days to come."""
    rng = np.random.default_rng(3)
    rows = []
    for i in range(300):
        day, usual = int(rng.integers(-900, 20)), float(rng.lognormal(3, 0.5))
        for _ in range(int(rng.geometric(0.3))):
            for _ in range(int(rng.integers(1, 3))):
                value, quantity = round(usual * float(rng.gamma(3)), 2), int(rng.integers(1, 4))
                cost = round(0.6 * value / quantity, 2) if has_costs and rng.random() < 0.8 else None
                back = day + 5 if rng.random() < 0.1 else None
                customer = None if rng.random() < 0.02 else f"c{i:03}"
                rows.append((customer, day, back, True, value, value if back else 0, False, cost, quantity))
            day += 1 + int(rng.exponential(60))
        if i % 40 == 0:
            # somebody of whom there is nothing but a return
            rows.append((f"r{i:03}", day, None, False, -9, 0, True, None, -1))
    frame = pd.DataFrame(rows, columns=list(TYPES))
    for name in ("sold_on", "returned_on"):
        frame[name] = pd.Timestamp(DAY) + pd.to_timedelta(pd.to_numeric(frame[name]), unit="D")
    connection.execute("insert into marts.fct_sales select * from frame")


def by_hand(ledger: Ledger) -> Counts:
    """As `counted`, of a ledger."""
    rows = histories_at(ledger, ledger.as_of)
    known = rows[rows["valued"] > 0]
    spending = pd.DataFrame(
        {
            "valued": known["valued"],
            "total": known["valued"] * known["monetary_value"],
            "logs": known["valued"] * known["mean_log_value"],
            "customers": 1,
        }
    )
    worth = ledger.value[ledger.has_order & (ledger.value > 0)]
    return Counts(
        rows.groupby(["valued", "frequency", "recency", "T"]).size().rename("customers").reset_index(),
        spending,
        int(ledger.has_order.sum()),
        len(worth),
        float(worth.sum()),
        float((worth**2).sum()),
        float(ledger.value.sum()),
    )


@pytest.mark.parametrize("has_costs", [True, False])
def test_customers_are_counted_as_the_models_see_them(shop: duckdb.DuckDBPyConnection, has_costs: bool) -> None:
    fill(shop, has_costs)
    ledger = read_bookings(read(shop, BOOKINGS), DAY)
    assert ledger.basis == ("margin" if has_costs else "revenue")
    found, expected = counted(partial(read, shop), DAY), by_hand(ledger)
    assert len(found.histories) < len(ledger.ids)
    keys = ["valued", "frequency", "recency", "T"]
    pd.testing.assert_frame_equal(
        found.histories.sort_values(keys, ignore_index=True), expected.histories, check_dtype=False
    )
    for one in (found, expected):
        one.spending.sort_values(["valued", "total"], ignore_index=True, inplace=True)
    pd.testing.assert_frame_equal(found.spending, expected.spending, check_dtype=False, rtol=1e-12)
    assert (found.order_days, found.worth_days) == (expected.order_days, expected.worth_days)
    for name in ("worth", "worth_squares", "booked"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-12)


def test_a_fit_on_counts_is_the_fit_on_rows(shop: duckdb.DuckDBPyConnection) -> None:
    fill(shop, has_costs=True)
    bookings = read(shop, BOOKINGS)
    forecast = estimate_lifetime_value(bookings, DAY).forecast
    assert forecast is not None
    # another forecast's models, of a tenth of the customers, give way; which kind it is stays, and so do its factors
    part = estimate_lifetime_value(bookings[bookings["customer_id"].str.endswith("7")], DAY).forecast
    assert part is not None
    start = replace(part, purchases=type(forecast.purchases)().with_parameters(**part.purchases.parameters_))
    again, messages = refit(start, counted(partial(read, shop), DAY))
    assert messages == []
    assert (again.speed, again.worth) == (part.speed, part.worth)
    assert again.purchases.parameters_ == pytest.approx(forecast.purchases.parameters_, rel=1e-9)
    assert again.spend.parameters_ == pytest.approx(forecast.spend.parameters_, rel=1e-9)
    assert again.kept == pytest.approx(kept_share(read_bookings(bookings, DAY), DAY), rel=1e-9)
    assert part.purchases.parameters_ != pytest.approx(forecast.purchases.parameters_, rel=1e-3)


def test_few_who_came_back_are_worth_the_mean_of_all(shop: duckdb.DuckDBPyConnection) -> None:
    shop.execute(
        """
        insert into marts.fct_sales
        select 'c' || i, date '2025-01-01' + cast(i as int), null, true, 10 + i % 3, 0, false, null, 1
        from range(60) as t (i)
        union all
        select 'c1', date '2025-04-01', null, true, 20, 0, false, null, 1
        """
    )
    forecast = estimate_lifetime_value(read(shop, BOOKINGS), DAY).forecast
    assert forecast is not None
    again, messages = refit(forecast, counted(partial(read, shop), DAY))
    assert messages == [
        "Fewer than 20 customers came back (1): everyone's orders are expected to be worth the mean of all."
    ]
    assert again.spend.parameters_ == pytest.approx(forecast.spend.parameters_, rel=1e-9)


def test_of_no_sale_nothing_is_counted(shop: duckdb.DuckDBPyConnection) -> None:
    assert counted_histories(partial(read, shop), DAY).empty
    found = counted(partial(read, shop), DAY)
    assert found.spending.empty
    assert (found.order_days, found.worth_days, found.worth, found.booked) == (0, 0, 0.0, 0.0)
