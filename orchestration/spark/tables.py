"""What passes between Spark's tables, which are Parquet files in the home, and the warehouse.

The warehouse stays what Python reads and what is published: after dbt has built on Spark, the tables that were built
are taken over from their files, with what dbt noted of builds and checks; what Python writes is handed to Spark as a
file.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from orchestration.published import quoted
from orchestration.resources import now

READ_FROM_WORK = frozenset({"intermediate.int_pairs__counted", "seeds.offer_options", "seeds.sla_targets"})
"""Relations of `work` that Python reads; the others stay on Spark."""

SUCCESS = "_SUCCESS"
"""What Spark writes beside the files of a model or seed when all of them are there, and removes before it overwrites
them; there is none beside what Python writes, which is one file, put in place in one step."""
UNFINISHED = "unfinished"
"""How a build ended, as `meta.builds` says it, whose table is not whole any more."""

_NOTED = ("builds", "check_results")


@dataclass(frozen=True, eq=False)
class SparkTable:
    """A model or seed that dbt builds on Spark.

    Args:
        name: As `meta.builds` names it.
        schema: Its schema without the prefix.
        columns: Declared types by column; may name fewer than there are.
    """

    name: str
    schema: str
    columns: Mapping[str, str]

    @property
    def key(self) -> str:
        """Schema and name."""
        return f"{self.schema}.{self.name}"

    def folder(self, spark: Path) -> Path:
        """Where its files lie."""
        return spark / self.schema / self.name

    def is_whole(self, spark: Path) -> bool:
        """Whether it was written to its end."""
        return (self.folder(spark) / SUCCESS).exists()

    def query(self, spark: Path) -> str:
        """Its rows as DuckDB reads them, typed as declared."""
        if self.columns and self.is_whole(spark) and not _files(self.folder(spark)):
            # No rows, and so no file, wherever an engine sees it like that.
            nothing = ", ".join(f'cast(null as {kind}) as "{name}"' for name, kind in self.columns.items())
            return f"select {nothing} limit 0"
        parsed = f"read_parquet({quoted(self.folder(spark) / '*.parquet')})"
        if not self.columns:
            return f"select * from {parsed}"
        casts = ", ".join(f'cast("{name}" as {kind}) as "{name}"' for name, kind in self.columns.items())
        return f"select * replace ({casts}) from {parsed}"


def tables_of(manifest: Mapping[str, Any]) -> dict[str, SparkTable]:
    """The models and seeds of a project by name.

    Args:
        manifest: dbt's manifest as a dictionary.
    """
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed")]
    return {
        node["name"]: SparkTable(
            node["name"],
            node["config"]["schema"],
            {name: column["data_type"] for name, column in node["columns"].items() if column.get("data_type")},
        )
        for node in nodes
    }


def take_over(connection: duckdb.DuckDBPyConnection, spark: Path, tables: Mapping[str, SparkTable]) -> list[str]:
    """Take what dbt has built on Spark since the last time into the warehouse.

    What dbt noted is taken with the tables in one transaction and then removed from Spark's side: killed at any place,
    the next time takes all of it again. A table that was built, and of which only a part is there since, stays as it is
    in the warehouse and is noted as unfinished: the gate lets nothing pass until it was built anew.

    Args:
        connection: To the warehouse, with `work` attached for writing and the meta tables there.
        spark: The folder of Spark's tables.
        tables: Every table that dbt builds, by name.

    Returns:
        What was taken, by schema and name.
    """
    noted = {name: _files(spark / "meta" / name) for name in _NOTED}
    if not noted["builds"]:
        return []
    built = _built(connection, noted["builds"])
    wanted = [
        table
        for name, table in sorted(tables.items())
        if name in built and (table.schema == "marts" or table.key in READ_FROM_WORK)
    ]
    taken = [table for table in wanted if table.is_whole(spark)]
    for table in taken:
        if table.key in READ_FROM_WORK:
            _replace(connection, f"work.{table.schema}", table, spark)
    connection.execute("begin")
    for table in taken:
        if table.schema == "marts":
            _replace(connection, table.schema, table, spark)
    _forget_what_was_carried_on(connection)
    for name, files in noted.items():
        if files:
            # Except what is there: this may be the second time.
            connection.execute(
                f"""
                insert into meta.{name} by name
                select * from read_parquet({_listed(files)}, union_by_name = true)
                except select * from meta.{name}
                """
            )
    _note_unfinished(connection, [table.name for table in wanted if table not in taken], noted["builds"])
    connection.execute("commit")
    for file in (file for files in noted.values() for file in files):
        file.unlink(missing_ok=True)
        file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
    return [table.key for table in taken]


def hand_over(connection: duckdb.DuckDBPyConnection, table: str, spark: Path) -> Path:
    """Write a table of the warehouse where Spark reads it, in one step.

    Args:
        connection: To the warehouse.
        table: Schema and name.
        spark: The folder of Spark's tables.

    Returns:
        The file.
    """
    schema, _, name = table.partition(".")
    folder = spark / schema / name
    folder.mkdir(parents=True, exist_ok=True)
    # Spark overlooks what begins with a dot.
    unfinished, file = folder / f".{name}.new", folder / f"{name}.parquet"
    connection.execute(f"copy {table} to {quoted(unfinished)} (format parquet)")
    unfinished.replace(file)
    return file


def remove_unfinished(spark: Path, tables: Mapping[str, SparkTable]) -> None:
    """Remove the files of tables that were not written to their end: a catalog made anew would take them for whole.

    Args:
        spark: The folder of Spark's tables.
        tables: Every table that dbt builds, by name.
    """
    for table in tables.values():
        if table.folder(spark).exists() and not table.is_whole(spark):
            shutil.rmtree(table.folder(spark))


def _built(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> frozenset[str]:
    """What was built according to these files, and not lost since: its last build succeeded."""
    rows = connection.execute(
        f"""
        select resource
        from read_parquet({_listed(files)}, union_by_name = true)
        where resource <> 'dbt'
        group by resource
        having max_by(status, recorded_at) = 'success'
        """
    ).fetchall()
    return frozenset(resource for (resource,) in rows)


def _note_unfinished(connection: duckdb.DuckDBPyConnection, names: Sequence[str], files: Sequence[Path]) -> None:
    """Note of tables that these files say were built that they are not whole any more."""
    connection.execute(
        f"""
        insert into meta.builds
        select max_by(invocation_id, recorded_at), resource, ?, max_by(refresh, recorded_at), ?
        from read_parquet({_listed(files)}, union_by_name = true)
        where list_contains(?, resource)
        group by resource
        """,
        [UNFINISHED, now(), list(names)],
    )


def _replace(connection: duckdb.DuckDBPyConnection, schema: str, table: SparkTable, spark: Path) -> None:
    connection.execute(f"create schema if not exists {schema}")
    relation = f'{schema}."{table.name}"'
    database, name = schema.split(".") if "." in schema else ("warehouse", schema)
    kinds = connection.execute(
        "select table_type from information_schema.tables"
        " where table_catalog = ? and table_schema = ? and table_name = ?",
        [database, name, table.name],
    ).fetchall()
    if kinds == [("VIEW",)]:
        connection.execute(f"drop view {relation}")
    connection.execute(f"create or replace table {relation} as {table.query(spark)}")


def _forget_what_was_carried_on(connection: duckdb.DuckDBPyConnection) -> None:
    """On DuckDB models go on from where they stood, which is no longer where the tables stand: they begin anew."""
    kept = connection.execute(
        "select 1 from duckdb_tables() where database_name = 'warehouse' and table_name = 'incremental_state'"
    ).fetchall()
    if kept:
        connection.execute("delete from meta.incremental_state")


def _files(folder: Path) -> list[Path]:
    """The finished files of a table."""
    return sorted(file for file in folder.glob("*.parquet") if not file.name.startswith((".", "_")))


def _listed(files: Sequence[Path]) -> str:
    return "[" + ", ".join(quoted(file) for file in files) + "]"
