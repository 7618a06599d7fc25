"""Use of telecom and banking accounts, which declines before an account is closed.

Weekly rows by kind of activity; revenue comes with few of them. Shop orders of the same customers are not made here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sources.contracts import BY_NAME
from sources.synthetic import tables
from sources.synthetic.baskets import Shop
from sources.synthetic.customers import BANKING, ECOMMERCE, TELECOM
from sources.synthetic.randomness import Ints, Keys
from sources.synthetic.seasons import DAY
from sources.synthetic.window import Window

_DECLINE_DAYS = 70
_LOWEST = 0.12


@dataclass(frozen=True)
class _Kind:
    """A kind of activity: weekly chance at full use and shortly before leaving, typical quantity, revenue."""

    industry: int
    name: str
    chance: float
    chance_when_leaving: float
    quantity: float
    declines: bool
    revenue_chance: float
    revenue_cents: float


_KINDS = (
    _Kind(TELECOM, "data_usage", 0.95, 0.70, 4.5, True, 0.04, 900),
    _Kind(TELECOM, "call", 0.85, 0.55, 60.0, True, 0.0, 0),
    _Kind(TELECOM, "billing_complaint", 0.012, 0.06, 1.0, False, 0.0, 0),
    _Kind(TELECOM, "payment_delay", 0.015, 0.07, 6.0, False, 0.0, 0),
    _Kind(BANKING, "login", 0.95, 0.60, 5.0, True, 0.0, 0),
    _Kind(BANKING, "transaction", 0.85, 0.45, 6.0, True, 0.06, 250),
    _Kind(BANKING, "feature_use", 0.40, 0.10, 2.0, True, 0.0, 0),
    _Kind(BANKING, "support_contact", 0.02, 0.06, 1.0, False, 0.0, 0),
)


def activity_table(shop: Shop, left_at: Ints, window: Window) -> pa.Table:
    """All account activity in a window as ``usage.activity``.

    Args:
        shop: The customers and the calendar.
        left_at: (n,) when the customers leave, in seconds since 1970-01-01.
        window: The window.

    Returns:
        Rows by kind, customer and week.
    """
    first, last = (int(shop.seasons.week(np.array([moment]))[0]) for moment in (window.since, window.until - 1))
    holders = np.flatnonzero(shop.customers.industry != ECOMMERCE)
    holder, week = np.divmod(np.arange(len(holders) * (last + 1 - first)), last + 1 - first)
    holder, week = holders[holder], week + first
    key = shop.draws.bits("account week", holder, week)
    parts = [_rows_of(shop, number, left_at, window, (holder, week, key)) for number in range(len(_KINDS))]
    return pa.concat_tables(parts)


def _rows_of(shop: Shop, number: int, left_at: Ints, window: Window, weeks: tuple[Ints, Ints, Keys]) -> pa.Table:
    """The rows of one kind, out of all weeks (holder, week and key) of the account holders."""
    holder, week, key = weeks
    kind, draws, customers = _KINDS[number], shop.draws, shop.customers
    mine = customers.industry[holder] == kind.industry
    holder, week, key = holder[mine], week[mine], key[mine]
    day = shop.seasons.first_day + 7 * week + (7 * draws.uniform("activity day", key, number)).astype(np.int64)
    at = day * DAY
    use = np.clip((customers.closes[holder] - at) / (_DECLINE_DAYS * DAY), _LOWEST, 1.0)
    chance = kind.chance_when_leaving + (kind.chance - kind.chance_when_leaving) * use
    there = (at >= customers.signed_up[holder]) & (at <= left_at[holder]) & window.born(at)
    rows = there & (draws.uniform("active", key, number) < chance)
    holder, week, key, day, use = holder[rows], week[rows], key[rows], day[rows], use[rows]

    habit = np.exp(0.6 * draws.normal("use habit", holder, number) + 0.4 * draws.normal("use", key, number))
    quantity = kind.quantity * habit * (use if kind.declines else 1.0)
    paid = draws.uniform("usage pays", key, number) < kind.revenue_chance
    cents = np.round(kind.revenue_cents * np.exp(0.5 * draws.normal("usage revenue", key, number))).astype(np.int64)
    known = kind.revenue_chance > 0
    return tables.build(
        BY_NAME["usage.activity"],
        {
            "activity_id": tables.identifiers("U", (np.full(len(week), number), 1), (holder + 1, 7), (week, 4)),
            "customer_id": tables.chosen(customers.ids, holder),
            "occurred_on": tables.dates(day),
            "activity_type": tables.chosen((kind.name,), np.zeros(len(week), dtype=np.int64)),
            "quantity": tables.money(100 * np.maximum(np.round(quantity), 1).astype(np.int64)),
            "revenue_impact": tables.only_where(tables.money(np.where(paid, cents, 0)), np.full(len(week), known)),
        },
    )
