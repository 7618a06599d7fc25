"""Which keys may occur more than once: none where they rise, else by hashes of eight bytes, which are cheap to sort.

Sorting them costs a quarter of grouping the keys. What becomes of keys that repeat is decided where they are merged.
"""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sources.sql import first_row

_AT_ONCE = 1 << 25
"""Hashes held at a time: 256 MB. More keys are looked at in several passes, each at those of one remainder."""
_BATCH_ROWS = 1 << 20

NO_HASHES = pa.table({"h": pa.array([], pa.uint64())})
"""What `repeated_hashes` finds where no key repeats."""


class KeyOrder:
    """Whether keys rise, shorter ones first (so that S9 comes before S10), as they come batch by batch.

    Attributes:
        is_rising: Each key so far was larger than the one before: none repeats.
    """

    def __init__(self) -> None:
        self.is_rising = True
        self._last: pa.Array | None = None

    def add(self, keys: pa.ChunkedArray) -> None:
        """Look at more keys.

        Args:
            keys: Strings without nulls.
        """
        if not self.is_rising or not len(keys):
            return
        rows = keys.combine_chunks()
        before, after = rows.slice(0, len(rows) - 1), rows.slice(1)
        if self._last is not None:
            before, after = pa.concat_arrays([self._last, before]), rows
        self._last = rows.slice(len(rows) - 1)
        length, next_length = pc.binary_length(before), pc.binary_length(after)
        same = pc.and_(pc.equal(length, next_length), pc.less(before, after))
        self.is_rising = pc.all(pc.or_(pc.less(length, next_length), same)).as_py() is not False


def repeated_hashes(con: duckdb.DuckDBPyConnection, keys: str, known: str | None = None) -> pa.Table:
    """Hashes that several keys have, or a key and a known one.

    Args:
        con: A connection to read with.
        keys: SQL of one column of keys.
        known: SQL of one column of keys that do not repeat among themselves.

    Returns:
        One column ``h`` of hashes, as DuckDB's ``hash``, without repeats. Different keys may share one.
    """
    count = first_row(con, f"select count(*) from ({keys})")[0]
    passes = max(1, -(-count // _AT_ONCE))
    found = []
    for remainder in range(passes):
        own = np.concatenate([np.empty(0, np.uint64), *_hashes(con, keys, passes, remainder)])
        own.sort()
        found.append(np.unique(own[1:][own[1:] == own[:-1]]))
        if known is not None and len(own):
            for hashes in _hashes(con, known, passes, remainder):
                # In order, so that each is looked for near the one before.
                hashes.sort()
                at = np.minimum(np.searchsorted(own, hashes), len(own) - 1)
                found.append(np.unique(hashes[own[at] == hashes]))
    return pa.table({"h": np.unique(np.concatenate(found))})


def _hashes(con: duckdb.DuckDBPyConnection, keys: str, passes: int, remainder: int) -> Iterator[NDArray[np.uint64]]:
    query = f"select hash(k) as h from ({keys}) as t(k)"
    if passes > 1:
        query = f"select h from ({query}) where h % {passes} = {remainder}"
    for batch in con.sql(query).to_arrow_reader(_BATCH_ROWS):
        yield batch.column(0).to_numpy().copy()
