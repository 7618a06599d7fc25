"""What Dagster builds on Spark is what it builds on DuckDB, row for row, and passes the same checks.

A few tables only, for want of minutes; `make spark-compare` compares everything.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from orchestration.compare import compare
from orchestration.dbt import load_manifest
from orchestration.settings import Settings
from tests.conftest import Refresh, run_pipeline
from tests.spark.worlds import AWKWARD, awkward_shop, checks, upstream_of

MODELS = ("daily_sales", "dim_products", "ticket_topics")


@pytest.fixture(scope="module")
def built(spark: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Refresh, Refresh]:
    """The tables and their tests, on DuckDB and on Spark."""
    base = tmp_path_factory.mktemp("targets")
    shop = {**AWKWARD, "source": str(awkward_shop(base / "shop", late=True))}
    assert run_pipeline(base / "first", "raw", **shop).succeeded
    # Homes of their own: the first has a record of checks already.
    for name in ("duckdb", "spark"):
        shutil.copytree(base / "first" / "raw", base / name / "raw")
    keys = upstream_of(load_manifest(Settings(home=base / "first")), MODELS)
    on_duckdb = run_pipeline(base / "duckdb", only=keys, **shop)
    on_spark = run_pipeline(base / "spark", only=keys, **shop, target="spark", spark_url=spark.spark_url)
    return on_duckdb, on_spark


def test_every_row_is_equal(built: tuple[Refresh, Refresh]) -> None:
    on_duckdb, on_spark = built
    assert on_duckdb.succeeded, on_duckdb.output
    assert on_spark.succeeded, on_spark.output
    tables = compare(on_duckdb.home / "warehouse.duckdb", on_spark.home / "warehouse.duckdb")
    assert {table.table for table in tables} >= {f"marts.{model}" for model in MODELS}
    assert [table for table in tables if not table.is_equal] == []
    assert all(table.rows_a for table in tables)


def test_the_same_checks_ran_and_came_out_alike(built: tuple[Refresh, Refresh]) -> None:
    on_duckdb, on_spark = (checks(refresh.home) for refresh in built)
    assert on_spark == on_duckdb
    assert len(on_spark) >= 10


def test_dagster_is_told_the_same_of_a_table(built: tuple[Refresh, Refresh]) -> None:
    on_duckdb, on_spark = (refresh.metadata["marts/daily_sales"] for refresh in built)
    assert on_spark["dagster/row_count"] == on_duckdb["dagster/row_count"]
    assert on_spark["dagster/column_schema"] == on_duckdb["dagster/column_schema"]


def test_another_home_cannot_build_over_these_tables(
    built: tuple[Refresh, Refresh], spark: Settings, tmp_path: Path
) -> None:
    shutil.copytree(built[0].home / "raw", tmp_path / "raw")
    refresh = run_pipeline(tmp_path, only="seeds/kpis", **AWKWARD, target="spark", spark_url=spark.spark_url)
    assert not refresh.succeeded
    assert "belongs to another home" in refresh.output
    assert "PULSE_SPARK_PREFIX" in refresh.output
