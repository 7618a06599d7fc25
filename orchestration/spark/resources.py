"""The warehouse and dbt where the tables are built on Spark: as on DuckDB, and what passes between the two.

How that is done is the business of `orchestration.spark.tables`; which servers there are, of others.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

from orchestration.dbt import Dbt
from orchestration.published import quoted
from orchestration.resources import META_TABLES, Warehouse
from orchestration.settings import Settings
from orchestration.spark.client import open_session, require_server
from orchestration.spark.session import SparkUnavailableError
from orchestration.spark.tables import SUCCESS, hand_over, remove_unfinished, tables_of, take_over


class SparkWarehouse(Warehouse):
    """The warehouse file, which takes over what Spark has built and hands to it what Python writes."""

    spark: str
    """The folder of Spark's tables."""

    def replace(self, table: str, columns: Sequence[tuple[str, str]], frame: pd.DataFrame, refresh: int) -> int:
        """Replace a whole table here, then where Spark reads it."""
        rows = super().replace(table, columns, frame, refresh)
        with self.connect() as connection:
            hand_over(connection, table, Path(self.spark))
        return rows

    def catch_up(self, manifest: Mapping[str, Any]) -> list[str]:
        """Take over what dbt has built on Spark since the last time."""
        with self.get_connection() as connection:
            connection.execute(META_TABLES)
            connection.execute(f"attach {quoted(self.work)} as work")
            return take_over(connection, Path(self.spark), tables_of(manifest))

    def hand_over_all(self) -> None:
        """Write every table of Python's where Spark reads it: what was written on DuckDB, or just before a kill."""
        with self.connect() as connection:
            written = connection.execute(
                "select table_name from duckdb_tables() where database_name = 'warehouse' and schema_name = 'ml'"
            ).fetchall()
            for (name,) in written:
                hand_over(connection, f"ml.{name}", Path(self.spark))

    def versions(self) -> dict[str, str]:
        """What a refresh is made with."""
        return {**super().versions(), **_packages(), "target": "spark"}


class SparkDbt(Dbt):
    """Runs dbt in this process; the models are built by a Spark Connect server."""

    warehouse: dg.ResourceDependency[SparkWarehouse]
    url: str

    @property
    def _spark(self) -> Path:
        return Path(self.home) / "spark"

    def prepare(self, manifest: Mapping[str, Any], selected: Collection[tuple[str, ...]]) -> None:  # noqa: ARG002
        """See that the server answers, remove what was half written, and hand over what Python wrote.

        Raises:
            dagster.Failure: No server answers.
        """
        try:
            require_server(Settings(home=Path(self.home), spark_url=self.url))
        except SparkUnavailableError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
        # dbt-spark asks for Hive at every statement; a Connect server says each time that it cannot be had by asking.
        warnings.filterwarnings("ignore", message="Failed to set spark.sql.catalogImplementation")
        remove_unfinished(self._spark, tables_of(manifest))
        self.warehouse.hand_over_all()

    def close(self) -> None:
        """End dbt's session, which every other would be given too: it would go on with the files that it has listed."""
        from pyspark.errors import PySparkRuntimeError
        from pyspark.sql.connect.session import SparkSession

        super().close()
        try:
            session = SparkSession.active()
        except PySparkRuntimeError:
            # dbt has failed before it opened one.
            return
        session.stop()

    def hand_over(self, manifest: Mapping[str, Any]) -> None:
        """Take what was built into the warehouse."""
        self.warehouse.catch_up(manifest)

    @contextmanager
    def opened(self, node: Mapping[str, Any]) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        """A DuckDB that reads the files of a relation just built."""
        table = tables_of({"nodes": {"this": node}})[node["name"]]
        with duckdb.connect() as connection:
            yield connection, f"({table.query(self._spark)})"

    def examples(self, query: str, rows: int) -> list[dict[Any, Any]]:
        """The first rows of a query of dbt's."""
        session = open_session(Settings(home=Path(self.home), spark_url=self.url))
        try:
            return session.sql(f"select * from ({query}) limit {rows}").toPandas().to_dict("records")
        finally:
            session.stop()

    def built_before(self) -> set[tuple[str, str]]:
        """What Spark finds: tables by their files, views as long as the server lives; and what Python wrote."""
        written = {(schema, name) for schema, name in super().built_before() if schema == "ml"}
        whole = {(file.parent.parent.name, file.parent.name) for file in self._spark.glob(f"*/*/{SUCCESS}")}
        prefix = self.variables["PULSE_SPARK_PREFIX"]
        session = open_session(Settings(home=Path(self.home), spark_url=self.url))
        try:
            schemas = [each.name for each in session.catalog.listDatabases(f"{prefix}*")]
            views = {
                (schema.removeprefix(prefix), row.viewName)
                for schema in schemas
                for row in session.sql(f"show views in {schema}").collect()
            }
        finally:
            session.stop()
        return written | whole | views


def _packages() -> dict[str, str]:
    from importlib.metadata import version

    return {package: version(package) for package in ("pyspark", "dbt-spark")}
