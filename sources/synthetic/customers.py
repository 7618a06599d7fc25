"""Customers: who they are, when they sign up, and the hidden traits that drive everything they do.

Traits are drawn here and nowhere else, once for each customer index. What customers do with them is left to the
other modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from sources.contracts import BY_NAME
from sources.synthetic import tables
from sources.synthetic.names import names_and_addresses
from sources.synthetic.products import CATEGORY_SHARES
from sources.synthetic.randomness import Draws, Flags, Floats, Ints
from sources.synthetic.rows import Rows
from sources.synthetic.seasons import DAY, NEVER, Seasons, time_of_day

INDUSTRIES = ("ecommerce", "telecom", "banking")
ECOMMERCE, TELECOM, BANKING = range(3)
AGE_GROUPS = ("18-25", "26-35", "36-45", "46-55", "56+")
LOYALTY_TIERS = ("none", "bronze", "silver", "gold")
ACQUISITION_CHANNELS = ("organic", "paid_search", "social", "referral", "email", "store")
CITIES = (
    ("New York", "Northeast", 20),
    ("Boston", "Northeast", 6),
    ("Philadelphia", "Northeast", 6),
    ("Los Angeles", "West", 15),
    ("San Francisco", "West", 5),
    ("Seattle", "West", 5),
    ("Chicago", "Midwest", 11),
    ("Detroit", "Midwest", 3),
    ("Minneapolis", "Midwest", 3),
    ("Houston", "South", 9),
    ("Atlanta", "South", 5),
    ("Miami", "South", 4),
    ("Phoenix", "Southwest", 6),
    ("Albuquerque", "Southwest", 2),
)
_BASE_SHARE = 1 / 3
_BASE_YEARS = 3
_ARRIVAL_DAYS = 731

RATE_SHAPE = 0.55
MEAN_WAIT = 34.0
DROPOUT_A, DROPOUT_B = 0.8, 3.0
_ACCOUNT_LIFE_DAYS = 520.0
_TASTE_CONCENTRATION = 4.0
_GRIEVANCE_DAYS = 300
_GRIEVANCE_SHARE = 0.09


@dataclass(frozen=True)
class Customers(Rows):
    """The n customers that have signed up so far, by index, which is also the order of arrival after the start.

    Args:
        signed_up: (n,) seconds since 1970-01-01.
        in_base: (n,) signed up before the world's start.
        industry: (n,) index into INDUSTRIES.
        city: (n,) index into CITIES.
        age_group: (n,) index into AGE_GROUPS.
        loyalty_tier: (n,) index into LOYALTY_TIERS.
        acquisition_channel: (n,) index into ACQUISITION_CHANNELS.
        consent: (n,) 1 yes, 0 no, -1 unknown.
        order_rate: (n,) orders per operational day while active (gamma).
        dropout: (n,) probability of leaving after an order other than the first (beta); 0 with an account, which is
            closed instead.
        first_wait: (n,) operational days from sign-up, or from the world's start, to the first order; inf for never.
        closes: (n,) when a telecom or banking customer closes the account, in seconds; NEVER for the others.
        taste: (n, 5) shares of the product categories.
        price_sensitivity: (n,) 0 to 1.
        extra_lines: (n,) mean number of lines of an order beyond the first.
        mood: (n,) standard normal; raises the sentiment of tickets.
        offer_response: (n,) factor on the effect of offers; below 0 they annoy, and may make the customer leave.
        bad_experience_dropout: (n,) probability of leaving because of a bad experience, if not leaving anyway (beta).
        grievance: (n,) planted: how much lower than others' the mood of tickets is, 0 for nearly all; those with a
            grievance also write more of them, and do not leave because of them.
    """

    signed_up: Ints
    in_base: Flags
    industry: Ints
    city: Ints
    age_group: Ints
    loyalty_tier: Ints
    acquisition_channel: Ints
    consent: Ints
    order_rate: Floats
    dropout: Floats
    first_wait: Floats
    closes: Ints
    taste: Floats
    price_sensitivity: Floats
    extra_lines: Floats
    mood: Floats
    offer_response: Floats
    bad_experience_dropout: Floats
    grievance: Floats

    @cached_property
    def ids(self) -> pa.Array:
        """(n,) identifiers."""
        return tables.identifiers("C", (np.arange(len(self)) + 1, 7))

    @cached_property
    def taste_steps(self) -> Floats:
        """(n, 4) cumulated shares of the product categories but the last."""
        return np.cumsum(self.taste, axis=1)[:, :-1]

    def table(self, draws: Draws, since: int, until: int) -> pa.Table:
        """Those signed up between two moments (seconds since 1970-01-01) as ``shop.customers``."""
        index = np.flatnonzero((self.signed_up >= since) & (self.signed_up < until))
        return self.take(index)._table(draws, index)

    def _table(self, draws: Draws, index: Ints) -> pa.Table:
        names, addresses = names_and_addresses(draws, index)
        return tables.build(
            BY_NAME["shop.customers"],
            {
                "customer_id": tables.identifiers("C", (index + 1, 7)),
                "name": names,
                "email": addresses,
                "industry": tables.chosen(INDUSTRIES, self.industry),
                "region": tables.chosen([region for _, region, _ in CITIES], self.city),
                "city": tables.chosen([city for city, _, _ in CITIES], self.city),
                "age_group": tables.chosen(AGE_GROUPS, self.age_group),
                "loyalty_tier": tables.chosen(LOYALTY_TIERS, self.loyalty_tier),
                "acquisition_channel": tables.chosen(ACQUISITION_CHANNELS, self.acquisition_channel),
                "signed_up_at": tables.timestamps(self.signed_up),
                "marketing_consent": pa.array(self.consent == 1, mask=self.consent < 0),
            },
        )


def make_customers(draws: Draws, seasons: Seasons, customers: int, until: int) -> Customers:
    """The customers that have signed up before a moment.

    A third signed up in the three years before the world's start; the others arrive at random (a Poisson process in
    operational time) at a pace that lets one expect `customers` two years after it, and goes on afterwards.

    Args:
        draws: Random numbers.
        seasons: The calendar, covering at least two years.
        customers: How many are expected to have signed up two years after the world's start.
        until: Seconds since 1970-01-01; later arrivals are left out.
    """
    base = round(customers * _BASE_SHARE)
    pace = (customers - base) / float(seasons.at_start_of(seasons.first_day + _ARRIVAL_DAYS))
    arrival = _arrivals(draws, base, pace, float(seasons.at_start_of(until // DAY)))
    index = np.arange(base + len(arrival))
    in_base = index < base
    days_before = (365.25 * _BASE_YEARS * draws.uniform("base sign-up", index)).astype(np.int64) + 1
    signed_up = (seasons.first_day - days_before) * DAY + time_of_day(draws.uniform("base sign-up hour", index))
    signed_up[base:] = seasons.seconds(arrival)

    industry = draws.pick("industry", index, [80, 12, 8])
    order_rate = draws.gamma("order rate", index, RATE_SHAPE) / RATE_SHAPE / MEAN_WAIT
    wait = draws.exponential("first wait", index)
    kind = draws.uniform("first wait kind", index)
    first_wait = np.where(kind < 0.75, 2.5 * wait, 40.0 * wait)
    # Memoryless: a customer of the base waits as long from the start of the records as from the order before.
    first_wait = np.where(in_base, wait / order_rate, first_wait)
    life = (_ACCOUNT_LIFE_DAYS * draws.exponential("account life", index) + 20) * DAY
    opened = np.maximum(signed_up, seasons.first_day * DAY)
    taste = np.column_stack(
        [draws.gamma("taste", index, _TASTE_CONCENTRATION * share, c) for c, share in enumerate(CATEGORY_SHARES)]
    )
    # A shape below one can underflow to zero in every category; the floor keeps the shares defined.
    taste = taste + 1e-6
    loyal = np.array([[55, 28, 12, 5], [25, 35, 25, 15]])
    tier = np.where(in_base, draws.pick("loyalty tier", index, loyal[1]), draws.pick("loyalty tier", index, loyal[0]))
    age_group = draws.pick("age group", index, [16, 28, 24, 18, 14])
    oldest = age_group == len(AGE_GROUPS) - 1
    response = np.where(age_group <= 1, 1.3, 0.85) * draws.gamma("offer response", index, 1.5) / 1.5
    is_annoyed = draws.uniform("annoyed by offers", index) < np.where(oldest, 0.30, 0.08)
    dropout = np.where(industry == ECOMMERCE, draws.beta("dropout", index, DROPOUT_A, DROPOUT_B), 0.0)
    # Whoever is to be unusual in tickets has to be there long enough, and often enough, to write some.
    regular = (order_rate > 1 / 25) & (dropout < 0.08) & (kind < 0.75) & (life > _GRIEVANCE_DAYS * DAY)
    has_grievance = regular & (draws.uniform("grievance", index) < _GRIEVANCE_SHARE)
    grievance = 0.15 * np.exp(2.2 * draws.uniform("grievance size", index))
    return Customers(
        signed_up=signed_up,
        in_base=in_base,
        industry=industry,
        city=draws.pick("city", index, [weight for _, _, weight in CITIES]),
        age_group=age_group,
        loyalty_tier=tier,
        acquisition_channel=draws.pick("acquisition channel", index, [32, 22, 18, 12, 8, 8]),
        consent=draws.pick("consent", index, [8, 22, 70]) - 1,
        order_rate=order_rate,
        dropout=dropout,
        first_wait=np.where(kind > 0.93, np.inf, first_wait),
        closes=np.where(industry == ECOMMERCE, NEVER, opened + life.astype(np.int64)),
        taste=taste / taste.sum(axis=1, keepdims=True),
        price_sensitivity=draws.beta("price sensitivity", index, 2.0, 3.0),
        extra_lines=0.15 + 0.7 * draws.gamma("basket", index, 1.5) / 1.5,
        mood=draws.normal("mood", index),
        offer_response=np.where(is_annoyed, -response, response),
        bad_experience_dropout=np.where(has_grievance, 0.0, draws.beta("bad experience dropout", index, 1.4, 2.6)),
        grievance=np.where(has_grievance, grievance, 0.0),
    )


def _arrivals(draws: Draws, first: int, pace: float, end: float) -> Floats:
    """The operational times before `end` at which customers number `first` and later arrive, in order."""
    count = int(pace * end)
    while True:
        count += 6 * int(np.sqrt(count)) + 20
        times = np.cumsum(draws.exponential("arrival", first + np.arange(count)) / pace)
        if times[-1] >= end:
            return np.asarray(times[times < end])
