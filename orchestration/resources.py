"""The warehouse and the raw folder: the only code, dbt aside, that opens the warehouse.

What is computed, and in which order, is decided elsewhere; dbt has a resource of its own in `orchestration.dbt`, the
writer lock is in `orchestration.lock`, and who only reads what is published uses `orchestration.published`.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
from dagster_duckdb import DuckDBResource

from orchestration.dbt import Dbt
from orchestration.gate import Build, CheckResult
from orchestration.lock import WriterLock
from orchestration.modes import share
from orchestration.published import quoted
from orchestration.settings import Settings
from sources.store import RawFolder

CONNECTION_CONFIG = {"storage_compatibility_version": "v1.0.0"}
"""As in dbt's profile: older DuckDB clients can open the file."""

META_TABLES = """
create schema if not exists meta;
create table if not exists meta.refreshes (
    refresh bigint, as_of date, source varchar, status varchar, started_at timestamp, finished_at timestamp,
    rows varchar, versions varchar
);
create table if not exists meta.builds (
    invocation_id varchar, resource varchar, status varchar, refresh bigint, recorded_at timestamp
);
create table if not exists meta.check_results (
    check_name varchar, asset varchar, severity varchar, status varchar, failures bigint, message varchar,
    refresh bigint, recorded_at timestamp
);
"""


EARLIER = datetime(1970, 1, 1)  # noqa: DTZ001 - as the meta tables store it
"""Stands for a time that was noted while the clock was wrong."""

_PROFILE = "meta.data_profile"
_ABSENT = re.compile(r"Table with name \"?([\w.]+)\"? does not exist")


def now() -> datetime:
    """This moment in UTC, without zone, as the meta tables store it."""
    return datetime.now(UTC).replace(tzinfo=None)


class InUseError(Exception):
    """A file cannot be opened because another program has it open; the message says which."""


def in_use(path: Path | str, error: duckdb.Error) -> InUseError | None:
    """What to raise where a file could not be opened because another program has it open; else None."""
    message = str(error).strip().splitlines()[0]
    if "lock on file" in message or "file handle conflict" in message:
        return InUseError(f"{path} is open in another program: {message.partition('. See also')[0]}")
    return None


class RawStore(dg.ConfigurableResource):
    """The raw folder of a home."""

    lock: dg.ResourceDependency[WriterLock]
    path: str
    memory_limit: str
    """What merging may use, as DuckDB writes it."""

    @property
    def folder(self) -> RawFolder:
        """The folder, to be written to only while the lock is held."""
        return RawFolder(Path(self.path), self.memory_limit)


