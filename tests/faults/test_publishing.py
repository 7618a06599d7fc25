"""Nothing unaudited is published: failing checks in raw and in a leaf mart, publishing alone, and the way back."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.conftest import ROOT, Refresh, run_pipeline

Published = tuple[int, float]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a published home of a few sales, a copy of it, and its source."""
    folder = tmp_path_factory.mktemp("filled")
    sales = "customer_id,sold_at,amount\nann,2024-01-05,10\nann,2024-02-05,20\nbob,2024-02-06,5\n"
    (folder / "sales.csv").write_text(sales, encoding="utf-8")
    result = run_pipeline(folder / "home", source=str(folder / "sales.csv"))
    assert result.succeeded, result.output
    (folder / "home").rename(folder / "kept")
    return folder


@pytest.fixture
def home(filled: Path) -> Iterator[tuple[Path, str]]:
    """The published home as it was, where it was made, and its source."""
    shutil.copytree(filled / "kept", filled / "home")
    yield filled / "home", str(filled / "sales.csv")
    shutil.rmtree(filled / "home")


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
    assert "alerts was built for refresh 1, raw is at refresh 2." in alone.output


def test_a_refresh_that_failed_in_raw_is_not_published_by_plain_dbt(tmp_path: Path) -> None:
    path = tmp_path / "home"
    (path / "landing").mkdir(parents=True)
    (path / "landing" / "sales.csv").write_text("customer_id,sold_at,amount\nann,2024-01-05,10\n", encoding="utf-8")
    assert run_pipeline(path).succeeded
    before = published(path)
    # new sales are merged before the tickets turn out to be unreadable
    (path / "landing" / "more.csv").write_text("customer_id,sold_at,amount\nbob,2024-01-06,1000\n", encoding="utf-8")
    tickets = path / "landing" / "helpdesk" / "tickets" / "bad.csv"
    tickets.parent.mkdir(parents=True)
    tickets.write_text("ticket_id,customer_id,opened_at\n" + "t,ann,not a date\n" * 10, encoding="utf-8")
    refused(run_pipeline(path), before)
    dbt = subprocess.run(
        [
            str(Path(sys.executable).with_name("dbt")),
            "build",
            "--exclude-resource-type",
            "unit_test",
            "--target-path",
            str(tmp_path / "target"),
            "--log-path",
            str(tmp_path / "log"),
        ],
        cwd=ROOT / "dbt_project",
        env={**os.environ, "PULSE_DATA_DIR": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert dbt.returncode == 0, dbt.stdout
    alone = run_pipeline(path, job="publish")
    refused(alone, before)
    assert "refresh 2 began to read the source and did not complete" in alone.output
    # the file stays set aside, and the next refresh counts everything once
    after = run_pipeline(path)
    assert after.succeeded, after.output
    assert published(path) == (3, 1010.0)


@pytest.mark.parametrize(
    ("key", "told"), [("ml/customer_clusters", "ml.customer_clusters"), ("marts/fct_sales", "fct_sales")]
)
def test_one_table_rebuilt_alone_is_not_published_beside_older_readers(
    home: tuple[Path, str], key: str, told: str
) -> None:
    path, source = home
    before = published(path)
    assert run_pipeline(path, source=source, only=key).succeeded
    alone = run_pipeline(path, job="publish", source=source)
    refused(alone, before)
    assert f"was last built before {told}" in alone.output


def test_a_part_of_a_new_home_is_built_without_what_was_never_built(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "landing").mkdir(parents=True)
    (home / "landing" / "sales.csv").write_text("customer_id,sold_at,amount\nann,2024-01-05,10\n", encoding="utf-8")
    assert run_pipeline(home, job="raw").succeeded
    alone = run_pipeline(home, only="marts/dim_products")
    assert not alone.succeeded
    assert "never built in this home" in alone.output
    assert '+key:"marts/dim_products"' in alone.output
    upstream = [
        "staging/stg_shop__sales", "staging/stg_shop__products", "staging/stg_usage__activities",
        "staging/stg_helpdesk__tickets", "staging/stg_web__events", "staging/stg_pulse__clock",
        "intermediate/int_sales__unioned", "intermediate/int_products__collected",
    ]  # fmt: skip
    with_upstream = run_pipeline(home, only=[*upstream, "marts/dim_products"])
    assert with_upstream.succeeded, with_upstream.output
    assert "✓ marts/dim_products" in with_upstream.output
    assert "also read tables that were never built here" in with_upstream.output


def test_a_mart_that_the_project_no_longer_has_is_not_published(home: tuple[Path, str]) -> None:
    path, source = home
    with duckdb.connect(str(path / "warehouse.duckdb")) as connection:
        connection.execute("create table marts.renamed_long_ago as select 'ann' as customer_id")
    result = run_pipeline(path, job="publish", source=source)
    assert result.succeeded, result.output
    assert "marts.renamed_long_ago belongs to no model of the project and is dropped." in result.output
    assert result.query("select count(*) from information_schema.tables where table_name = 'renamed_long_ago'") == [
        (0,)
    ]


def test_publishing_an_empty_home_is_refused(tmp_path: Path) -> None:
    result = run_pipeline(tmp_path / "home", job="publish")
    assert not result.succeeded
    assert "There is nothing to publish yet: run `pulse run`." in result.output
