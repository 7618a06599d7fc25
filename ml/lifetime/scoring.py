"""The table of lifetime values: from a fitted forecast and bookings to one row a customer.

Nothing here fits anything; how a forecast comes about is in `ml.lifetime.value` and `ml.lifetime.counts`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from ml.lifetime.forecast import Forecast, Reach
from ml.lifetime.orders import Ledger, Valuation, histories_at, read_bookings

HORIZON_DAYS = 365
"""Days over which lifetime value is told."""
ANNUAL_DISCOUNT_RATE = 0.10
"""What money a year later is worth less."""

_NUMBERS = (
    "probability_alive", "expected_orders_90d", "expected_order_value", "clv_365d", "clv_365d_low", "clv_365d_high",
)  # fmt: skip


@dataclass(frozen=True)
class LifetimeScorer:
    """What it takes to tell what customers are worth.

    Args:
        forecast: The fitted models; None where nothing could be fitted.
        valuation: What bookings are worth.
        as_of: The day everything is told for.
        version: The published `model_version`.
        reach: What all customers settle together. Without it, those of one call are all there are; with it, each
            customer's row is the same whatever others come along.
    """

    forecast: Forecast | None
    valuation: Valuation
    as_of: date
    version: str
    reach: Reach | None = None

    def for_parts(self, histories: pd.DataFrame) -> LifetimeScorer:
        """One for parts of the customers.

        Args:
            histories: valued, frequency, recency and T of all customers, each distinct row at least once.
        """
        if self.forecast is None:
            return self
        return replace(self, reach=self.forecast.reach(histories, float(HORIZON_DAYS)))

    def __call__(self, bookings: pd.DataFrame) -> pd.DataFrame:
        """The published table of the customers whose bookings these are; of each customer all or none.

        Args:
            bookings: See `ml.lifetime.orders.read_bookings`.
        """
        ledger = read_bookings(bookings, self.as_of, self.valuation)
        return self.table(ledger, histories_at(ledger, self.as_of))

    def table(self, ledger: Ledger, rows: pd.DataFrame) -> pd.DataFrame:
        """The published table.

        Args:
            ledger: The bookings.
            rows: Its histories at the day.
        """
        return self._unknown(ledger) if self.forecast is None else self._told(self.forecast, ledger, rows)

    def _told(self, forecast: Forecast, ledger: Ledger, rows: pd.DataFrame) -> pd.DataFrame:
        horizon = float(HORIZON_DAYS)
        value = forecast.expected_order_value(rows)
        discount = forecast.discount(rows, horizon, ANNUAL_DISCOUNT_RATE)
        quantiles = np.zeros((len(rows), 2))
        if forecast.kept > 0:
            quantiles = forecast.value_quantiles(rows, horizon, (0.05, 0.95), self.reach)
        wait = forecast.days_to_next_order(rows, HORIZON_DAYS)
        following = np.datetime64(self.as_of, "s") + wait.astype("timedelta64[D]")
        return pd.DataFrame(
            {
                "customer_id": ledger.ids[rows["customer"].to_numpy()],
                "probability_alive": np.round(forecast.probability_alive(rows), 6),
                "expected_orders_90d": np.round(forecast.expected_orders(rows, 90.0), 6),
                "expected_order_value": np.round(value, 4),
                "clv_365d": np.round(forecast.expected_orders(rows, horizon) * value * discount, 4),
                "clv_365d_low": np.round(quantiles[:, 0] * discount, 4),
                "clv_365d_high": np.round(quantiles[:, 1] * discount, 4),
                "clv_basis": ledger.basis,
                "next_order_on": pd.Series(following).where(wait >= 0),
                "model_version": self.version,
            }
        )

    def _unknown(self, ledger: Ledger) -> pd.DataFrame:
        """The table where nothing is known but who there is."""
        n = len(ledger.ids)
        return pd.DataFrame(
            {
                "customer_id": ledger.ids,
                **dict.fromkeys(_NUMBERS, np.full(n, np.nan)),
                "clv_basis": np.full(n, ledger.basis, dtype=object),
                "next_order_on": np.full(n, np.datetime64("NaT", "s")),
                "model_version": np.full(n, self.version, dtype=object),
            }
        )
