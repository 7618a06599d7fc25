"""What `benchmarks/product.py` measures, each in a process of its own: generating, a refresh by stages, the same bare.

Every process writes one JSON file with its CPU-seconds (user and system, all threads, children included), its seconds
on the clock and its peak memory, in all and by stage; on Spark also what the server and its Python workers used
meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.usage import Session, own_cpu, peak  # noqa: E402

SEED = 7
STARTS_ON, AS_OF = date(2024, 4, 1), date(2026, 3, 31)
SHOP = ("shop.customers", "shop.products", "shop.sales")
STARTING = "start: imports, definitions, history"
STAGES = {
    "raw_tables": "new rows into raw",
    "marts": "marts",
    "meta__data_profile": "checks of what came in",
    "ml": "ml",
    "insights": "insights",
    "reports": "pages",
    "exports": "exports",
    "published__pulse": "publish",
}
"""What a step of a refresh counts as: by its name, or by what stands before its first two underscores."""


class Meter:
    """Sums up what this process uses, by what it is doing, and what a Spark server uses meanwhile."""

    def __init__(self) -> None:
        self._stages: dict[str, dict[str, float]] = {}
        self._server: Session | None = None
        self._last = {"cpu": 0.0, "wall": time.monotonic() - _age()}

    def watch(self, server: int) -> None:
        """From now on the processes of this session count as well, for themselves."""
        self._server = Session(server)
        self._last["spark_cpu"] = self._server.cpu()
        self._server.peak()

    def lap(self, stage: str) -> None:
        """What was used since the last lap was for this."""
        now = {"cpu": own_cpu(), "wall": time.monotonic()}
        peaks = {"peak": peak()}
        if self._server is not None:
            now["spark_cpu"] = self._server.cpu()
            peaks["spark_peak"] = self._server.peak()
        found = self._stages.setdefault(stage, dict.fromkeys((*now, *peaks), 0.0))
        for name, value in now.items():
            found[name] += value - self._last[name]
        for name, value in peaks.items():
            found[name] = max(found[name], value)
        self._last = now

    def write(self, file: Path, **more: Any) -> None:
        """Write the stages and what they come to."""
        stages = list(self._stages.values())
        total = {name: (max if name.endswith("peak") else sum)(stage[name] for stage in stages) for name in stages[0]}
        file.write_text(json.dumps({"total": total, "stages": self._stages, **more}, indent=1), encoding="utf-8")


def _age() -> float:
    """Seconds since this process was started: importing what stands above took some."""
    ticks = int(Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


def generate(meter: Meter, folder: Path, customers: int, tables: str, out: Path) -> None:
    """Simulate a business and write it as Parquet: all but the last day to `history`, the last day to `day`."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from sources.contracts import BY_NAME
    from sources.synthetic import SyntheticSource
    from sources.synthetic.tables import repetitive
    from sources.synthetic.world import DELIVERED

    last = datetime.combine(AS_OF, datetime.min.time())
    rows: dict[str, int] = {}
    writers: dict[Path, pq.ParquetWriter] = {}
    source = SyntheticSource(SEED, customers, STARTS_ON)
    for world in source.simulation(AS_OF).windows():
        for name in SHOP if tables == "shop" else DELIVERED:
            table = world.table(name)
            column = BY_NAME[name].event_at or ("signed_up_at" if name == "shop.customers" else None)
            is_new = pc.greater_equal(pc.cast(table[column], "timestamp[us]"), last) if column else None
            parts = (
                {"history": table}
                if is_new is None
                else {"history": table.filter(pc.invert(pc.fill_null(is_new, False))), "day": table.filter(is_new)}
            )
            for part, each in parts.items():
                if not each.num_rows:
                    continue
                rows[f"{part} {name}"] = rows.get(f"{part} {name}", 0) + each.num_rows
                file = folder.joinpath(part, *name.split("."), f"{part}.parquet")
                if file not in writers:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    dictionary = repetitive(BY_NAME[name])
                    writers[file] = pq.ParquetWriter(file, each.schema, compression="zstd", use_dictionary=dictionary)
                writers[file].write_table(each)
    for writer in writers.values():
        writer.close()
    meter.lap("generate")
    meter.write(out, rows=rows)


