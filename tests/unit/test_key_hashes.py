"""Keys that may repeat: rising ones cannot, of others those with one hash are found."""

from __future__ import annotations

from itertools import pairwise

import duckdb
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sources.key_hashes import KeyOrder, repeated_hashes

_KEYS = st.text(alphabet="019Sé", max_size=3)


def _order_of(batches: list[list[str]]) -> KeyOrder:
    order = KeyOrder()
    for batch in batches:
        order.add(pa.chunked_array([pa.array(batch, pa.string())]))
    return order


@given(st.lists(st.lists(_KEYS, max_size=4), max_size=4), st.booleans())
def test_rising_is_what_it_says_over_all_batches(batches: list[list[str]], is_sorted: bool) -> None:
    def place(key: str) -> tuple[int, bytes]:
        return len(key.encode()), key.encode()

    if is_sorted:
        whole = iter(sorted({key for batch in batches for key in batch}, key=place))
        batches = [[key for _, key in zip(batch, whole, strict=False)] for batch in batches]
    keys = [place(key) for batch in batches for key in batch]
    rises = all(one < other for one, other in pairwise(keys))
    assert _order_of(batches).is_rising == rises
    assert rises or not is_sorted


def test_ten_comes_after_nine() -> None:
    assert _order_of([["S8", "S9"], ["S10", "S11"]]).is_rising
    assert not _order_of([["S8", "S9"], ["S9"]]).is_rising


@given(st.lists(_KEYS), st.lists(_KEYS, unique=True))
def test_no_key_that_repeats_is_missed(keys: list[str], known: list[str]) -> None:
    with duckdb.connect() as con:
        con.register("keys", pa.table({"k": pa.array(keys, pa.string())}))
        con.register("known", pa.table({"k": pa.array(known, pa.string())}))
        con.register("found", repeated_hashes(con, "select k from keys", "select k from known"))
        found = con.execute("select distinct k from keys where hash(k) in (select h from found)").fetchall()
    assert {key for (key,) in found} == {key for key in keys if keys.count(key) > 1 or key in known}
