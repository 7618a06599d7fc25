"""From arrays of indices, seconds and cents to Arrow tables typed as the contracts say.

The only module that knows how identifiers are spelled and how contract types look in Arrow. What the columns hold
is decided by the modules that make them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.contracts import Contract, Kind
from sources.synthetic.randomness import Flags, Ints
from sources.synthetic.seasons import DAY, NEVER

_TYPES: dict[Kind, pa.DataType] = {
    Kind.ID: pa.string(),
    Kind.TEXT: pa.string(),
    Kind.NUMBER: pa.decimal128(18, 4),
    Kind.INTEGER: pa.int64(),
    Kind.RATE: pa.float64(),
    Kind.FLAG: pa.bool_(),
    Kind.TIMESTAMP: pa.timestamp("us"),
    Kind.DATE: pa.date32(),
}


_DIGITS = 4
_DIGITS_OF_32_BITS = 9
_SPELLED = np.frombuffer("".join(f"{number:04d}" for number in range(10**_DIGITS)).encode("ascii"), dtype=np.uint32)
"""The four digits of every number that has up to four of them, as one machine word each."""


def schema(contract: Contract) -> pa.Schema:
    """The contract's columns in order, with their Arrow types."""
    return pa.schema([(column.name, _TYPES[column.kind]) for column in contract.columns])


def repetitive(contract: Contract) -> list[str]:
    """The columns in which values come back often, for which Parquet should try a dictionary."""
    referring = {"customer_id", "product_id", "campaign_id"} - {contract.key}
    seldom = (Kind.ID, Kind.TIMESTAMP)
    return [column.name for column in contract.columns if column.kind not in seldom or column.name in referring]


def build(contract: Contract, columns: Mapping[str, pa.Array]) -> pa.Table:
    """A table of the contract.

    Args:
        contract: The table's contract.
        columns: One array of n values for every column of the contract.

    Returns:
        Table of n rows, columns in the contract's order and of its types.
    """
    wanted = schema(contract)
    return pa.table([pc.cast(columns[field.name], field.type) for field in wanted], schema=wanted)


def identifiers(prefix: str | tuple[Sequence[str], Ints], *parts: tuple[Ints, int]) -> pa.Array:
    """Identifiers such as ``O0000123-0004``: a prefix, then zero-padded numbers joined by hyphens.

    Args:
        prefix: Text before the first number: one for all, or texts of equal length and (n,) positions in them.
        *parts: (n,) non-negative numbers, each with the width it is padded to.

    Returns:
        (n,) strings.
    """
    texts, which = ((prefix,), None) if isinstance(prefix, str) else (tuple(prefix[0]), prefix[1])
    length = len(texts[0]) + sum(width for _, width in parts) + len(parts) - 1
    count = len(parts[0][0])
    fits = all(not count or int(numbers.max()) < 10**width for numbers, width in parts)
    if not fits or count * length > np.iinfo(np.int32).max:
        return _padded(texts, which, parts)
    # All are equally long, so they are written as one block of characters.
    letters = np.empty((count, length), dtype=np.uint8)
    end = len(texts[0])
    beginnings = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8).reshape(len(texts), end)
    letters[:, :end] = beginnings[0] if which is None else beginnings[which]
    for numbers, width in parts:
        end += width
        # Numbers of half the size are divided in a third of the time.
        rest = numbers.astype(np.uint32) if width <= _DIGITS_OF_32_BITS else numbers
        for right in range(end, end - width, -_DIGITS):
            left = max(right - _DIGITS, end - width)
            rest, group = np.divmod(rest, 10**_DIGITS)
            letters[:, left:right] = _SPELLED[group].view(np.uint8).reshape(count, _DIGITS)[:, left - right :]
        if end < length:
            letters[:, end] = ord("-")
            end += 1
    offsets = np.arange(0, (count + 1) * length, length, dtype=np.int32) if length else np.zeros(count + 1, np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(letters))


def _padded(texts: Sequence[str], which: Ints | None, parts: Sequence[tuple[Ints, int]]) -> pa.Array:
    """Identifiers of any length: a number too large for its width is longer."""
    numbers = [pc.utf8_lpad(pc.cast(pa.array(part), pa.string()), width=width, padding="0") for part, width in parts]
    beginning = pa.scalar(texts[0]) if which is None else chosen(texts, which)
    return joined([beginning, joined(numbers, "-")], "")


def joined(texts: Sequence[pa.Array | pa.Scalar], separator: str) -> pa.Array:
    """Texts joined element by element."""
    return pc.binary_join_element_wise(*texts, separator)


def chosen(values: Sequence[str] | pa.Array, index: Ints, missing: Flags | None = None) -> pa.Array:
    """The values at the indices; null where `missing`.

    Args:
        values: (m,) texts to choose from.
        index: (n,) positions in `values`; anything where `missing`.
        missing: (n,) flags, or None for none.

    Returns:
        (n,) strings.
    """
    pool = values if isinstance(values, pa.Array) else pa.array(list(values), pa.string())
    return pool.take(pa.array(np.where(missing, 0, index) if missing is not None else index, mask=missing))


def only_where(values: pa.Array, condition: Flags) -> pa.Array:
    """The values where the condition holds, null elsewhere."""
    return pc.if_else(pa.array(condition), values, pa.scalar(None, values.type))


def timestamps(seconds: Ints, known_until: Ints | np.int64 | int = NEVER) -> pa.Array:
    """Timestamps of seconds since 1970-01-01; null at or after `known_until`, and for NEVER."""
    hidden = seconds >= np.minimum(known_until, NEVER)
    return pa.array(np.where(hidden, 0, seconds) * 1_000_000, mask=hidden).cast(pa.timestamp("us"))


def dates(days: Ints) -> pa.Array:
    """Dates of day numbers."""
    return pa.array(days.astype(np.int32)).cast(pa.date32())


def dates_of(seconds: Ints, known_until: int) -> pa.Array:
    """Dates of moments; null at or after `known_until`."""
    hidden = seconds >= known_until
    return pa.array((np.where(hidden, 0, seconds) // DAY).astype(np.int32), mask=hidden).cast(pa.date32())


def money(cents: Ints) -> pa.Array:
    """Amounts in the currency's unit, exact to the cent."""
    # A decimal is an integer of 128 bits: the low half, then the sign's.
    halves = np.empty((len(cents), 2), dtype=np.int64)
    halves[:, 0] = cents * 100
    halves[:, 1] = halves[:, 0] >> 63
    return pa.Array.from_buffers(pa.decimal128(18, 4), len(cents), [None, pa.py_buffer(halves)])
