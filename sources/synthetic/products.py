"""The assortment: products with prices, costs, popularity over time, planted trends and planted pairs.

Which product a customer picks, given category and week, is answered here; who buys when is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from sources.contracts import BY_NAME
from sources.synthetic import tables
from sources.synthetic.randomness import Draws, Floats, Ints

CATEGORIES = ("Electronics", "Clothing", "Food", "Books", "Home")
CATEGORY_SHARES = np.array([0.17, 0.25, 0.23, 0.16, 0.19])

_NAMES = {
    "Electronics": (
        "Wireless Headphones, Bluetooth Speaker, Smartwatch, E-Reader, Mechanical Keyboard, USB-C Dock, Action Camera, "
        "Noise-Cancelling Earbuds, Portable Monitor, Robot Vacuum, Power Bank, Tablet 11"
    ),
    "Clothing": (
        "Merino Sweater, Linen Shirt, Rain Jacket, Running Shoes, Denim Jeans, Wool Scarf, Cotton T-Shirt Pack, "
        "Down Vest, Leather Belt, Yoga Leggings, Summer Dress, Hiking Socks"
    ),
    "Food": (
        "Espresso Beans, Olive Oil, Dark Chocolate Box, Green Tea, Granola, Pasta Sampler, Hot Sauce Trio, "
        "Maple Syrup, Trail Mix, Sourdough Kit, Honey Jar, Spice Set"
    ),
    "Books": (
        "Cookbook of Small Plates, Night Train Novel, Field Guide to Birds, History of Maps, Learn to Sketch, "
        "Poems for Mornings, Startup Stories, Mystery at the Quay, Garden Year, Chess Openings, Star Atlas, "
        "Children's Picture Book"
    ),
    "Home": (
        "Cast-Iron Skillet, Linen Bedding, Desk Lamp, Knife Block, Throw Blanket, Scented Candle, Bath Towel Set, "
        "Wall Clock, Storage Baskets, French Press, Indoor Planter, Air Purifier"
    ),
}
_MEDIAN_PRICE = np.array([150.0, 45.0, 15.0, 19.0, 58.0])
_PRICE_SPREAD = np.array([0.75, 0.50, 0.45, 0.35, 0.65])
_MARGIN = np.array([0.20, 0.54, 0.32, 0.40, 0.45])
_RETURN_RATE = np.array([0.050, 0.085, 0.004, 0.020, 0.035])
_PER_CATEGORY = 12
_TRENDING = 10
_LAUNCHED_LATER = 5
_PAIRS = 8
_TREND_WEEKS = 26


@dataclass(frozen=True)
class Assortment:
    """All products a world will ever have, in arrays of p products, in blocks of one category each.

    Args:
        category: (p,) index into CATEGORIES.
        price: (p,) list price in cents, ending in 99.
        cost: (p,) unit cost in cents.
        popularity: (p,) positive weights within the category.
        defect_rate: (p,) share of sold lines with a defect.
        launch_week: (p,) week since the world's start in which the product appears; negative for long before.
        trend_week: (p,) week in which its trend begins.
        trend_factor: (p,) what its popularity is multiplied by after the trend's 26 weeks; 1 for no trend.
        pair_first: (q,) products that pull another one into the basket.
        pair_second: (q,) the products pulled.
        pair_strength: (q,) probability that they are, by an order's first line.
    """

    category: Ints
    price: Ints
    cost: Ints
    popularity: Floats
    defect_rate: Floats
    launch_week: Ints
    trend_week: Ints
    trend_factor: Floats
    pair_first: Ints
    pair_second: Ints
    pair_strength: Floats

    @property
    def trend_weeks(self) -> int:
        """How many weeks a trend takes."""
        return _TREND_WEEKS

    @property
    def return_rate(self) -> Floats:
        """(p,) share of faultless lines given back."""
        return _RETURN_RATE[self.category]

    @cached_property
    def ids(self) -> pa.Array:
        """(p,) identifiers."""
        return tables.identifiers("P", (np.arange(len(self.category)) + 1, 3))

    @cached_property
    def pair_of(self) -> Ints:
        """(p,) index of the pair that a product begins, or -1."""
        index = np.full(len(self.category), -1)
        index[self.pair_first] = np.arange(len(self.pair_first))
        return index

    def weights(self, week: int) -> Floats:
        """(p,) popularity in a week (counted from the world's start), 0 before the launch."""
        progress = np.clip((week - self.trend_week) / _TREND_WEEKS, 0.0, 1.0)
        return np.where(week >= self.launch_week, self.popularity * self.trend_factor**progress, 0.0)

    def picker(self, weeks: int) -> Picker:
        """What picks products in the first so many weeks."""
        shares = np.stack([self.weights(week) for week in range(weeks)]).reshape(-1, _PER_CATEGORY)
        return Picker(*_alias_tables(shares / shares.sum(axis=1, keepdims=True)))

    def table(self, first_day: int, since: int | None, until: int) -> pa.Table:
        """Products by launch, as ``shop.products``.

        Args:
            first_day: Day number of the world's start.
            since: Day number of the first day; None for the beginning of time.
            until: Day number of the day after the last one.
        """
        launched = first_day + 7 * self.launch_week
        rows = np.flatnonzero((launched < until) & (True if since is None else launched >= since))
        names = [name.strip() for category in CATEGORIES for name in _NAMES[category].split(",")]
        return tables.build(
            BY_NAME["shop.products"],
            {
                "product_id": self.ids.take(pa.array(rows)),
                "name": tables.chosen(names, rows),
                "category": tables.chosen(CATEGORIES, self.category[rows]),
                "list_price": tables.money(self.price[rows]),
                "unit_cost": tables.money(self.cost[rows]),
                "launched_on": tables.dates(launched[rows]),
            },
        )


@dataclass(frozen=True)
class Picker:
    """Products by popularity within week and category, by the alias method (Walker 1977).

    Args:
        threshold: (weeks x 5 x 12,) share of a product's slot that is its own.
        alias: (weeks x 5 x 12,) the product, within its category, that has the rest.
    """

    threshold: Floats
    alias: Ints

    def pick(self, week: Ints, category: Ints, share: Floats) -> Ints:
        """Products by popularity.

        Args:
            week: (n,) weeks since the world's start.
            category: (n,) indices into CATEGORIES.
            share: (n,) uniform random numbers.

        Returns:
            (n,) product indices.
        """
        place = share * _PER_CATEGORY
        slot = place.astype(np.int64)
        entry = (week * len(CATEGORIES) + category) * _PER_CATEGORY + slot
        own = place - slot < self.threshold[entry]
        return category * _PER_CATEGORY + np.where(own, slot, self.alias[entry])


def _alias_tables(shares: Floats) -> tuple[Floats, Ints]:
    """Thresholds and aliases of r distributions over m values, each row of (r, m) shares by itself; flattened."""
    rows, values = np.arange(len(shares)), shares.shape[1]
    left = shares * values
    threshold, alias = np.ones(shares.shape), np.tile(np.arange(values), (len(shares), 1))
    done = np.zeros(shares.shape, dtype=bool)
    for _ in range(values):
        smallest = np.argmin(np.where(done, np.inf, left), axis=1)
        largest = np.argmax(np.where(done, -np.inf, left), axis=1)
        done[rows, smallest] = True
        threshold[rows, smallest] = left[rows, smallest]
        alias[rows, smallest] = largest
        left[rows, largest] -= 1 - left[rows, smallest]
    return threshold.ravel(), alias.ravel()


def make_assortment(draws: Draws) -> Assortment:
    """The products of a seed: prices lognormal by category, skewed popularity, a few trends, launches and pairs."""
    product = np.arange(len(CATEGORIES) * _PER_CATEGORY)
    category = product // _PER_CATEGORY
    dollars = _MEDIAN_PRICE[category] * np.exp(_PRICE_SPREAD[category] * draws.normal("product price", product))
    # With prices that end in 99, at most 4 units and discounts of 5, 10, 15, 20 or 30 %, no amount falls on half a
    # cent, so every way of rounding gives the same one.
    price = np.clip(np.round(dollars), 6, 800).astype(np.int64) * 100 - 1
    margin = _MARGIN[category] + 0.06 * (2 * draws.uniform("product margin", product) - 1)
    rank = np.argsort(np.argsort(draws.uniform("product rank", product).reshape(-1, _PER_CATEGORY), axis=1), axis=1)

    shuffled = np.argsort(draws.uniform("product roles", product))
    trending = shuffled[:_TRENDING]
    later = shuffled[_TRENDING : _TRENDING + _LAUNCHED_LATER]
    pair = np.arange(_PAIRS)
    paired = shuffled[_TRENDING + _LAUNCHED_LATER :][: 2 * _PAIRS]

    trend_factor = np.ones(len(product))
    # Even on the logarithm, from what nobody can see to what nobody can miss, in every world; likewise for the pairs.
    size = np.exp(0.08 + 1.3 * (np.arange(_TRENDING) + draws.uniform("trend size", trending)) / _TRENDING)
    trend_factor[trending] = np.where(np.arange(_TRENDING) % 2 == 0, size, 1 / size)
    trend_week = np.zeros(len(product), dtype=np.int64)
    trend_week[trending] = 15 + (60 * draws.uniform("trend week", trending)).astype(np.int64)
    launch_week = -20 - (200 * draws.uniform("launch week", product)).astype(np.int64)
    launch_week[later] = 10 + (75 * draws.uniform("late launch week", later)).astype(np.int64)

    return Assortment(
        category=category,
        price=price,
        cost=np.round(price * (1 - margin)).astype(np.int64),
        popularity=((1.0 + rank.ravel()) ** -0.7).astype(np.float64),
        defect_rate=0.01 + 0.05 * draws.uniform("defect rate", product) ** 3,
        launch_week=launch_week,
        trend_week=trend_week,
        trend_factor=trend_factor,
        pair_first=paired[:_PAIRS],
        pair_second=paired[_PAIRS:],
        pair_strength=0.002 * np.exp(5.0 * (pair + draws.uniform("pair strength", pair)) / _PAIRS),
    )


CATEGORY_STEPS = np.cumsum(CATEGORY_SHARES)[:-1]
"""Where one category ends and the next begins, in the average taste."""


def pick_category(steps: Floats, share: Floats) -> Ints:
    """Categories by the buyer's taste.

    Args:
        steps: (n, 4) cumulated shares of the categories but the last.
        share: (n,) uniform random numbers.

    Returns:
        (n,) indices into CATEGORIES.
    """
    category = np.zeros(len(share), dtype=np.int64)
    for step in range(len(CATEGORIES) - 1):
        category += share >= steps[:, step]
    return category
