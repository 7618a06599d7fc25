"""What is unusual: customers whose tickets are negative more often than customers' moods explain.

Statistical tests with control of the false-discovery rate, a frame in and a frame out. Which ticket counts as negative
is decided in the marts; what to do about a finding is decided in the insights.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, logit, logsumexp, xlog1py, xlogy

from ml._threads import one_thread
from ml.metrics import benjamini_hochberg

FEWEST_TICKETS = 5
"""Customers with fewer tickets are not tested."""
LARGEST_Q = 0.05
"""An anomaly has a q-value of at most this."""

_TRIMMED = 0.15  # share of the null's upper tail left out of the fit of the null
_SMALLEST_CORRELATION = 1e-4  # below this the beta-binomial and the binomial cannot be told apart


def _log_pmf(k: NDArray[np.float64], n: NDArray[np.float64], rate: float, correlation: float) -> NDArray[np.float64]:
    """Log P(K = k) of the beta-binomial with mean `rate` and intra-customer correlation; binomial at 0."""
    choose = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    if correlation < _SMALLEST_CORRELATION:
        return choose + xlogy(k, rate) + xlog1py(n - k, -rate)
    strength = 1 / correlation - 1
    a, b = rate * strength, (1 - rate) * strength
    return choose + betaln(k + a, n - k + b) - betaln(a, b)


class _Table:
    """Unique (n, k) pairs with their number of customers, and every k of each n for the distribution functions."""

    def __init__(self, n: NDArray[np.int64], k: NDArray[np.int64]) -> None:
        pairs, self.pair_of, self.weights = np.unique(
            np.column_stack([n, k]), axis=0, return_inverse=True, return_counts=True
        )
        self.n, self.k = pairs[:, 0].astype(float), pairs[:, 1].astype(float)
        sizes, self._size_of = np.unique(pairs[:, 0], return_inverse=True)
        self._all_n = np.repeat(sizes, sizes + 1).astype(float)
        self._all_k = np.concatenate([np.arange(size + 1) for size in sizes]).astype(float)
        self._starts = np.concatenate([[0], np.cumsum(sizes + 1)])

    def log_pmf(self, rate: float, correlation: float) -> NDArray[np.float64]:
        return _log_pmf(self.k, self.n, rate, correlation)

    def upper_tail(self, rate: float, correlation: float) -> NDArray[np.float64]:
        """P(K >= k) of each pair."""
        pmf = np.exp(_log_pmf(self._all_k, self._all_n, rate, correlation))
        tails = np.empty(len(pmf))
        for start, stop in zip(self._starts[:-1], self._starts[1:], strict=True):
            tails[start:stop] = np.cumsum(pmf[start:stop][::-1])[::-1]
        return np.minimum(tails[self._starts[self._size_of] + self.k.astype(int)], 1.0)

    def largest_kept(self, rate: float, correlation: float) -> NDArray[np.float64]:
        """For each pair's n the largest k with P(K >= k) above the trimmed share."""
        pmf = np.exp(_log_pmf(self._all_k, self._all_n, rate, correlation))
        kept = [
            float(np.count_nonzero(np.cumsum(pmf[start:stop][::-1])[::-1] > _TRIMMED) - 1)
            for start, stop in zip(self._starts[:-1], self._starts[1:], strict=True)
        ]
        return np.maximum(np.array(kept), 0.0)[self._size_of]

    def log_share_below(self, limit: NDArray[np.float64], rate: float, correlation: float) -> NDArray[np.float64]:
        """Log P(K <= limit) of each pair, where the limit depends on n alone."""
        log_pmf = _log_pmf(self._all_k, self._all_n, rate, correlation)
        limit_of_size = np.empty(len(self._starts) - 1)
        limit_of_size[self._size_of] = limit
        shares = [
            logsumexp(log_pmf[start : start + int(cut) + 1])
            for start, cut in zip(self._starts[:-1], limit_of_size, strict=True)
        ]
        return np.array(shares)[self._size_of]