class Warehouse(DuckDBResource):
    """The warehouse file: read by models, written in whole-table transactions."""

    lock: dg.ResourceDependency[WriterLock]
    work: str
    """Path of the file with staging and intermediate models, attached as `work` for reading."""

    @contextmanager
    def get_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """As Dagster's, which tries for nearly two minutes: who only looks into the file is gone after a few seconds.

        Raises:
            InUseError: Another program has it open.
            duckdb.IOException: It cannot be opened.
        """
        for seconds in (0.2, 1, 3, None):
            try:
                connection = duckdb.connect(self.database, config=self.connection_config)
                break
            except duckdb.IOException as error:
                if (reason := in_use(self.database, error)) is None:
                    raise
                if seconds is None:
                    raise reason from error
                time.sleep(seconds)
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that is closed whatever happens, with `work` attached where it exists.

        Raises:
            InUseError: Another program has the warehouse open.
            dagster.Failure: A table is read that was never built: only a part of a new home was chosen.
        """
        with self.get_connection() as connection:
            try:
                if Path(self.work).exists():
                    connection.execute(f"attach {quoted(self.work)} as work (read_only)")
                yield connection
            except duckdb.CatalogException as error:
                if absent := _ABSENT.search(str(error)):
                    raise dg.Failure(
                        description=f"{absent[1]} was never built in this home. Materialize what is upstream as well, "
                        "or everything: `pulse run`.",
                        allow_retries=False,
                    ) from error
                raise

    def read(self, query: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """The result of a query."""
        with self.connect() as connection:
            return connection.execute(query, list(parameters)).df()

    def read_all(self, queries: Mapping[str, str]) -> dict[str, pd.DataFrame]:
        """The results of several queries by name, over one connection."""
        with self.connect() as connection:
            return {name: connection.execute(query).df() for name, query in queries.items()}

    def replace(self, table: str, columns: Sequence[tuple[str, str]], frame: pd.DataFrame, refresh: int) -> int:
        """Replace a whole table in one transaction, typed as declared, and note it in meta.builds.

        Args:
            table: Schema and name.
            columns: Names and DuckDB types, in order.
            frame: The rows; a missing column is an error, a further one too.
            refresh: The refresh it is computed for.

        Returns:
            Rows written.

        Raises:
            ValueError: The frame's columns are not those declared.
        """
        names = [name for name, _ in columns]
        if set(frame.columns) != set(names):
            raise ValueError(f"{table} is declared with {names}, got {list(frame.columns)}")
        selected = ", ".join(f'cast("{name}" as {kind}) as "{name}"' for name, kind in columns)
        with self.connect() as connection:
            connection.register("frame", frame)
            connection.execute(META_TABLES)
            connection.execute("begin")
            connection.execute(f"create schema if not exists {table.partition('.')[0]}")
            connection.execute(f"create or replace table {table} as select {selected} from frame")
            connection.execute("insert into meta.builds values ('python', ?, 'success', ?, ?)", [table, refresh, now()])
            connection.execute("commit")
        return len(frame)

    def begin_refresh(self, refresh: int, source: str) -> None:
        """Note that a refresh has begun; one that never ended is noted as failed."""
        with self.connect() as connection:
            connection.execute(META_TABLES)
            connection.execute("update meta.refreshes set status = 'failed' where status = 'running'")
            connection.execute(
                "insert into meta.refreshes values (?, null, ?, 'running', ?, null, null, ?)",
                [refresh, source, now(), json.dumps(self.versions(), sort_keys=True)],
            )

    def versions(self) -> dict[str, str]:
        """What a refresh is made with, and where its tables are built."""
        packages = ("customer-pulse", "dagster", "dbt-core", "dbt-duckdb", "duckdb", "pandas", "scikit-learn")
        return {**{package: version(package) for package in packages}, "target": "duckdb"}

    def catch_up(self, manifest: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """Take over what was built elsewhere since the last time; here dbt builds in the warehouse itself.

        Args:
            manifest: dbt's manifest.

        Returns:
            What was taken over, by schema and name.
        """
        return []

    def note_refresh(self, refresh: int, as_of: date | None, rows: Sequence[Mapping[str, Any]]) -> None:
        """Note what a refresh received."""
        with self.connect() as connection:
            connection.execute(
                "update meta.refreshes set as_of = ?, rows = ? where refresh = ?",
                [as_of, json.dumps(list(rows), ensure_ascii=False), refresh],
            )

    def fail_refresh(self) -> None:
        """Note that the refresh under way, if any, has failed."""
        with self.connect() as connection:
            connection.execute(META_TABLES)
            connection.execute(
                "update meta.refreshes set status = 'failed', finished_at = ? where status = 'running'", [now()]
            )

    def keep_profile(self, columns: Sequence[tuple[str, str]], profile: pd.DataFrame, refresh: int) -> None:
        """Keep the profile of what a refresh brought beside those of earlier ones.

        Args:
            columns: Names and DuckDB types, in order.
            profile: One row a table and column.
            refresh: The refresh; what was kept of it before is replaced.
        """
        declared = ", ".join(f'"{name}" {kind}' for name, kind in columns)
        with self.connect() as connection:
            connection.register("profile", profile)
            connection.execute(f"create schema if not exists meta; create table if not exists {_PROFILE} ({declared})")
            connection.execute("begin")
            connection.execute(f"delete from {_PROFILE} where refresh = ?", [refresh])
            connection.execute(f"insert into {_PROFILE} by name select * from profile")
            connection.execute("commit")

    def profiled_before(self, refresh: int) -> tuple[dict[str, int] | None, dict[int, str | None]]:
        """What is known of raw from before a refresh.

        Args:
            refresh: Its number.

        Returns:
            Rows of each table when it was last profiled, None before the first time; and by refresh what came into raw
            since then, as in meta.refreshes, None where that is not known because it did not come to its end.
        """
        with self.connect() as connection:
            connection.execute(META_TABLES)
            kept = connection.execute(
                "select 1 from information_schema.tables where table_schema || '.' || table_name = ?", [_PROFILE]
            ).fetchall()
            last = None
            if kept:
                query = f"select max(refresh) from {_PROFILE} where refresh < ?"
                last = connection.execute(query, [refresh]).fetchall()[0][0]
            since = connection.execute(
                """
                select refresh, case when as_of is not null then rows end from meta.refreshes
                where refresh > ? and refresh <= ?
                """,
                [last or 0, refresh],
            ).fetchall()
            if last is None:
                return None, dict(since)
            totals = connection.execute(
                f"select table_name, any_value(rows) from {_PROFILE} where refresh = ? group by 1", [last]
            ).fetchall()
        return dict(totals), dict(since)

    def forget_refreshes(self, keep: int) -> None:
        """Remove what was noted of old refreshes; that they were, when and how they ended stays.

        Args:
            keep: How many of the latest refreshes keep their builds, check results and rows per file.
        """
        with self.connect() as connection:
            connection.execute(META_TABLES)
            bound = connection.execute(
                "select refresh, started_at from meta.refreshes order by refresh desc limit 1 offset ?", [keep - 1]
            ).fetchall()
            if not bound:
                return
            oldest, since = bound[0]
            connection.execute("update meta.refreshes set rows = null where refresh < ? and rows is not null", [oldest])
            for table in ("meta.builds", "meta.check_results"):
                connection.execute(
                    f"delete from {table} where coalesce(refresh, 0) < ? and recorded_at < ?", [oldest, since]
                )
            kept = connection.execute("select 1 from duckdb_tables() where table_name = 'data_profile'").fetchall()
            if kept:
                connection.execute(f"delete from {_PROFILE} where refresh < ?", [oldest])

    def note_rolled_back(self, refresh: int) -> None:
        """Note that readers see an earlier refresh again."""
        with self.connect() as connection:
            connection.execute(META_TABLES)
            connection.execute(
                "update meta.refreshes set status = 'rolled back' where status = 'published' and refresh > ?", [refresh]
            )

    def settle(self, published: int | None) -> None:
        """Put right what a killed refresh, or a clock that was wrong, left in the record.

        Args:
            published: The refresh that readers see, where that is known: what claims to be published after it
                never was.
        """
        with self.connect() as connection:
            connection.execute(META_TABLES)
            if published is not None:
                connection.execute(
                    "update meta.refreshes set status = 'failed' where status = 'published' and refresh > ?",
                    [published],
                )
            # The gate goes by the latest: what is dated after now would be that for as long as the clock was wrong.
            for table in ("builds", "check_results"):
                connection.execute(f"update meta.{table} set recorded_at = ? where recorded_at > ?", [EARLIER, now()])

    def begin_anew(self, *records: Path) -> Path | None:
        """Replace the warehouse and its companion by empty ones that hold the record of earlier refreshes.

        Args:
            *records: Files that may hold the record, warehouses or published ones; the first that can be read is taken.

        Returns:
            The file it was taken from, or None where none could be read.
        """
        self.reset()
        for record in records:
            with self.connect() as connection:
                try:
                    _copy_record(connection, record)
                except duckdb.Error:
                    # The next one may do; without any the record begins anew, and the caller says so.
                    pass
                else:
                    return record
            self.reset()
        return None

    def last_refresh(self) -> int:
        """Number of the last refresh noted, 0 before the first."""
        return int(self._meta("select coalesce(max(refresh), 0) from meta.refreshes")[0][0])

    def builds(self) -> list[Build]:
        """Every build noted."""
        return [Build(*row) for row in self._meta("select * from meta.builds")]

    def check_results(self) -> list[CheckResult]:
        """Every check result noted."""
        return [
            CheckResult(*row)
            for row in self._meta("select check_name, status, failures, refresh, recorded_at from meta.check_results")
        ]

    def _meta(self, query: str) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            connection.execute(META_TABLES)
            return connection.execute(query).fetchall()

    def record_checks(self, asset: str, results: Sequence[dg.AssetCheckResult], refresh: int) -> None:
        """Keep the results of an asset's Python checks beside those of dbt's tests."""
        with self.connect() as connection:
            connection.execute(META_TABLES)
            for result in results:
                severity = "error" if result.severity is dg.AssetCheckSeverity.ERROR else "warn"
                status = "pass" if result.passed else ("fail" if severity == "error" else "warn")
                failures = 0 if result.passed else 1
                connection.execute(
                    "insert into meta.check_results values (?, ?, ?, ?, ?, ?, ?, ?)",
                    [result.check_name, asset, severity, status, failures, result.description, refresh, now()],
                )

    def reset(self) -> None:
        """Remove the warehouse, its companion and what Spark has built; the published file stays as it is."""
        shutil.rmtree(Path(self.database).with_name("spark"), ignore_errors=True)
        for path in (Path(self.database), Path(self.work)):
            for file in (path, path.with_name(f"{path.name}.wal")):
                file.unlink(missing_ok=True)

    def drop_strangers(self, known: frozenset[str]) -> list[str]:
        """Drop relations that are not to be published: marts that were renamed, stored test failures.

        Args:
            known: Schema and name of every relation that belongs in the file.

        Returns:
            What was dropped.
        """
        with self.connect() as connection:
            found = connection.execute(
                """
                select table_schema || '.' || table_name, table_type
                from information_schema.tables
                where table_catalog = 'warehouse'
                order by 1
                """
            ).fetchall()
            strangers = [(name, kind) for name, kind in found if name not in known]
            for name, kind in strangers:
                schema, _, table = name.partition(".")
                connection.execute(f'drop {"view" if kind == "VIEW" else "table"} "{schema}"."{table}"')
        return [name for name, _ in strangers]

    def publish(self, target: Path, refresh: int, before: Callable[[Path], None]) -> int:
        """Copy the warehouse and put the copy in the place of the published file, in one step.

        The refresh is noted as published in the copy and in the warehouse; when copying fails, in neither.

        Args:
            target: The published file.
            refresh: The refresh that is published.
            before: Is called with the copy before it is put in place; when it fails, nothing is published.

        Returns:
            Size of the published file in bytes.
        """
        with self.connect() as connection:
            connection.execute(META_TABLES)
            noted = connection.execute(
                "select status, finished_at from meta.refreshes where refresh = ?", [refresh]
            ).fetchone()
            connection.execute(
                "update meta.refreshes set status = 'published', finished_at = ? where refresh = ?", [now(), refresh]
            )
            connection.execute("checkpoint")
        temporary = target.with_name(f".{target.name}.new")
        try:
            shutil.copyfile(self.database, temporary)
            with duckdb.connect(str(temporary), read_only=True) as copy:
                copy.execute("select count(*) from meta.refreshes").fetchone()
            share(temporary)
            _sync(temporary)
            before(temporary)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            if noted is not None:
                with self.connect() as connection:
                    connection.execute(
                        "update meta.refreshes set status = ?, finished_at = ? where refresh = ?", [*noted, refresh]
                    )
            raise
        _sync(target.parent)
        return target.stat().st_size


def _copy_record(connection: duckdb.DuckDBPyConnection, record: Path) -> None:
    """Copy what a file holds of earlier refreshes; builds are left out, for what was built is not copied."""
    connection.execute(f"attach {quoted(record)} as earlier (read_only)")
    names = connection.execute(
        "select table_name from duckdb_tables() where database_name = 'earlier' and schema_name = 'meta'"
    ).fetchall()
    connection.execute("create schema meta")
    for (name,) in names:
        if name not in ("builds", "incremental_state"):
            connection.execute(f'create table meta."{name}" as from earlier.meta."{name}"')
    connection.execute("detach earlier")


@contextmanager
def looked_at(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with a warehouse or a published file attached as `file`, to be read and no more.

    Raises:
        duckdb.Error: It cannot be opened.
    """
    with duckdb.connect() as connection:
        connection.execute(f"attach {quoted(path)} as file (read_only)")
        yield connection


def build_resources(settings: Settings) -> dict[str, Any]:
    """The resources of one home, all behind one writer lock."""
    lock = WriterLock(home=str(settings.home))
    home, variables = str(settings.home), settings.environment()
    raw = RawStore(lock=lock, path=str(settings.raw), memory_limit=settings.memory)
    files: dict[str, Any] = {
        "database": str(settings.warehouse),
        "connection_config": dict(CONNECTION_CONFIG),
        "work": str(settings.work),
    }
    if settings.target == "duckdb":
        warehouse = Warehouse(lock=lock, **files)
        return {"lock": lock, "raw": raw, "warehouse": warehouse, "dbt": Dbt(lock=lock, variables=variables, home=home)}
    from orchestration.spark.resources import SparkDbt, SparkWarehouse

    spark = SparkWarehouse(lock=lock, **files, spark=str(settings.spark))
    dbt = SparkDbt(lock=lock, variables=variables, home=home, warehouse=spark, url=settings.spark_url)
    return {"lock": lock, "raw": raw, "warehouse": spark, "dbt": dbt}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
