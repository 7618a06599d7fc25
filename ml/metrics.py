"""How good probabilities and tests are: calibration, discrimination, false-discovery control.

Pure functions on arrays; every estimator and every report of quality uses these. Fitting models and choosing between
them happens elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score


def labels_and_probabilities(y: ArrayLike, p: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both as float arrays of shape (n,).

    Raises:
        ValueError: Shapes differ, a label is not 0/1, or a probability is outside [0, 1].
    """
    labels = np.asarray(y, dtype=float)
    probabilities = np.asarray(p, dtype=float)
    if labels.ndim != 1 or labels.shape != probabilities.shape:
        raise ValueError(
            f"labels and probabilities must be 1-d and equally long: {labels.shape}, {probabilities.shape}"
        )
    if not np.isin(labels, (0.0, 1.0)).all():
        raise ValueError("labels must be 0 or 1 (or False and True), without missing values")
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1], without missing values")
    return labels, probabilities


def expected_calibration_error(y: ArrayLike, p: ArrayLike, bins: int = 10) -> float:
    """Mean distance between predicted and observed rates over equal-width bins, weighted by bin size.

    Bin b holds b/bins <= p < (b+1)/bins, the last one p = 1 as well. Source: Naeini, Cooper and Hauskrecht,
    "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015), equation 3.

    Args:
        y: Labels 0/1, shape (n,).
        p: Probabilities of label 1, shape (n,).
        bins: Number of bins.

    Returns:
        The error, between 0 and 1; nan for no rows.

    Raises:
        ValueError: Shapes differ, a label is not 0/1, or a probability is outside [0, 1].
    """
    labels, probabilities = labels_and_probabilities(y, p)
    if labels.size == 0:
        return float("nan")
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, weights=probabilities - labels, minlength=bins)
    return float(np.abs(gaps).sum() / labels.size)


def binary_report(y: ArrayLike, p: ArrayLike) -> dict[str, Any]:
    """The figures by which a probability forecast of a yes/no outcome is judged.

    Args:
        y: Labels 0/1, shape (n,).
        p: Probabilities of label 1, shape (n,).

    Returns:
        ``n``, ``positives``, ``base_rate`` (observed share of 1), ``mean_probability``, ``auc`` (area under the ROC
        curve), ``average_precision``, ``brier`` (mean squared error, Brier 1950), ``log_loss`` (nats) and ``ece``
        (10 equal-width bins). Figures that do not exist are None: auc and average precision when only one class
        occurs, everything but the counts when there are no rows.

    Raises:
        ValueError: Shapes differ, a label is not 0/1, or a probability is outside [0, 1].
    """
    labels, probabilities = labels_and_probabilities(y, p)
    n, positives = int(labels.size), int(labels.sum())
    both = 0 < positives < n
    return {
        "n": n,
        "positives": positives,
        "base_rate": positives / n if n else None,
        "mean_probability": float(probabilities.mean()) if n else None,
        "auc": float(roc_auc_score(labels, probabilities)) if both else None,
        "average_precision": float(average_precision_score(labels, probabilities)) if both else None,
        "brier": float(np.mean((probabilities - labels) ** 2)) if n else None,
        "log_loss": float(log_loss(labels, probabilities, labels=[0, 1])) if n else None,
        "ece": expected_calibration_error(labels, probabilities) if n else None,
    }


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p-values that control the false-discovery rate.

    Rejecting where q <= alpha keeps the expected share of false rejections at or below alpha for independent or
    positively dependent tests. Source: Benjamini and Hochberg, "Controlling the False Discovery Rate" (JRSS B, 1995).

    Args:
        p: p-values, shape (n,); nan for hypotheses that were not tested, which do not count as tests.

    Returns:
        q-values, shape (n,), never below p; nan where p is nan.

    Raises:
        ValueError: A p-value is outside [0, 1] or the input is not 1-d.
    """
    values = np.asarray(p, dtype=float)
    if values.ndim != 1:
        raise ValueError(f"p-values must be 1-d, not {values.ndim}-d")
    tested = ~np.isnan(values)
    if not ((values[tested] >= 0) & (values[tested] <= 1)).all():
        raise ValueError("p-values must lie in [0, 1]")
    q = np.full(values.shape, np.nan)
    count = int(tested.sum())
    if count:
        order = np.argsort(values[tested], kind="stable")
        scaled = values[tested][order] * count / np.arange(1, count + 1)
        adjusted = np.empty(count)
        adjusted[order] = np.minimum.accumulate(scaled[::-1])[::-1]
        q[tested] = np.minimum(adjusted, 1.0)
    return q


def paired_bootstrap(
    y: ArrayLike, p: ArrayLike, q: ArrayLike, *, n_resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> dict[str, Any]:
    """By how much one forecast is better than another on the same customers, with intervals.

    Both forecasts are judged on the same resamples of the customers, drawn with replacement within each outcome, so
    that both classes occur in all of them; the interval is that of the percentiles. Source: Efron and Tibshirani, "An
    Introduction to the Bootstrap" (1993), chapter 13.

    Args:
        y: Labels 0/1, one customer each, shape (n,).
        p: Probabilities of label 1 by the forecast judged, shape (n,).
        q: Probabilities by the one it is compared with, shape (n,).
        n_resamples: Resamples; fewer, but at least 200, where there are more than 50 million draws to make.
        confidence: Coverage of the intervals.
        seed: Seed.

    Returns:
        ``brier_difference`` (p less q: below 0, p is better), ``brier_low``, ``brier_high``, ``auc_difference`` (above
        0, p is better), ``auc_low``, ``auc_high``, and ``resamples``. Empty where only one class occurs.

    Raises:
        ValueError: Shapes differ, a label is not 0/1, or a probability is outside [0, 1].
    """
    labels, one = labels_and_probabilities(y, p)
    _, other = labels_and_probabilities(y, q)
    classes = [np.flatnonzero(labels == label) for label in (0.0, 1.0)]
    if not all(len(rows) for rows in classes):
        return {}
    n_resamples = max(200, min(n_resamples, 50_000_000 // len(labels)))
    worse_by = (one - labels) ** 2 - (other - labels) ** 2
    ranks = [np.unique(each, return_inverse=True)[1] for each in (one, other)]
    rng = np.random.default_rng(seed)
    found = np.empty((n_resamples, 2))
    for i in range(n_resamples):
        drawn = [rows[rng.integers(len(rows), size=len(rows))] for rows in classes]
        brier = (worse_by[drawn[0]].sum() + worse_by[drawn[1]].sum()) / len(labels)
        found[i] = brier, _auc(ranks[0], drawn) - _auc(ranks[1], drawn)
    low, high = np.quantile(found, [0.5 - confidence / 2, 0.5 + confidence / 2], axis=0)
    return {
        "brier_difference": float(worse_by.mean()),
        "brier_low": float(low[0]),
        "brier_high": float(high[0]),
        "auc_difference": _auc(ranks[0], classes) - _auc(ranks[1], classes),
        "auc_low": float(low[1]),
        "auc_high": float(high[1]),
        "resamples": n_resamples,
    }


def _auc(rank: NDArray[np.intp], drawn: list[NDArray[np.intp]]) -> float:
    """Share of pairs (negative, positive) that are ranked right, ties by half; rows may be drawn several times."""
    negatives, positives = (np.bincount(rank[rows], minlength=int(rank.max()) + 1) for rows in drawn)
    below = np.cumsum(negatives) - negatives / 2
    return float(positives @ below) / (len(drawn[0]) * len(drawn[1]))
