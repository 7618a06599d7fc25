"""The simulation: the parts put together in the order in which they depend on each other, window after window.

Holds what is simulated in a window and gives it out as raw tables. How any part behaves is decided in its own module,
and what was planted is told by `truth`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from sources.contracts import CONTRACTS
from sources.synthetic import baskets, marketing, tickets, usage, visits, web
from sources.synthetic.baskets import Shop
from sources.synthetic.customers import make_customers
from sources.synthetic.effects import ALL, Effects
from sources.synthetic.marketing import Campaigns, Contacts
from sources.synthetic.orders import Progress, Trade, at_the_start, customers_trade, guest_orders, no_trade
from sources.synthetic.products import make_assortment
from sources.synthetic.randomness import Draws, Flags
from sources.synthetic.seasons import DAY, NEVER, Seasons, day_number, day_of
from sources.synthetic.window import Window

WORLD_VERSION = 2
"""Raised whenever the same seed gives other rows than before."""

DELIVERED = tuple(contract.name for contract in CONTRACTS if contract.name != "scores.churn")
"""The raw tables that the business has, by contract name."""

_BASE_DAYS = 740
_LARGE = 300_000


@dataclass(frozen=True)
class Carried:
    """What a window hands on to the next.

    Args:
        until: Seconds since 1970-01-01; everything before is simulated.
        progress: How far the customers have come.
        pending: Earlier orders of which something will only be known later.
    """

    until: int
    progress: Progress
    pending: Trade


class Simulation:
    """The business from its first day to the end of `as_of`, as one world or as a row of windows.

    The world for a later day, cut at an earlier one, is the world for the earlier one, row for row; and windows of
    any length add up to the whole.

    Args:
        seed: Everything random follows from it.
        customers: How many are expected to have signed up two years after the start; at least 10.
        starts_on: First day of the records.
        as_of: Last day simulated, on or after `starts_on`.
        effects: Which causes act.
    """

    def __init__(self, seed: int, customers: int, starts_on: date, as_of: date, effects: Effects = ALL) -> None:
        draws = Draws(seed)
        # Visits are drawn by the week, so the calendar runs on a little.
        last_day = max(as_of, starts_on + timedelta(days=_BASE_DAYS)) + timedelta(days=14)
        seasons = Seasons(draws, starts_on, last_day, effects)
        self.start, self.end = seasons.first_day * DAY, (day_number(as_of) + 1) * DAY
        assortment = make_assortment(draws)
        weeks = int(seasons.week(np.array([self.end]))[0]) + 1
        people = make_customers(draws, seasons, customers, self.end)
        self.shop = Shop(draws, seasons, assortment, assortment.picker(weeks), people, effects)
        self.shop_size = customers
        self._contacts: dict[int, Contacts] = {}
        self.carried = self._beginning()
        """What the window made last hands on."""

    def whole(self) -> World:
        """Everything in one window."""
        window = Window(self.start, self.end, self.end, restates=False)
        world = World(self, window, self._beginning())
        self.carried = world.carried()
        return world

    def windows(self) -> Iterator[World]:
        """One window after the other, each shown as it is known at the end of all of them.

        A calendar month each, or half of one in a large business, so that what is in memory at a time stays small.
        """
        days = (1, 16) if self.shop_size > _LARGE else (1,)
        self.carried = self._beginning()
        while self.carried.until < self.end:
            first = day_of(self.carried.until)
            next_month = (first.replace(day=1) + timedelta(days=31)).replace(day=1)
            later = next((first.replace(day=day) for day in days if day > first.day), next_month)
            until = min(day_number(later) * DAY, self.end)
            world = World(self, Window(self.carried.until, until, self.end, restates=False), self.carried)
            self.carried = world.carried()
            yield world

    def since(self, carried: Carried) -> World:
        """What is new since an earlier simulation ended, and the earlier rows of which something became known."""
        grown = at_the_start(self.shop.seasons, self.shop.customers)
        known = len(carried.progress)
        progress = Progress.concat([carried.progress, grown.take(slice(known, None))])
        window = Window(carried.until, self.end, self.end, restates=True)
        world = World(self, window, Carried(carried.until, progress, carried.pending))
        self.carried = world.carried()
        return world

    def contacts(self, campaigns: Campaigns) -> Contacts:
        """The contacts of campaigns, by campaign and customer; those of the campaigns asked for last are kept."""
        kept, self._contacts = self._contacts, {}
        for position, number in enumerate(campaigns.number.tolist()):
            one = campaigns.take(np.array([position]))
            self._contacts[number] = kept[number] if number in kept else marketing.make_contacts(self.shop, one)
        return Contacts.concat([marketing.no_contacts(), *self._contacts.values()])

    def _beginning(self) -> Carried:
        return Carried(self.start, at_the_start(self.shop.seasons, self.shop.customers), no_trade(self.shop))


class World:
    """What happens in one window of a simulation.

    Args:
        simulation: The business.
        window: The stretch of time.
        carried: What the window before handed on.
    """

    def __init__(self, simulation: Simulation, window: Window, carried: Carried) -> None:
        self.shop = shop = simulation.shop
        self.window = window
        draws, first_day = shop.draws, shop.seasons.first_day
        campaigns = marketing.make_campaigns(draws, first_day, window.until)
        # Those assigned earlier have had all their effects, and been shown.
        recent = campaigns.starts_on * DAY >= window.since - 2 * marketing.LAG
        self.contacts = simulation.contacts(campaigns.take(recent))
        self._campaigns = campaigns.take(window.born(campaigns.starts_on * DAY))
        driven_away = marketing.driven_away_at(self.contacts, len(shop.customers), window)
        own, self.progress = customers_trade(shop, carried.progress, driven_away, window.until)
        placed = marketing.places_order(self.contacts, self.progress.left_at) & window.born(self.contacts.extra_at)
        self.new = Trade.concat(
            [
                own,
                Trade.of(shop, guest_orders(shop, simulation.shop_size, window)),
                Trade.of(shop, marketing.offer_orders(draws, self.contacts.take(placed))),
            ]
        )
        self._trade = Trade.concat([carried.pending, self.new])
        self._shop_size = simulation.shop_size
        self._visits: tuple[visits.Visits, visits.Events] | None = None

    def carried(self) -> Carried:
        """What the next window needs to know."""
        return Carried(self.window.until, self.progress, self._trade.take(self._is_pending()))

    def _is_pending(self) -> Flags:
        """Whether something of an order happens at or after the end of the window."""
        until, orders, lines, raised = self.window.until, self._trade.orders, self._trade.lines, self._trade.tickets
        pending = visits.is_reviewed_after(self.shop.draws, orders, until)
        pending[lines.order[(lines.returned_at >= until) & (lines.returned_at < NEVER)]] = True
        for at in (raised.opened_at, raised.first_response_at, raised.resolved_at):
            pending[raised.order[(at >= until) & (at < NEVER)]] = True
        return pending

    def table(self, name: str) -> pa.Table:
        """The rows of a raw table that the window shows.

        Args:
            name: The contract's name, one of DELIVERED.

        Returns:
            The table as its contract says, rows in the order of simulation.
        """
        return self._makers()[name]()

    def _makers(self) -> dict[str, Callable[[], pa.Table]]:
        """How each raw table is made, by contract name."""
        shop, window, trade, left_at = self.shop, self.window, self._trade, self.progress.left_at
        first_day = shop.seasons.first_day
        is_first = window.since == first_day * DAY
        # What was there before the first day is shown with it.
        signed_up_since = -int(NEVER) if is_first else window.since
        launched_since = None if is_first else window.since // DAY
        return {
            "shop.sales": lambda: baskets.sales_table(shop, trade.orders, trade.lines, window),
            "shop.customers": lambda: shop.customers.table(shop.draws, signed_up_since, window.until),
            "shop.products": lambda: shop.assortment.table(first_day, launched_since, window.until // DAY),
            "helpdesk.tickets": lambda: tickets.tickets_table(shop, trade.orders, trade.tickets, window),
            "web.sessions": lambda: web.sessions_table(shop, trade.orders, self._on_site()[0], window),
            "web.events": self._events_table,
            "marketing.campaigns": self._campaigns.table,
            "marketing.contacts": lambda: marketing.contacts_table(shop, self.contacts, left_at, window),
            "usage.activity": lambda: usage.activity_table(shop, left_at, window),
        }

    def _events_table(self) -> pa.Table:
        made = self._on_site()
        # The largest arrays of all, and asked for last.
        self._visits = None
        return web.events_table(self.shop, *made, self.contacts, self.window)

    def _on_site(self) -> tuple[visits.Visits, visits.Events]:
        """All visits that can have rows in the window, and their events; made when first asked for."""
        if self._visits is None:
            draws, trade = self.shop.draws, self._trade
            parts = (
                visits.converting_visits(draws, trade.orders, trade.lines),
                visits.reviewing_visits(draws, trade.orders, trade.lines),
                visits.looking_visits(self.shop, self.progress.left_at, self._shop_size, self.window),
            )
            starts = np.cumsum([0] + [len(part) for part, _ in parts])
            self._visits = (
                visits.Visits.concat([part for part, _ in parts]),
                visits.Events.concat(
                    [events.moved(int(start)) for (_, events), start in zip(parts, starts, strict=False)]
                ),
            )
        return self._visits
