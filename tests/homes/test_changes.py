"""A home over several refreshes: a later day, a rebuild, another source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.conftest import run_pipeline


def test_a_later_day_brings_new_rows_and_an_equal_rebuild(tmp_path: Path) -> None:
    settings = {"source": "synthetic", "scale": 60, "seed": 11}
    first = run_pipeline(tmp_path / "grown", as_of="2026-03-01", **settings)
    grown = run_pipeline(tmp_path / "grown", as_of="2026-03-20", **settings)
    assert first.succeeded, first.output
    assert grown.succeeded, grown.output
    rebuilt = run_pipeline(tmp_path / "grown", as_of="2026-03-20", full_refresh=True, **settings)
    assert rebuilt.succeeded, rebuilt.output
    ((sales, batches),) = grown.query("select count(*), count(distinct _batch) from marts.fct_sales")
    assert sales > 0
    # the last refresh rebuilt raw as well, so every row carries its number
    assert batches == 1
    rows = grown.query("select refresh, as_of::varchar, status from meta.refreshes order by 1")
    assert rows == [(1, "2026-03-01", "published"), (2, "2026-03-20", "published"), (3, "2026-03-20", "published")]


def test_another_source_rebuilds_the_home_and_says_so(tmp_path: Path, sales_file: Callable[..., Path]) -> None:
    home = tmp_path / "home"
    first = sales_file("ann,2024-01-05,10", "bob,2024-02-05,20", name="one.csv")
    second = sales_file("zoë,2024-03-05,7.5", name="two.csv")
    assert run_pipeline(home, source=str(first)).succeeded
    unreadable = sales_file("nothing to see", name="three.csv", header="words")
    failed = run_pipeline(home, source=str(unreadable))
    assert not failed.succeeded
    assert run_pipeline(home, source=str(first)).query("select count(*), max(_batch) from marts.fct_sales") == [(2, 1)]
    changed = run_pipeline(home, source=str(second))
    assert changed.succeeded, changed.output
    assert "this home is rebuilt from two.csv" in changed.output
    assert changed.query("select customer_id, net_revenue::double, _batch from marts.fct_sales") == [("zoë", 7.5, 4)]
