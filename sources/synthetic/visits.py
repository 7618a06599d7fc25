"""Visits to the site, and what happens in them.

The visits that convert are exactly the online orders; all others only look, or leave a cart behind. Orders are given:
this module adds nothing to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sources.synthetic import tables
from sources.synthetic.baskets import Lines, Orders, Shop, visit_lead
from sources.synthetic.orders import arrivals
from sources.synthetic.products import CATEGORY_STEPS, pick_category
from sources.synthetic.randomness import Draws, Flags, Ints, Keys
from sources.synthetic.rows import Rows
from sources.synthetic.seasons import DAY, time_of_day
from sources.synthetic.window import Window

DEVICES = ("desktop", "mobile", "tablet")
PAGE_VIEW, PRODUCT_VIEW, ADD_TO_CART, PURCHASE, REVIEW = range(5)
EVENT_TYPES = ("page_view", "product_view", "add_to_cart", "purchase", "review")
VISIT_PREFIXES = ("S", "R", "B", "A")
_CONVERTING, _REVIEWING, _BROWSING, _ANONYMOUS = range(4)

_VISITS_PER_ORDER = 1.35
_ANONYMOUS_PER_CUSTOMER_DAY = 0.0085
_SHORT_INTEREST_DAYS = 30
_INTEREST_AFTER_LEAVING = 0.10
_MOST_VISITS_A_WEEK = 6
_REVIEW_SHARE = 0.09
_LONGEST_VISIT = 3 * 3600


@dataclass(frozen=True)
class Visits(Rows):
    """n visits.

    Args:
        kind: (n,) what made the visit; with the three numbers, its identity.
        first: (n,) first number of the identifier.
        second: (n,) second number.
        third: (n,) third number.
        key: (n,) random key.
        customer: (n,) customer index, -1 if unknown.
        started_at: (n,) seconds since 1970-01-01.
        device: (n,) index into DEVICES.
        pages: (n,) pages seen.
        seconds: (n,) length of the visit.
        cart: (n,) cents put in the cart.
        order: (n,) position of the order, -1 for none.
    """

    kind: Ints
    first: Ints
    second: Ints
    third: Ints
    key: Keys
    customer: Ints
    started_at: Ints
    device: Ints
    pages: Ints
    seconds: Ints
    cart: Ints
    order: Ints

    def ids(self) -> pa.Array:
        """(n,) identifiers."""
        return tables.identifiers((VISIT_PREFIXES, self.kind), *self.numbers())

    def numbers(self) -> tuple[tuple[Ints, int], ...]:
        """The numbers in identifiers of visits and of their events."""
        return (self.first, 8), (self.second, 4), (self.third, 1)


@dataclass(frozen=True)
class Events(Rows):
    """m events of visits.

    Args:
        visit: (m,) position of the visit.
        slot: (m,) number of the event within its visit.
        type: (m,) index into the event types.
        at: (m,) seconds since 1970-01-01.
        product: (m,) product index, -1 for none.
    """

    visit: Ints
    slot: Ints
    type: Ints
    at: Ints
    product: Ints

    def moved(self, by: int) -> Events:
        """The same events with visit positions shifted, for putting parts together."""
        return replace(self, visit=self.visit + by)


def _device(draws: Draws, customer: Ints, key: Keys) -> Ints:
    """Most visits of a customer are made with the same device; strangers come with any."""
    weights = [36, 56, 8]
    usual = draws.pick("usual device", np.maximum(customer, 0), weights)
    other = draws.pick("device", key, weights)
    return np.where((customer >= 0) & (draws.uniform("device changes", key) < 0.8), usual, other)


def converting_visits(draws: Draws, orders: Orders, lines: Lines) -> tuple[Visits, Events]:
    """One visit for every online order, ending a little after it.

    Args:
        draws: Random numbers.
        orders: The orders.
        lines: Their lines, by order and ordinal.

    Returns:
        Visits in the order of the online orders, and their events.
    """
    position = np.flatnonzero(orders.online)
    online = orders.take(position)
    lead = visit_lead(draws, online.key)
    after = 20 + (100 * draws.uniform("after purchase", online.key)).astype(np.int64)
    count = np.bincount(lines.order, minlength=len(orders))[position]
    views = count + draws.poisson("other pages", online.key, 3.0, 12)
    visits = Visits(
        kind=np.full(len(online), _CONVERTING),
        first=online.entity + 1,
        second=online.ordinal + 1,
        third=online.kind,
        key=online.key,
        customer=online.customer,
        started_at=online.sold_at - lead,
        device=_device(draws, online.customer, online.key),
        pages=1 + views,
        seconds=lead + after,
        cart=lines.order_values(len(orders))[position],
        order=position,
    )
    # Every line is looked at and put into the cart, one after the other, in the time before the order.
    visit_of = np.full(len(orders), -1)
    visit_of[position] = np.arange(len(position))
    bought = lines.take(visit_of[lines.order] >= 0)
    visit = visit_of[bought.order]
    turn = np.arange(len(visit)) - np.searchsorted(visit, visit)
    steps = 2 * count[visit] + 1
    start, length = visits.started_at, lead
    every = np.arange(len(visits))
    none = np.full(len(visits), -1)
    events = [
        Events(every, np.zeros_like(every), np.full(len(every), PAGE_VIEW), start, none),
        Events(
            visit,
            1 + 2 * turn,
            np.full(len(visit), PRODUCT_VIEW),
            start[visit] + length[visit] * (1 + 2 * turn) // (steps + 1),
            bought.product,
        ),
        Events(
            visit,
            2 + 2 * turn,
            np.full(len(visit), ADD_TO_CART),
            start[visit] + length[visit] * (2 + 2 * turn) // (steps + 1),
            bought.product,
        ),
        Events(every, 2 * count + 1, np.full(len(every), PURCHASE), online.sold_at, none),
    ]
    return visits, Events.concat(events)


def reviewing_visits(draws: Draws, orders: Orders, lines: Lines) -> tuple[Visits, Events]:
    """Visits in which customers review the first product of an online order, some days after it."""
    writes, started_at, length = _reviews(draws, orders)
    reviewed, started_at, length = orders.take(writes), started_at[writes], length[writes]
    first = lines.take(lines.ordinal == 0)
    product_of = np.zeros(len(orders), dtype=np.int64)
    product_of[first.order] = first.product
    product = product_of[writes]
    every, one = np.arange(len(reviewed)), np.ones(len(reviewed), dtype=np.int64)
    visits = Visits(
        kind=_REVIEWING * one,
        first=reviewed.entity + 1,
        second=reviewed.ordinal + 1,
        third=reviewed.kind,
        key=draws.bits("review visit", reviewed.key),
        customer=reviewed.customer,
        started_at=started_at,
        device=_device(draws, reviewed.customer, reviewed.key),
        pages=2 * one,
        seconds=length,
        cart=0 * one,
        order=-one,
    )
    events = [
        Events(every, 0 * one, PAGE_VIEW * one, started_at, -one),
        Events(every, one, REVIEW * one, started_at + length // 2, product),
    ]
    return visits, Events.concat(events)


def _reviews(draws: Draws, orders: Orders) -> tuple[Flags, Ints, Ints]:
    """Whether orders are reviewed, and start (seconds since 1970-01-01) and length of the visit in which they are."""
    writes = orders.online & (orders.customer >= 0) & (draws.uniform("reviews", orders.key) < _REVIEW_SHARE)
    days = 3 + np.minimum(5 * draws.exponential("review day", orders.key), 30).astype(np.int64)
    started_at = (orders.sold_at // DAY + days) * DAY + time_of_day(draws.uniform("review hour", orders.key))
    return writes, started_at, 60 + (240 * draws.uniform("review length", orders.key)).astype(np.int64)


def is_reviewed_after(draws: Draws, orders: Orders, until: int) -> Flags:
    """Whether a review of an order is written at or after a moment (seconds since 1970-01-01); (n,) flags."""
    writes, started_at, length = _reviews(draws, orders)
    return writes & (started_at + length >= until)


def looking_visits(shop: Shop, left_at: Ints, shop_size: int, window: Window) -> tuple[Visits, Events]:
    """Visits of customers and of strangers that end without an order, and can have events in a window.

    Args:
        shop: Who looks at what.
        left_at: (n,) when customers leave, in seconds since 1970-01-01; they still look in now and then.
        shop_size: Customers expected after two years, for the number of strangers.
        window: The window; visits of the day before may reach into it.

    Returns:
        Visits and their events.
    """
    draws, customers = shop.draws, shop.customers
    since = max(window.since - DAY, shop.seasons.first_day * DAY)
    known = _visits_of_customers(shop, left_at, since, window.until)
    pace = _ANONYMOUS_PER_CUSTOMER_DAY * shop_size
    number, at = arrivals(shop, "stranger", pace, since, window.until)
    zero = np.zeros(len(number), dtype=np.int64)
    unknown = (zero + _ANONYMOUS, number, zero, zero, draws.bits("stranger visit", number), zero - 1, at)
    kind, first, second, third, key, customer, started_at = (
        np.concatenate(pair) for pair in zip(known, unknown, strict=True)
    )

    depth = np.where(customer >= 0, draws.pick("depth", key, [28, 50, 22]), draws.pick("depth", key, [48, 43, 9]))
    taste = customers.taste_steps[np.maximum(customer, 0)]
    taste[customer < 0] = CATEGORY_STEPS
    week = shop.seasons.week(started_at)
    seen = [
        shop.picker.pick(
            week,
            pick_category(taste, draws.uniform("looked category", key, turn)),
            draws.uniform("looked product", key, turn),
        )
        for turn in range(2)
    ]
    second_look = (depth >= 1) & (draws.uniform("second look", key) < 0.55)
    reads_on = draws.uniform("reads on", key) < 0.35
    pages = (
        1 + (depth >= 1) + second_look + reads_on + np.where(depth >= 1, draws.poisson("more pages", key, 1.6, 8), 0)
    )
    seconds = np.array([14, 150, 330])[depth] * np.exp(0.7 * draws.normal("visit length", key))
    seconds = np.minimum(seconds, _LONGEST_VISIT).astype(np.int64) + 3
    visits = Visits(
        kind=kind,
        first=first,
        second=second,
        third=third,
        key=key,
        customer=customer,
        started_at=started_at,
        device=_device(draws, customer, key),
        pages=pages,
        seconds=seconds,
        cart=np.where(depth == 2, shop.assortment.price[seen[0]], 0),
        order=np.full(len(key), -1),
    )
    nothing = np.full(len(key), -1)
    plan = (
        (PAGE_VIEW, 0.0, np.ones(len(key), dtype=bool), nothing),
        (PRODUCT_VIEW, 0.2, depth >= 1, seen[0]),
        (PRODUCT_VIEW, 0.45, second_look, seen[1]),
        (ADD_TO_CART, 0.65, depth == 2, seen[0]),
        (PAGE_VIEW, 0.85, reads_on, nothing),
    )
    events = []
    for slot, (event, share, happens, product) in enumerate(plan):
        visit = np.flatnonzero(happens)
        at = started_at[visit] + (share * seconds[visit]).astype(np.int64)
        events.append(Events(visit, np.full(len(visit), slot), np.full(len(visit), event), at, product[visit]))
    return visits, Events.concat(events)


def _visits_of_customers(shop: Shop, left_at: Ints, since: int, until: int) -> tuple[NDArray[Any], ...]:
    """Kind, three numbers, key, customer and start of the visits of customers between two moments, week by week."""
    customers = shop.customers
    # Those who never order lose interest soon after signing up.
    interest_ends = np.where(
        np.isfinite(customers.first_wait), left_at, customers.signed_up + _SHORT_INTEREST_DAYS * DAY
    )
    first, last = (int(shop.seasons.week(np.array([moment]))[0]) for moment in (since, until - 1))
    weeks = [_visits_of_week(shop, interest_ends, week) for week in range(first, last + 1)]
    customer, week, turn, key, at = (np.concatenate(columns) for columns in zip(*weeks, strict=True))
    happened = (at >= since) & (at < until) & (at >= customers.signed_up[customer])
    customer, week, turn, key, at = (column[happened] for column in (customer, week, turn, key, at))
    return np.full(len(at), _BROWSING), customer + 1, week, turn, shop.draws.bits("visit", key, turn), customer, at


def _visits_of_week(shop: Shop, interest_ends: Ints, week: int) -> tuple[NDArray[Any], ...]:
    """Customer, week, turn, key and moment of the visits in one week."""
    draws, customers, seasons = shop.draws, shop.customers, shop.seasons
    day = seasons.first_day + 7 * week
    opened, closed = float(seasons.at_start_of(day)), float(seasons.at_start_of(day + 7))
    customer = np.flatnonzero(customers.signed_up < (day + 7) * DAY)
    interest = np.where(day * DAY <= interest_ends[customer], 1.0, _INTEREST_AFTER_LEAVING)
    key = draws.bits("customer week", customer, week)
    mean = _VISITS_PER_ORDER * (closed - opened) * interest * customers.order_rate[customer]
    count = draws.poisson("visits", key, mean, _MOST_VISITS_A_WEEK)
    row = np.repeat(np.arange(len(key)), count)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    at = seasons.seconds(opened + (closed - opened) * draws.uniform("visit at", key[row], turn))
    return customer[row], np.full(len(row), week), turn, key[row], at
