"""Homes with little raw data, and plain dbt in a copy of the project that builds them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration.dbt import close_files
from sources.contracts import CONTRACTS, Contract
from sources.delivery import Delivery, Request, Source
from sources.store import RawFolder

PROJECT = Path(__file__).parents[2] / "dbt_project"

STARTS_ON = date(2024, 1, 10)
AS_OF = date(2025, 6, 15)
CUT = date(2025, 4, 30)


@dataclass(frozen=True)
class Rows:
    """A source of rows written down in a test: values by contract, the other columns empty."""

    tables: dict[str, list[dict[str, Any]]]
    identity = title = "rows of a test"

    def deliver(self, contract: Contract, folder: Path, request: Request) -> list[Delivery]:  # noqa: ARG002
        rows = self.tables.get(contract.name, [])
        if not rows:
            return []
        types = ", ".join(f"cast({c.name} as {c.kind.sql_type}) as {c.name}" for c in contract.columns)
        frame = pd.DataFrame(rows, columns=list(contract.column_names), dtype=object)  # noqa: F841 - read by name below
        path = folder / "rows.parquet"
        with duckdb.connect() as connection:
            table = connection.sql(f"select {types}, row_number() over () as _line from frame").to_arrow_table()
        pq.write_table(table, path)
        return [Delivery("rows", contract.name, None, len(rows), 0, path)]


@dataclass(frozen=True)
class Home:
    """A home that dbt has built, and what dbt printed."""

    path: Path
    output: str

    def frame(self, query: str) -> pd.DataFrame:
        """Rows of the warehouse, decimals as `decimal.Decimal`, so that equality is exact."""
        with duckdb.connect(str(self.path / "warehouse.duckdb"), read_only=True) as connection:
            connection.execute(f"attach '{self.path / 'work.duckdb'}' as work (read_only)")
            return _exact(connection.sql(query).to_arrow_table())

    def raw(self, name: str) -> pd.DataFrame:
        """One raw table."""
        with duckdb.connect() as connection:
            pattern = self.path / "raw" / Path(*name.split(".")) / "*.parquet"
            return _exact(connection.sql(f"select * from read_parquet('{pattern}')").to_arrow_table())


def _exact(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(date_as_object=True)


def fill(home: Path, source: Source, as_of: date, only: Collection[str] | None = None) -> None:
    """Merge a source into a new home, as the raw asset does."""
    folder = RawFolder(home / "raw")
    request = Request(as_of + timedelta(days=1), as_of, "UTC", {})
    for contract in CONTRACTS:
        wanted = only is None or contract.name in only
        deliveries = source.deliver(contract, folder.incoming(contract), request) if wanted else []
        folder.merge(contract, deliveries, 1)
    folder.recover()
    folder.write_clock(as_of, as_of + timedelta(days=1), 1)


class Dbt:
    """Plain dbt in a copy of the project.

    dbt parses everything anew when PULSE_DATA_DIR changes, so that every home takes its turn under one path.

    Args:
        project: The copy.
    """

    def __init__(self, project: Path) -> None:
        self.project = project
        self._turn = project.with_name("home")

    def run(self, home: Path, *arguments: str) -> str:
        """One invocation; fails the test with dbt's own words."""
        self._turn.unlink(missing_ok=True)
        self._turn.symlink_to(home)
        done = subprocess.run(
            [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", *arguments],
            cwd=self.project,
            env={**os.environ, "PULSE_DATA_DIR": str(self._turn), "PULSE_THREADS": "2"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
        return done.stdout

    def build(self, home: Path, *arguments: str) -> Home:
        """`dbt build` on a home."""
        return Home(home, self.run(home, "build", *arguments))

    def build_here(self, home: Path, *arguments: str) -> Home:
        """`dbt build` in this process, which spares the seconds that starting one costs."""
        from dbt.cli.main import dbtRunner

        self._turn.unlink(missing_ok=True)
        self._turn.symlink_to(home)
        variables = {"PULSE_DATA_DIR": str(self._turn), "PULSE_THREADS": "2"}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            folders = ["--project-dir", str(self.project), "--profiles-dir", str(self.project)]
            try:
                result = dbtRunner().invoke(["--quiet", "build", *folders, *arguments])
            finally:
                close_files()
        failed = [f"{each.node.name}: {each.message}" for each in getattr(result.result, "results", []) if each.message]
        assert result.success, (result.exception, [text for text in failed if "OK" not in text])
        return Home(home, "")
