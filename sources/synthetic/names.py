"""Names of customers in several languages, and their e-mail addresses.

Only words: who lives where and does what is decided in `customers`.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from faker import Faker

from sources.synthetic import tables
from sources.synthetic.randomness import Draws, Ints

_LOCALES = (("en_US", 62), ("es_MX", 14), ("de_DE", 5), ("fr_FR", 5), ("pl_PL", 4), ("vi_VN", 4), ("ja_JP", 6))
_FAMILY_NAME_FIRST = {"ja_JP", "vi_VN"}
_NAMES_PER_LOCALE = 150
_DOMAINS = ("example.com", "example.org", "example.net")


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


def names_and_addresses(draws: Draws, index: Ints) -> tuple[pa.Array, pa.Array]:
    """Full names and e-mail addresses of (n,) customer indices; the index in the address makes it unique.

    Args:
        draws: Random numbers.
        index: (n,) customer indices.

    Returns:
        (n,) names, in the order in which their language writes them, and (n,) addresses at reserved domains.
    """
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
