"""What is lost on the way: a worker during a build, the server and its catalog between two, a table half written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb
import pytest

from orchestration.compare import TableDifference, compare
from orchestration.dbt import load_manifest
from orchestration.resources import build_resources
from orchestration.settings import Settings
from orchestration.spark import servers
from orchestration.spark.client import open_session
from tests.conftest import ROOT, run_pipeline
from tests.spark.worlds import AWKWARD, awkward_shop

COMPARED = ("fct_sales", "daily_sales", "dim_products")
SELECTED = (
    *("--select", *(f"+{name}" for name in COMPARED)),
    *("--exclude-resource-type", "unit_test", "test"),
)
CREATED = " OK created "


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with raw data, and the compared tables built on DuckDB."""
    base = tmp_path_factory.mktemp("loss")
    home = base / "duckdb"
    refresh = run_pipeline(home, "raw", source=str(awkward_shop(base / "shop", late=True)), **AWKWARD)
    assert refresh.succeeded, refresh.output
    assert dbt(home, {}) == 0
    return home


@pytest.fixture
def home(expected: Path, tmp_path: Path) -> Path:
    """The same raw data, and nothing built."""
    shutil.copytree(expected / "raw", tmp_path / "home" / "raw")
    return tmp_path / "home"


def dbt(
    home: Path,
    variables: Mapping[str, str],
    on_line: Callable[[str], bool | None] | None = None,
    selected: Sequence[str] = SELECTED,
) -> int:
    """A plain `dbt build`, by default of the compared tables; its exit code. It is killed when `on_line` says so."""
    own = {"PULSE_DATA_DIR": str(home), "PULSE_THREADS": "2", "PYTHONWARNINGS": "ignore", **variables}
    folder = home.parent / f"dbt-{home.name}"
    command = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "build", *selected]
    command += ["--target-path", str(folder), "--log-path", str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT / "dbt_project", env={**os.environ, **own}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            if on_line is not None and on_line(line):
                process.kill()
    return process.returncode


def on_spark(home: Path, spark: Settings) -> Settings:
    return Settings(home=home, target="spark", spark_url=spark.spark_url, spark_prefix=f"{home.parent.name}_")


def variables(settings: Settings) -> dict[str, str]:
    names = ("PULSE_TARGET", "PULSE_SPARK_URL", "PULSE_SPARK_PREFIX")
    return {name: value for name, value in settings.environment().items() if name in names}


def differences(expected: Path, settings: Settings) -> list[TableDifference]:
    """What differs after the warehouse has taken over what Spark built."""
    taken = build_resources(settings)["warehouse"].catch_up(load_manifest(settings))
    assert set(taken) >= {f"marts.{name}" for name in COMPARED}
    tables = compare(expected / "warehouse.duckdb", settings.warehouse)
    assert {table.table for table in tables} >= {f"marts.{name}" for name in COMPARED}
    return [table for table in tables if not table.is_equal]


def test_a_worker_that_is_killed_costs_nothing_but_time(cluster: Settings, expected: Path, home: Path) -> None:
    settings = on_spark(home, cluster)
    created: list[str] = []

    def strike(line: str) -> None:
        if CREATED in line:
            created.append(line)
            if len(created) == 5:
                running = servers.running(cluster)
                assert running is not None
                # The worker and its executor, in the middle of whatever they do.
                os.killpg(running.named("worker-1").pid, signal.SIGKILL)

    code = dbt(home, variables(settings), strike)
    assert len(created) >= 5, "it ended before a worker could be killed"
    if code != 0:
        assert dbt(home, variables(settings)) == 0
    assert differences(expected, settings) == []


def test_a_server_that_was_lost_finds_its_tables_again(spark: Settings, expected: Path, home: Path) -> None:
    """Killed together with dbt, started anew with an empty catalog: the next build repairs what was half done."""
    settings = on_spark(home, spark)

    def strike(line: str) -> bool:
        if not (CREATED in line and "fct_sales" in line):
            return False
        running = servers.running(spark)
        assert running is not None
        os.killpg(running.named("connect").pid, signal.SIGKILL)
        # It would ask a server that is gone for ten minutes.
        return True

    assert dbt(home, variables(settings), strike) != 0
    servers.up(spark, print)
    # As if it had been killed while it put the files of a table in place.
    half = settings.spark / "marts" / "dim_products"
    half.mkdir(parents=True, exist_ok=True)
    shutil.copy(next((settings.spark / "marts" / "fct_sales").glob("*.parquet")), half / "part-0.parquet")
    (half / "_SUCCESS").unlink(missing_ok=True)
    assert dbt(home, variables(settings)) == 0
    assert differences(expected, settings) == []
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        (started, finished) = connection.execute(
            "select count(*) filter (where status = 'started'), count(*) filter (where status = 'finished')"
            " from meta.builds where resource = 'dbt'"
        ).fetchall()[0]
    # The gate sees that one never finished.
    assert (started, finished) == (2, 1)


def test_plain_dbt_reads_no_table_of_which_only_a_part_is_there(spark: Settings, home: Path) -> None:
    settings = on_spark(home, spark)
    kinds = ("--exclude-resource-type", "unit_test", "test")
    read = settings.spark / "intermediate" / "int_products__collected"
    built = settings.spark / "marts" / "dim_products" / "_SUCCESS"
    assert dbt(home, variables(settings), selected=("--select", "+dim_products", *kinds)) == 0
    assert (read / "_SUCCESS").exists()
    # As a server started anew finds it that was killed before.
    session = open_session(settings)
    session.sql(f"drop table {settings.spark_prefix}intermediate.{read.name}")
    session.stop()
    (read / "_SUCCESS").rename(read / "_put_aside")
    before = built.stat().st_mtime_ns
    said: list[str] = []
    assert dbt(home, variables(settings), said.append, ("--select", "dim_products", *kinds)) != 0
    assert "TABLE_OR_VIEW_NOT_FOUND" in "".join(said)
    assert built.stat().st_mtime_ns == before
    # It was whole after all: found by its files, and read.
    (read / "_put_aside").rename(read / "_SUCCESS")
    assert dbt(home, variables(settings), selected=("--select", "dim_products", *kinds)) == 0
    assert built.stat().st_mtime_ns > before
