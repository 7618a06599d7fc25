"""What the whole product costs, from generating files to publishing, at several sizes; one command, one table.

For every size: a business is simulated and written as files, the files are read into raw, everything is built from
raw (`pulse run` in a home that has raw and nothing else), the same SQL, models and pages are run bare, and a day's
files are added and refreshed. Every line is a process of its own, in this order; CPU-seconds are user and system,
over all threads and child processes. With several targets they take turns: each step on one, then on the other.
What is measured is kept in `--out`, so that a size can be measured later and a stopped run goes on where it was;
the table and a page are written anew from all that is there. On Spark a Connect server with two local threads is
started for each size, and what it and its Python workers use is counted as well.

    .venv/bin/python benchmarks/product.py --sales 1e5 1e6 1e7
    .venv/bin/python benchmarks/product.py --sales 1e5 1e6 --tables all
    .venv/bin/python benchmarks/product.py --sales 1e5 1e6 --target duckdb spark

Run it from a terminal that stays; nothing else should be running. Ten million sales want 6 GB of memory and of disk.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.simulate import SALES_PER_CUSTOMER  # noqa: E402
from benchmarks.stages import STARTING, UNCOUNTED  # noqa: E402

BIN = Path(sys.executable).parent
ENGINES = ("duckdb", "spark")
STEPS = ("generate", "raw", "refresh", "bare", "day")
TITLES = {
    "generate": "generate: simulate and write Parquet files",
    "raw": "ingest: files, checked and typed, into raw",
    "refresh": "everything else, from raw to the published file",
    "bare": "the same SQL, models and pages, bare",
    "day": "a day's refresh",
}
ORDER = (
    "new rows into raw",
    "marts",
    "checks of what came in",
    "ml",
    "insights",
    "pages",
    "exports",
    "publish",
    STARTING,
)
SECONDS_BETWEEN_LOOKS = 0.5

Figures = dict[str, Any]
"""What one process used: `total` and `stages`, each with cpu, wall and peak, and on Spark with spark_cpu and spark_peak
of its server; `processes`; perhaps `bytes`, `rows`."""


class Home:
    """One size of one business, in a folder that is removed when it has been measured.

    Args:
        folder: Where everything goes.
        sales: How many sales, about.
        tables: `shop` for customers, products and sales, `all` for everything the business has.
        engine: One of ENGINES.
        memory: What DuckDB may use, as PULSE_BUILD_MEMORY, or Spark's server.
    """

    def __init__(self, folder: Path, sales: int, tables: str, engine: str, memory: str) -> None:
        self.folder, self.sales, self.tables, self.engine = folder, sales, tables, engine
        self.landing = folder / "landing"
        self.variables = {
            "PULSE_DATA_DIR": str(folder / "home"),
            "PULSE_SOURCE": str(self.landing),
            "PULSE_BUILD_MEMORY": memory,
            "PULSE_THREADS": "2",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            **({"PULSE_TARGET": engine} if engine != "duckdb" else {}),
        }
        self.memory = memory
        self.server: int | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def engine_up(self) -> Iterator[None]:
        """On Spark, with a server of its own, whose catalog forgets this home when it ends."""
        if self.engine == "duckdb":
            yield
            return
        from orchestration.settings import Settings
        from orchestration.spark import servers

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"sc://127.0.0.1:{probe.getsockname()[1]}"
        settings = Settings(home=self.folder / "server", spark_url=url)

        def say(text: str) -> None:
            print(text, file=sys.stderr, flush=True)

        started = servers.up(settings, say, memory=self.memory.lower().removesuffix("b"))
        self.variables["PULSE_SPARK_URL"] = url
        self.server = started.named("connect").pid
        try:
            yield
        finally:
            servers.down(settings, say)

    def measure(self, step: str) -> Figures:
        """Do one step and say what it used."""
        if step == "generate":
            customers = str(round(self.sales / SALES_PER_CUSTOMER))
            files = str(self.folder / "files")
            return self._run("generate", "--customers", customers, "--tables", self.tables, "--folder", files)
        if step == "raw":
            shutil.copytree(self.folder / "files" / "history", self.landing, copy_function=os.link, dirs_exist_ok=True)
            return self._run("raw")
        if step == "refresh":
            return self._run("refresh")
        if step == "bare":
            return self._bare()
        shutil.copytree(self.folder / "files" / "day", self.landing, copy_function=os.link, dirs_exist_ok=True)
        return self._run("refresh")

    def _bare(self) -> Figures:
        """In a copy of the home, because seeds and declared tables are dbt's to make."""
        home, target = self.folder / "bare", self.folder / "target"
        shutil.copytree(self.folder / "home" / "raw", home / "raw", copy_function=os.link)
        for name in ("warehouse.duckdb", "work.duckdb"):
            shutil.copy(self.folder / "home" / name, home / name)
        variables = {"PULSE_DATA_DIR": str(home)}
        compile_all = ["--quiet", "compile", "--full-refresh", "--target-path", str(target), "--log-path", str(target)]
        subprocess.run(
            [str(BIN / "dbt"), *compile_all],
            cwd=ROOT / "dbt_project",
            env={**os.environ, **self.variables, **variables},
            check=True,
        )
        found = self._run("bare", "--folder", str(target), variables=variables)
        shutil.rmtree(home)
        return found

    def _run(self, what: str, *arguments: str, variables: dict[str, str] | None = None) -> Figures:
        """A step of `benchmarks/stages.py` in a process of its own.

        Raises:
            SystemExit: It failed; what it said is in the log that the message names.
        """
        out, log = self.folder / "figures.json", self.folder / f"{what}.log"
        out.unlink(missing_ok=True)
        command = [sys.executable, str(ROOT / "benchmarks" / "stages.py"), what, "--out", str(out), *arguments]
        if self.server is not None:
            command += ["--server", str(self.server)]
        with log.open("w", encoding="utf-8") as said:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **self.variables, **(variables or {})}, stdout=said, stderr=said
            )
            processes = 1
            while process.poll() is None:
                processes = max(processes, 1 + _descendants(process.pid))
                time.sleep(SECONDS_BETWEEN_LOOKS)
        if process.returncode:
            raise SystemExit(f"{what} of {self.sales:,} sales failed with {process.returncode}: see {log}")
        return {**json.loads(out.read_text(encoding="utf-8")), "processes": processes}


