"""What to do next, in a whole refresh: words that agree with their columns, consent, control group, and the rules.

What each branch decides is in the unit tests of dbt; what acting earns, in `benchmarks/grade_actions.py`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.conftest import ROOT, Refresh

SEEDS = ROOT / "dbt_project" / "seeds"

Row = dict[str, Any]

EFFECT = {
    "uplift": " A message is expected to bring {extra_orders} orders worth {value}, for {cost}.",
    "rules": " Assumed, not measured: a message brings {extra_orders} orders worth {value}, for {cost}.",
}
TOLD: dict[str, Callable[[Row], Any]] = {
    "open_negative_ticket_count": lambda row: row["open_negative_ticket_count"],
    "intent_score": lambda row: row["intent_score"],
    "churn_percent": lambda row: 100 * row["churn_probability"],
    "churn_horizon_days": lambda row: row["churn_horizon_days"],
    "days_since_last_order": lambda row: row["days_since_last_order"],
    "order_count": lambda row: row["order_count"],
    "extra_orders": lambda row: row["expected_extra_orders"],
    "value": lambda row: row["expected_incremental_value"],
    "cost": lambda row: row["cost"],
    "discount_percent": lambda row: 100 * row["discount_rate"],
    "valid_until": lambda row: row["valid_until"],
    "suggested_product_name": lambda row: row["suggested_product_name"],
}
"""What each name in a text speaks of."""


def _seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _rows(home: Path, table: str) -> list[Row]:
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        cursor = connection.execute(f"select * from marts.{table} order by customer_id")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, values, strict=True)) for values in cursor.fetchall()]


def _disagreement(template: str, text: str, row: Row) -> str | None:
    """What a text says that its row does not; None if nothing. Numbers may be rounded as far as they are written."""
    names = re.findall(r"\{(\w+)\}", template)
    pattern = re.sub(r"\\\{(\w+)\\\}", r"(.+)", re.escape(template))
    found = re.fullmatch(pattern, text)
    if not found:
        return f"{text!r} is not {template!r}"
    for name, told in zip(names, found.groups(), strict=True):
        value = TOLD[name](row)
        if isinstance(value, int | float | Decimal):
            half_a_unit = Decimal(1).scaleb(Decimal(told).as_tuple().exponent) / 2  # type: ignore[arg-type]
            if abs(Decimal(told) - Decimal(str(value))) > half_a_unit:
                return f"{text!r}: {name} is {value}"
        elif told != str(value):
            return f"{text!r}: {name} is {value}"
    return None


@pytest.fixture(scope="module")
def actions(shop: Refresh) -> list[Row]:
    return _rows(shop.home, "next_best_actions")


def test_every_number_in_a_reason_is_a_column_of_its_row(actions: list[Row]) -> None:
    reasons = {rule["action"]: rule["reason"] for rule in _seed("action_rules")}
    effect = {
        action: "" for action, kind in ((r["action"], r["kind"]) for r in _seed("action_rules")) if kind == "service"
    }
    wrong = [
        _disagreement(
            reasons.get(row["action"], "No message pays for itself.") + effect.get(row["action"], EFFECT[row["basis"]]),
            row["reason"],
            row,
        )
        for row in actions
    ]
    assert [text for text in wrong if text] == []
    assert len({row["action"] for row in actions}) >= 4


def test_every_number_in_a_message_is_a_column_of_its_row(shop: Refresh, actions: list[Row]) -> None:
    openings = {rule["action"]: rule["opening"] for rule in _seed("action_rules")}
    wordings = {option["offer_type"]: option["wording"] for option in _seed("offer_options")}
    offered = [row for row in actions if row["offer_type"]]
    wrong = [
        _disagreement(f"{openings[row['action']]} {wordings[row['offer_type']]}", row["message"], row)
        for row in offered
    ]
    assert [text for text in wrong if text] == []
    assert all(row["valid_until"] == row["deadline_on"] + timedelta(days=14) for row in offered)
    messages = {row["customer_id"]: row["message"] for row in offered}
    offers = _rows(shop.home, "offers")
    assert offers
    assert all(offer["message"] == messages[offer["customer_id"]] for offer in offers)


def test_a_share_is_held_back_and_nobody_without_consent_is_contacted(shop: Refresh, actions: list[Row]) -> None:
    consenting = {row[0] for row in shop.query("select customer_id from marts.dim_customers where marketing_consent")}
    contacted = [row for row in actions if row["is_selected"]]
    assert contacted
    assert all(row["customer_id"] in consenting and not row["is_control"] for row in contacted)
    held_back = sum(row["is_control"] for row in actions)
    # a tenth of some 300, give or take three standard errors
    assert abs(held_back - len(actions) / 10) < 3 * (0.09 * len(actions)) ** 0.5


def test_every_trigger_names_an_audience_and_an_action_that_are_there(shop: Refresh) -> None:
    triggers = _seed("campaign_triggers")
    published = {row[0] for row in shop.query("select table_name from duckdb_tables() where schema_name = 'marts'")}
    assert {trigger["audience"] for trigger in triggers} == {name for name in published if name.startswith("audience_")}
    channels = {rule["action"]: rule["channel"] for rule in _seed("action_rules")}
    assert [t["trigger"] for t in triggers if channels.get(t["action"]) != t["channel"]] == []
