"""What passes between Spark's files and the warehouse; the files are written here, Spark itself is not needed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from orchestration.gate import Build, Required, objections
from orchestration.resources import META_TABLES, build_resources
from orchestration.settings import Settings
from orchestration.spark.tables import (
    READ_FROM_WORK,
    SUCCESS,
    SparkTable,
    hand_over,
    remove_unfinished,
    tables_of,
    take_over,
)
from tests.conftest import ROOT

ORDERS = SparkTable("orders", "marts", {"revenue": "decimal(18,4)"})
STAGED = SparkTable("stg_orders", "staging", {})
TARGETS = SparkTable("sla_targets", "seeds", {})
LINES = SparkTable("lines", "marts", {})
TABLES = {table.name: table for table in (ORDERS, STAGED, TARGETS, LINES)}


@pytest.fixture
def spark(tmp_path: Path) -> Path:
    return tmp_path / "spark"


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(META_TABLES)
        connection.execute(f"attach '{tmp_path / 'work.duckdb'}' as work")
        yield connection


def written(folder: Path, query: str, part: str = "part-0") -> Path:
    """A file as Spark writes it, with the checksum beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{part}.parquet"
    duckdb.sql(query).write_parquet(str(file))
    (folder / f".{file.name}.crc").touch()
    (folder / "_SUCCESS").touch()
    return file


def build(spark: Path, invocation: str, minute: int, *, day: str = "2024-01-01", **resources: str) -> Path:
    """What dbt's hooks note of an invocation that finished."""
    rows = ", ".join(
        f"('{invocation}', '{name}', '{status}', 1, timestamp '{day} 00:{minute:02}:00')"
        for name, status in {**resources, "dbt": "finished"}.items()
    )
    query = f"from (values {rows}) as t(invocation_id, resource, status, refresh, recorded_at)"
    return written(spark / "meta" / "builds", query, f"part-{invocation}")


