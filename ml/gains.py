"""What acting on probabilities brings: gains and lift, calibration by bin, and the profit of contacting the likeliest.

Pure functions on labels and probabilities. Single figures of quality are in `ml.metrics`, drawing is done in the
reports.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from ml.metrics import labels_and_probabilities


def gains_table(y: ArrayLike, p: ArrayLike, groups: int = 10) -> pd.DataFrame:
    """Gains and lift of contacting the likeliest first, by groups of equal size.

    Customers of equal probability are indistinguishable: where a group's border falls among them, their labels count by
    the mean of them all, so that the order of rows changes nothing.

    Args:
        y: Labels 0/1, shape (n,).
        p: Probabilities of label 1, shape (n,).
        groups: Number of groups; group 1 holds the highest probabilities.

    Returns:
        One row a group: ``bin``, ``customers``, ``positives`` (a mean where ties were cut), ``lowest_probability``,
        ``mean_probability``, ``rate`` (positives / customers), ``captured_rate`` (share of all positives up to this
        group; nan without any) and ``lift`` (rate up to this group over the rate of all). Empty for fewer rows than
        groups.

    Raises:
        ValueError: Labels or probabilities are not such.
    """
    labels, probabilities = labels_and_probabilities(y, p)
    n = len(labels)
    if n < groups:
        return _typed(GAINS_COLUMNS)
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    expected = _averaged_over_ties(labels[order], ranked)
    size = np.full(groups, n // groups)
    size[: n % groups] += 1
    ends = np.cumsum(size)
    starts = ends - size
    positives = np.add.reduceat(expected, starts)
    total = labels.sum()
    captured = np.cumsum(positives)
    return pd.DataFrame(
        {
            "bin": np.arange(1, groups + 1),
            "customers": size.astype("int64"),
            "positives": positives,
            "lowest_probability": ranked[ends - 1],
            "mean_probability": np.add.reduceat(ranked, starts) / size,
            "rate": positives / size,
            "captured_rate": captured / total if total else np.full(groups, np.nan),
            "lift": (captured / ends) / (total / n) if total else np.full(groups, np.nan),
        }
    )


GAINS_COLUMNS = {
    "bin": "int64",
    "customers": "int64",
    "positives": "float64",
    "lowest_probability": "float64",
    "mean_probability": "float64",
    "rate": "float64",
    "captured_rate": "float64",
    "lift": "float64",
}
"""Columns of `gains_table` and their types."""


def calibration_table(y: ArrayLike, p: ArrayLike, bins: int = 10, confidence: float = 0.95) -> pd.DataFrame:
    """Predicted against observed rates over equal-width bins, with Wilson's interval of the observed rate.

    Source of the interval: Wilson, "Probable Inference" (JASA 1927).

    Args:
        y: Labels 0/1, shape (n,).
        p: Probabilities of label 1, shape (n,).
        bins: Number of bins; bin b (from 1) holds (b - 1) / bins <= p < b / bins, the last one p = 1 as well.
        confidence: Coverage of the interval.

    Returns:
        One row a bin that is not empty: ``bin``, ``customers``, ``positives``, ``mean_probability``, ``rate``,
        ``rate_low``, ``rate_high``.

    Raises:
        ValueError: Labels or probabilities are not such.
    """
    labels, probabilities = labels_and_probabilities(y, p)
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    customers = np.bincount(bin_of, minlength=bins).astype(float)
    positives = np.bincount(bin_of, weights=labels, minlength=bins)
    mean = np.bincount(bin_of, weights=probabilities, minlength=bins)
    held = np.flatnonzero(customers > 0)
    n, k = customers[held], positives[held]
    z = norm.ppf(0.5 + confidence / 2)
    rate = k / n
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return pd.DataFrame(
        {
            "bin": held + 1,
            "customers": n.astype("int64"),
            "positives": k,
            "mean_probability": mean[held] / n,
            "rate": rate,
            "rate_low": np.maximum(middle - half, 0.0),
            "rate_high": np.minimum(middle + half, 1.0),
        }
    )


@dataclass(frozen=True)
class Contact:
    """What keeping and contacting a customer is worth, in the source's currency.

    Args:
        value: What a customer who is kept brings, above 0.
        cost: What contacting one customer costs, from 0.
        success_rate: Share of those about to leave whom a contact keeps, above 0 to 1.
    """

    value: float
    cost: float
    success_rate: float

    def __post_init__(self) -> None:
        """Refuse what no contact can be.

        Raises:
            ValueError: A figure is out of its bounds.
        """
        if not (self.value > 0 and self.cost >= 0 and 0 < self.success_rate <= 1):
            raise ValueError(f"value must be above 0, cost from 0, success_rate above 0 and at most 1: {self}")

    @property
    def threshold(self) -> float:
        """The probability above which a contact is expected to pay: cost / (success_rate x value).

        Source: Elkan, "The Foundations of Cost-Sensitive Learning" (IJCAI 2001), section 2. Above 1, nobody is
        worth it.
        """
        return self.cost / (self.success_rate * self.value)


@dataclass(frozen=True)
class Retention:
    """What is known of keeping customers; the rest is assumed.

    Args:
        value: What a customer who is kept brings; None: one order of the usual value.
        cost: What contacting one customer costs; None: a twentieth of the value.
        success_rate: Share of those about to leave whom a contact keeps.
    """

    value: float | None = None
    cost: float | None = None
    success_rate: float = 0.1

    def contact(self, usual_order_value: float | None) -> Contact:
        """The contact this makes.

        Args:
            usual_order_value: In the source's currency; where it is not above 0, profits are told in units of it.

        Raises:
            ValueError: A figure is out of its bounds.
        """
        usual = usual_order_value if usual_order_value is not None and usual_order_value > 0 else 1.0
        value = usual if self.value is None else self.value
        return Contact(value, 0.05 * value if self.cost is None else self.cost, self.success_rate)


def profit_curve(y: ArrayLike, p: ArrayLike, contact: Contact, steps: int = 100) -> pd.DataFrame:
    """Profit of contacting the likeliest share of the customers, as it would have come out.

    Who would have left (label 1) is kept with `success_rate` and then brings `value`; every contact costs `cost`; who
    would have stayed anyway brings nothing more. Ties as in `gains_table`.

    Args:
        y: Labels 0/1, shape (n,).
        p: Probabilities of label 1, shape (n,).
        contact: Value, cost and success rate.
        steps: Number of shares; fewer where there are fewer customers.

    Returns:
        One row a share, ascending: ``bin`` (from 1), ``customers`` contacted, ``positives`` among them,
        ``lowest_probability`` and ``mean_probability`` of those contacted, ``rate``, ``profit``, and
        ``expected_profit``, what the probabilities promised. Empty without rows.

    Raises:
        ValueError: Labels or probabilities are not such.
    """
    labels, probabilities = labels_and_probabilities(y, p)
    n = len(labels)
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    captured = np.cumsum(_averaged_over_ties(labels[order], ranked))
    promised = np.cumsum(ranked)
    ends = np.unique(np.ceil(np.arange(1, steps + 1) * n / steps).astype(int)) if n else np.empty(0, dtype=int)
    positives, believed = captured[ends - 1], promised[ends - 1]
    gain = contact.success_rate * contact.value
    return pd.DataFrame(
        {
            "bin": np.arange(1, len(ends) + 1),
            "customers": ends.astype("int64"),
            "positives": positives,
            "lowest_probability": ranked[ends - 1],
            "mean_probability": believed / ends,
            "rate": positives / ends,
            "profit": gain * positives - contact.cost * ends,
            "expected_profit": gain * believed - contact.cost * ends,
        }
    )


def most_profitable(y: ArrayLike, p: ArrayLike, contact: Contact) -> dict[str, float | int | None]:
    """The threshold to use, and what it would have brought beside the best one in hindsight.

    Args:
        y: Labels 0/1, shape (n,).
        p: Probabilities of label 1, shape (n,).
        contact: Value, cost and success rate.

    Returns:
        ``threshold`` (of the probabilities, `Contact.threshold`), ``contacts`` and ``profit`` of contacting everyone at
        or above it, ``best_threshold``, ``best_contacts`` and ``best_profit`` of the cut that would have brought most
        (threshold None where contacting nobody would), and ``everyone_profit``.

    Raises:
        ValueError: Labels or probabilities are not such.
    """
    labels, probabilities = labels_and_probabilities(y, p)
    gain = contact.success_rate * contact.value
    # Customers of one probability are contacted together or not at all.
    levels, group_of = np.unique(-probabilities, return_inverse=True)
    contacts = np.cumsum(np.bincount(group_of, minlength=len(levels)))
    profits = gain * np.cumsum(np.bincount(group_of, weights=labels, minlength=len(levels))) - contact.cost * contacts
    best = int(np.argmax(profits)) if len(profits) else -1
    pays = best >= 0 and profits[best] > 0
    chosen = probabilities >= contact.threshold
    return {
        "threshold": contact.threshold,
        "contacts": int(chosen.sum()),
        "profit": float(gain * labels[chosen].sum() - contact.cost * chosen.sum()),
        "best_threshold": float(-levels[best]) if pays else None,
        "best_contacts": int(contacts[best]) if pays else 0,
        "best_profit": float(profits[best]) if pays else 0.0,
        "everyone_profit": float(profits[-1]) if len(profits) else 0.0,
    }


def _averaged_over_ties(labels: NDArray[np.float64], ranked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Labels of rows in order of probability, those of equal probability replaced by their mean."""
    if not len(ranked):
        return labels
    run = np.concatenate([[0], np.cumsum(ranked[1:] != ranked[:-1])])
    return (np.bincount(run, weights=labels) / np.bincount(run))[run]


def _typed(columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
