"""Dagster's storage in a home: the history of events in SQLite, through connections that stay open; output of steps.

Dagster's own storage makes an engine and opens a file for each of the thousands of reads and writes of a run, which
took a third of a small refresh. What is stored, and where, is the same: either class reads what the other wrote.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from dagster._core.storage.compute_log_manager import CapturedLogContext
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import StaticPool

_SECONDS_TO_WAIT = 60
_MOST_OPEN = 8


class KeptOpenEventLogStorage(SqliteEventLogStorage):
    """The event log of the instance at DAGSTER_HOME; named in the `dagster.yaml` of a home."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._open: dict[str, Connection] = {}
        self._tables: set[str] = set()
        self._columns: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """There is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """The storage in the folder where Dagster's own would be."""
        return cls(os.path.join(os.environ["DAGSTER_HOME"], "history", "runs"), inst_data)  # noqa: PTH118

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        # Overrides a private method of the pinned version: the one place where files are opened.
        with self._db_lock:
            connection = self._open.get(shard) or self._opened(shard)
            with connection.begin():
                yield connection

    def _opened(self, shard: str) -> Connection:
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=StaticPool,
            # Threads take turns, by the lock.
            connect_args={"timeout": _SECONDS_TO_WAIT, "check_same_thread": False},
        )
        self._initdb(engine)
        while len(self._open) >= _MOST_OPEN:
            self._close(next(iter(self._open)))
        connection = engine.connect()
        # In WAL mode the file stays whole without a sync per event; after a power cut the last events may be missing.
        connection.execute(text("pragma synchronous = normal"))
        connection.commit()
        self._open[shard] = connection
        return connection

    def _close(self, shard: str) -> None:
        connection = self._open.pop(shard)
        connection.close()
        connection.engine.dispose()

    def has_table(self, table_name: str) -> bool:
        """Whether there is such a table; asked several times an event, and once there it stays."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def _has_asset_key_col_on_connection(self, conn: Connection, column_name: str) -> bool:
        # Overrides a private method of the pinned version, for the same reason.
        if column_name not in self._columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._columns.add(column_name)
        return column_name in self._columns

    def dispose(self) -> None:
        """Close all files."""
        with self._db_lock:
            for shard in list(self._open):
                self._close(shard)
        super().dispose()


class DeafComputeLogManager(LocalComputeLogManager):
    """Keeps what steps print, where Dagster's own would; the processes that do it do not hear Ctrl+C.

    They end with the step anyway, and would each print a traceback of their own at the end of a refresh that somebody
    interrupts.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """There is nothing to configure."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:  # noqa: ARG003
        """The storage in the folder where Dagster's own would be."""
        return cls(os.path.join(os.environ["DAGSTER_HOME"], "storage"), inst_data=inst_data)  # noqa: PTH118

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Keep what is printed meanwhile."""
        with ExitStack() as stack:
            with _interrupts_ignored():
                # What is ignored when a process starts is ignored by it for good.
                captured = stack.enter_context(super().capture_logs(log_key))
            yield captured


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may say what signals do.
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
