"""A refresh on Spark publishes what one on DuckDB does, row for row, and passes the same checks."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from orchestration.compare import compare
from orchestration.settings import Settings
from tests.conftest import run_pipeline
from tests.spark.worlds import AWKWARD, awkward_shop, checks, refreshed


@pytest.fixture(scope="module")
def homes(spark: Settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The awkward shop, refreshed on DuckDB and on Spark."""
    base = tmp_path_factory.mktemp("targets")
    source = awkward_shop(base / "shop", late=True)
    refreshed(base / "duckdb", source, **AWKWARD)
    refreshed(base / "spark", source, **AWKWARD, target="spark", spark_url=spark.spark_url)
    return base / "duckdb", base / "spark"


def test_every_published_row_is_equal(homes: tuple[Path, Path]) -> None:
    tables = compare(*(home / "pulse.duckdb" for home in homes), ("marts", "ml"))
    assert [table for table in tables if not table.is_equal] == []
    assert sum(table.rows_a or 0 for table in tables) > 1_000


def test_the_same_checks_ran_and_came_out_alike(homes: tuple[Path, Path]) -> None:
    on_duckdb, on_spark = (checks(home) for home in homes)
    assert on_spark == on_duckdb
    assert len(on_spark) > 100


def test_the_published_file_says_where_it_was_built(homes: tuple[Path, Path]) -> None:
    said = []
    for home in homes:
        with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
            ((versions,),) = connection.execute("select versions from meta.refreshes").fetchall()
        said.append(json.loads(versions))
    assert [each["target"] for each in said] == ["duckdb", "spark"]
    assert said[1]["pyspark"] == "4.3.0"


def test_another_home_cannot_build_over_these_tables(homes: tuple[Path, Path], spark: Settings, tmp_path: Path) -> None:
    source = homes[0].parent / "shop"
    refresh = run_pipeline(tmp_path, source=str(source), **AWKWARD, target="spark", spark_url=spark.spark_url)
    assert not refresh.succeeded
    assert "belongs to another home" in refresh.output
    assert "PULSE_SPARK_PREFIX" in refresh.output