def _descendants(pid: int) -> int:
    """How many processes a process has started that live now, and those by them."""
    parents = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            # It has ended since it was listed.
            continue
        parents[int(file.parent.name)] = int(fields[1])
    found, new = {pid}, {pid}
    while new := {child for child, parent in parents.items() if parent in new} - found:
        found |= new
    return len(found) - 1


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """How a cost grows: the slope of its logarithm over that of the size; 1 is proportional. None with one size."""
    points = [(math.log(size), math.log(cost)) for size, cost in zip(sizes, costs, strict=True) if cost > 0]
    if len(points) < 2:
        return None
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    return sum((x - x_mean) * (y - y_mean) for x, y in points) / sum((x - x_mean) ** 2 for x, _ in points)


def lines(measured: Figures) -> dict[str, dict[str, float]]:
    """The lines of the table of one size: cpu, wall and peak by title."""
    found = {}
    for step in STEPS:
        if step not in measured:
            continue
        figures = measured[step]
        found[TITLES[step]] = _counted(figures)
        if step in ("raw", "refresh", "day"):
            found |= {
                f"{TITLES[step]} / {stage}": figures["stages"][stage] for stage in ORDER if stage in figures["stages"]
            }
    return found


def _cpu_of(used: dict[str, float]) -> float:
    """CPU-seconds of Python and of Spark."""
    return used["cpu"] + used.get("spark_cpu", 0.0)


def _peak_of(used: dict[str, float]) -> float:
    """Peak memory of Python and of Spark in MB, as if both had been reached at once."""
    return used["peak"] + used.get("spark_peak", 0.0)


def _counted(figures: Figures) -> dict[str, float]:
    """What a process used, less what it only needed to be measured."""
    extra = figures["stages"].get(UNCOUNTED, {"cpu": 0.0, "wall": 0.0})
    total = figures["total"]
    return {**total, "cpu": total["cpu"] - extra["cpu"], "wall": total["wall"] - extra["wall"]}


def markdown(results: Sequence[Figures]) -> str:
    """Everything measured as one table, a column of CPU-seconds a size, and what follows from it."""
    if not results:
        return "Nothing has been measured yet."
    parts = []
    for tables, engine in sorted({(each["tables"], each["engine"]) for each in results}):
        chosen = sorted(
            (each for each in results if (each["tables"], each["engine"]) == (tables, engine)),
            key=lambda each: each["sales"],
        )
        parts.append(_table(tables, engine, chosen))
    on: dict[str, dict[int, dict[str, Figures]]] = {}
    for each in sorted(results, key=lambda each: each["sales"]):
        on.setdefault(each["tables"], {}).setdefault(each["sales"], {})[each["engine"]] = each
    for tables, by_sales in sorted(on.items()):
        if both := {sales: found for sales, found in by_sales.items() if len(found) == len(ENGINES)}:
            parts.append(_side_by_side(tables, both))
    return "\n\n".join(parts)


