"""Marts of many synthetic worlds, for the scripts that grade estimators against the planted truth."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import duckdb

from orchestration.dbt import close_files
from sources.contracts import CONTRACTS
from sources.delivery import Request
from sources.store import RawFolder
from sources.synthetic import SyntheticSource

ROOT = Path(__file__).resolve().parents[1]
STARTS_ON, AS_OF = date(2024, 4, 1), date(2026, 3, 31)


@contextmanager
def homes() -> Iterator[Path]:
    """A temporary folder for a home, with one copy of the dbt project beside it, so that dbt parses it once."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "dbt_project"
        shutil.copytree(ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs", ".user.yml"))
        os.environ |= {"PULSE_DATA_DIR": str(Path(folder) / "home"), "PULSE_THREADS": "1"}
        yield Path(folder)


def build(folder: Path, seed: int, customers: int, marts: Sequence[str]) -> SyntheticSource:
    """Fill a home with a world and build some marts; the warehouse is left in `folder` / home."""
    from dbt.cli.main import dbtRunner

    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    raw = RawFolder(home / "raw")
    source = SyntheticSource(seed, customers, STARTS_ON)
    request = Request(AS_OF + timedelta(days=1), AS_OF, "UTC", {})
    for contract in CONTRACTS:
        raw.merge(contract, source.deliver(contract, raw.incoming(contract), request), 1)
    raw.recover()
    raw.write_clock(AS_OF, AS_OF + timedelta(days=1), 1)
    project = str(folder / "dbt_project")
    selected = [f"+{mart}" for mart in marts]
    flags = ["--project-dir", project, "--profiles-dir", project, "--exclude-resource-type", "unit_test", "test"]
    try:
        result = dbtRunner().invoke(["--quiet", "build", *flags, "--select", *selected])
    finally:
        close_files()
    if not result.success:
        raise RuntimeError(f"dbt could not build {', '.join(marts)}: {result.exception}")
    return source


def warehouse(folder: Path) -> duckdb.DuckDBPyConnection:
    """What `build` has made, for reading."""
    return duckdb.connect(str(folder / "home" / "warehouse.duckdb"), read_only=True)
