"""Orders and what is in them: lines with products, quantities, prices, discounts and returns.

Given who orders when, this module fills the baskets. When orders happen is decided in `orders` and `marketing`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from sources.contracts import BY_NAME
from sources.synthetic import tables
from sources.synthetic.customers import Customers
from sources.synthetic.effects import Effects
from sources.synthetic.products import CATEGORIES, CATEGORY_STEPS, Assortment, Picker, pick_category
from sources.synthetic.randomness import Draws, Flags, Ints, Keys, pick, poisson
from sources.synthetic.rows import Rows
from sources.synthetic.seasons import DAY, NEVER, Seasons, time_of_day
from sources.synthetic.window import Window

NATURAL, GUEST, OFFER = range(3)
ID_PREFIXES = ("O", "G", "F")
_MOST_LINES = 5
_DISCOUNTS = np.array([5, 10, 15, 20, 30])
_CHOSEN = (24, 34, 18, 16, 8)
_MORE_UNITS_FROM = np.array([[0.84, 0.52], [0.96, 0.80], [0.99, 0.92]])
"""Shares from which on there are 2, 3 and 4 units on a line: of most things, and of food."""

_DEFECTIVE_RETURN_RATE = 0.35
_OPENING_HOUR, _CLOSING_HOUR = 9, 20


@dataclass(frozen=True)
class Orders(Rows):
    """n orders.

    Args:
        kind: (n,) NATURAL, GUEST or OFFER: which process made the order.
        entity: (n,) customer index, or number of the guest.
        ordinal: (n,) number of the order within its entity and kind; for an offer the campaign's number.
        key: (n,) random key, the entity of everything drawn for the order.
        customer: (n,) customer index, -1 for a guest.
        sold_at: (n,) seconds since 1970-01-01.
        online: (n,) bought on the site, otherwise in a store.
        offer_percent: (n,) discount of the campaign that led to it, 0 for none.
    """

    kind: Ints
    entity: Ints
    ordinal: Ints
    key: Keys
    customer: Ints
    sold_at: Ints
    online: Flags
    offer_percent: Ints

    def ids(self) -> pa.Array:
        """(n,) identifiers."""
        return tables.identifiers((ID_PREFIXES, self.kind), *self.numbers())

    def numbers(self) -> tuple[tuple[Ints, int], ...]:
        """The numbers in identifiers of orders and of what belongs to them."""
        return (self.entity + 1, 7), (self.ordinal + 1, 4)


@dataclass(frozen=True)
class Lines(Rows):
    """m order lines.

    Args:
        order: (m,) position of the order.
        ordinal: (m,) number of the line within the order.
        product: (m,) product index.
        quantity: (m,) units.
        price: (m,) price of a unit before discount, in cents.
        percent: (m,) discount in per cent.
        amount: (m,) paid, in cents.
        returned_at: (m,) seconds since 1970-01-01, NEVER if kept.
        defective: (m,) has a defect.
        pulled: (m,) in the basket only because the order's first product pulls it.
    """

    order: Ints
    ordinal: Ints
    product: Ints
    quantity: Ints
    price: Ints
    percent: Ints
    amount: Ints
    returned_at: Ints
    defective: Flags
    pulled: Flags

    def moved(self, by: int) -> Lines:
        """The same lines with order positions shifted, for putting parts together."""
        return replace(self, order=self.order + by)

    def order_values(self, orders: int) -> Ints:
        """(orders,) cents paid in each order."""
        value = np.zeros(orders, dtype=np.int64)
        np.add.at(value, self.order, self.amount)
        return value


def order_key(draws: Draws, kind: int, entity: Ints, ordinal: Ints) -> Keys:
    """The random keys of orders, which are known before the orders are; (n,) keys."""
    return draws.bits(f"order {kind}", entity, ordinal)


def visit_lead(draws: Draws, key: Keys) -> Ints:
    """Seconds from the start of the visit to its order, for (n,) order keys; at most 40 minutes."""
    return 90 + np.minimum(420 * draws.exponential("lead", key), 2_400 - 90).astype(np.int64)


def make_orders(
    draws: Draws,
    kind: int,
    *,
    entity: Ints,
    ordinal: Ints,
    customer: Ints,
    sold_at: Ints,
    offer_percent: Ints | None = None,
) -> Orders:
    """Orders at given moments; the sales channel depends on the hour, and an offer is always taken up online.

    Args:
        draws: Random numbers.
        kind: NATURAL, GUEST or OFFER.
        entity: (n,) customer index, or number of the guest.
        ordinal: (n,) number of the order within entity and kind.
        customer: (n,) customer index, -1 for a guest.
        sold_at: (n,) seconds since 1970-01-01.
        offer_percent: (n,) discount of the offer, or None for none.

    Returns:
        n orders.
    """
    key = order_key(draws, kind, entity, ordinal)
    hour = sold_at % DAY // 3600
    in_store = (hour >= _OPENING_HOUR) & (hour < _CLOSING_HOUR) & (draws.uniform("channel", key) < 0.36)
    return Orders(
        kind=np.full(len(entity), kind),
        entity=entity,
        ordinal=ordinal,
        key=key,
        customer=customer,
        sold_at=sold_at,
        online=~in_store | (kind == OFFER),
        offer_percent=np.zeros(len(entity), dtype=np.int64) if offer_percent is None else offer_percent,
    )


@dataclass(frozen=True)
class Shop:
    """What everyone who orders finds: random numbers, calendar, products, and who is who.

    Args:
        draws: Random numbers.
        seasons: The calendar.
        assortment: The products.
        picker: Picks among them, up to the end of the simulation.
        customers: The customers.
        effects: Which causes act.
    """

    draws: Draws
    seasons: Seasons
    assortment: Assortment
    picker: Picker
    customers: Customers
    effects: Effects


def fill_baskets(shop: Shop, orders: Orders) -> Lines:
    """The lines of orders; guests have the average taste.

    Args:
        shop: Who orders what.
        orders: n orders.

    Returns:
        The lines, by order and ordinal; every order has at least one.
    """
    draws, assortment, customers = shop.draws, shop.assortment, shop.customers
    known = orders.customer >= 0
    buyer = np.maximum(orders.customer, 0)
    extra = np.where(known, customers.extra_lines[buyer], 0.7)
    more, pulling, pulled_units = draws.three("basket", orders.key)
    own = 1 + poisson(more, extra, _MOST_LINES - 2)
    taste = customers.taste_steps[buyer]
    taste[~known] = CATEGORY_STEPS
    week = shop.seasons.week(orders.sold_at)

    order = np.repeat(np.arange(len(orders)), own)
    ordinal = np.arange(len(order)) - np.repeat(np.cumsum(own) - own, own)
    key = orders.key[order]
    of_category, of_product, units = draws.three("line", key, ordinal)
    product = shop.picker.pick(week[order], pick_category(taste[order], of_category), of_product)
    # A pair's second product comes on top, after the lines that would have been there without it.
    pair = assortment.pair_of[product[ordinal == 0]]
    pulls = np.flatnonzero((pair >= 0) & (pulling < assortment.pair_strength[pair]))
    order, ordinal = np.concatenate([order, pulls]), np.concatenate([ordinal, own[pulls]])
    product = np.concatenate([product, assortment.pair_second[pair[pulls]]])
    units = np.concatenate([units, pulled_units[pulls]])
    kept = np.flatnonzero(_first_of_each_product(order, ordinal, product, len(orders)))
    kept = kept[np.argsort(order[kept], kind="stable")]
    order, ordinal, product, units = order[kept], ordinal[kept], product[kept], units[kept]
    key = orders.key[order]

    sensitivity = np.where(known, customers.price_sensitivity[buyer], 0.4)
    sold_day = orders.sold_at[order] // DAY
    is_food = (assortment.category[product] == CATEGORIES.index("Food")).astype(np.int64)
    quantity = np.ones(len(order), dtype=np.int64)
    for step in _MORE_UNITS_FROM:
        quantity += units >= step[is_food]
    discounting, breaking, returning = draws.three("line fate", key, ordinal)
    chance = 0.05 + 0.32 * sensitivity[order] + 0.25 * shop.seasons.promotion(sold_day)
    percent = np.where(discounting < chance, _DISCOUNTS[pick(np.minimum(discounting / chance, 1 - 1e-9), _CHOSEN)], 0)
    percent = np.maximum(percent, orders.offer_percent[order])
    price = assortment.price[product]
    defective = breaking < assortment.defect_rate[product]
    back = np.flatnonzero(returning < assortment.return_rate[product] + _DEFECTIVE_RETURN_RATE * defective)
    days = 2 + 9 * draws.exponential("return days", key[back], ordinal[back])
    return_day = sold_day[back] + np.minimum(days, 45).astype(np.int64)
    returned_at = np.full(len(order), NEVER)
    returned_at[back] = return_day * DAY + time_of_day(draws.uniform("return hour", key[back], ordinal[back]))
    return Lines(
        order=order,
        ordinal=ordinal,
        product=product,
        quantity=quantity,
        price=price,
        percent=percent,
        amount=(quantity * price * (100 - percent) + 50) // 100,
        returned_at=returned_at,
        defective=defective,
        pulled=ordinal == own[order],
    )


def _first_of_each_product(order: Ints, ordinal: Ints, product: Ints, orders: int) -> Flags:
    """Whether a line is the first of its product in its order."""
    grid = np.full((orders, _MOST_LINES), -1)
    grid[order, ordinal] = product
    repeated = np.zeros(len(order), dtype=bool)
    for earlier in range(_MOST_LINES - 1):
        repeated |= (earlier < ordinal) & (grid[order, earlier] == product)
    return ~repeated


def sales_table(shop: Shop, orders: Orders, lines: Lines, window: Window) -> pa.Table:
    """The lines that a window shows, as ``shop.sales``."""
    lines = lines.take(np.flatnonzero(window.shows(orders.sold_at[lines.order], lines.returned_at)))
    of_line = orders.take(lines.order)
    is_guest = of_line.customer < 0
    return tables.build(
        BY_NAME["shop.sales"],
        {
            "sale_id": tables.identifiers((ID_PREFIXES, of_line.kind), *of_line.numbers(), (lines.ordinal + 1, 1)),
            "order_id": of_line.ids(),
            "customer_id": tables.chosen(shop.customers.ids, of_line.customer, missing=is_guest),
            "product_id": tables.chosen(shop.assortment.ids, lines.product),
            "sold_at": tables.timestamps(of_line.sold_at),
            "quantity": tables.money(100 * lines.quantity),
            "unit_price": tables.money(lines.price),
            "discount_rate": pa.array(lines.percent / 100.0),
            "amount": tables.money(lines.amount),
            "channel": tables.chosen(("online", "store"), np.where(of_line.online, 0, 1)),
            "returned_at": tables.timestamps(lines.returned_at, known_until=window.known),
            "category": tables.chosen(CATEGORIES, shop.assortment.category[lines.product]),
        },
    )
