"""Reasons in words: the features that raise a row's risk most, written for people.

Which feature contributes how much is computed elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd

from ml.columns import MISSING

SMALLEST_REASON = 0.05
"""Log-odds: what changes the odds by less than 5 % is no reason."""


def reason_text(name: str, row: Mapping[str, Any], kinds: Mapping[str, str], template: str | None) -> str:
    """One feature's value in words.

    Args:
        name: The feature.
        row: Plain values by column: the feature's, and those its template names.
        kinds: Kind of each column: number, flag or category.
        template: Format template with ``{value}`` and names of columns; ``feature = value`` without one, or where a
            value of it is missing.
    """
    value = row[name]
    if template is not None:
        used = _fields(template) - {"value"}
        values = {"value": value} | {other: row.get(other) for other in used}
        if not any(v is None or v == MISSING or (isinstance(v, float) and np.isnan(v)) for v in values.values()):
            return template.format(**values)
    return f"{name.replace('_', ' ')} = {_value_text(value, kinds[name])}"


def top_reasons(
    contributions: pd.DataFrame,
    plain: pd.DataFrame,
    kinds: Mapping[str, str],
    n_reasons: int,
    texts: Mapping[str, str],
) -> pd.DataFrame:
    """The largest positive contributions of each row, as text.

    Args:
        contributions: Log-odds, one column per feature.
        plain: The rows' values as from `ml.columns.plain_columns`.
        kinds: Kind of each feature, in the order of `contributions`.
        n_reasons: Number of reason columns.
        texts: Templates per feature, see `reason_text`.

    Returns:
        Columns reason_1, reason_2, ...; None where fewer features raise the risk.
    """
    values = contributions.to_numpy()
    order = np.argsort(-values, axis=1, kind="stable")[:, :n_reasons]
    names = list(kinds)
    columns = {}
    for rank in range(n_reasons):
        text = np.full(len(values), None, dtype=object)
        best = order[:, rank] if rank < order.shape[1] else np.zeros(len(values), dtype=int)
        raises = values[np.arange(len(values)), best] >= SMALLEST_REASON
        for j, name in enumerate(names if rank < order.shape[1] else []):
            rows = np.flatnonzero(raises & (best == j))
            text[rows] = _texts(name, plain.iloc[rows], kinds, texts.get(name))
        columns[f"reason_{rank + 1}"] = pd.array(text, dtype="string")
    return pd.DataFrame(columns, index=contributions.index)


def _texts(name: str, rows: pd.DataFrame, kinds: Mapping[str, str], template: str | None) -> list[str]:
    """A feature's words for many rows; equal values are put into words once."""
    used = [name, *sorted(_fields(template).intersection(kinds) - {name})]
    written: dict[tuple[Any, ...], str] = {}
    words = []
    for values in zip(*(rows[column].tolist() for column in used), strict=True):
        # nan is not equal to itself, but its text is
        key = tuple(None if value != value else value for value in values)  # noqa: PLR0124
        if key not in written:
            written[key] = reason_text(name, dict(zip(used, values, strict=True)), kinds, template)
        words.append(written[key])
    return words


def _value_text(value: Any, kind: str) -> str:
    if kind == "category":
        return "unknown" if value == MISSING else str(value)
    if np.isnan(value):
        return "unknown"
    if kind == "flag":
        return "yes" if value else "no"
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-9 or abs(value) >= 1000 else f"{value:,.2f}"


def _fields(template: str | None) -> set[str]:
    return {part for _, part, _, _ in Formatter().parse(template or "") if part}
