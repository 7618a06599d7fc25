"""The warehouse and dbt where the tables are built on Spark: as on DuckDB, and what passes between the two.

How that is done is the business of `orchestration.spark.tables`; which servers there are, of others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import duckdb
import pandas as pd

from orchestration.dbt import Dbt
from orchestration.published import quoted
from orchestration.resources import META_TABLES, Warehouse
from orchestration.settings import Settings
from orchestration.spark.client import open_session, require_server
from orchestration.spark.session import SparkUnavailableError
from orchestration.spark.tables import SparkTable, hand_over, tables_of, take_over

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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
            try:
                connection.execute(META_TABLES)
                connection.execute(f"attach {quoted(self.work)} as work")
                return take_over(connection, Path(self.spark), tables_of(manifest))
            finally:
                connection.close()

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
    prefix: str

    @property
    def _spark(self) -> Path:
        return Path(self.home) / "spark"

    def prepare(self, manifest: Mapping[str, Any], selected: Collection[tuple[str, ...]]) -> None:
        """See that the server answers and the schemas are this home's, and tell it again of tables it has forgotten.

        Raises:
            dagster.Failure: It does not, or they are not.
        """
        settings = Settings(home=Path(self.home), spark_url=self.url, spark_prefix=self.prefix)
        try:
            require_server(settings)
            self.warehouse.hand_over_all()
            session = open_session(settings)
            try:
                self._require_own_schemas(session)
                self._remind(session, manifest, selected)
            finally:
                session.stop()
        except SparkUnavailableError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None

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

    def _require_own_schemas(self, session: SparkSession) -> None:
        """See that the schemas of this prefix are no other home's: dbt would replace its tables one by one."""
        table = f"{self.prefix}meta.builds"
        if not session.catalog.tableExists(table):
            return
        rows = session.sql(f"describe table extended {table}").collect()
        (place,) = [row.data_type for row in rows if row.col_name == "Location"]
        own = self._spark / "meta" / "builds"
        if place.removeprefix("file:").replace("//", "/").rstrip("/") != str(own):
            raise SparkUnavailableError(
                f"the schemas {self.prefix}… at {self.url} belong to another home, whose tables lie in {place}: give "
                "this one another PULSE_SPARK_PREFIX."
            )

    def _remind(
        self, session: SparkSession, manifest: Mapping[str, Any], selected: Collection[tuple[str, ...]]
    ) -> None:
        """Tell a catalog that was lost of the tables that will be read and not built; their files are there."""
        tables = tables_of(manifest)
        for table in sorted(_read_only(manifest, selected, tables), key=lambda each: each.key):
            name = f"{self.prefix}{table.schema}.{table.name}"
            if table.is_whole(self._spark) and not session.catalog.tableExists(name):
                place = str(table.folder(self._spark)).replace("\\", "\\\\").replace("'", "\\'")
                session.sql(f"create schema if not exists {self.prefix}{table.schema}")
                session.sql(f"create table {name} using parquet location '{place}'")


def _read_only(
    manifest: Mapping[str, Any], selected: Collection[tuple[str, ...]], tables: Mapping[str, SparkTable]
) -> set[SparkTable]:
    """What selected models and their tests read that is not selected itself."""
    chosen = {
        unique_id
        for unique_id, node in manifest["nodes"].items()
        if (node["config"].get("schema"), node["name"]) in selected
    }
    found = set()
    for unique_id, node in manifest["nodes"].items():
        reads = node["depends_on"]["nodes"]
        if unique_id in chosen or (node["resource_type"] == "test" and chosen & set(reads)):
            found |= {each for each in reads if each in manifest["nodes"] and each not in chosen}
    return {tables[manifest["nodes"][each]["name"]] for each in found}


def _packages() -> dict[str, str]:
    from importlib.metadata import version

    return {package: version(package) for package in ("pyspark", "dbt-spark")}
