"""When customers and guests order, and when customers leave.

The buying process is BG/NBD in operational time: exponential waits at the customer's own rate, and after each order
a chance to leave for good, raised by a bad experience. Telecom and banking customers leave by closing the account.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sources.synthetic.baskets import GUEST, NATURAL, Lines, Orders, fill_baskets, make_orders
from sources.synthetic.customers import Customers
from sources.synthetic.products import Assortment
from sources.synthetic.randomness import Draws, Flags, Floats, Ints
from sources.synthetic.seasons import DAY, Seasons
from sources.synthetic.tickets import Tickets, raise_tickets

BAD_EXPERIENCE_DROPOUT = 0.35
"""Share of customers who would have stayed after an order, but leave because of a bad experience with it."""

_GUESTS_PER_CUSTOMER_DAY = 0.00022
_JITTER = 100.0


@dataclass(frozen=True)
class Trade:
    """Orders with their lines and tickets, which refer to orders by position."""

    orders: Orders
    lines: Lines
    tickets: Tickets

    @classmethod
    def of(cls, draws: Draws, assortment: Assortment, customers: Customers, first_day: int, orders: Orders) -> Trade:
        """Orders, with baskets filled and tickets raised."""
        lines = fill_baskets(draws, assortment, customers, first_day, orders)
        return cls(orders, lines, raise_tickets(draws, customers, orders, lines))

    @classmethod
    def concat(cls, parts: list[Trade]) -> Trade:
        """The parts one below the other; at least one part."""
        starts = np.cumsum([0] + [len(part.orders) for part in parts])
        return cls(
            Orders.concat([part.orders for part in parts]),
            Lines.concat([part.lines.moved(int(start)) for part, start in zip(parts, starts, strict=False)]),
            Tickets.concat([part.tickets.moved(int(start)) for part, start in zip(parts, starts, strict=False)]),
        )


def customers_trade(
    draws: Draws, seasons: Seasons, assortment: Assortment, customers: Customers, until: int
) -> tuple[Trade, Ints]:
    """All orders that customers make of themselves, and when they leave.

    Args:
        draws: Random numbers.
        seasons: The calendar.
        assortment: The products.
        customers: n customers.
        until: Seconds since 1970-01-01; the world ends before it.

    Returns:
        The trade before `until`; and (n,) seconds at which customers leave, which is right for those who leave
        before `until` and no earlier than it for the others.
    """
    left_at = customers.closes.copy()
    joined = np.maximum(customers.signed_up, seasons.first_day * DAY)
    who = np.flatnonzero(np.isfinite(customers.first_wait))
    moment = seasons.operational(joined[who]) + customers.first_wait[who]
    parts: list[Trade] = []
    # One pass for every order of the most frequent buyer, each over all customers that are still there.
    while True:
        sold_at = seasons.seconds(moment)
        there = (sold_at < until) & (sold_at < customers.closes[who])
        who, moment, sold_at = who[there], moment[there], sold_at[there]
        if len(who) == 0 and parts:
            return Trade.concat(parts), left_at
        ordinal = np.full(len(who), len(parts))
        orders = make_orders(draws, NATURAL, entity=who, ordinal=ordinal, customer=who, sold_at=sold_at)
        trade = Trade.of(draws, assortment, customers, seasons.first_day, orders)
        parts.append(trade)

        unhappy = np.zeros(len(who), dtype=bool)
        unhappy[trade.tickets.order] = trade.tickets.unhappy
        leaves = draws.uniform("leaves", orders.key) < dropout_probability(customers.dropout[who], unhappy)
        left_at[who[leaves]] = sold_at[leaves]
        wait = draws.exponential("wait", orders.key[~leaves]) / customers.order_rate[who[~leaves]]
        who, moment = who[~leaves], moment[~leaves] + wait


def dropout_probability(dropout: Floats, unhappy: Flags) -> Floats:
    """Probability of leaving after an order.

    Args:
        dropout: (n,) the customers' own probabilities.
        unhappy: (n,) whether the order was a bad experience.

    Returns:
        (n,) probabilities.
    """
    return dropout + (1 - dropout) * BAD_EXPERIENCE_DROPOUT * unhappy


def arrivals(draws: Draws, stream: str, seasons: Seasons, pace: float, until: int) -> tuple[Ints, Ints]:
    """A stream of independent events at a pace, such as visits of people nobody knows.

    Event j happens at operational time (j - jitter) / pace with a jitter between 0 and 100: nearly a Poisson
    process, in which every event is still a function of its number alone.

    Args:
        draws: Random numbers.
        stream: Name of the stream.
        seasons: The calendar.
        pace: Events per unit of operational time.
        until: Seconds since 1970-01-01; later events are left out.

    Returns:
        (n,) numbers and (n,) seconds of the events.
    """
    end = float(seasons.at_start_of(until // DAY))
    number = np.arange(int(np.ceil(pace * end + _JITTER)))
    moment = (number - _JITTER * draws.uniform(stream, number)) / pace
    number, moment = number[moment >= 0], moment[moment >= 0]
    at = seasons.seconds(moment)
    return number[at < until], at[at < until]


def guest_orders(draws: Draws, seasons: Seasons, customers: int, until: int) -> Orders:
    """Orders of guests, at a pace that fits a shop of so many customers."""
    number, at = arrivals(draws, "guest", seasons, _GUESTS_PER_CUSTOMER_DAY * customers, until)
    nobody = np.full(len(number), -1)
    return make_orders(draws, GUEST, entity=number, ordinal=np.zeros_like(number), customer=nobody, sold_at=at)
