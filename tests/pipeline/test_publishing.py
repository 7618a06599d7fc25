"""Nothing unaudited is published: failing checks in raw and in a leaf mart, publishing alone, and the way back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.conftest import ROOT, Refresh, run_pipeline

Published = tuple[int, float]


@pytest.fixture
def home(tmp_path: Path, sales_file: Callable[..., Path]) -> tuple[Path, str]:
    """A published home of a few sales, and its source."""
    source = str(sales_file("ann,2024-01-05,10", "ann,2024-02-05,20", "bob,2024-02-06,5"))
    result = run_pipeline(tmp_path / "home", source=source)
    assert result.succeeded, result.output
    return tmp_path / "home", source


def published(home: Path) -> Published:
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        row = connection.execute(
            "select (select max(refresh) from meta.refreshes where status = 'published'), "
            "(select sum(net_revenue)::double from marts.fct_sales)"
        ).fetchone()
    assert row
    return row


def refused(result: Refresh, before: Published) -> None:
    assert not result.succeeded
    assert "nothing was published" in result.output
    assert published(result.home) == before


def test_a_failing_check_in_raw_blocks_until_it_is_mended(home: tuple[Path, str]) -> None:
    path, source = home
    before = published(path)
    doubled = path / "raw" / "shop" / "sales" / "doubled.parquet"
    shutil.copy(path / "raw" / "shop" / "sales" / "2024-01.parquet", doubled)

    result = run_pipeline(path, source=source)
    refused(result, before)
    assert "check source_primary_key_shop_sales_sale_id on shop.sales failed: 1 row" in result.output
    assert "row_count=2" in result.output

    alone = run_pipeline(path, job="publish", source=source)
    refused(alone, before)
    assert "check source_primary_key_shop_sales_sale_id on shop.sales did not pass (1 row): fail." in alone.output

    doubled.unlink()
    mended = run_pipeline(path, source=source)
    assert mended.succeeded, mended.output
    assert published(path) == (3, before[1])
    statuses = mended.query("select refresh, status from meta.refreshes order by 1")
    assert statuses == [(1, "published"), (2, "failed"), (3, "published")]


def test_a_failing_check_on_a_mart_that_nothing_reads_blocks(home: tuple[Path, str], tmp_path: Path) -> None:
    path, source = home
    before = published(path)
    project = tmp_path / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "tests").mkdir(exist_ok=True)
    (project / "tests" / "no_category_earns_anything.sql").write_text(
        "select category, revenue from {{ ref('category_performance') }} where revenue > 0", encoding="utf-8"
    )
    result = run_pipeline(path, source=source, dbt_project=project)
    refused(result, before)
    assert "check no_category_earns_anything" in result.output
    assert "failed: 1 row" in result.output
    assert "category=Uncategorised, revenue=35.0" in result.output

    alone = run_pipeline(path, job="publish", source=source, dbt_project=project)
    refused(alone, before)
    assert "no_category_earns_anything" in alone.output

    mended = run_pipeline(path, source=source)
    assert mended.succeeded, mended.output
    assert published(path) == (3, before[1])


def test_publishing_alone_is_refused_while_later_stages_are_of_an_older_refresh(home: tuple[Path, str]) -> None:
    path, source = home
    before = published(path)
    assert run_pipeline(path, job="raw", source=source).succeeded
    alone = run_pipeline(path, job="publish", source=source)
    refused(alone, before)
    assert "customer_360 was built for refresh 1, raw is at refresh 2." in alone.output


def test_publishing_an_empty_home_is_refused(tmp_path: Path) -> None:
    result = run_pipeline(tmp_path / "home", job="publish")
    assert not result.succeeded
    assert "There is nothing to publish yet: run `pulse run`." in result.output
