"""Scoring on executors: a fitted scorer goes to where the rows are, and what comes back is its table.

A scorer is a function of `ml` from rows to rows that treats each by itself, so that parts may be scored anywhere, in
any order and in batches of any size. Training stays on this machine; which rows are asked for is decided by the assets.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pandas as pd

from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.spark.session import SparkUnavailableError, session
from orchestration.spark.tables import SUCCESS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

Scorer = Callable[[pd.DataFrame], pd.DataFrame]
Batches = Iterator[pd.DataFrame]

_TABLE = re.compile(r"\b(marts|ml)\.([a-z_]+)")


def score_on_executors(
    settings: Settings,
    scorer: Scorer,
    query: str,
    parameters: Sequence[Any] = (),
    *,
    columns: Sequence[tuple[str, str]],
    whole: Sequence[str] = (),
) -> pd.DataFrame:
    """Score the rows of a query on Spark.

    Args:
        settings: Where Spark is, and how its schemas are called.
        scorer: What scores them; it and all it holds must be of `ml`, which travels with it.
        query: SQL that both engines understand, with schemas as on DuckDB; decimals reach the scorer as doubles.
        parameters: Values of its question marks.
        columns: Names and types of what the scorer returns; the first is the key by which rows are put in order.
        whole: Key whose rows a scorer must see together, and the columns by which they are put in order.

    Returns:
        The scores of all rows, in the order of their key.
    """
    schema = ", ".join(f"{name} {kind}" for name, kind in columns)
    mapper = _mapper(scorer, list(columns), whole[0] if whole else None)
    with session(settings) as spark:
        rows = _rows(spark, settings, query, parameters)
        if whole:
            rows = rows.repartition(whole[0]).sortWithinPartitions(*whole)
        _send_ml(spark)
        # By files: what is collected would go through the memory of Spark's driver.
        folder = settings.spark / "scored"
        rows.mapInPandas(mapper, schema).write.mode("overwrite").parquet(str(folder))
    files = sorted(folder.glob("[!._]*.parquet"))
    parts = [pd.read_parquet(file) for file in files]
    shutil.rmtree(folder)
    names = [name for name, _ in columns]
    scored = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)
    return scored.sort_values(names[0], ignore_index=True)


def read(settings: Settings, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
    """The result of a query that both engines understand; decimals are doubles."""
    with session(settings) as spark:
        return _rows(spark, settings, query, parameters).toPandas()


def prefixed(query: str, prefix: str) -> str:
    """A query with Spark's names of the schemas."""
    return _TABLE.sub(rf"{prefix}\1.\2", query)


def path_of(place: str) -> str:
    """The path of a place in the one way of writing it; the same rule as dbt's macro `path_of`.

    Args:
        place: A path, or an address as Spark tells it, with ``%20`` for a space: ``file:/data``,
            ``hdfs://host:9000/data``.
    """
    path = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*:(//[^/]*)?", "", place)
    plain = path if path == place else unquote(path)
    return posixpath.normpath("/" + plain.lstrip("/"))


def _rows(spark: SparkSession, settings: Settings, query: str, parameters: Sequence[Any]) -> DataFrame:
    """The rows of a query, decimals as doubles."""
    from pyspark.sql import functions
    from pyspark.sql.types import DecimalType

    for schema, table in sorted(set(_TABLE.findall(query))):
        _find(spark, settings, schema, table)
    rows = spark.sql(prefixed(query, settings.spark_prefix), args=list(parameters) or None)
    return rows.select(
        *(
            functions.col(field.name).cast("double") if isinstance(field.dataType, DecimalType) else field.name
            for field in rows.schema.fields
        )
    )


def _find(spark: SparkSession, settings: Settings, schema: str, table: str) -> None:
    """See that a table is this home's; a catalog that has forgotten it is told of its files, as dbt's hooks do.

    Raises:
        SparkUnavailableError: The schema is another home's, or of the table only a part is there.
    """
    there, folder = f"{settings.spark_prefix}{schema}", settings.spark / schema
    spark.sql(f"create schema if not exists {there} location {_literal(folder)}")
    told = {row[0]: row[1] for row in spark.sql(f"describe schema {there}").collect()}
    if path_of(told["Location"]) != path_of(str(folder)):
        raise SparkUnavailableError(
            f"schema {there} on Spark lies in {told['Location']}, not in {folder}. It belongs to another home, or to "
            "somebody else: set another PULSE_SPARK_PREFIX."
        )
    if not spark.catalog.tableExists(f"{there}.{table}"):
        if schema == "marts" and not (folder / table / SUCCESS).exists():
            raise SparkUnavailableError(
                f"{folder / table} was not written to its end: `dbt build --select {table}`, or `pulse run`, builds it "
                "anew."
            )
        spark.sql(f"create table {there}.{table} using parquet location {_literal(folder / table)}")


def _literal(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _mapper(scorer: Scorer, columns: list[tuple[str, str]], whole: str | None) -> Callable[[Batches], Batches]:
    """What a task runs: the scorer arrives with it, and is unpacked once.

    Nothing of this module may be referred to inside, for executors know `ml` and no more of the project.
    """

    def typed(scored: pd.DataFrame) -> pd.DataFrame:
        ready = {}
        for name, kind in columns:
            column = scored[name]
            if kind == "date":
                column = pd.to_datetime(column).dt.date
            if kind in ("date", "string"):
                column = column.astype(object).mask(column.isna(), None)
            ready[name] = column
        return pd.DataFrame(ready)

    def complete(batches: Batches) -> Batches:
        """Batches that end where a key ends; its rows come one after another."""
        begun: list[pd.DataFrame] = []
        for batch in batches:
            if not len(batch):
                continue
            last = batch[whole].iloc[-1]
            if begun and begun[0][whole].iloc[0] == last:
                begun.append(batch)
                continue
            is_last = batch[whole] == last
            if begun or not is_last.all():
                yield pd.concat([*begun, batch[~is_last]], ignore_index=True)
            begun = [batch[is_last]]
        if begun:
            yield pd.concat(begun, ignore_index=True)

    def score(batches: Batches) -> Batches:
        from ml._threads import one_thread

        with one_thread():
            for batch in complete(batches) if whole else batches:
                if len(batch):
                    yield typed(scorer(batch))

    return score


def _send_ml(spark: SparkSession) -> None:
    """Give the executors this project's `ml`; the libraries it needs must be there, in the same versions."""
    content = _packed(PROJECT_ROOT / "ml")
    name = f"customer_pulse_ml_{hashlib.sha256(content).hexdigest()[:16]}.zip"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        # the same name with the same content a second time is nothing to Spark
        spark.addArtifacts(str(path), pyfile=True)


def _packed(package: Path) -> bytes:
    """A package's modules as a zip file, equal for equal modules."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for module in sorted(package.rglob("*.py")):
            entry = zipfile.ZipInfo(module.relative_to(package.parent).as_posix(), (1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, module.read_bytes())
    return buffer.getvalue()
