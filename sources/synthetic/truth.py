"""What was planted, as far as it has come to pass: the answers from which detectors are graded.

Never delivered as raw, and read by nothing in dbt or ml. What is planted where is decided in the modules that do it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from sources.synthetic import marketing, tables
from sources.synthetic.baskets import Shop
from sources.synthetic.orders import Progress
from sources.synthetic.products import CATEGORIES
from sources.synthetic.randomness import Ints
from sources.synthetic.seasons import DAY
from sources.synthetic.world import Simulation, World


def planted(simulation: Simulation) -> dict[str, pd.DataFrame]:
    """All truth tables of a simulation, up to its last day. Simulates it, month by month.

    Returns:
        ``customers``: customer_id, left_on (null while there), never_orders, and the hidden traits.
        ``anomalous_customers``: customer_id, sentiment_shift (how much lower the mood of their tickets is before it is
        squeezed into -1 to 1).
        ``product_pairs``: product_id_a < product_id_b, leading_product_id, pull_probability (that an order whose first
        line is the leading product gets the other one as well), expected_pair_orders and planted_lift (to be expected
        given everything but the pulls themselves), pull_variance (of the number of pair orders) and natural_lift
        (what it would be without pulls).
        ``product_trends``: product_id, direction, starts_on, ends_on, factor (of popularity in its category).
        ``spikes``: starts_on, ends_on, kind (spike, lull), factor (of all business on those days).
        ``contact_effects``: contact_id, campaign_id, customer_id, effect_probability (of an extra order),
        leaving_probability, would_order and would_leave if sent, placed_order.
        ``bad_experiences``: order_id, customer_id, leaving_probability (on top of the customer's own).
    """
    shop, end = simulation.shop, simulation.end
    experiences, counts, effects = [], [], []
    progress: Progress | None = None
    for world in simulation.windows():
        experiences.append(_experiences(world))
        counts.append(_pair_counts(world))
        effects.append(_contact_effects(world, end))
        progress = world.progress
    if progress is None:
        raise ValueError("a simulation lasts at least a day")
    frames = {
        "customers": _customers(shop, progress, end),
        "anomalous_customers": _anomalous(shop, end),
        "product_pairs": _pairs(shop, counts),
        "product_trends": _trends(shop, end),
        "spikes": _spikes(shop, end),
        "contact_effects": pa.concat_tables(effects),
        "bad_experiences": pa.concat_tables(experiences),
    }
    return {name: table.to_pandas(date_as_object=False) for name, table in frames.items()}


def _customers(shop: Shop, progress: Progress, end: int) -> pa.Table:
    people = shop.customers
    columns = {
        "customer_id": people.ids,
        "left_on": tables.dates_of(progress.left_at, end),
        "never_orders": np.isinf(people.first_wait),
        "orders_per_day": people.order_rate,
        "dropout_probability": people.dropout,
        "price_sensitivity": people.price_sensitivity,
        "extra_lines": people.extra_lines,
        "mood": people.mood,
        "offer_response": people.offer_response,
        "bad_experience_dropout": people.bad_experience_dropout,
    }
    taste = {f"taste_{name.lower()}": people.taste[:, index] for index, name in enumerate(CATEGORIES)}
    return pa.table(columns | taste)


def _anomalous(shop: Shop, end: int) -> pa.Table:
    people = shop.customers
    rows = np.flatnonzero((people.grievance > 0) & (people.signed_up < end))
    return pa.table({"customer_id": people.ids.take(pa.array(rows)), "sentiment_shift": -people.grievance[rows]})


@dataclass(frozen=True)
class _PairCounts:
    """Orders of a window, and for each of q pairs (a leads, b is pulled) how many of them would hold what."""

    orders: int
    leading: Ints
    """(q,) with a."""
    following: Ints
    """(q,) with b, but for the pulls."""
    both: Ints
    """(q,) with both, but for the pulls."""
    chances: Ints
    """(q,) that begin with a and hold no b but for the pulls."""


def _pair_counts(world: World) -> _PairCounts:
    goods, orders, lines = world.shop.assortment, world.new.orders, world.new.lines
    own = lines.take(~lines.pulled)
    first = np.zeros(len(orders), dtype=np.int64)
    first[own.order[own.ordinal == 0]] = own.product[own.ordinal == 0]
    leading, following, both, chances = [], [], [], []
    for a, b in zip(goods.pair_first, goods.pair_second, strict=True):
        with_a, with_b = np.zeros(len(orders), dtype=bool), np.zeros(len(orders), dtype=bool)
        with_a[own.order[own.product == a]] = True
        with_b[own.order[own.product == b]] = True
        leading.append(with_a.sum())
        following.append(with_b.sum())
        both.append((with_a & with_b).sum())
        chances.append(((first == a) & ~with_b).sum())
    return _PairCounts(len(orders), *(np.array(counted) for counted in (leading, following, both, chances)))


def _pairs(shop: Shop, counts: Iterable[_PairCounts]) -> pa.Table:
    goods = shop.assortment
    counts = list(counts)
    orders = sum(part.orders for part in counts)
    leading, following, both, chances = (
        np.sum([getattr(part, name) for part in counts], axis=0) for name in ("leading", "following", "both", "chances")
    )
    pulled = goods.pair_strength * chances
    is_lead_low = goods.pair_first < goods.pair_second
    with np.errstate(divide="ignore", invalid="ignore"):
        natural_lift = both * orders / (leading * following)
        planted_lift = (both + pulled) * orders / (leading * (following + pulled))
    return pa.table(
        {
            "product_id_a": tables.chosen(goods.ids, np.where(is_lead_low, goods.pair_first, goods.pair_second)),
            "product_id_b": tables.chosen(goods.ids, np.where(is_lead_low, goods.pair_second, goods.pair_first)),
            "leading_product_id": tables.chosen(goods.ids, goods.pair_first),
            "pull_probability": goods.pair_strength,
            "expected_pair_orders": both + pulled,
            "pull_variance": (1 - goods.pair_strength) * pulled,
            "planted_lift": planted_lift,
            "natural_lift": natural_lift,
        }
    )


def _trends(shop: Shop, end: int) -> pa.Table:
    goods = shop.assortment
    product = np.flatnonzero(goods.trend_factor != 1)
    starts_on = shop.seasons.first_day + 7 * goods.trend_week[product]
    begun = starts_on * DAY < end
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


def _spikes(shop: Shop, end: int) -> pa.Table:
    spikes = shop.seasons.spikes.take(shop.seasons.spikes.starts_on * DAY < end)
    return pa.table(
        {
            "starts_on": tables.dates(spikes.starts_on),
            "ends_on": tables.dates(spikes.starts_on + spikes.days - 1),
            "kind": tables.chosen(("lull", "spike"), (spikes.factor > 1).astype(np.int64)),
            "factor": spikes.factor,
        }
    )


def _contact_effects(world: World, end: int) -> pa.Table:
    shown = world.window.settled(marketing.LAG).born(world.contacts.assigned_at)
    contacts = world.contacts.take(shown)
    return pa.table(
        {
            "contact_id": contacts.ids(),
            "campaign_id": tables.identifiers("M", (contacts.campaign + 1, 3)),
            "customer_id": tables.chosen(world.shop.customers.ids, contacts.customer),
            "effect_probability": contacts.effect,
            "leaving_probability": contacts.leaving,
            "would_order": contacts.extra_at < end,
            "would_leave": contacts.drives_away,
            "placed_order": marketing.places_order(contacts, world.progress.left_at) & (contacts.extra_at < end),
        }
    )


def _experiences(world: World) -> pa.Table:
    people = world.shop.customers
    unhappy = world.new.tickets.take(world.new.tickets.unhappy)
    orders = world.new.orders.take(unhappy.order)
    return pa.table(
        {
            "order_id": orders.ids(),
            "customer_id": tables.chosen(people.ids, orders.customer),
            "leaving_probability": people.bad_experience_dropout[orders.customer],
        }
    )
