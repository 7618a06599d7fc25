"""Campaigns, whom they contact, whom they hold back, and the orders they bring about.

A contact's effect is one extra order with some probability or, for customers whom offers annoy, that they leave; it
is planted for the treated and the held-back alike so that truth knows both, and comes to pass only for the treated.
What is in such an order is decided in `baskets`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.contracts import BY_NAME
from sources.synthetic import tables
from sources.synthetic.baskets import OFFER, Orders, Shop, make_orders, order_key, visit_lead
from sources.synthetic.randomness import Draws, Flags, Floats, Ints, Keys
from sources.synthetic.rows import Rows
from sources.synthetic.seasons import DAY, NEVER, time_of_day
from sources.synthetic.window import Window

OFFER_TYPES = ("discount", "loyalty_points", "urgency")
SEGMENTS = ("everyone", "under 36", "36 and over", "loyalty members")
CONTROL_SHARE = 0.2
_FIRST_AFTER_DAYS, _EVERY_DAYS, _RUNS_DAYS = 40, 56, 14
_NAMES = ("Thank you", "Last call", "Members' days", "Fresh start", "Weekend special")
_DISCOUNTS = np.array([5, 10, 15, 20, 30])
_DRAWN_SHARE = 0.35
_ASSIGNED_HOUR = 6
_LATEST_EXTRA_DAYS = 20
_LATEST_OPENING_DAYS = 10

LAG = 25 * DAY
"""Seconds from a contact's assignment by which all that comes of it has happened."""


@dataclass(frozen=True)
class Campaigns(Rows):
    """n campaigns, by number.

    Args:
        number: (n,) 0, 1, ...
        starts_on: (n,) day numbers.
        offer_type: (n,) index into OFFER_TYPES.
        percent: (n,) discount in per cent, 0 without one.
        segment: (n,) index into SEGMENTS.
        fixed_cost: (n,) cents.
        cost_per_contact: (n,) cents.
    """

    number: Ints
    starts_on: Ints
    offer_type: Ints
    percent: Ints
    segment: Ints
    fixed_cost: Ints
    cost_per_contact: Ints

    def ids(self) -> pa.Array:
        """(n,) identifiers."""
        return tables.identifiers("M", (self.number + 1, 3))

    def table(self) -> pa.Table:
        """The campaigns as ``marketing.campaigns``."""
        months = tables.dates(self.starts_on)
        names = tables.chosen(_NAMES, self.number % len(_NAMES))
        return tables.build(
            BY_NAME["marketing.campaigns"],
            {
                "campaign_id": self.ids(),
                "name": tables.joined([names, pc.strftime(months, format="%Y-%m")], " "),
                "offer_type": tables.chosen(OFFER_TYPES, self.offer_type),
                "discount_rate": pa.array(self.percent / 100.0, mask=self.percent == 0),
                "target_segment": tables.chosen(SEGMENTS, self.segment),
                "starts_on": months,
                "ends_on": tables.dates(self.starts_on + _RUNS_DAYS),
                "fixed_cost": tables.money(self.fixed_cost),
                "cost_per_contact": tables.money(self.cost_per_contact),
            },
        )


@dataclass(frozen=True)
class Contacts(Rows):
    """n contacts.

    Args:
        campaign: (n,) campaign number.
        customer: (n,) customer index.
        key: (n,) random key.
        is_control: (n,) held back.
        assigned_at: (n,) seconds since 1970-01-01.
        sent_at: (n,) likewise, NEVER for control.
        opened_at: (n,) likewise, NEVER if not opened.
        clicked_at: (n,) likewise, NEVER if not clicked.
        effect: (n,) probability that the message brings an extra order, if the customer has not left.
        extra_at: (n,) when that order happens if the message is sent, NEVER if it does not.
        leaving: (n,) probability that the message makes the customer leave.
        drives_away: (n,) it does, if it is sent.
        percent: (n,) discount offered.
    """

    campaign: Ints
    customer: Ints
    key: Keys
    is_control: Flags
    assigned_at: Ints
    sent_at: Ints
    opened_at: Ints
    clicked_at: Ints
    effect: Floats
    extra_at: Ints
    leaving: Floats
    drives_away: Flags
    percent: Ints

    def ids(self) -> pa.Array:
        """(n,) identifiers."""
        return tables.identifiers("K", (self.campaign + 1, 3), (self.customer + 1, 7))