def refresh(meter: Meter, job: str, out: Path) -> None:
    """`pulse run`, or `pulse raw`: what the command does, with the use of every step noted as it ends."""
    # First, as the command does: after Dagster it takes longer to import.
    import skops.io  # noqa: F401
    from rich.console import Console

    from orchestration import instance
    from orchestration.refreshing import execute
    from orchestration.settings import Settings

    run_job = instance.run_job

    def stage_of(step: str) -> str:
        return STAGES.get(step) or STAGES[step.partition("__")[0]]

    def watched(*arguments: Any, **named: Any) -> bool:
        definitions, name, history, listener = arguments

        def listen(entry: Any) -> None:
            listener(entry)
            event = entry.dagster_event
            if event is not None and event.event_type_value == "STEP_START":
                meter.lap(STARTING)
            elif event is not None and event.event_type_value == "STEP_SUCCESS":
                meter.lap(stage_of(event.step_key))

        return run_job(definitions, name, history, listen, **named)

    instance.run_job = watched
    settings = Settings.from_environment()
    console = Console(file=sys.stderr)
    if not execute(job, settings, console):
        raise SystemExit(1)
    if job == "refresh":
        from orchestration.summary import print_summary

        print_summary(console, settings)
    meter.lap(STARTING)
    files = {"raw": settings.raw, "warehouse": settings.warehouse, "published": settings.published}
    meter.write(out, bytes={name: _size(path) for name, path in {**files, "home": settings.home}.items()})


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    # A version is the published file under a second name.
    found = {file.stat().st_ino: file.stat().st_size for file in path.rglob("*") if file.is_file()}
    return sum(found.values())


def bare(meter: Meter, target: Path, out: Path) -> None:
    """The same SQL, the same models and the same pages, one after the other, without Dagster and dbt.

    Seeds and declared tables are taken from a home that dbt has filled. Models and pages are functions inside Dagster's
    assets, and are called as functions; importing Dagster and dbt for that is a stage of its own and not counted.
    """
    import duckdb
    import skops.io  # noqa: F401

    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    meter.lap("start: Python, DuckDB")
    from orchestration.assets.insights import build_ml_assets
    from orchestration.assets.reports import build_report_assets
    from orchestration.resources import build_resources
    from orchestration.settings import Settings

    settings = Settings.from_environment()
    tools = {**build_resources(settings), "context": _Quiet()}
    ml, pages = build_ml_assets(settings, manifest), build_report_assets(settings)
    meter.lap(UNCOUNTED)

    def call(asset: Any) -> None:
        function = asset.node_def.compute_fn.decorated_fn
        wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
        result = function(**{name: tools[name] for name in wanted})
        if isinstance(result, Iterator):
            list(result)

    def run(is_wanted: Callable[[dict[str, Any]], bool]) -> None:
        with _warehouse(settings, duckdb) as connection:
            for node in in_order(manifest, is_wanted):
                kind = "view" if node["config"]["materialized"] == "view" else "table"
                sql = (target / "compiled" / "customer_pulse" / node["original_file_path"]).read_text(encoding="utf-8")
                connection.execute(f"create or replace {kind} {node['relation_name']} as {sql}")

    run(lambda node: "insights" not in node["tags"])
    meter.lap("marts")
    for asset in ml:
        call(asset)
    meter.lap("ml")
    run(lambda node: "insights" in node["tags"])
    meter.lap("insights")
    for asset in pages:
        call(asset)
    meter.lap("pages")
    meter.write(out)


UNCOUNTED = "importing Dagster and dbt, not counted"


class _Quiet:
    """Stands for Dagster's context where a model wants to say something."""

    @property
    def log(self) -> _Quiet:
        return self

    def warning(self, message: str) -> None:
        """What a reader of a run would be told."""


@contextmanager
def _warehouse(settings: Any, duckdb: Any) -> Iterator[Any]:
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(f"attach '{settings.work}' as work")
        connection.execute(f"set threads to {os.environ.get('PULSE_THREADS', '2')}")
        connection.execute(f"set memory_limit to '{os.environ.get('PULSE_BUILD_MEMORY', '3GB')}'")
        yield connection


def in_order(manifest: dict[str, Any], is_wanted: Callable[[dict[str, Any]], bool]) -> Iterator[dict[str, Any]]:
    """Models of which there is something to run, each after what it reads."""
    models = {name: node for name, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    done = {name for name, node in models.items() if not is_wanted(node)}
    while todo := [name for name in models if name not in done]:
        for name in todo:
            if set(models[name]["depends_on"]["nodes"]) & set(models) <= done:
                done.add(name)
                if models[name]["config"]["materialized"] != "ephemeral":
                    yield models[name]


def main() -> None:
    """Do one thing and write what it used."""
    meter = Meter()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["generate", "raw", "refresh", "bare"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="of the files to write, or of dbt's compiled SQL")
    parser.add_argument("--customers", type=int)
    parser.add_argument("--tables", choices=["shop", "all"])
    parser.add_argument("--server", type=int, help="session of the Spark server that works for this process")
    arguments = parser.parse_args()
    if arguments.server is not None:
        meter.watch(arguments.server)
    if arguments.what == "generate":
        generate(meter, arguments.folder, arguments.customers, arguments.tables, arguments.out)
    elif arguments.what == "bare":
        bare(meter, arguments.folder, arguments.out)
    else:
        refresh(meter, arguments.what, arguments.out)


if __name__ == "__main__":
    main()
