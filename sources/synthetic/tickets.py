"""Support tickets: which orders lead to one, how it is handled, and how the customer feels about it.

Also says which orders were a bad experience, the planted cause of leaving; what that does to the customer is
decided in `orders`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from sources.contracts import BY_NAME
from sources.synthetic import tables
from sources.synthetic.baskets import ID_PREFIXES, Lines, Orders, Shop
from sources.synthetic.customers import Customers
from sources.synthetic.randomness import Draws, Flags, Floats, Ints
from sources.synthetic.rows import Rows
from sources.synthetic.seasons import DAY, NEVER, time_of_day
from sources.synthetic.window import Window

TOPICS = ("defective product", "late delivery", "wrong item", "billing", "product question", "account")
DEFECT, LATE, WRONG, BILLING, QUESTION, ACCOUNT = range(6)
PRIORITIES = ("low", "normal", "high", "urgent")
_CHANNELS = ("email", "chat", "phone")
_STATUS = ("open", "waiting", "resolved", "reopened")

_BASE_SEVERITY = np.array([0.62, 0.52, 0.56, 0.40, 0.20, 0.24])
_ABOUT_PRODUCT = np.array([True, False, True, False, True, False])
_RESPONSE_MINUTES = np.array([620.0, 270.0, 85.0, 25.0])
_RESOLUTION_HOURS = np.array([44.0, 30.0, 15.0, 6.0])
_SEVERE = 0.50
_SLOW_HOURS = 36


@dataclass(frozen=True)
class Tickets(Rows):
    """n tickets, at most one an order.

    Args:
        order: (n,) position of the order.
        product: (n,) product index, -1 for none.
        topic: (n,) index into TOPICS.
        priority: (n,) index into PRIORITIES.
        channel: (n,) how it came in.
        opened_at: (n,) seconds since 1970-01-01.
        first_response_at: (n,) likewise, NEVER if unanswered.
        resolved_at: (n,) likewise, NEVER if unresolved.
        reopened: (n,) closed with the first response and opened again the same day, for good.
        sentiment: (n,) -1 to 1.
        satisfaction: (n,) 1 to 5, 0 for not rated.
        unhappy: (n,) a bad experience.
    """

    order: Ints
    product: Ints
    topic: Ints
    priority: Ints
    channel: Ints
    opened_at: Ints
    first_response_at: Ints
    resolved_at: Ints
    reopened: Flags
    sentiment: Floats
    satisfaction: Ints
    unhappy: Flags

    def moved(self, by: int) -> Tickets:
        """The same tickets with order positions shifted, for putting parts together."""
        return replace(self, order=self.order + by)


def raise_tickets(draws: Draws, customers: Customers, orders: Orders, lines: Lines) -> Tickets:
    """The tickets that come of orders.

    Args:
        draws: Random numbers.
        customers: The customers; guests write no tickets.
        orders: n orders.
        lines: Their lines.

    Returns:
        Tickets by order, however late they are opened.
    """
    order, topic, product = _occasions(draws, customers, orders, lines)
    customer = orders.customer[order]
    key = orders.key[order]

    severity = np.clip(_BASE_SEVERITY[topic] + 0.20 * draws.normal("severity", key), 0.0, 1.0)
    pressing = severity + 0.25 * draws.normal("priority", key)
    priority = np.searchsorted([0.20, 0.65, 0.90], pressing)

    delay = np.array([2.0, 3.0, 2.0, 1.0, 0.0, 0.0])[topic] + 3 * draws.exponential("ticket delay", key)
    opened_day = orders.sold_at[order] // DAY + 1 + delay.astype(np.int64)
    opened_at = opened_day * DAY + time_of_day(draws.uniform("ticket hour", key))
    minutes = _RESPONSE_MINUTES[priority] * np.exp(0.9 * draws.normal("response", key))
    responded_at = opened_at + 60 + (60 * minutes).astype(np.int64)
    hours = _RESOLUTION_HOURS[priority] * np.exp(1.0 * draws.normal("resolution", key)) * (0.7 + severity)
    fate = draws.uniform("fate", key)
    unanswered = fate < 0.01
    reopened = (fate >= 0.01) & (fate < 0.02 + 0.04 * severity)
    unresolved = unanswered | reopened | (fate > 0.96)

    unhappy = (severity > _SEVERE) & ((hours > _SLOW_HOURS) | unresolved | (severity > 0.85))
    # Sentiment is known when the ticket is opened, so it follows what happened before that, not the handling.
    upset = 1 / (1 + np.exp(-(severity - 0.53) / 0.06))
    calm = draws.uniform("calm", key) < 0.25
    center = np.where(calm, 0.25, 0.55 - 1.25 * upset) + 0.15 * customers.mood[customer]
    center = center - customers.grievance[customer]
    sentiment = np.tanh(center + 0.27 * draws.normal("sentiment", key))

    rated = (draws.uniform("rated", key) < 0.45) & ~unresolved
    pleasure = 4.6 - 2.2 * severity - 1.3 * (hours > _SLOW_HOURS) + 0.4 * customers.mood[customer]
    stars = np.clip(np.round(pleasure + 0.8 * draws.normal("satisfaction", key)), 1, 5).astype(np.int64)
    return Tickets(
        order=order,
        product=np.where(_ABOUT_PRODUCT[topic], product, -1),
        topic=topic,
        priority=priority,
        channel=draws.pick("ticket channel", key, [50, 32, 18]),
        opened_at=opened_at,
        first_response_at=np.where(unanswered, NEVER, responded_at),
        resolved_at=np.where(unresolved, NEVER, responded_at + 300 + (3600 * hours).astype(np.int64)),
        reopened=reopened,
        sentiment=np.round(sentiment, 3).astype(np.float64),
        satisfaction=np.where(rated, stars, 0),
        unhappy=unhappy,
    )


def _occasions(draws: Draws, customers: Customers, orders: Orders, lines: Lines) -> tuple[Ints, Ints, Ints]:
    """Orders with a ticket: position, topic, and the product that it may be about."""
    product = np.zeros(len(orders), dtype=np.int64)
    first = lines.ordinal == 0
    product[lines.order[first]] = lines.product[first]
    defective = np.zeros(len(orders), dtype=bool)
    defective[lines.order[lines.defective]] = True
    product[lines.order[lines.defective]] = lines.product[lines.defective]

    key = orders.key
    customer = np.maximum(orders.customer, 0)
    complaining, asking, mistaken = draws.three("trouble", key)
    delayed, reporting, _ = draws.three("mishap", key)
    complains = (customers.grievance[customer] > 0) & (complaining < 0.55)
    topic = np.full(len(orders), -1)
    # Topics are those of other customers: only the mood is to give these away.
    topic[complains] = draws.pick("complaint", key[complains], [0, 38, 10, 18, 24, 10])
    asks = asking < 0.042
    topic[asks] = draws.pick("asks what", key[asks], [0, 0, 0, 30, 50, 20])
    topic[mistaken < 0.007] = WRONG
    topic[orders.online & (delayed < 0.045)] = LATE
    topic[defective & (reporting < 0.6)] = DEFECT
    position = np.flatnonzero((topic >= 0) & (orders.customer >= 0))
    return position, topic[position], product[position]


def tickets_table(shop: Shop, orders: Orders, tickets: Tickets, window: Window) -> pa.Table:
    """The tickets that a window shows as ``helpdesk.tickets``."""
    until = window.known
    shown = window.shows(tickets.opened_at, tickets.first_response_at, tickets.resolved_at)
    tickets = tickets.take(shown)
    of_order = orders.take(tickets.order)
    responded = tickets.first_response_at < until
    resolved = tickets.resolved_at < until
    status = np.select([resolved, responded & tickets.reopened, responded], [2, 3, 1], default=0)
    return tables.build(
        BY_NAME["helpdesk.tickets"],
        {
            "ticket_id": tables.identifiers(([f"T{kind}" for kind in ID_PREFIXES], of_order.kind), *of_order.numbers()),
            "customer_id": tables.chosen(shop.customers.ids, of_order.customer),
            "product_id": tables.chosen(shop.assortment.ids, tickets.product, missing=tickets.product < 0),
            "opened_at": tables.timestamps(tickets.opened_at),
            "first_response_at": tables.timestamps(tickets.first_response_at, known_until=until),
            "resolved_at": tables.timestamps(tickets.resolved_at, known_until=until),
            "status": tables.chosen(_STATUS, status),
            "priority": tables.chosen(PRIORITIES, tickets.priority),
            "topic": tables.chosen(TOPICS, tickets.topic),
            "channel": tables.chosen(_CHANNELS, tickets.channel),
            "sentiment_score": pa.array(tickets.sentiment),
            "satisfaction_score": pa.array(tickets.satisfaction, mask=(tickets.satisfaction == 0) | ~resolved),
        },
    )
