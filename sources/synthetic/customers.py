"""Customers: who they are, when they sign up, and the hidden traits that drive everything they do.

Traits are drawn here and nowhere else, once for each customer index. What customers do with them is left to the
other modules.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from faker import Faker

from sources.contracts import BY_NAME
from sources.synthetic import tables
from sources.synthetic.products import CATEGORY_SHARES
from sources.synthetic.randomness import Draws, Flags, Floats, Ints
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
_LOCALES = (("en_US", 62), ("es_MX", 14), ("de_DE", 5), ("fr_FR", 5), ("pl_PL", 4), ("vi_VN", 4), ("ja_JP", 6))
_FAMILY_NAME_FIRST = {"ja_JP", "vi_VN"}
_NAMES_PER_LOCALE = 150
_DOMAINS = ("example.com", "example.org", "example.net")

_BASE_SHARE = 1 / 3
_BASE_YEARS = 3
_ARRIVAL_DAYS = 731

RATE_SHAPE = 0.9
MEAN_WAIT = 34.0
DROPOUT_A, DROPOUT_B = 0.8, 3.2
_ACCOUNT_LIFE_DAYS = 520.0
_TASTE_CONCENTRATION = 4.0


@dataclass(frozen=True)
class Customers:
    """The n customers that have signed up so far, by index.

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
        dropout: (n,) probability of leaving after an order (beta); 0 with an account, which is closed instead.
        first_wait: (n,) operational days from sign-up, or from the world's start, to the first order; inf for never.
        closes: (n,) when a telecom or banking customer closes the account, in seconds; NEVER for the others.
        taste: (n, 5) shares of the product categories.
        price_sensitivity: (n,) 0 to 1.
        extra_lines: (n,) mean number of lines of an order beyond the first.
        mood: (n,) standard normal; raises the sentiment of tickets.
        offer_response: (n,) factor on the effect of offers, mean 1.
        is_anomalous: (n,) planted: writes many tickets, in an abnormally bad mood.
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
    is_anomalous: Flags

    def __len__(self) -> int:
        """Number of customers."""
        return len(self.signed_up)

    @cached_property
    def ids(self) -> pa.Array:
        """(n,) identifiers."""
        return tables.identifiers("C", (np.arange(len(self)) + 1, 7))

    def table(self, draws: Draws) -> pa.Table:
        """The customers as ``shop.customers``."""
        index = np.arange(len(self))
        names, addresses = _names_and_addresses(draws, index)
        return tables.build(
            BY_NAME["shop.customers"],
            {
                "customer_id": self.ids,
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

    A third signed up in the three years before the world's start; the others arrive at a pace, in operational time,
    that makes them `customers` two years after it, and goes on afterwards.

    Args:
        draws: Random numbers.
        seasons: The calendar, covering at least two years.
        customers: How many have signed up two years after the world's start.
        until: Seconds since 1970-01-01; later arrivals are left out.

    Returns:
        The customers, in the order of their indices, which is also the order of arrival after the start.
    """
    base = round(customers * _BASE_SHARE)
    pace = (customers - base) / float(seasons.at_start_of(seasons.first_day + _ARRIVAL_DAYS))
    end = float(seasons.at_start_of(until // DAY))
    index = np.arange(base + int(np.ceil(pace * end)))
    in_base = index < base
    arrival = np.where(in_base, 0.0, (index - base + draws.uniform("arrival", index)) / pace)
    days_before = (365.25 * _BASE_YEARS * draws.uniform("base sign-up", index)).astype(np.int64) + 1
    before = (seasons.first_day - days_before) * DAY + time_of_day(draws.uniform("base sign-up hour", index))
    signed_up = np.where(in_base, before, seasons.seconds(arrival))
    arrived = signed_up < until
    index, in_base, signed_up = index[arrived], in_base[arrived], signed_up[arrived]

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
    return Customers(
        signed_up=signed_up,
        in_base=in_base,
        industry=industry,
        city=draws.pick("city", index, [weight for _, _, weight in CITIES]),
        age_group=draws.pick("age group", index, [16, 28, 24, 18, 14]),
        loyalty_tier=tier,
        acquisition_channel=draws.pick("acquisition channel", index, [32, 22, 18, 12, 8, 8]),
        consent=draws.pick("consent", index, [8, 22, 70]) - 1,
        order_rate=order_rate,
        dropout=np.where(industry == ECOMMERCE, draws.beta("dropout", index, DROPOUT_A, DROPOUT_B), 0.0),
        first_wait=np.where(kind > 0.93, np.inf, first_wait),
        closes=np.where(industry == ECOMMERCE, NEVER, opened + life.astype(np.int64)),
        taste=taste / taste.sum(axis=1, keepdims=True),
        price_sensitivity=draws.beta("price sensitivity", index, 2.0, 3.0),
        extra_lines=0.15 + 0.7 * draws.gamma("basket", index, 1.5) / 1.5,
        mood=draws.normal("mood", index),
        offer_response=draws.gamma("offer response", index, 1.5) / 1.5,
        is_anomalous=draws.uniform("anomalous", index) < 0.01,
    )


def _slug(name: str, otherwise: str) -> str:
    """The name in plain small letters, or `otherwise` where none of it can be spelled so."""
    plain = unicodedata.normalize("NFKD", name.replace("ł", "l").replace("đ", "d")).encode("ascii", "ignore").decode()
    return "".join(letter for letter in plain.lower() if letter.isalnum()) or otherwise


@lru_cache(maxsize=1)
def _name_pools() -> tuple[pa.Array, pa.Array, pa.Array, pa.Array]:
    """First and last names with their spellings in addresses, `_NAMES_PER_LOCALE` a locale, locale by locale."""
    first: list[str] = []
    last: list[str] = []
    for locale, _ in _LOCALES:
        fake = Faker(locale)
        fake.seed_instance(0)
        first += [fake.first_name() for _ in range(_NAMES_PER_LOCALE)]
        last += [fake.last_name() for _ in range(_NAMES_PER_LOCALE)]
    return (
        pa.array(first),
        pa.array(last),
        pa.array([_slug(name, "customer") for name in first]),
        pa.array([_slug(name, "no") for name in last]),
    )


def _names_and_addresses(draws: Draws, index: Ints) -> tuple[pa.Array, pa.Array]:
    """Full names and e-mail addresses; the index in the address makes it unique."""
    locale = draws.pick("locale", index, [weight for _, weight in _LOCALES])
    pools = _name_pools()
    given = locale * _NAMES_PER_LOCALE + (_NAMES_PER_LOCALE * draws.uniform("first name", index)).astype(np.int64)
    family = locale * _NAMES_PER_LOCALE + (_NAMES_PER_LOCALE * draws.uniform("last name", index)).astype(np.int64)
    family_first = np.isin(locale, [i for i, (name, _) in enumerate(_LOCALES) if name in _FAMILY_NAME_FIRST])
    first, last = tables.chosen(pools[0], given), tables.chosen(pools[1], family)
    names = pc.if_else(pa.array(family_first), tables.joined([last, first], " "), tables.joined([first, last], " "))
    domain = tables.chosen(_DOMAINS, draws.pick("e-mail domain", index, [60, 25, 15]))
    local = tables.joined(
        [tables.chosen(pools[2], given), tables.chosen(pools[3], family), tables.identifiers("", (index + 1, 1))], "."
    )
    return names, tables.joined([local, domain], "@")
