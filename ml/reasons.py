"""Reasons in words: the topics that raise a row's risk most, written for people.

Which feature contributes how much is computed elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

import numpy as np
import pandas as pd

from ml.columns import MISSING

SMALLEST_REASON = 0.05
"""Log-odds: what changes the odds by less than 5 % is no reason."""


@dataclass(frozen=True)
class Reason:
    """How a feature is told as a reason.

    Args:
        text: Format template with ``{value}`` and names of columns.
        topic: Features of one topic make one reason, told by the one that raises the risk most: three ways to say that
            nobody has ordered for long would hide what else is wrong. By default each is a topic of its own.
        is_background: Told only where nothing else is left: what nobody can change, such as a customer's region.
    """

    text: str
    topic: str | None = None
    is_background: bool = False


def reason_text(name: str, row: Mapping[str, Any], kinds: Mapping[str, str], told: str | Reason | None) -> str:
    """One feature's value in words.

    Args:
        name: The feature.
        row: Plain values by column: the feature's, and those its template names.
        kinds: Kind of each column: number, flag or category.
        told: Format template with ``{value}`` and names of columns, alone or as a `Reason`; ``feature = value`` without
            one, or where a value of it is missing.
    """
    template = told.text if isinstance(told, Reason) else told
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
    texts: Mapping[str, str | Reason],
) -> pd.DataFrame:
    """The topics with the largest positive contributions of each row, as text.

    Args:
        contributions: Log-odds, one column per feature.
        plain: The rows' values as from `ml.columns.plain_columns`.
        kinds: Kind of each feature, in the order of `contributions`.
        n_reasons: Number of reason columns.
        texts: Templates or reasons per feature, see `reason_text`.

    Returns:
        Columns reason_1, reason_2, ...; None where fewer topics raise the risk.
    """
    values, names = contributions.to_numpy(), list(kinds)
    told = [entry if isinstance(entry := texts.get(name), Reason) else Reason(entry or "") for name in names]
    topics: dict[str, list[int]] = {}
    for j, reason in enumerate(told):
        topics.setdefault(reason.topic or f"={names[j]}", []).append(j)
    members = list(topics.values())
    sums = np.column_stack([values[:, group].sum(axis=1) for group in members])
    # the feature that tells the topic
    tellers = np.column_stack([np.array(group)[values[:, group].argmax(axis=1)] for group in members])
    is_background = np.array([all(told[j].is_background for j in group) for group in members])
    raises = sums >= SMALLEST_REASON
    order = np.lexsort((-sums, np.broadcast_to(is_background, sums.shape), ~raises), axis=1)[:, :n_reasons]
    columns = {}
    every = np.arange(len(values))
    for rank in range(n_reasons):
        text = np.full(len(values), None, dtype=object)
        if rank < order.shape[1]:
            best = order[:, rank]
            teller = np.where(raises[every, best], tellers[every, best], -1)
            for j, name in enumerate(names):
                rows = np.flatnonzero(teller == j)
                text[rows] = _texts(name, plain.iloc[rows], kinds, texts.get(name))
        columns[f"reason_{rank + 1}"] = pd.array(text, dtype="string")
    return pd.DataFrame(columns, index=contributions.index)


def _texts(name: str, rows: pd.DataFrame, kinds: Mapping[str, str], told: str | Reason | None) -> list[str]:
    """A feature's words for many rows; equal values are put into words once."""
    template = told.text if isinstance(told, Reason) else told
    used = [name, *sorted(_fields(template).intersection(kinds) - {name})]
    written: dict[tuple[Any, ...], str] = {}
    words = []
    for values in zip(*(rows[column].tolist() for column in used), strict=True):
        # nan is not equal to itself, but its text is
        key = tuple(None if value != value else value for value in values)  # noqa: PLR0124
        if key not in written:
            written[key] = reason_text(name, dict(zip(used, values, strict=True)), kinds, told)
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
