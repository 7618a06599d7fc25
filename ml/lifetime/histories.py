"""Purchase histories as the lifetime models take them: frequency, recency and T of each customer, equal rows once.

Checks what the models rely on, and says what is wrong. Turning orders into histories happens in `ml.lifetime.orders`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

COLUMNS = ("frequency", "recency", "T")


@dataclass(frozen=True)
class Histories:
    """The n distinct histories of a table, sorted, with their weights.

    Args:
        x: (n,) repeat purchases.
        t_x: (n,) time from the first to the last purchase; 0 without a repeat.
        T: (n,) time from the first purchase to the end of the records.
        weight: (n,) number of customers, or the sum of their weights.
        row_of: (rows,) for each row of the table its distinct history.
        kinds: (k,) the distinct numbers of repeat purchases.
        kind_of: (n,) for each history the position of its x in `kinds`: special functions are computed once a kind.
    """

    x: Floats
    t_x: Floats
    T: Floats
    weight: Floats
    row_of: Ints
    kinds: Floats
    kind_of: Ints

    def __len__(self) -> int:
        """Number of distinct histories."""
        return len(self.x)

    def scaled(self, unit: float) -> Histories:
        """The same histories with times in multiples of `unit`."""
        return Histories(self.x, self.t_x / unit, self.T / unit, self.weight, self.row_of, self.kinds, self.kind_of)

    def part(self, rows: slice | Ints) -> Histories:
        """Some of the distinct histories, standing for nothing but themselves."""
        x = self.x[rows]
        kinds, kind_of = np.unique(x, return_inverse=True)
        return Histories(x, self.t_x[rows], self.T[rows], self.weight[rows], np.arange(len(x)), kinds, kind_of)


def unique_histories(X: pd.DataFrame, sample_weight: ArrayLike | None = None) -> Histories:
    """Check a table of histories and reduce it to distinct rows.

    Args:
        X: Columns frequency (repeat purchases, whole numbers), recency (time from the first to the last purchase, 0
            without a repeat) and T (time from the first purchase to the end of the records), in any one unit.
        sample_weight: (rows,) how many customers each row stands for; 1 by default.

    Raises:
        ValueError: A column is absent, or a row contradicts what its columns mean.
    """
    x, t_x, T = (_column(X, name) for name in COLUMNS)
    _require(x == np.floor(x), X, "frequency", "must be a whole number of repeat purchases")
    _require(t_x <= T, X, "recency", "must not exceed T: both count from the first purchase")
    _require((x > 0) == (t_x > 0), X, "recency", "must be 0 without a repeat purchase and above 0 with one")
    weight = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, dtype="float64")
    if weight.shape != x.shape or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError(f"sample_weight must hold {len(x)} finite numbers of at least 0")

    order = np.lexsort((T, t_x, x))
    x, t_x, T = x[order], t_x[order], T[order]
    is_new = np.ones(len(x), dtype=bool)
    is_new[1:] = (x[1:] != x[:-1]) | (t_x[1:] != t_x[:-1]) | (T[1:] != T[:-1])
    row_of = np.empty(len(x), dtype=np.intp)
    row_of[order] = np.cumsum(is_new) - 1
    kinds, kind_of = np.unique(x[is_new], return_inverse=True)
    count = int(is_new.sum())
    return Histories(
        x=x[is_new],
        t_x=t_x[is_new],
        T=T[is_new],
        weight=np.bincount(row_of, weights=weight, minlength=count).astype(np.float64),
        row_of=row_of,
        kinds=kinds,
        kind_of=kind_of,
    )


def _column(X: pd.DataFrame, name: str) -> Floats:
    if not isinstance(X, pd.DataFrame) or name not in X.columns:
        raise ValueError(f"column {name!r} is absent; a history has the columns {', '.join(COLUMNS)}")
    try:
        values = X[name].to_numpy(dtype="float64", na_value=np.nan)
    except (TypeError, ValueError):
        raise ValueError(f"column {name!r} must be numeric, not {X[name].dtype}") from None
    _require(np.isfinite(values) & (values >= 0), X, name, "must be a finite number of at least 0")
    return values


def _require(holds: NDArray[np.bool_], X: pd.DataFrame, name: str, rule: str) -> None:
    if not holds.all():
        row = int(np.argmin(holds))
        raise ValueError(f"column {name!r} {rule}; row {row} is {X.iloc[row][list(COLUMNS)].to_dict()}")
