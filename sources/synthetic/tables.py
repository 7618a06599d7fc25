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


def schema(contract: Contract) -> pa.Schema:
    """The contract's columns in order, with their Arrow types."""
    return pa.schema([(column.name, _TYPES[column.kind]) for column in contract.columns])


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


def identifiers(prefix: str, *parts: tuple[Ints, int]) -> pa.Array:
    """Identifiers such as ``O0000123-0004``: a prefix, then zero-padded numbers joined by hyphens.

    Args:
        prefix: Text before the first number.
        *parts: (n,) non-negative numbers, each with the width it is padded to.

    Returns:
        (n,) strings.
    """
    texts = [
        pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), width=width, padding="0") for numbers, width in parts
    ]
    return joined(texts, "-") if not prefix else joined([pa.scalar(prefix), joined(texts, "-")], "")


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
    return pa.array(cents / 100.0).cast(pa.decimal128(18, 4))
