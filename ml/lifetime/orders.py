"""From what customers booked to their histories at any day, and to what they did after it.

One code path serves training, backtests and the final scores, so that they cannot differ. Models live in the modules
beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml.lifetime.histories import Floats, Ints
from ml.lifetime.spend import EACH

BOOKINGS = ("customer_id", "booked_on", "has_order", "revenue", "margin", "costed_revenue")
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Valuation:
    """What bookings are worth, learnt from all of them.

    Args:
        basis: margin where any unit cost is known, else revenue.
        margin_rate: What counts as the margin of revenue without a known cost.
    """

    basis: str
    margin_rate: float = 0.0

    def value(self, frame: pd.DataFrame) -> Floats:
        """Value of each booking, (rows,)."""
        if self.basis == "revenue":
            return frame["revenue"].to_numpy(dtype="float64", na_value=np.nan)
        revenue, margin, costed = _money(frame)
        has_cost = ~np.isnan(margin)
        margin, costed = np.where(has_cost, margin, 0.0), np.where(has_cost, costed, 0.0)
        return margin + self.margin_rate * (revenue - costed)


@dataclass(frozen=True)
class Ledger:
    """Bookings of n customers with an order, sorted by customer and day.

    Args:
        ids: (n,) identifiers, ascending.
        customer: (m,) position in `ids`.
        day: (m,) days since 1970-01-01.
        has_order: (m,) whether the customer ordered that day.
        value: (m,) what was sold less what was given back that day, in the source's currency.
        valuation: How `value` came about.
        as_of: The last day.
    """

    ids: NDArray[np.object_]
    customer: Ints
    day: NDArray[np.int64]
    has_order: NDArray[np.bool_]
    value: Floats
    valuation: Valuation
    as_of: date

    @property
    def basis(self) -> str:
        """Margin or revenue, whichever `value` is."""
        return self.valuation.basis

    @property
    def first_day(self) -> date:
        """Day of the first order."""
        return _EPOCH + timedelta(days=int(self.day[self.has_order].min()))


def read_bookings(frame: pd.DataFrame, as_of: date, valuation: Valuation | None = None) -> Ledger:
    """Sort bookings and settle what they are worth.

    Margin is the value where any unit cost is known; what was sold without one counts with the margin rate of the rest.

    Args:
        frame: One row a customer and day: customer_id, booked_on, has_order, revenue (sold less given back), margin (of
            what has a unit cost; null without any), costed_revenue (the revenue that margin belongs to).
        as_of: Later bookings are left out, and customers whose first order is later.
        valuation: What bookings are worth, where these are only some of them; by default it is learnt from them.

    Raises:
        ValueError: A column is absent, a value is missing, or a customer has two rows of one day.
    """
    absent = [name for name in BOOKINGS if name not in frame.columns]
    if absent:
        raise ValueError(f"columns are absent: {absent}")
    if frame[["customer_id", "booked_on", "has_order", "revenue"]].isna().any(axis=None):
        raise ValueError("columns customer_id, booked_on, has_order and revenue must not be missing")
    days = pd.to_datetime(frame["booked_on"]).to_numpy(dtype="datetime64[D]").astype(np.int64)
    kept = days <= day_number(as_of)
    frame, days = frame[kept], days[kept]
    has_order = frame["has_order"].to_numpy(dtype=bool)
    ids = np.sort(frame["customer_id"][has_order].unique().astype(object))
    position = pd.Index(ids).get_indexer(pd.Index(frame["customer_id"]))
    known = position >= 0
    frame, days, has_order, position = frame[known], days[known], has_order[known], position[known]
    valuation = valuation or _learnt(frame)
    value = valuation.value(frame)
    order = np.lexsort((days, position))
    position, days = position[order], days[order]
    if ((position[1:] == position[:-1]) & (days[1:] == days[:-1])).any():
        raise ValueError("a customer has more than one row of one day: add them up")
    return Ledger(ids, position, days, has_order[order], value[order], valuation, as_of)


def histories_at(ledger: Ledger, cutoff: date) -> pd.DataFrame:
    """What was known at the end of a day about everyone who had ordered by then.

    Returns:
        One row a customer, in the order of ids: customer (position in the ledger), frequency (days with an order but
        the first), recency and T (days), and of the later order days worth something: valued, how many;
        monetary_value and mean_log_value, the means of their values and of the logarithms (0 without any).
    """
    end = day_number(cutoff)
    n = len(ledger.ids)
    rows = ledger.has_order & (ledger.day <= end)
    customer, day, value = ledger.customer[rows], ledger.day[rows], ledger.value[rows]
    is_first = np.ones(len(customer), dtype=bool)
    is_first[1:] = customer[1:] != customer[:-1]
    first, last = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    first[customer[is_first]] = day[is_first]
    last[customer] = day  # the latest is written last
    counted = np.bincount(customer, minlength=n)

    valued = ~is_first & (value > 0)
    times = np.bincount(customer[valued], minlength=n)
    total = np.bincount(customer[valued], weights=value[valued], minlength=n)
    logs = np.bincount(customer[valued], weights=np.log(value[valued]), minlength=n)
    there = np.flatnonzero(counted)
    divisor = np.maximum(times, 1)
    return pd.DataFrame(
        {
            "customer": there,
            "frequency": (counted - 1)[there].astype("float64"),
            "recency": (last - first)[there].astype("float64"),
            "T": (end - first)[there].astype("float64"),
            "valued": times[there].astype("float64"),
            "monetary_value": (total / divisor)[there],
            EACH: (logs / divisor)[there],
        }
    )


def outcomes(ledger: Ledger, customer: Ints, cutoff: date, until: date) -> tuple[NDArray[np.int64], Floats]:
    """What customers did after a day, up to another: (n,) days with an order, and (n,) value booked."""
    rows = (ledger.day > day_number(cutoff)) & (ledger.day <= day_number(until))
    size = len(ledger.ids)
    orders = np.bincount(ledger.customer[rows & ledger.has_order], minlength=size)
    value = np.bincount(ledger.customer[rows], weights=ledger.value[rows], minlength=size).astype(np.float64)
    return orders[customer].astype(np.int64), value[customer]


def kept_share(ledger: Ledger, cutoff: date) -> float:
    """What remains of an order day, of the mean value of those worth something: less returns and days worth nothing."""
    known = ledger.day <= day_number(cutoff)
    ordered = known & ledger.has_order
    worth = ordered & (ledger.value > 0)
    if not worth.any():
        return 0.0
    remains = float(ledger.value[known].sum()) / int(ordered.sum())
    return max(0.0, remains / float(ledger.value[worth].mean()))


def day_number(day: date) -> int:
    """Days from 1970-01-01."""
    return (day - _EPOCH).days


def _learnt(frame: pd.DataFrame) -> Valuation:
    _, margin, costed = _money(frame)
    has_cost = ~np.isnan(margin)
    if not has_cost.any():
        return Valuation("revenue")
    margin, costed = np.where(has_cost, margin, 0.0), np.where(has_cost, costed, 0.0)
    return Valuation("margin", float(margin.sum() / costed.sum()) if costed.sum() > 0 else 0.0)


def _money(frame: pd.DataFrame) -> tuple[Floats, Floats, Floats]:
    """Revenue, margin and costed revenue of each booking."""
    revenue, margin, costed = (
        frame[name].to_numpy(dtype="float64", na_value=np.nan) for name in ("revenue", "margin", "costed_revenue")
    )
    return revenue, margin, costed
