"""When customers and guests order, and when customers leave.

The buying process is BG/NBD in operational time: exponential waits at the customer's own rate, and after each repeat
order a chance to leave for good, raised by a bad experience. Telecom and banking customers leave by closing the
account.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sources.synthetic.baskets import GUEST, NATURAL, Lines, Orders, Shop, fill_baskets, make_orders
from sources.synthetic.customers import Customers
from sources.synthetic.randomness import Flags, Floats, Ints
from sources.synthetic.rows import Rows
from sources.synthetic.seasons import DAY, Seasons
from sources.synthetic.tickets import Tickets, raise_tickets
from sources.synthetic.window import Window

_GUESTS_PER_CUSTOMER_DAY = 0.00022
_JITTER = 100.0


@dataclass(frozen=True)
class Trade:
    """Orders with their lines and tickets, which refer to orders by position."""

    orders: Orders
    lines: Lines
    tickets: Tickets

    def take(self, wanted: Flags) -> Trade:
        """The orders where the flags are set, with what belongs to them."""
        position = np.cumsum(wanted) - 1
        lines, tickets = self.lines.take(wanted[self.lines.order]), self.tickets.take(wanted[self.tickets.order])
        return Trade(
            self.orders.take(wanted),
            replace(lines, order=position[lines.order]),
            replace(tickets, order=position[tickets.order]),
        )

    @classmethod
    def of(cls, shop: Shop, orders: Orders) -> Trade:
        """Orders, with baskets filled and tickets raised."""
        lines = fill_baskets(shop, orders)
        return cls(orders, lines, raise_tickets(shop.draws, shop.customers, orders, lines))

    @classmethod
    def concat(cls, parts: list[Trade]) -> Trade:
        """The parts one below the other; at least one part."""
        starts = np.cumsum([0] + [len(part.orders) for part in parts])
        return cls(
            Orders.concat([part.orders for part in parts]),
            Lines.concat([part.lines.moved(int(start)) for part, start in zip(parts, starts, strict=False)]),
            Tickets.concat([part.tickets.moved(int(start)) for part, start in zip(parts, starts, strict=False)]),
        )


def no_trade(shop: Shop) -> Trade:
    """Not a single order."""
    none = np.zeros(0, dtype=np.int64)
    return Trade.of(shop, make_orders(shop.draws, NATURAL, entity=none, ordinal=none, customer=none, sold_at=none))


@dataclass(frozen=True)
class Progress(Rows):
    """How far the n customers have come.

    Args:
        next_at: (n,) operational time of the next order; inf for none, because never or gone.
        placed: (n,) orders placed so far of themselves.
        left_at: (n,) when they left or, for those who have not, when they close the account; seconds, NEVER for none.
    """

    next_at: Floats
    placed: Ints
    left_at: Ints


def at_the_start(seasons: Seasons, customers: Customers) -> Progress:
    """The customers before their first order."""
    joined = np.maximum(customers.signed_up, seasons.first_day * DAY)
    return Progress(
        next_at=seasons.operational(joined) + customers.first_wait,
        placed=np.zeros(len(customers), dtype=np.int64),
        left_at=customers.closes.copy(),
    )


def customers_trade(shop: Shop, before: Progress, driven_away_at: Ints, until: int) -> tuple[Trade, Progress]:
    """All orders that customers make of themselves in a window, and how far they come.

    Args:
        shop: Who orders what.
        before: How far the n customers had come when the window began.
        driven_away_at: (n,) when a message in the window makes them leave, in seconds; NEVER for none.
        until: Seconds since 1970-01-01; the window ends before it.
    """
    draws, seasons, customers = shop.draws, shop.seasons, shop.customers
    next_at, placed, left_at = before.next_at.copy(), before.placed.copy(), before.left_at.copy()
    left_at = np.minimum(left_at, driven_away_at)
    end = float(seasons.at_start_of(until // DAY))
    who = np.flatnonzero(next_at < end)
    parts: list[Trade] = []
    # One pass for every order of the most frequent buyer, each over all customers with another one in the window.
    while True:
        sold_at = seasons.seconds(next_at[who])
        stays = sold_at < left_at[who]
        next_at[who[~stays]] = np.inf
        who, sold_at = who[stays], sold_at[stays]
        if len(who) == 0 and parts:
            return Trade.concat(parts), Progress(next_at, placed, left_at)
        orders = make_orders(draws, NATURAL, entity=who, ordinal=placed[who], customer=who, sold_at=sold_at)
        trade = Trade.of(shop, orders)
        parts.append(trade)
        placed[who] += 1

        unhappy = np.zeros(len(who), dtype=bool)
        if shop.effects.experiences:
            unhappy[trade.tickets.order] = trade.tickets.unhappy
        # As in BG/NBD, nobody leaves of themselves after the first order; those of the base had theirs long ago.
        is_first = (orders.ordinal == 0) & ~customers.in_base[who]
        chance = np.where(is_first, 0.0, customers.dropout[who])
        chance = chance + (1 - chance) * customers.bad_experience_dropout[who] * unhappy
        leaves = draws.uniform("leaves", orders.key) < chance
        left_at[who[leaves]] = sold_at[leaves]
        next_at[who] += np.where(leaves, np.inf, draws.exponential("wait", orders.key) / customers.order_rate[who])
        who = who[next_at[who] < end]


def arrivals(shop: Shop, stream: str, pace: float, since: int, until: int) -> tuple[Ints, Ints]:
    """A stream of independent events at a pace, such as visits of people nobody knows.

    Event j happens at operational time (j - jitter) / pace with a jitter between 0 and 100: nearly a Poisson
    process, in which every event is still a function of its number alone.

    Args:
        shop: Random numbers and calendar.
        stream: Name of the stream.
        pace: Events per unit of operational time.
        since: Seconds since 1970-01-01, a midnight; earlier events are left out.
        until: Likewise; later ones are left out.

    Returns:
        (n,) numbers and (n,) seconds of the events.
    """
    start, end = (float(shop.seasons.at_start_of(moment // DAY)) for moment in (since, until))
    number = np.arange(int(pace * start), int(np.ceil(pace * end + _JITTER)))
    moment = (number - _JITTER * shop.draws.uniform(stream, number)) / pace
    happens = (moment >= start) & (moment < end)
    return number[happens], shop.seasons.seconds(moment[happens])


def guest_orders(shop: Shop, shop_size: int, window: Window) -> Orders:
    """Orders of guests in a window, at a pace that fits a shop of so many customers."""
    pace = _GUESTS_PER_CUSTOMER_DAY * shop_size
    number, at = arrivals(shop, "guest", pace, window.since, window.until)
    nobody = np.full(len(number), -1)
    return make_orders(shop.draws, GUEST, entity=number, ordinal=np.zeros_like(number), customer=nobody, sold_at=at)
