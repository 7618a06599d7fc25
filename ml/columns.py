"""Columns of any kind, made ready for models: numbers, flags and categories, with or without missing values.

What is learnt here looks at no label. Which model reads the result is decided elsewhere.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, SplineTransformer, StandardScaler

MISSING = "(missing)"
"""The category of values that are not there."""
MOST_CATEGORIES = 30
"""Categories of one column that are told apart; rarer ones are pooled."""
FEWEST_OF_A_CATEGORY = 5


def column_kind(column: pd.Series) -> str | None:
    """``number``, ``flag``, ``category``, or None for a column that is none of them (dates, lists, ...)."""
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        kind = "flag"
    elif pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        kind = "number"
    elif isinstance(dtype, pd.CategoricalDtype | pd.StringDtype):
        kind = "category"
    elif not pd.api.types.is_object_dtype(dtype):
        return None
    else:
        types = {type(value) for value in column.dropna().to_numpy()}
        if types and types <= {bool, np.bool_}:
            kind = "flag"
        elif all(issubclass(each, numbers.Real | Decimal) for each in types):
            kind = "number"
        elif all(issubclass(each, str | numbers.Real | Decimal) for each in types):
            kind = "category"
        else:
            return None
    return kind


def plain_columns(X: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """The columns of `kinds` as float64 (missing: nan) or as text (missing: `MISSING`).

    Args:
        X: The frame.
        kinds: Kind of each column wanted, in order.

    Raises:
        ValueError: A column is absent, infinite, or of another kind than it was.
    """
    absent = [name for name in kinds if name not in X.columns]
    if absent:
        raise ValueError(f"columns seen in fit are absent: {absent}")
    plain: dict[str, Any] = {}
    for name, kind in kinds.items():
        column = X[name]
        if kind == "category":
            plain[name] = _text(column)
            continue
        try:
            if column.dtype.kind in "biuf":
                values = column.to_numpy(dtype=float)
            else:
                values = column.astype(object).where(column.notna(), np.nan).to_numpy().astype(float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {name!r} was numeric in fit and is not now: {error}") from error
        if np.isinf(values).any():
            raise ValueError(f"column {name!r} holds infinity; leave such values missing")
        plain[name] = values
    return pd.DataFrame(plain, index=X.index)


def _text(column: pd.Series) -> NDArray[np.object_]:
    """Values as text; each distinct one is written once, for a million rows hold few."""
    if pd.api.types.infer_dtype(column, skipna=True) not in ("string", "categorical"):
        # 1 and 1.0 are equal, and different words.
        return column.astype(object).where(column.notna(), MISSING).astype(str).to_numpy(dtype=object)
    codes, values = pd.factorize(column, use_na_sentinel=True)
    words = np.array([*(str(value) for value in values), MISSING], dtype=object)
    return words[codes]


def signed_log1p(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """sign(v) log(1 + abs(v)): a logarithm that keeps zero and negative values; any shape."""
    return np.sign(values) * np.log1p(np.abs(values))


def is_skewed(known: NDArray[np.float64]) -> bool:
    """Whether values without missing ones are so skewed (abs(skewness) > 1) that their logarithm reads better."""
    spread = known.std()
    if not spread > 0:
        return False
    z = (known - known.mean()) / spread
    # not z ** 3, which costs twenty times as much
    return abs(float(np.mean(z * z * z))) > 1


def varies(column: pd.Series) -> bool:
    """Whether a column has two values, or one and missing ones."""
    first = column.iloc[:1].to_numpy()
    return bool(len(column)) and not bool(((column == first[0]) | (column.isna() & pd.isna(first[0]))).all())


def spline_columns(
    plain: pd.DataFrame, kinds: Mapping[str, str], n_knots: int
) -> tuple[ColumnTransformer, dict[str, list[str]]]:
    """What a linear model reads: lines, curves, indicators of what is missing, and of each category.

    Args:
        plain: As from `plain_columns`; knots and scales are taken from it.
        kinds: Kind of each column.
        n_knots: Knots per numeric column.

    Returns:
        The unfitted transformer, and the names of its parts per column, so that its output can be traced back; a column
        that never varies has none.
    """
    entries: list[tuple[str, Any, list[str]]] = []
    parts: dict[str, list[str]] = {}
    # where nothing varies, one column for the model to be fitted to
    used = [name for name in kinds if varies(plain[name])] or [*kinds][:1]
    for j, (name, kind) in enumerate(kinds.items()):
        parts[name] = []
        if name not in used:
            continue
        if kind == "category":
            steps: Any = OneHotEncoder(
                handle_unknown="infrequent_if_exist",
                min_frequency=FEWEST_OF_A_CATEGORY,
                max_categories=MOST_CATEGORIES,
                sparse_output=False,
            )
        else:
            steps = _numeric_steps(plain[name].to_numpy(), n_knots)
        entries.append((f"{j}_value", steps, [name]))
        parts[name].append(f"{j}_value")
        if kind != "category" and 0 < plain[name].isna().sum() < len(plain):
            entries.append((f"{j}_missing", MissingIndicator(features="all"), [name]))
            parts[name].append(f"{j}_missing")
    return ColumnTransformer(entries, sparse_threshold=0), parts


def tree_columns(plain: pd.DataFrame, kinds: Mapping[str, str]) -> tuple[ColumnTransformer, list[str]]:
    """What trees read of what varies: categories as codes, unknown ones missing, in front; all else as it is.

    Args:
        plain: As from `plain_columns`.
        kinds: Kind of each column.

    Returns:
        The unfitted transformer, and the columns in the order of its output.
    """
    categories = [name for name, kind in kinds.items() if kind == "category" and varies(plain[name])]
    others = [name for name in kinds if name not in categories and varies(plain[name])]
    encoder = OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=np.nan,
        min_frequency=FEWEST_OF_A_CATEGORY,
        max_categories=MOST_CATEGORIES,
    )
    return ColumnTransformer([("categories", encoder, categories), ("others", "passthrough", others)]), [
        *categories,
        *others,
    ]


def _numeric_steps(values: NDArray[np.float64], n_knots: int) -> Pipeline:
    """Imputation, logarithm where skewed, then a straight line plus, where values are many, a spline's deviations."""
    known = values[~np.isnan(values)]
    steps: list[tuple[str, Any]] = [("impute", SimpleImputer(strategy="median", keep_empty_features=True))]
    expanded: list[tuple[str, Any]] = [("line", StandardScaler())]
    if known.size and known.std() > 0:
        if is_skewed(known):
            steps.append(("log", FunctionTransformer(signed_log1p)))
            known = signed_log1p(known)
        knots = np.unique(np.quantile(known, np.linspace(0, 1, n_knots)))
        if knots.size >= 4:
            # Beyond the range seen in training only the line goes on, and the prior holds the curve tighter than the
            # line: a later cutoff has longer histories than any seen, where curves cost more than they gain (CDNOW,
            # cutoffs before the test window).
            spline = SplineTransformer(degree=3, knots=knots[:, None], extrapolation="constant")
            expanded.append(("curve", Pipeline([("spline", spline), ("weaken", FunctionTransformer(weaken))])))
    return Pipeline([*steps, ("expand", FeatureUnion(expanded))])


def weaken(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smaller columns need larger coefficients, which the prior makes less likely."""
    return 0.3 * values
