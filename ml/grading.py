"""How well detectors did, given what was to be found: matches of findings to truths, precision, recall, intervals.

Pure functions on frames and sets. Where the truth comes from, and what a good figure is, is decided by the callers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import beta

_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Grade:
    """How a detector did.

    Args:
        found: Findings.
        true_found: Findings that are true.
        planted: Truths to be found.
        planted_found: Truths that were found.
    """

    found: int
    true_found: int
    planted: int
    planted_found: int

    @property
    def precision(self) -> float | None:
        """Share of the findings that is true; None without findings."""
        return self.true_found / self.found if self.found else None

    @property
    def recall(self) -> float | None:
        """Share of the truths that was found; None without truths."""
        return self.planted_found / self.planted if self.planted else None

    @property
    def false_discovery_share(self) -> float:
        """Share of the findings that is not true; 0 without findings, as false-discovery control counts it."""
        return (self.found - self.true_found) / self.found if self.found else 0.0

    @property
    def precision_interval(self) -> tuple[float, float]:
        """95 % interval of the precision."""
        return share_interval(self.true_found, self.found)

    @property
    def recall_interval(self) -> tuple[float, float]:
        """95 % interval of the recall."""
        return share_interval(self.planted_found, self.planted)

    def __add__(self, other: Grade) -> Grade:
        """Both taken together, as of several businesses."""
        return Grade(
            self.found + other.found,
            self.true_found + other.true_found,
            self.planted + other.planted,
            self.planted_found + other.planted_found,
        )


def share_interval(count: int, size: int) -> tuple[float, float]:
    """95 % interval of a share (Clopper and Pearson, Biometrika 1934); 0 to 1 where there is nothing to count.

    Args:
        count: How many have the property.
        size: Out of how many.

    Raises:
        ValueError: The count is negative or larger than the size.
    """
    if not 0 <= count <= size:
        raise ValueError(f"a count of {count} out of {size} is impossible")
    tail = (1 - _CONFIDENCE) / 2
    low = float(beta.ppf(tail, count, size - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, size - count)) if count < size else 1.0
    return low, high


def grade(found: Iterable[Hashable], planted: Iterable[Hashable]) -> Grade:
    """Grade findings that name what they found by its key.

    Args:
        found: Keys of the findings; a key found twice counts once.
        planted: Keys of the truths.
    """
    ours, theirs = set(found), set(planted)
    return Grade(len(ours), len(ours & theirs), len(theirs), len(ours & theirs))


def grade_periods(found: pd.DataFrame, planted: pd.DataFrame, by: Iterable[str] = (), slack_days: int = 0) -> Grade:
    """Grade findings that say from when to when, and of what.

    A finding is true when it shares a day with a truth of the same keys; several may find one truth, and one several.

    Args:
        found: starts_on, ends_on and the columns of `by`.
        planted: Likewise.
        by: Columns that must agree, such as direction or product_id.
        slack_days: By how many days the two may miss each other.
    """
    hits = overlaps(found, planted, by, slack_days)
    return Grade(len(found), int(hits.any(axis=1).sum()), len(planted), int(hits.any(axis=0).sum()))


def overlaps(
    found: pd.DataFrame, planted: pd.DataFrame, by: Iterable[str] = (), slack_days: int = 0
) -> NDArray[np.bool_]:
    """(findings, truths) flags of those that share a day and agree in all columns of `by`; see `grade_periods`."""
    slack = np.timedelta64(slack_days, "D")
    starts, ends = (found[name].to_numpy("datetime64[D]")[:, None] for name in ("starts_on", "ends_on"))
    hits = (starts <= planted["ends_on"].to_numpy("datetime64[D]") + slack) & (
        ends >= planted["starts_on"].to_numpy("datetime64[D]") - slack
    )
    for column in by:
        hits &= found[column].to_numpy(object)[:, None] == planted[column].to_numpy(object)
    return np.asarray(hits)
