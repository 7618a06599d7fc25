"""What all tiers share: a refresh in this process, and small sales files."""

from __future__ import annotations

import fcntl
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[1]

Made = TypeVar("Made")


@dataclass(frozen=True)
class Refresh:
    """How a refresh in this process came out."""

    succeeded: bool
    output: str
    home: Path
    metadata: Mapping[str, Mapping[str, Any]]
    """What Dagster keeps of each asset, by key."""

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the published file."""
        with duckdb.connect(str(self.home / "pulse.duckdb"), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def run_pipeline(
    home: Path, job: str = "refresh", only: str | Sequence[str] | None = None, **overrides: Any
) -> Refresh:
    """Run a job as `pulse` does, in this process and with a history in memory.

    Args:
        home: The home.
        job: Name of the job.
        only: Key or keys of the assets to materialize, as ticked in the UI; all of the job's by default.
        **overrides: Settings by field name; nothing comes from the environment.
    """
    import dagster as dg
    from rich.console import Console

    from orchestration.definitions import build_defs
    from orchestration.instance import run_job
    from orchestration.progress import Progress
    from orchestration.settings import Settings

    settings = Settings.from_environment({}, home=home, **overrides)
    output = io.StringIO()
    progress = Progress(Console(file=output, width=400), verbose=True)
    metadata: dict[str, Mapping[str, Any]] = {}

    def listen(entry: Any) -> None:
        progress(entry)
        event = entry.dagster_event
        if event is not None and event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION:
            metadata["/".join(event.asset_key.path)] = event.materialization.metadata

    with dg.DagsterInstance.ephemeral() as instance:
        keys = [only] if isinstance(only, str) else only
        selection = [dg.AssetKey(key.split("/")) for key in keys] if keys else None
        succeeded = run_job(build_defs(settings), job, instance, listen, selection)
    progress.finish(succeeded)
    return Refresh(succeeded, output.getvalue(), home, metadata)


def pulse(*arguments: str, timeout: int = 300, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the `pulse` command in a process of its own, without PULSE_ variables but those given."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "DAGSTER_"))}
    return subprocess.run(
        [str(Path(sys.executable).with_name("pulse")), *arguments],
        env={**environment, "COLUMNS": "200", **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long and needs no `shop` first: one process makes it meanwhile, and nobody waits."""
    items.sort(key=lambda item: item.path.name != "test_cli.py")


@pytest.fixture
def sales_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a CSV file of sales: lines of customer_id, sold_at, amount below its header."""

    def write(*lines: str, name: str = "sales.csv", header: str = "customer_id,sold_at,amount") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return path

    return write


def tables(path: Path, *schemas: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table of some schemas, in a fixed order."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables "
            "where table_schema in (select unnest(?)) order by 1",
            [list(schemas)],
        ).fetchall()
        return {name: connection.execute(f"select * from {name} order by all").fetchall() for (name,) in names}


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]) -> Made:
    """What is made for all processes of a test run by the first that asks, while the others wait; nobody may change it.

    Args:
        factory: Where this process has its folders.
        name: Of the thing, and of its folder.
        make: Makes it in a folder that exists; the result can be pickled.
    """
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    result = folder / f"{name}.pickle"
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.exists():
            # a folder of this process's own: one that failed half-way is in nobody's way
            result.write_bytes(pickle.dumps(make(factory.mktemp(name))))
        return cast("Made", pickle.loads(result.read_bytes()))  # noqa: S301 - written above, by this run


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Refresh:
    """A small synthetic business, refreshed once."""
    return made_once(
        tmp_path_factory,
        "shop",
        lambda home: run_pipeline(home, source="synthetic", scale=300, as_of="2026-03-31"),
    )
