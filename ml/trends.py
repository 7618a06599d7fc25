"""When a lasting change in a product's demand began, beyond what happened to its whole category.

Change points of weekly units, with a calibrated maximum statistic and control of the false-discovery rate. Whether the
last month differs from the one before is told by the mart `product_trends`, unusual days by `unusual_days`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm
from scipy.stats import t as student

from ml._threads import one_thread
from ml.metrics import benjamini_hochberg

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LARGEST_Q = 0.05
"""A change has a q-value of at most this."""
FEWEST_WEEKS = 12
"""A product is tested once it has been sold for as many whole weeks."""
FEWEST_UNITS = 50
"""And as many units of it in them."""
MOST_PRODUCTS = 1000
"""Products that are tested, those with the most units; the others still count as peers."""
MOST_CHANGES = 3
"""Changes that are looked for in one product."""

_RAMPS = (0, 4, 13, 26)  # weeks that a change takes: none, a month, a quarter, half a year
_EDGE_WEEKS = 4  # weeks before the earliest and after the latest change
_FEWEST_EACH_SIDE = 10.0  # units to be expected before and after a change, or the normal approximation fails
_FEWEST_PEERS = 5  # products that a category must have to be its own yardstick
_REMOVED_P = 0.01  # a product this unlikely to be steady is no yardstick for the others
_DRAWS = 20_000
_ANCHOR = 0.01  # tail probability from which on the simulated tail is extrapolated
_WEEK = pd.Timedelta(days=7)

_COLUMNS = {
    "product_id": "object",
    "category": "object",
    "change_number": "int64",
    "changed_on": "datetime64[ns]",
    "changed_until": "datetime64[ns]",
    "units_per_week_before": "float64",
    "units_per_week_after": "float64",
    "change_ratio": "float64",
    "p_value": "float64",
    "q_value": "float64",
    "is_change": "bool",
    "direction": "object",
}


@dataclass
class TrendChanges:
    """What `trend_changes` finds.

    Args:
        changes: One row a product tested and change looked for; see `trend_changes`.
        metrics: Counts and the median over-dispersion.
        messages: What a reader must know.
    """

    changes: pd.DataFrame
    metrics: dict[str, Any]
    messages: list[str]


@dataclass
class _Product:
    """A product's units in its w weeks, and its peers' in the same weeks.

    Args:
        row: Position of the product.
        first: Position of its first whole week.
        units, peers: (w,) units.
        shapes: (w, k) of the changes accepted so far.
    """

    row: int
    first: int
    units: Floats
    peers: Floats
    shapes: Floats


@dataclass
class _Best:
    """The change that explains a product best.

    Args:
        start, length: Weeks from the product's first one, and weeks that the change takes.
        distance: Of the maximum, in standard deviations.
        p: That of the maximum.
        dispersion: Over-dispersion of the product's share.
        shape: (w,) from 0 to 1.
    """

    start: int
    length: int
    distance: float
    p: float
    dispersion: float
    shape: Floats


def trend_changes(frame: pd.DataFrame, as_of: date, random_state: int = 0) -> TrendChanges:
    """Lasting changes of products' demand relative to their peers', and when they began.

    A product's units in a week, given its own and its peers' units together, are quasi-binomial: season, growth and
    whatever else moves the whole category cancels out. Peers are the products of its category (of the whole shop where
    the category has fewer than five) that were sold all the while and are not changing themselves: the product least
    likely to be steady is taken out first, then its peers are judged anew, so that a product that takes its peers'
    share does not make them look as if they declined. The odds may change at any week, at once or in a straight
    line over 4, 13 or 26 weeks; the statistic is the largest standardised score of all these changes (Andrews, "Tests
    for Parameter Instability and Structural Change With Unknown Change Point", Econometrica 1993). Its distribution
    is simulated, its far tail extrapolated (Davies, Biometrika 1987). Over-dispersion is estimated from differences
    of neighbouring weeks and of neighbouring months, the larger of the two, so that neither trends hide nor demand
    that wanders passes for a trend. A product found to change is searched for a second change, and a third, given
    those before. q-values control the false-discovery rate over the products of a round (Benjamini and Hochberg 1995).

    Args:
        frame: product_id, category, week (its Monday) and units (net of nothing: units ordered). Weeks without a row
            count as 0. The first and the last week must be whole ones.
        as_of: The last day; weeks that end later are left out.
        random_state: Seed of the simulated distribution.

    Returns:
        `TrendChanges` with one row a product and change looked for, the accepted ones and the last that was not:
        product_id, category, change_number (from 1), changed_on (Monday of the last week at the old level),
        changed_until (Monday of the first week at the new one; the same for a change at once), units_per_week_before
        and _after (at the peers' average sales), change_ratio (after / before - 1), p_value, q_value, is_change
        (q <= .05), direction (``up`` or ``down``). Not tested are products with fewer than 12 whole weeks or 50 units.

    Raises:
        ValueError: A column is missing, a week is no Monday, or units are missing or negative.
    """
    table, weeks = _checked(frame, pd.Timestamp(as_of))
    nothing = pd.DataFrame(columns=list(_COLUMNS)).astype(_COLUMNS)
    metrics: dict[str, Any] = {"products": 0, "tested": 0, "changes": 0}
    if len(weeks) < FEWEST_WEEKS + 1:
        message = (
            "There are no products to look at."
            if table.empty
            else (f"There are {len(weeks)} whole weeks: changes are looked for from {FEWEST_WEEKS + 1} on.")
        )
        return TrendChanges(nothing, metrics, [message])
    units = table.pivot_table(index="product_id", columns="week", values="units", aggfunc="sum", fill_value=0.0)
    units = units.reindex(columns=weeks, fill_value=0.0)
    category = table.groupby("product_id")["category"].first().reindex(units.index).fillna("").to_numpy(object)
    with one_thread():
        rounds = _search(units.to_numpy(), category, random_state)
    whole, real = ("row", "number", "start", "end"), ("before", "after", "ratio", "p", "q", "dispersion")
    kinds = dict.fromkeys(whole, "int64") | dict.fromkeys(real, "float64")
    found = pd.DataFrame([row for tested in rounds for row in tested], columns=list(kinds)).astype(kinds)
    names = units.index.to_numpy(object)
    result = pd.DataFrame(
        {
            "product_id": names[found["row"]],
            "category": category[found["row"]],
            "change_number": found["number"],
            "changed_on": weeks[found["start"]],
            "changed_until": weeks[found["end"]],
            "units_per_week_before": found["before"].round(4),
            "units_per_week_after": found["after"].round(4),
            "change_ratio": found["ratio"].round(6),
            "p_value": found["p"].round(6),
            "q_value": found["q"].round(6),
            "is_change": found["q"] <= LARGEST_Q,
            "direction": np.where(found["ratio"] > 0, "up", "down"),
        }
    )
    first = found["number"] == 1
    metrics = {
        "products": len(units),
        "tested": int(first.sum()),
        "changes": int(result["is_change"].sum()),
        "median_dispersion": round(float(found.loc[first, "dispersion"].median()), 4) if first.any() else None,
    }
    messages = [] if first.any() else [f"No product has {FEWEST_WEEKS} whole weeks and {FEWEST_UNITS} units yet."]
    result = result.astype(_COLUMNS).sort_values(["product_id", "change_number"], ignore_index=True)
    return TrendChanges(result, metrics, messages)


def _checked(frame: pd.DataFrame, as_of: pd.Timestamp) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    """Rows of whole weeks, and all weeks from the first to the last."""
    missing = {"product_id", "category", "week", "units"} - set(frame.columns)
    if missing:
        raise ValueError(f"columns are missing: {sorted(missing)}")
    table = frame.assign(week=pd.to_datetime(frame["week"]), units=frame["units"].astype(float))
    if (table["week"].dt.weekday != 0).any():
        raise ValueError("week must be the week's Monday")
    if table["units"].isna().any() or (table["units"] < 0).any():
        raise ValueError("units must be counts: not missing, not negative")
    last = as_of - pd.Timedelta(days=(as_of.weekday() + 1) % 7 + 6)
    table = table[table["week"] <= last]
    first = table["week"].min() if len(table) else last + _WEEK
    return table, pd.date_range(first, last, freq="W-MON")


def _search(units: Floats, category: NDArray[np.object_], random_state: int) -> list[list[tuple[Any, ...]]]:
    """One list of tested changes a round; each as the columns of `trend_changes` need it."""
    products = _with_peers(units, category, random_state)
    rounds: list[list[tuple[Any, ...]]] = []
    for number in range(1, MOST_CHANGES + 1):
        best = [_best_change(product, random_state) for product in products]
        q = benjamini_hochberg(np.array([each.p for each in best]))
        tested, changing = [], []
        for product, change, value in zip(products, best, q, strict=True):
            product.shapes = np.column_stack([product.shapes, change.shape])
            coefficients = _fit(product)[0]
            ratio = float(np.expm1(coefficients[-1]))
            # Where the product stood before this change, at its peers' average sales.
            earlier = coefficients[0] + coefficients[1:-1] @ product.shapes[change.start, :-1]
            before = float(np.exp(earlier) * product.peers.mean())
            place = product.first + change.start, product.first + change.start + change.length
            tested.append(
                (product.row, number, *place, before, before * (1 + ratio), ratio, change.p, value, change.dispersion)
            )
            if value <= LARGEST_Q:
                changing.append(product)
        rounds.append(tested)
        products = changing
        if not products:
            break
    return rounds


def _with_peers(units: Floats, category: NDArray[np.object_], random_state: int) -> list[_Product]:
    """The products that can be tested, each with the units of peers that are steady."""
    weeks = units.shape[1]
    sold = units > 0
    begins = np.where(sold.any(axis=1), np.argmax(sold, axis=1), weeks)
    # The week of the first sale is no whole one, but for what was there from the beginning.
    begins = np.where(begins > 0, begins + 1, 0)
    age = weeks - begins
    groups = {name: np.flatnonzero(category == name) for name in sorted(set(category))}
    everyone = np.arange(len(units))
    sums = np.array([units[row, begin:].sum() for row, begin in enumerate(begins)])
    able = (age >= FEWEST_WEEKS) & (sums >= FEWEST_UNITS)
    able[np.argsort(-sums, kind="stable")[MOST_PRODUCTS:]] = False
    products: list[_Product] = []
    for members in groups.values():
        pool = members if len(members) >= _FEWEST_PEERS else everyone
        tests = [int(row) for row in members if able[row]]
        unsteady: set[int] = set()
        # One at a time among a few; of many, none matters much to the others.
        at_once = max(1, len(pool) // 20)
        while True:
            made = {row: _against(row, units, begins, pool, unsteady) for row in tests}
            kept = {row: product for row, product in made.items() if product is not None}
            p = {row: _best_change(product, random_state).p for row, product in kept.items() if row not in unsteady}
            suspects = sorted((row for row in p if p[row] <= _REMOVED_P), key=lambda row: (p[row], row))[:at_once]
            if not suspects or len(pool) - len(unsteady) - len(suspects) < _FEWEST_PEERS:
                products += kept.values()
                break
            unsteady.update(suspects)
    return products


def _against(
    row: int, units: Floats, begins: NDArray[np.int64], pool: NDArray[np.int64], unsteady: set[int]
) -> _Product | None:
    first = int(begins[row])
    peers = [peer for peer in pool if peer != row and peer not in unsteady and begins[peer] <= first]
    total = units[peers, first:].sum(axis=0)
    if not peers or total.sum() == 0:
        return None
    return _Product(row, first, units[row, first:], total, np.zeros((len(total), 0)))


def _fit(product: _Product) -> tuple[Floats, Floats]:
    """Log-odds against the peers, level first and then the changes; and the fitted share in every week."""
    total = product.units + product.peers
    X = np.column_stack([np.ones(len(total)), product.shapes])
    coefficients = np.zeros(X.shape[1])
    coefficients[0] = np.log((product.units.sum() + 0.5) / (product.peers.sum() + 0.5))
    for _ in range(25):
        share = expit(X @ coefficients)
        weight = total * share * (1 - share) + 1e-9
        gram = (X.T * weight) @ X + 1e-6 * np.eye(X.shape[1])
        step = np.linalg.solve(gram, X.T @ (product.units - total * share))
        coefficients = coefficients + np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-8:
            break
    return coefficients, expit(X @ coefficients)


def _best_change(product: _Product, random_state: int) -> _Best:
    """The change with the largest standardised score, given the changes accepted so far."""
    _, share = _fit(product)
    total = product.units + product.peers
    weight = total * share * (1 - share)
    residual = product.units - total * share
    starts, lengths, shapes = _candidates(len(total))
    # What the level and earlier changes can imitate is no evidence of another change.
    known = np.column_stack([np.ones(len(total)), product.shapes])
    gram = (known.T * weight) @ known + 1e-9 * np.eye(known.shape[1])
    rest = shapes - known @ np.linalg.solve(gram, (known.T * weight) @ shapes)
    information = weight @ rest**2
    expected = total * share
    told = np.minimum(expected @ shapes, expected @ (1 - shapes)) >= _FEWEST_EACH_SIDE
    # A shape that is nearly a mixture of those accepted says nothing of its own.
    told &= information >= 0.05 * (weight @ shapes**2)
    dispersion = _dispersion(residual, weight)
    distance = np.where(told, np.abs(residual @ rest) / np.sqrt(dispersion * np.maximum(information, 1e-9)), 0.0)
    best = int(np.argmax(distance))
    return _Best(
        start=int(starts[best]),
        length=int(lengths[best]),
        distance=float(distance[best]),
        p=_tail(float(distance[best]), len(total), random_state),
        dispersion=dispersion,
        shape=shapes[:, best],
    )


def _dispersion(residual: Floats, weight: Floats) -> float:
    """Variance over the binomial's, at least 1: from differences of neighbouring weeks, and of neighbouring months."""
    values = [1.0]
    for width in (1, 4):
        blocks = len(residual) // width
        if blocks < 4:
            continue
        total = residual[-blocks * width :].reshape(blocks, width).sum(axis=1)
        size = np.maximum(weight[-blocks * width :].reshape(blocks, width).sum(axis=1), 1e-9)
        values.append(float(np.mean(np.diff(total) ** 2 / (size[1:] + size[:-1]))))
    return max(values)


@lru_cache(maxsize=512)
def _candidates(weeks: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """First weeks and lengths (k,), and shapes (weeks, k), of the changes that are tried."""
    starts, lengths = [], []
    for length in _RAMPS:
        # A long change may still be under way at the end.
        for start in range(_EDGE_WEEKS, weeks - _EDGE_WEEKS + 1):
            starts.append(start)
            lengths.append(min(length, weeks - 1 - start))
    at = np.arange(weeks)[:, None]
    first, length_of = (
        np.array(starts),
        np.array([_RAMPS[index // (weeks - 2 * _EDGE_WEEKS + 1)] for index in range(len(starts))]),
    )
    shapes = np.where(length_of == 0, at >= first, np.clip((at - first) / np.maximum(length_of, 1), 0, 1))
    return first, np.array(lengths), shapes.astype(float)


@lru_cache(maxsize=64)
def _maxima(weeks: int, random_state: int) -> Floats:
    """Sorted maxima of the scores of white noise."""
    shapes = _candidates(weeks)[2]
    rest = shapes - shapes.mean(axis=0)
    rest /= np.sqrt((rest**2).sum(axis=0))
    noise = np.random.default_rng(random_state).standard_normal((_DRAWS, weeks))
    return np.sort(np.concatenate([np.abs(part @ rest).max(axis=1) for part in np.array_split(noise, 20)]))


def _tail(distance: float, weeks: int, random_state: int) -> float:
    """Probability that the maximum of white noise is as large, allowing for the dispersion being estimated."""
    # Differences of neighbours use two thirds of the degrees of freedom (von Neumann 1941).
    freedom = 2 * (weeks - 1) / 3
    z = float(norm.isf(student.sf(distance, freedom)))
    # Distributions of nearly the same number of weeks are nearly the same.
    maxima = _maxima(weeks if weeks <= 16 else 8 * -(-weeks // 8), random_state)
    anchor = float(maxima[int((1 - _ANCHOR) * len(maxima))])
    if z <= anchor:
        return float((np.count_nonzero(maxima >= z) + 1) / (len(maxima) + 1))
    return float(min(_ANCHOR, _ANCHOR * norm.sf(z) * z / (norm.sf(anchor) * anchor)))