def _truncated_loss(parameters: NDArray[np.float64], table: _Table, limit: NDArray[np.float64]) -> float:
    """Negative log-likelihood of the pairs at or below their limit, given that they are."""
    rate, correlation = float(expit(parameters[0])), float(expit(parameters[1]))
    values = table.log_pmf(rate, correlation) - table.log_share_below(limit, rate, correlation)
    return -float(table.weights @ np.where(table.k <= limit, values, 0.0))


def _fit_null(table: _Table) -> tuple[float, float]:
    """Rate and intra-customer correlation of ordinary customers, by truncated maximum likelihood.

    The likelihood uses customers below the upper 15 % of the null and conditions on being there, so that anomalous
    customers neither raise the rate nor widen the null, and the ordinary ones cut off with them are accounted for.
    """
    total_n, total_k = float(table.weights @ table.n), float(table.weights @ table.k)
    rate, correlation = (total_k + 0.5) / (total_n + 1), 0.0
    limit = table.n
    # The first round is the plain fit, wide enough to keep every ordinary customer; each further one moves the limit.
    for _ in range(6):
        start = np.array([logit(rate), logit(max(correlation, 0.02))])
        found = minimize(_truncated_loss, start, (table, limit), method="L-BFGS-B", bounds=[(-9, 9), (-12, 4)])
        previous = (rate, correlation)
        rate, correlation = float(expit(found.x[0])), float(expit(found.x[1]))
        correlation = correlation if correlation >= _SMALLEST_CORRELATION else 0.0
        if np.allclose(previous, (rate, correlation), atol=1e-4):
            break
        limit = table.largest_kept(rate, correlation)
    return rate, correlation


def unusual_sentiment(frame: pd.DataFrame) -> pd.DataFrame:
    """Customers whose share of negative tickets is higher than that of ordinary customers, beyond mood and chance.

    The number of negative tickets of an ordinary customer is beta-binomial: each customer has a rate of its own around
    the common one (Skellam, JRSS B 1948). Common rate and intra-customer correlation are fitted by maximum likelihood
    to the lower 85 % of that distribution, truncated there (the empirical null of Efron, "Size, power and false
    discovery rates", Annals of Statistics 2007, section 4), so that anomalies do not hide one another. The p-value is
    P(K >= negative_count); q-values control the false-discovery rate (Benjamini and Hochberg 1995).

    Args:
        frame: One row per customer: customer_id, ticket_count, negative_count (of those, how many were negative).

    Returns:
        The rows in their order: customer_id, ticket_count, negative_count (int64), negative_rate (null without
        tickets), expected_rate (the common rate of ordinary customers; null when no customer has a ticket), p_value and
        q_value (null under 5 tickets, which is not tested), is_anomaly (q <= .05).

    Raises:
        ValueError: A count is missing or negative, or exceeds the number of tickets.
    """
    counts = frame[["ticket_count", "negative_count"]]
    if counts.isna().any(axis=None):
        raise ValueError("ticket_count and negative_count must not be missing")
    n = counts["ticket_count"].to_numpy(dtype="int64")
    k = counts["negative_count"].to_numpy(dtype="int64")
    if (k < 0).any() or (k > n).any():
        raise ValueError("negative_count must lie between 0 and ticket_count")
    has_tickets, tested = n > 0, n >= FEWEST_TICKETS
    expected = np.nan
    p = np.full(len(n), np.nan)
    if has_tickets.any():
        with one_thread():
            table = _Table(n[has_tickets], k[has_tickets])
            expected, correlation = _fit_null(table)
            p[has_tickets] = table.upper_tail(expected, correlation)[table.pair_of]
    p[~tested] = np.nan
    q = benjamini_hochberg(p)
    return pd.DataFrame(
        {
            "customer_id": frame["customer_id"].to_numpy(),
            "ticket_count": n,
            "negative_count": k,
            "negative_rate": np.divide(k, n, out=np.full(len(n), np.nan), where=has_tickets),
            "expected_rate": np.full(len(n), expected, dtype="float64"),
            "p_value": p,
            "q_value": q,
            "is_anomaly": q <= LARGEST_Q,
        },
        index=frame.index,
    )