def test_what_was_built_is_taken_over_once_with_its_record(spark: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    written(ORDERS.folder(spark), "select 1::bigint as id, 2.5::double as revenue")
    written(STAGED.folder(spark), "select 1 as id")
    written(TARGETS.folder(spark), "select 'urgent' as priority")
    note = build(spark, "a", 1, orders="success", stg_orders="success", sla_targets="success")
    assert take_over(warehouse, spark, TABLES) == ["marts.orders", "seeds.sla_targets"]
    assert warehouse.sql("select id, revenue, typeof(revenue) from marts.orders").fetchall() == [
        (1, 2.5, "DECIMAL(18,4)")
    ]
    assert warehouse.sql("from work.seeds.sla_targets").fetchall() == [("urgent",)]
    assert warehouse.sql("select resource from meta.builds order by 1").fetchall() == [
        ("dbt",),
        ("orders",),
        ("sla_targets",),
        ("stg_orders",),
    ]
    assert not note.exists()
    assert not list(note.parent.glob(".*.crc"))
    # nothing new: the table is left as it is, whatever lies in the folder
    written(ORDERS.folder(spark), "select 9::bigint as id, 9 as revenue")
    assert take_over(warehouse, spark, TABLES) == []
    assert warehouse.sql("select id from marts.orders").fetchall() == [(1,)]


def test_a_table_that_failed_last_is_not_taken_but_its_failure_is(
    spark: Path, warehouse: duckdb.DuckDBPyConnection
) -> None:
    written(ORDERS.folder(spark), "select 1 as id, 1 as revenue")
    build(spark, "a", 1, orders="success")
    build(spark, "b", 2, orders="error")
    assert take_over(warehouse, spark, TABLES) == []
    assert warehouse.sql(
        "select status from meta.builds where resource = 'orders' order by recorded_at"
    ).fetchall() == [
        ("success",),
        ("error",),
    ]


def test_check_results_come_along(spark: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    build(spark, "a", 1)
    written(
        spark / "meta" / "check_results",
        "select 'unique' as check_name, 'orders' as asset, 'error' as severity, 'fail' as status,"
        " 2::bigint as failures, null::varchar as message, 1::bigint as refresh, timestamp '2024-01-01' as recorded_at",
    )
    take_over(warehouse, spark, TABLES)
    assert warehouse.sql("select check_name, status, failures from meta.check_results").fetchall() == [
        ("unique", "fail", 2)
    ]


def test_a_take_over_that_was_killed_is_done_again_in_full(spark: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    """The tables' files are there, one cannot be read: nothing is taken, and nothing of the record is lost."""
    written(ORDERS.folder(spark), "select 1 as id, 1 as revenue")
    build(spark, "a", 1, orders="success")
    broken = ORDERS.folder(spark) / "part-1.parquet"
    broken.write_bytes(b"half a file")
    with pytest.raises(duckdb.Error):
        take_over(warehouse, spark, TABLES)
    warehouse.execute("rollback")
    assert warehouse.sql("from meta.builds").fetchall() == []
    broken.unlink()
    assert take_over(warehouse, spark, TABLES) == ["marts.orders"]
    # and where only the removal of the record's files was missing, it is not there twice
    build(spark, "a", 1, orders="success")
    take_over(warehouse, spark, TABLES)
    assert warehouse.sql("select count(*) from meta.builds").fetchall() == [(2,)]


@pytest.mark.parametrize("is_gone", [False, True])
def test_a_table_that_is_not_whole_any_more_is_not_taken_and_stops_publishing(
    spark: Path, warehouse: duckdb.DuckDBPyConnection, *, is_gone: bool
) -> None:
    """Built twice by plain dbt, which was killed the second time while it put the files of two tables in place."""
    written(ORDERS.folder(spark), "select 1 as id, 1 as revenue")
    written(LINES.folder(spark), "select 1 as id")
    written(TARGETS.folder(spark), "select 'urgent' as priority")
    build(spark, "a", 1, orders="success", lines="success", sla_targets="success", stg_orders="success")
    take_over(warehouse, spark, TABLES)
    build(spark, "b", 2, orders="success", lines="success", sla_targets="success", stg_orders="success")
    written(LINES.folder(spark), "select 2 as id")
    for half in (ORDERS, TARGETS):
        shutil.rmtree(half.folder(spark))
        if not is_gone:
            written(half.folder(spark), "select 2 as id, 2 as revenue, 'low' as priority")
            (half.folder(spark) / SUCCESS).unlink()
    assert take_over(warehouse, spark, TABLES) == ["marts.lines"]
    assert warehouse.sql("select id from marts.orders").fetchall() == [(1,)]
    assert warehouse.sql("from work.seeds.sla_targets").fetchall() == [("urgent",)]
    assert warehouse.sql("select id from marts.lines").fetchall() == [(2,)]
    required = Required(frozenset({"orders", "lines"}), {"lines": ("sla_targets",)}, {})
    assert refused(warehouse, required) == [
        "orders was not built: its last build ended as unfinished.",
        "lines was last built before sla_targets, which it reads.",
    ]
    # Nothing is left to take over, and so the next time it is refused as well; until it was built anew.
    assert take_over(warehouse, spark, TABLES) == []
    assert len(refused(warehouse, required)) == 2
    written(ORDERS.folder(spark), "select 3 as id, 3 as revenue")
    written(TARGETS.folder(spark), "select 'low' as priority")
    build(spark, "c", 3, day="2124-01-01", orders="success", lines="success", sla_targets="success")
    assert take_over(warehouse, spark, TABLES) == ["marts.lines", "marts.orders", "seeds.sla_targets"]
    assert refused(warehouse, required) == []


def refused(warehouse: duckdb.DuckDBPyConnection, required: Required) -> list[str]:
    """Why the gate would publish nothing of refresh 1."""
    builds = [Build(*row) for row in warehouse.sql("from meta.builds").fetchall()]
    return objections(required, builds, [], 1, 1)


def test_tables_of_duckdb_are_replaced_and_not_carried_on(spark: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("create schema marts; create view marts.orders as select 0 as id, 0 as revenue")
    warehouse.execute("create table meta.incremental_state as select 'orders' as model, 1 as refresh")
    written(ORDERS.folder(spark), "select 1 as id, 1 as revenue")
    build(spark, "a", 1, orders="success")
    take_over(warehouse, spark, TABLES)
    assert warehouse.sql("select id from marts.orders").fetchall() == [(1,)]
    assert warehouse.sql("from meta.incremental_state").fetchall() == []


def test_a_table_is_handed_over_in_one_step(spark: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("create schema ml; create table ml.scores as select 1 as id, timestamp '2024-01-01' as at")
    file = hand_over(warehouse, "ml.scores", spark)
    assert file == spark / "ml" / "scores" / "scores.parquet"
    warehouse.execute("update ml.scores set id = 2")
    hand_over(warehouse, "ml.scores", spark)
    assert [path.name for path in file.parent.iterdir()] == ["scores.parquet"]
    assert duckdb.sql(f"select id from read_parquet('{file}')").fetchall() == [(2,)]


def test_a_table_without_rows_and_files_is_empty_and_typed(spark: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    ORDERS.folder(spark).mkdir(parents=True)
    (ORDERS.folder(spark) / "_SUCCESS").touch()
    build(spark, "a", 1, orders="success")
    take_over(warehouse, spark, TABLES)
    assert warehouse.sql("from marts.orders").types == ["DECIMAL(18,4)"]
    assert warehouse.sql("from marts.orders").fetchall() == []


def test_what_was_half_written_is_removed_and_nothing_else(spark: Path) -> None:
    written(ORDERS.folder(spark), "select 1 as id")
    written(STAGED.folder(spark), "select 1 as id")
    (STAGED.folder(spark) / "_SUCCESS").unlink()
    file = written(spark / "meta" / "builds", "select 1 as id")
    (file.parent / "_SUCCESS").unlink()
    remove_unfinished(spark, TABLES)
    assert ORDERS.is_whole(spark)
    assert not STAGED.folder(spark).exists()
    assert file.exists()


@pytest.mark.parametrize("target", ["duckdb", "spark"])
def test_a_home_that_begins_anew_keeps_no_names_in_the_files_of_spark(tmp_path: Path, target: str) -> None:
    settings = Settings(home=tmp_path, target=target)
    written(ORDERS.folder(settings.spark), "select 'Jane' as name")
    build_resources(settings)["warehouse"].reset()
    assert not settings.spark.exists()


def test_the_manifest_names_the_tables() -> None:
    manifest = {
        "nodes": {
            "1": {
                "resource_type": "model",
                "name": "orders",
                "config": {"schema": "marts"},
                "columns": {"id": {"data_type": "bigint"}, "note": {"data_type": None}},
            },
            "2": {"resource_type": "test", "name": "unique", "config": {}, "columns": {}},
        }
    }
    (table,) = tables_of(manifest).values()
    assert (table.key, table.columns) == ("marts.orders", {"id": "bigint"})


def test_what_python_reads_of_work_is_taken_over() -> None:
    import re

    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "orchestration").rglob("*.py"))
    assert set(re.findall(r"\bwork\.((?:staging|intermediate|seeds)\.\w+)", source)) == READ_FROM_WORK
