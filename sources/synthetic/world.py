"""One simulated world: the parts put together in the order in which they depend on each other.

Holds what was simulated up to one day and gives it out as raw tables or as truth. How any part behaves is decided
in its own module.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from sources.synthetic import baskets, marketing, tables, tickets, usage, web
from sources.synthetic.customers import make_customers
from sources.synthetic.orders import Trade, customers_trade, guest_orders
from sources.synthetic.products import CATEGORIES, make_assortment
from sources.synthetic.randomness import Draws
from sources.synthetic.seasons import DAY, Seasons, day_number

WORLD_VERSION = 1
"""Raised whenever the same seed gives other rows than before."""

_BASE_DAYS = 740


class World:
    """The business from its first day to the end of `as_of`.

    The world for a later day, cut at an earlier one, is the world for the earlier one, row for row.

    Args:
        seed: Everything random follows from it.
        customers: How many have signed up two years after the start; at least 10.
        starts_on: First day of the records.
        as_of: Last day simulated, on or after `starts_on`.
    """

    def __init__(self, seed: int, customers: int, starts_on: date, as_of: date) -> None:
        self._draws = draws = Draws(seed)
        self._today = day_number(as_of)
        self._until = until = (self._today + 1) * DAY
        # Visits are drawn by the week, so the calendar runs on a little.
        self._seasons = Seasons(starts_on, max(as_of, starts_on + timedelta(days=_BASE_DAYS)) + timedelta(days=14))
        first_day = self._seasons.first_day

        self._assortment = make_assortment(draws)
        self._customers = make_customers(draws, self._seasons, customers, until)
        own, self._left_at = customers_trade(draws, self._seasons, self._assortment, self._customers, until)
        self._campaigns = marketing.make_campaigns(draws, starts_on, until)
        self._contacts = marketing.make_contacts(draws, self._customers, self._campaigns)
        placed = marketing.places_order(self._contacts, self._left_at, until)
        others = (
            guest_orders(draws, self._seasons, customers, until),
            marketing.offer_orders(draws, self._contacts.take(placed)),
        )
        self._trade = Trade.concat(
            [own] + [Trade.of(draws, self._assortment, self._customers, first_day, orders) for orders in others]
        )
        visits = (
            web.converting_visits(draws, self._trade.orders, self._trade.lines),
            web.reviewing_visits(draws, self._trade.orders, self._trade.lines),
            web.looking_visits(
                draws,
                self._seasons,
                self._assortment,
                self._customers,
                left_at=self._left_at,
                shop_size=customers,
                until=until,
            ),
        )
        self._visits = web.Visits.concat([part for part, _ in visits])
        starts = np.cumsum([0] + [len(part) for part, _ in visits])
        self._events = web.Events.concat(
            [events.moved(int(start)) for (_, events), start in zip(visits, starts, strict=False)]
        )

    def table(self, name: str) -> pa.Table | None:
        """A raw table.

        Args:
            name: The contract's name.

        Returns:
            The table as its contract says, rows in the order of simulation; None if the business has no such data.
        """
        make = self._makers().get(name)
        return None if make is None else make()

    def _makers(self) -> dict[str, Callable[[], pa.Table]]:
        """How each raw table is made, by contract name."""
        draws, goods, people, trade, until = self._draws, self._assortment, self._customers, self._trade, self._until
        first_day, left_at = self._seasons.first_day, self._left_at
        return {
            "shop.sales": lambda: baskets.sales_table(goods, people, trade.orders, trade.lines, until),
            "shop.customers": lambda: people.table(draws),
            "shop.products": lambda: goods.table(first_day, self._today),
            "helpdesk.tickets": lambda: tickets.tickets_table(goods, people, trade.orders, trade.tickets, until),
            "web.sessions": lambda: web.sessions_table(people, trade.orders, self._visits, until),
            "web.events": lambda: web.events_table(
                goods, people, self._visits, self._events, self._contacts, until=until
            ),
            "marketing.campaigns": self._campaigns.table,
            "marketing.contacts": lambda: marketing.contacts_table(draws, people, self._contacts, left_at, until),
            "usage.activity": lambda: usage.activity_table(draws, people, left_at, first_day, until),
        }

    def truth(self) -> dict[str, pd.DataFrame]:
        """What was planted, as far as it has come to pass; never delivered as raw.

        Returns:
            ``customers`` (customer_id, left_on or null, and the hidden traits), ``anomalous_customers``
            (customer_id), ``product_pairs`` (product_id_a < product_id_b, leading_product_id, pull_probability),
            ``product_trends`` (product_id, direction, starts_on, ends_on, factor), ``contact_effects`` (contact_id,
            campaign_id, customer_id, effect_probability, would_order, placed_order) and ``bad_experiences``
            (order_id, customer_id).
        """
        frames = {
            "customers": self._customer_truth(),
            "anomalous_customers": pa.table(
                {"customer_id": self._customers.ids.filter(pa.array(self._customers.is_anomalous))}
            ),
            "product_pairs": self._pair_truth(),
            "product_trends": self._trend_truth(),
            "contact_effects": self._contact_truth(),
            "bad_experiences": self._experience_truth(),
        }
        return {name: table.to_pandas(date_as_object=False) for name, table in frames.items()}

    def _customer_truth(self) -> pa.Table:
        people = self._customers
        columns = {
            "customer_id": people.ids,
            "left_on": tables.dates_of(self._left_at, self._until),
            "never_orders": np.isinf(people.first_wait),
            "orders_per_day": people.order_rate,
            "dropout_probability": people.dropout,
            "price_sensitivity": people.price_sensitivity,
            "extra_lines": people.extra_lines,
            "mood": people.mood,
            "offer_response": people.offer_response,
        }
        taste = {f"taste_{name.lower()}": people.taste[:, index] for index, name in enumerate(CATEGORIES)}
        return pa.table(columns | taste)

    def _pair_truth(self) -> pa.Table:
        goods = self._assortment
        low, high = np.minimum(goods.pair_first, goods.pair_second), np.maximum(goods.pair_first, goods.pair_second)
        return pa.table(
            {
                "product_id_a": tables.chosen(goods.ids, low),
                "product_id_b": tables.chosen(goods.ids, high),
                "leading_product_id": tables.chosen(goods.ids, goods.pair_first),
                "pull_probability": goods.pair_strength,
            }
        )

    def _trend_truth(self) -> pa.Table:
        goods = self._assortment
        product = np.flatnonzero(goods.trend_factor != 1)
        starts_on = self._seasons.first_day + 7 * goods.trend_week[product]
        begun = starts_on <= self._today
        product, starts_on = product[begun], starts_on[begun]
        return pa.table(
            {
                "product_id": tables.chosen(goods.ids, product),
                "direction": tables.chosen(("down", "up"), (goods.trend_factor[product] > 1).astype(np.int64)),
                "starts_on": tables.dates(starts_on),
                "ends_on": tables.dates(starts_on + 7 * goods.trend_weeks),
                "factor": goods.trend_factor[product],
            }
        )

    def _contact_truth(self) -> pa.Table:
        contacts = self._contacts
        return pa.table(
            {
                "contact_id": contacts.ids(),
                "campaign_id": tables.identifiers("M", (contacts.campaign + 1, 3)),
                "customer_id": tables.chosen(self._customers.ids, contacts.customer),
                "effect_probability": contacts.effect,
                "would_order": contacts.extra_at < self._until,
                "placed_order": marketing.places_order(contacts, self._left_at, self._until),
            }
        )

    def _experience_truth(self) -> pa.Table:
        unhappy = self._trade.tickets.take(self._trade.tickets.unhappy)
        orders = self._trade.orders.take(unhappy.order)
        return pa.table({"order_id": orders.ids(), "customer_id": tables.chosen(self._customers.ids, orders.customer)})
