"""Fits on counted customers: equal ones together, so that it costs no more for ten times as many.

A likelihood is a sum over customers; those with the same history, or with the same spending, add the same to it. Who
counts them, and how, is decided outside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ml._threads import one_thread
from ml.lifetime.forecast import Forecast
from ml.lifetime.spend import EACH, fit_spend

CUSTOMERS = "customers"


@dataclass(frozen=True)
class Counts:
    """All that purchases and values are fitted to.

    Args:
        histories: Columns valued, frequency, recency, T (see `ml.lifetime.orders.histories_at`) and customers.
        spending: Of customers with valued order days: valued, total (sum of their values), logs (sum of the values'
            logarithms) and customers.
        order_days: Days with an order, of all customers.
        worth_days: Those of them that were worth something.
        worth: Sum of their values.
        worth_squares: Sum of the squares of their values.
        booked: Sum of all values, what was given back included.
    """

    histories: pd.DataFrame
    spending: pd.DataFrame
    order_days: int
    worth_days: int
    worth: float
    worth_squares: float
    booked: float


def refit(forecast: Forecast, counts: Counts) -> tuple[Forecast, list[str]]:
    """A forecast with its models fitted to all customers, where it was made from a part of them.

    Which model, and the common factors, stay as the part's backtests had them.

    Args:
        forecast: Made from a part.
        counts: Of all.

    Returns:
        The forecast, and messages.
    """
    spending = counts.spending
    mean = counts.worth / counts.worth_days if counts.worth_days else 1.0
    variance = counts.worth_squares / counts.worth_days - mean**2 if counts.worth_days else 0.0
    spread = float(np.sqrt(max(variance, 0.0)) / mean) if counts.worth_days > 1 else 1.0
    with one_thread():
        purchases = type(forecast.purchases)().fit(counts.histories, sample_weight=counts.histories[CUSTOMERS])
        values = pd.DataFrame(
            {
                "frequency": spending["valued"].astype("float64"),
                "monetary_value": spending["total"] / spending["valued"],
                EACH: spending["logs"] / spending["valued"],
            }
        )
        spend, messages = fit_spend(values, mean, spread, spending[CUSTOMERS])
    kept = max(0.0, counts.booked / counts.order_days / mean) if counts.worth_days else 0.0
    return replace(forecast, purchases=purchases, spend=spend, kept=kept), messages
