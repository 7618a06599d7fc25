"""How far a frame has moved from the one a model was trained on: the population stability index, column by column.

A profile of the training frame is small and plain, so that it can be kept beside the model. What to do about drift is
decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

from ml.columns import column_kind, plain_columns

LARGE_PSI = 0.25
"""A shift that asks for a look, by the convention of credit scoring (Siddiqi, "Credit Risk Scorecards", 2006)."""
_BINS = 10
_MOST_CATEGORIES = 20
_NOISE = 0.001  # chance of calling a column drifted that has not


def profile_columns(frame: pd.DataFrame, customers: int) -> dict[str, Any]:
    """Shares of a frame's rows by bin of each column: deciles of numbers, categories, and what is missing.

    Args:
        frame: Numeric, boolean or categorical columns; others are left out.
        customers: Number of independent units among its rows.

    Returns:
        Plain lists, texts and numbers: ``customers``, and per column ``kind``, ``bins`` (upper edges or categories) and
        ``shares``.
    """
    kinds = {name: kind for name in frame.columns if (kind := column_kind(frame[name]))}
    plain = plain_columns(frame, kinds)
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        values = plain[name].to_numpy()
        bins: list[Any]
        if kind == "category":
            # equally frequent ones in the order of their names
            counts = plain[name].value_counts().sort_index().sort_values(ascending=False, kind="stable")
            bins = list(counts.index[:_MOST_CATEGORIES])
        else:
            known = values[~np.isnan(values)]
            edges = np.quantile(known, np.arange(1, _BINS) / _BINS, method="inverted_cdf") if len(known) else []
            bins = [float(edge) for edge in np.unique(edges)]
        columns[name] = {"kind": kind, "bins": bins, "shares": _shares(values, kind, bins).tolist()}
    return {"customers": customers, "columns": columns}


def stability(profile: Mapping[str, Any], frame: pd.DataFrame, customers: int) -> dict[str, dict[str, float]]:
    """Population stability index of each profiled column: the sum over bins of (a - e) log(a / e).

    Without any drift it is not zero but about chi-squared with bins - 1 degrees of freedom times 1/n + 1/m (Yurdakul
    and Naranjo, "Statistical properties of the population stability index", Journal of Risk Model Validation 2020); a
    column counts as moved only beyond both `LARGE_PSI` and the 99.9 % point of that.

    Args:
        profile: As from `profile_columns`, of the training frame.
        frame: The frame to compare; must have the columns.
        customers: Number of independent units among its rows.

    Returns:
        Per column ``psi`` and ``bound``, beyond which it counts as moved; empty for an empty frame.
    """
    if not len(frame) or not profile["customers"]:
        return {}
    kinds = {name: column["kind"] for name, column in profile["columns"].items()}
    plain = plain_columns(frame, kinds)
    found = {}
    for name, column in profile["columns"].items():
        expected = np.asarray(column["shares"], dtype=float)
        actual = _shares(plain[name].to_numpy(), column["kind"], column["bins"])
        # Half a customer in every bin: an empty one is rare, not impossible.
        e, a = (
            (shares * n + 0.5) / (n + 0.5 * len(shares))
            for shares, n in ((expected, profile["customers"]), (actual, customers))
        )
        noise = chi2.ppf(1 - _NOISE, max(1, len(expected) - 1)) * (1 / profile["customers"] + 1 / customers)
        psi = float(np.sum((a - e) * np.log(a / e)))
        found[name] = {"psi": round(psi, 6), "bound": round(max(LARGE_PSI, float(noise)), 6)}
    return found


def moved(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Columns beyond their bound, the furthest first."""
    beyond = [name for name, figures in found.items() if figures["psi"] > figures["bound"]]
    return sorted(beyond, key=lambda name: (-found[name]["psi"], name))


def _shares(values: NDArray[Any], kind: str, bins: list[Any]) -> NDArray[np.float64]:
    """Shares of rows by bin; the last bin holds what is missing, or any other category."""
    if kind == "category":
        place = {word: i for i, word in enumerate(bins)}
        bin_of = np.array([place.get(word, len(bins)) for word in values], dtype=int)
        count = len(bins) + 1
    else:
        count = len(bins) + 2
        missing = np.isnan(values.astype(float))
        bin_of = np.where(missing, count - 1, np.searchsorted(bins, values, side="left"))
    return np.bincount(bin_of, minlength=count) / max(len(values), 1)