def make_campaigns(draws: Draws, first_day: int, until: int) -> Campaigns:
    """The campaigns that start before `until` (seconds since 1970-01-01), one every eight weeks from the first day."""
    first = first_day + _FIRST_AFTER_DAYS
    number = np.arange(max(0, -(-(until // DAY - first) // _EVERY_DAYS)))
    offer_type = draws.pick("offer type", number, [50, 25, 25])
    percent = _DISCOUNTS[draws.pick("offer percent", number, [15, 30, 25, 20, 10])]
    return Campaigns(
        number=number,
        starts_on=first + _EVERY_DAYS * number,
        offer_type=offer_type,
        percent=np.where(offer_type == 0, percent, 0),
        segment=draws.pick("segment", number, [55, 15, 15, 15]),
        fixed_cost=15_000 + 2_500 * (10 * draws.uniform("fixed cost", number)).astype(np.int64),
        cost_per_contact=4 + (12 * draws.uniform("contact cost", number)).astype(np.int64),
    )


def responses(shop: Shop, customer: Ints, offer_type: Ints, percent: Ints) -> Floats:
    """How n customers respond to a message: above 0 the probability of an extra order, below 0 that of leaving.

    Args:
        shop: Who the customers are.
        customer: (n,) customer index.
        offer_type: (n,) index into OFFER_TYPES.
        percent: (n,) discount in per cent.
    """
    by_offer = np.choose(offer_type, [0.03 + 0.006 * percent, 0.07, 0.10])
    return np.clip(by_offer * shop.customers.offer_response[customer] * shop.effects.campaigns, -0.6, 0.6)


def make_contacts(shop: Shop, campaign: Campaigns) -> Contacts:
    """Who is drawn for one campaign and what comes of it, however late that is; by customer.

    Consenting customers of the segment who have signed up by then are drawn at random, and a fifth of them is held
    back at random. Depends on no order, so the world's end cannot reach back into it.
    """
    draws, customers = shop.draws, shop.customers
    assigned_at = int(campaign.starts_on[0]) * DAY + _ASSIGNED_HOUR * 3600
    young, member = customers.age_group <= 1, customers.loyalty_tier > 0
    fits = (np.ones(len(customers), dtype=bool), young, ~young, member)[int(campaign.segment[0])]
    customer = np.flatnonzero(fits & (customers.consent == 1) & (customers.signed_up < assigned_at))
    key = draws.bits("contact", customer, int(campaign.number[0]))
    drawn = draws.uniform("drawn", key) < _DRAWN_SHARE
    customer, key = customer[drawn], key[drawn]
    campaign = campaign.take(np.zeros(len(customer), dtype=np.int64))

    is_control = draws.uniform("control", key) < CONTROL_SHARE
    sent_at = assigned_at + 2 * 3600 + (4 * 3600 * draws.uniform("sent", key)).astype(np.int64)
    response = responses(shop, customer, campaign.offer_type, campaign.percent)
    effect, leaving = np.maximum(response, 0.0), np.maximum(-response, 0.0)
    # Orders of the day of sending could precede the message.
    extra_days = np.minimum(3 * draws.exponential("extra day", key), _LATEST_EXTRA_DAYS)
    extra_day = sent_at // DAY + 1 + extra_days.astype(np.int64)
    extra_at = extra_day * DAY + time_of_day(draws.uniform("extra hour", key))
    extra_at = np.where(draws.uniform("effect", key) < effect, extra_at, NEVER)

    # Who is going to order clicks on the same day, just before the visit; if the customer has left by then, it stays
    # at the click. So nothing that happens before that day depends on whether the customer is still there.
    opens = draws.uniform("opens", key)
    delay = np.minimum(30_000 * draws.exponential("open delay", key), _LATEST_OPENING_DAYS * DAY)
    opened_at = sent_at + delay.astype(np.int64) + 60
    clicked_at = opened_at + 5 + (240 * draws.exponential("click delay", key)).astype(np.int64)
    convinced = extra_at < NEVER
    visits_at = extra_at - visit_lead(draws, order_key(draws, OFFER, customer, campaign.number))
    opened_at = np.where(convinced, visits_at - 40, np.where(opens < 0.32, opened_at, NEVER))
    clicked_at = np.where(convinced, visits_at - 5, np.where(opens < 0.05, clicked_at, NEVER))
    return Contacts(
        campaign=campaign.number,
        customer=customer,
        key=key,
        is_control=is_control,
        assigned_at=np.full(len(customer), assigned_at),
        sent_at=np.where(is_control, NEVER, sent_at),
        opened_at=np.where(is_control, NEVER, opened_at),
        clicked_at=np.where(is_control, NEVER, clicked_at),
        effect=effect,
        extra_at=extra_at,
        leaving=leaving,
        drives_away=draws.uniform("drives away", key) < leaving,
        percent=campaign.percent,
    )


def no_contacts() -> Contacts:
    """Not a single contact."""
    ints, keys = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint64)
    flags, floats = np.zeros(0, dtype=bool), np.zeros(0)
    return Contacts(ints, ints, keys, flags, ints, ints, ints, ints, floats, ints, floats, flags, ints)


def driven_away_at(contacts: Contacts, customers: int, window: Window) -> Ints:
    """When messages sent in a window make customers leave who are still there; (customers,) seconds, NEVER for none."""
    annoying = ~contacts.is_control & contacts.drives_away & window.born(contacts.sent_at)
    leaves_at = np.full(customers, NEVER)
    np.minimum.at(leaves_at, contacts.customer[annoying], contacts.sent_at[annoying])
    return leaves_at


def places_order(contacts: Contacts, left_at: Ints) -> Flags:
    """Whether contacts bring an order: sent, convinced, and the customer still there.

    Args:
        contacts: n contacts.
        left_at: When each customer leaves, in seconds since 1970-01-01, right as far as the world is simulated;
            the answer is right for contacts whose extra order lies before that.
    """
    return ~contacts.is_control & (contacts.extra_at < left_at[contacts.customer]) & (contacts.extra_at < NEVER)


def offer_orders(draws: Draws, contacts: Contacts) -> Orders:
    """The orders that contacts bring, one each."""
    return make_orders(
        draws,
        OFFER,
        entity=contacts.customer,
        ordinal=contacts.campaign,
        customer=contacts.customer,
        sold_at=contacts.extra_at,
        offer_percent=contacts.percent,
    )


def contacts_table(shop: Shop, contacts: Contacts, left_at: Ints, window: Window) -> pa.Table:
    """The contacts that a window shows, as ``marketing.contacts``: those of its settled stretch."""
    ordered_at = np.where(places_order(contacts, left_at), contacts.extra_at, NEVER)
    shown = window.settled(LAG).shows(
        contacts.assigned_at, contacts.sent_at, contacts.opened_at, contacts.clicked_at, ordered_at
    )
    contacts, ordered_at, known = contacts.take(shown), ordered_at[shown], window.known
    return tables.build(
        BY_NAME["marketing.contacts"],
        {
            "contact_id": contacts.ids(),
            "campaign_id": tables.identifiers("M", (contacts.campaign + 1, 3)),
            "customer_id": tables.chosen(shop.customers.ids, contacts.customer),
            "is_control": pa.array(contacts.is_control),
            "assigned_at": tables.timestamps(contacts.assigned_at),
            "sent_at": tables.timestamps(contacts.sent_at, known_until=known),
            "opened_at": tables.timestamps(contacts.opened_at, known_until=known),
            "clicked_at": tables.timestamps(contacts.clicked_at, known_until=known),
            "converted_order_id": tables.only_where(offer_orders(shop.draws, contacts).ids(), ordered_at < known),
        },
    )