def _table(tables: str, engine: str, results: Sequence[Figures]) -> str:
    by_size = [lines(each["steps"]) for each in results]
    names = list(dict.fromkeys(name for each in by_size for name in each))
    sizes = [each["sales"] for each in results]
    unit = "CPU-s" if engine == "duckdb" else "CPU-s (of it Spark)"
    head = "".join(f" {each['sales']:,} sales: {unit} | s | peak MB |" for each in results)
    text = [
        f"{_what(tables)}, {engine}\n",
        f"|  |{head} CPU grows as size to the |",
        "|---" * (3 * len(results) + 2) + "|",
    ]
    for name in names:
        cells, known = "", []
        for size, found in zip(sizes, by_size, strict=True):
            figures = found.get(name)
            if figures is None:
                cells += " | | |"
                continue
            known.append((size, _cpu_of(figures)))
            of_spark = f" ({figures['spark_cpu']:,.1f})" if "spark_cpu" in figures else ""
            cells += f" {_cpu_of(figures):,.1f}{of_spark} | {figures['wall']:,.0f} | {_peak_of(figures):,.0f} |"
        slope = exponent(*zip(*known, strict=True)) if known else None
        text.append(f"| {_shown(name)} |{cells} {'' if slope is None else f'{slope:.2f}'} |")
    text.append("")
    for result in results:
        text.append(_said(result))
    return "\n".join(text)


def _side_by_side(tables: str, both: dict[int, dict[str, Figures]]) -> str:
    """DuckDB and Spark by size, and their ratio; the stages that a server takes part in, the rest is in the sums."""
    columns = "".join(
        f" {sales:,} sales: DuckDB | peak MB | Spark (of it its server) | peak MB | times |" for sales in both
    )
    text = [
        f"{_what(tables)}: CPU-seconds, and peak MB of Python and of Spark\n",
        f"|  |{columns}",
        "|---" * (5 * len(both) + 1) + "|",
    ]
    by_size = {sales: {name: lines(each["steps"]) for name, each in found.items()} for sales, found in both.items()}
    for name in dict.fromkeys(name for found in by_size.values() for name in found["spark"]):
        stage = name.partition(" / ")[2]
        if stage not in ("", "marts", "ml", "insights"):
            continue
        cells = ""
        for found in by_size.values():
            here, there = found["duckdb"].get(name), found["spark"].get(name)
            if here is None or there is None:
                cells += " | | | | |"
                continue
            cells += (
                f" {here['cpu']:,.1f} | {here['peak']:,.0f} | {_cpu_of(there):,.1f} ({there.get('spark_cpu', 0):,.1f})"
                f" | {there['peak']:,.0f} + {there.get('spark_peak', 0):,.0f} | {_cpu_of(there) / here['cpu']:.1f} |"
            )
        text.append(f"| {_shown(name)} |{cells}")
    return "\n".join(text)


def _what(tables: str) -> str:
    return "customers, products and sales" if tables == "shop" else "every table"


def _shown(name: str) -> str:
    stage = name.partition(" / ")[2]
    return f"&nbsp;&nbsp;of it {stage}" if stage else f"**{name}**"


def _said(result: Figures) -> str:
    """One size in words: rows, the ratio to bare, processes, bytes, what costs most."""
    steps = result["steps"]
    parts = [f"{result['sales']:,} sales"]
    if "generate" in steps:
        rows = sum(steps["generate"]["rows"].values())
        parts[0] += f" ({rows:,} rows)"
    if "refresh" in steps:
        refresh = steps["refresh"]
        if "bare" in steps:
            ratio = refresh["total"]["cpu"] / _counted(steps["bare"])["cpu"]
            parts.append(f"a refresh from raw costs {ratio:.2f} x the same bare")
        if "day" in steps:
            ratio = _cpu_of(steps["day"]["total"]) / _cpu_of(refresh["total"])
            parts.append(f"a day's {ratio:.2f} x the first")
        parts.append(f"at most {refresh['processes']} processes at once")
        sizes = ", ".join(f"{name} {size / 1e6:,.0f} MB" for name, size in refresh["bytes"].items())
        parts.append(f"on disk: {sizes}")
        dearest = sorted(refresh["stages"].items(), key=lambda each: -_cpu_of(each[1]))[:2]
        share = _cpu_of(refresh["total"])
        named = " and ".join(f"{name} ({_cpu_of(used) / share:.0%})" for name, used in dearest)
        parts.append(f"dearest: {named}")
    return f"- {'; '.join(parts)}. Measured {result['measured_at']}, {result['machine']}."


