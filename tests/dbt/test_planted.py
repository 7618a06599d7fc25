"""What is planted in a shop is found in its marts, and only that: a pair, a trend, the effect of a campaign."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.dbt.homes import Dbt, Home, Rows, fill

AS_OF = date(2024, 6, 30)
TREATED, CONTROL, SPENT, SHARE = 300, 300, 40, 0.3


def _at(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time()) + timedelta(hours=12)


@pytest.fixture(scope="module")
def planted(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Home:
    draw = random.Random(5)  # noqa: S311 - test data
    sales: list[dict[str, Any]] = []

    def sell(order: str, customer: str, product: str | None, day: date, amount: int) -> None:
        row = {"sale_id": f"s{len(sales)}", "order_id": order, "customer_id": customer, "product_id": product}
        sales.append({**row, "sold_at": _at(day), "quantity": 1, "amount": amount})

    # ten products, two an order and drawn alike, but bread mostly with butter; coffee doubles in June
    for month in range(1, 7):
        for number in range(400):
            day = date(2024, month, 1 + number % 28)
            order, customer = f"o{month}-{number}", f"c{draw.randint(0, 199)}"
            first = draw.choice(["bread", *(f"p{i}" for i in range(7))])
            second = "butter" if first == "bread" and draw.random() < 0.8 else f"p{draw.randint(0, 6)}"
            for product in {first, second}:
                sell(order, customer, product, day, 5)
            if number < (200 if month == 6 else 100):
                sell(f"k{month}-{number}", customer, "coffee", day, 5)
    # a share of the treated buys once more than they would have
    contacts = []
    for number in range(TREATED + CONTROL):
        control = number >= TREATED
        row = {"contact_id": f"k{number}", "campaign_id": "m", "customer_id": f"t{number}", "is_control": control}
        sent = None if control else _at(date(2024, 3, 1))
        contacts.append({**row, "assigned_at": datetime(2024, 3, 1, 6), "sent_at": sent})  # noqa: DTZ001 - local
        if draw.random() < 0.2 or (not control and number < SHARE * TREATED):
            sell(f"m{number}", f"t{number}", None, date(2024, 3, 9), SPENT)
    home = tmp_path_factory.mktemp("planted")
    campaign = {"campaign_id": "m", "fixed_cost": 100, "cost_per_contact": 1}
    tables = {"shop.sales": sales, "marketing.contacts": contacts, "marketing.campaigns": [campaign]}
    fill(home, Rows(tables), AS_OF)
    marts = ("+product_pairs", "+product_trends", "+campaign_roi")
    return dbt.build_here(home, "--exclude-resource-type", "unit_test", "test", "--select", *marts)


def test_the_pair_stands_out(planted: Home) -> None:
    pairs = planted.frame("select * from marts.product_pairs order by lift desc")
    best = pairs.iloc[0]
    assert (best["product_id_a"], best["product_id_b"]) == ("bread", "butter")
    assert best["confidence_a_to_b"] == pytest.approx(0.8, abs=0.07)
    # butter is bought with bread alone, and an eighth of the baskets begins with bread
    assert best["confidence_b_to_a"] == 1
    assert best["lift"] > 3 * pairs["lift"].iloc[1]


def test_the_trend_is_found_and_no_other(planted: Home) -> None:
    found = planted.frame("select product_id, month, direction from marts.product_trends where is_significant")
    assert found.to_dict("records") == [{"product_id": "coffee", "month": date(2024, 6, 1), "direction": "up"}]
    assert planted.frame("select count(*) as n from marts.product_trends")["n"].iloc[0] >= 45


def test_the_campaign_earned_what_was_planted(planted: Home) -> None:
    """Of the share, four fifths would not have bought anyway."""
    (roi,) = planted.frame("select * from marts.campaign_roi").to_dict("records")
    truth = SHARE * 0.8 * TREATED * SPENT
    assert roi["incremental_revenue_low"] < truth < roi["incremental_revenue_high"]
    assert roi["incremental_revenue_low"] > 0
    assert roi["incremental_revenue_high"] - roi["incremental_revenue_low"] < truth
    assert float(roi["total_cost"]) == 100 + TREATED
    assert roi["profit_basis"] == "revenue"