def page(results: Sequence[Figures], file: Path) -> None:
    """CPU-seconds by size as a plotly page, both axes logarithmic, one line a stage."""
    import plotly.graph_objects as go
    from plotly.colors import qualitative

    colours = qualitative.Dark2
    figure = go.Figure()
    for tables, engine in sorted({(each["tables"], each["engine"]) for each in results}):
        chosen = sorted(
            (each for each in results if (each["tables"], each["engine"]) == (tables, engine)),
            key=lambda each: each["sales"],
        )
        by_size = [lines(each["steps"]) for each in chosen]
        for name in dict.fromkeys(name for each in by_size for name in each):
            known = [(each["sales"], found[name]) for each, found in zip(chosen, by_size, strict=True) if name in found]
            title, _, stage = name.partition(" / ")
            figure.add_scatter(
                x=[size for size, _ in known],
                y=[_cpu_of(used) for _, used in known],
                customdata=[[used["wall"], _peak_of(used)] for _, used in known],
                name=stage or title,
                legendgroup=f"{tables}, {engine}: {title if stage else 'steps'}",
                legendgrouptitle_text=f"{tables}, {engine}: {title if stage else 'steps'}",
                mode="lines+markers",
                line={"dash": "dot"} if stage else {"color": colours[list(TITLES.values()).index(title)], "width": 3},
                visible=True if not stage or title == TITLES["refresh"] else "legendonly",
                hovertemplate="%{x:,} sales: %{y:,.1f} CPU-s, %{customdata[0]:,.0f} s, %{customdata[1]:,.0f} MB",
            )
    figure.update_layout(
        title="What Customer Pulse costs, by number of sales",
        xaxis={"type": "log", "title": {"text": "sales"}},
        yaxis={"type": "log", "title": {"text": "CPU-seconds"}},
        template="plotly_white",
        height=760,
    )
    figure.write_html(file, include_plotlyjs=True)


class Measured:
    """What is known of one size on one engine, kept in a file so that a stopped run goes on.

    Args:
        folder: Where figures are kept.
        sales: How many sales, about.
        tables: As for Home.
        engine: As for Home.
        memory: As for Home.
    """

    def __init__(self, folder: Path, sales: int, tables: str, engine: str, memory: str) -> None:
        name = f"{tables}-{engine}-{sales}"
        self.file = folder / f"{name}.json"
        self.home = Home(folder / name, sales, tables, engine, memory)
        self.result: Figures = {
            "sales": sales,
            "tables": tables,
            "engine": engine,
            "measured_at": f"{datetime.now(UTC):%Y-%m-%d}",
            "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
            "steps": {},
        }
        if self.file.exists():
            self.result = json.loads(self.file.read_text(encoding="utf-8"))
        self.is_up = False

    def measure(self, step: str, servers: ExitStack) -> None:
        """Do a step that has not been done; the engine is started before the first, and ended with `servers`."""
        if step in self.result["steps"] or (step == "bare" and self.home.engine != "duckdb"):
            return
        if not self.is_up:
            servers.enter_context(self.home.engine_up())
            self.is_up = True
        figures = self.home.measure(step)
        self.result["steps"][step] = figures
        self.file.write_text(json.dumps(self.result, indent=1), encoding="utf-8")
        total = _counted(figures)
        used = f"{_cpu_of(total):.1f} CPU-s, {_peak_of(total):,.0f} MB"
        print(f"  {self.home.sales:,} on {self.home.engine}: {step} {used}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the home, unless a step that needs it is still to be done."""
        if set(STEPS) - {"bare"} <= set(self.result["steps"]):
            shutil.rmtree(self.home.folder)


def main() -> None:
    """Measure what is not measured yet, and write table and page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sales", type=float, nargs="*", default=[1e5, 1e6], help="sizes, in sales")
    parser.add_argument("--tables", choices=["shop", "all"], default="shop")
    parser.add_argument("--target", choices=ENGINES, nargs="+", default=["duckdb"], help="where the SQL runs")
    parser.add_argument("--memory", default="3GB", help="what DuckDB, or Spark's server, may use")
    parser.add_argument("--steps", choices=STEPS, nargs="+", default=list(STEPS))
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "product", help="folder for figures and pages")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for sales in map(int, arguments.sales):
        with ExitStack() as servers:
            measured = [
                Measured(arguments.out, sales, arguments.tables, name, arguments.memory) for name in arguments.target
            ]
            for step in (step for step in STEPS if step in arguments.steps):
                for each in measured:
                    each.measure(step, servers)
        for each in measured:
            each.clear()
    results = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(arguments.out.glob("*-*-*.json"))]
    text = markdown(results)
    (arguments.out / "product.md").write_text(f"{text}\n", encoding="utf-8")
    page(results, arguments.out / "product.html")
    print(text)


if __name__ == "__main__":
    main()
