"""What the marts cost: through dbt, as the same SQL run bare, in pandas, in polars; a day against a rebuild.

Writes a shop of the size asked for, checks on a small one that pandas and polars give the same marts, then runs each
contestant in a process of its own, interleaved, and prints CPU-seconds (user and system, with child processes) and peak
memory. Polars is no dependency of the project: it gets an environment of its own in the benchmark's temporary folder.

    .venv/bin/python benchmarks/marts.py --sales 1000000
    .venv/bin/python benchmarks/marts.py --sales 50000000 --part build
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.agreement import KEYS, differences
from benchmarks.refresh import BIN, ROOT, measured
from sources.contracts import BY_NAME, CONTRACTS
from sources.delivery import Delivery
from sources.store import RawFolder

DAYS = 730
AS_OF = date(2025, 12, 30)
POLARS = "polars==2.1.*"
FILES = ("warehouse.duckdb", "work.duckdb")
SALES_MARTS = ("--select", *(f"+{mart}" for mart in KEYS))
PROJECT = ROOT / "dbt_project"

Figures = dict[str, list[tuple[float, float]]]
"""CPU-seconds and peak megabytes of every round, by contestant."""

SALES = """
select
    's' || lpad(n::varchar, 10, '0') as sale_id,
    'o' || lpad((n // 2)::varchar, 10, '0') as order_id,
    case when hash(n // 2) % 20 > 0 then 'c' || (hash(n // 2, 1) % {customers})::varchar end as customer_id,
    'p' || (pow((hash(n, 2) % 1000) / 1000.0, 2) * 300)::bigint::varchar as product_id,
    date '2024-01-01' + to_days(day::integer) + to_seconds((hash(n // 2, 3) % 86400)::integer) as sold_at,
    (1 + hash(n, 4) % 3)::decimal(18, 4) as quantity, (5 + hash(n, 5) % 95)::decimal(18, 4) as unit_price,
    case when hash(n, 6) % 4 = 0 then 0.1 else 0.0 end as discount_rate,
    (5 + hash(n, 5) % 95)::decimal(18, 4) as amount, 'online' as channel,
    case when hash(n, 7) % 20 = 0
        then date '2024-01-01' + to_days((day + 9)::integer) + to_hours(12) end as returned_at,
    null::varchar as category
from ({numbers})
"""
"""Sale lines as SQL; `numbers` gives n, the number of the line, and day, counted from the first."""

PROVENANCE = "1::bigint as _batch, 'shop' as _file, row_number() over ()::bigint as _line"
"""The columns that merging adds to raw rows."""


def write_shop(raw: Path, sales: int) -> RawFolder:
    """Raw tables of a shop with that many sale lines over two years, two lines an order."""
    folder = RawFolder(raw)
    for contract in CONTRACTS:
        folder.folder(contract).mkdir(parents=True, exist_ok=True)
        folder.merge(contract, [], 1)
    customers = max(100, sales // 20)
    target = folder.folder(BY_NAME["shop.sales"])
    with duckdb.connect() as connection:
        connection.execute("set memory_limit = '2GB'")
        connection.execute(f"set temp_directory = '{raw / 'tmp'}'")
        # a month at a time, so that the largest shop fits: days follow the numbers of the lines
        months = connection.execute(
            f"""
            select strftime(date '2024-01-01' + to_days(range::integer), '%Y-%m') as month,
                min(ceil(range * {sales} / {DAYS - 1}))::bigint, max(ceil((range + 1) * {sales} / {DAYS - 1}))::bigint
            from range({DAYS - 1}) group by all order by all
            """
        ).fetchall()
        for month, first, end in months:
            numbers = f"select range as n, (range * {DAYS - 1} // {sales}) as day from range({first}, {end})"
            rows = (
                f"select *, {PROVENANCE} from ({SALES.format(customers=customers, numbers=numbers)}) order by sold_at"
            )
            connection.execute(f"copy ({rows}) to '{target / f'{month}.parquet'}' (format parquet, compression zstd)")
        products = f"""
            select 'p' || range::varchar as product_id, 'Product' as name, 'k' || (range % 12)::varchar as category,
                50::decimal(18, 4) as list_price, 20::decimal(18, 4) as unit_cost, null::date as launched_on,
                {PROVENANCE} from range(301)
        """
        connection.execute(f"copy ({products}) to '{folder.folder(BY_NAME['shop.products']) / 'all.parquet'}'")
    shutil.rmtree(raw / "tmp", ignore_errors=True)
    folder.write_clock(date(2025, 12, 29), AS_OF, 1)
    return folder


def deliver_day(folder: RawFolder, sales: int) -> int:
    """A day's rows: nine tenths of today, 9 % late by up to 60 days, 1 % restated; returns how many."""
    rows = max(100, sales // DAYS)
    numbers = f"""
        select case when range % 100 = 0 then {sales} - 1 - range * 50 else {sales} + range end as n,
            case when range % 100 < 10 then {DAYS - 2} - hash(range) % 60 else {DAYS - 1} end as day
        from range({rows})
    """
    contract = BY_NAME["shop.sales"]
    path = folder.incoming(contract) / "day.parquet"
    query = SALES.format(customers=max(100, sales // 20), numbers=numbers)
    duckdb.execute(f"copy (select *, row_number() over () as _line from ({query})) to '{path}'")
    folder.merge(contract, [Delivery("day", contract.name, None, rows, 0, path)], 2)
    folder.clear_incoming()
    folder.write_clock(AS_OF, AS_OF, 2)
    return rows


def run_bare(home: Path, target: Path, only: str) -> None:
    """The compiled SQL of the models, in order, without dbt; what the dearest took goes to stderr."""
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    models = {name: node for name, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    if only == "sales":
        wanted = {name for name, node in models.items() if node["name"] in KEYS}
        while more := {up for name in wanted for up in models[name]["depends_on"]["nodes"] if up in models} - wanted:
            wanted |= more
        models = {name: models[name] for name in wanted}
    took = {}
    connection = duckdb.connect(str(home / FILES[0]))
    connection.execute(f"attach '{home / FILES[1]}' as work")
    connection.execute(f"set threads to {os.environ['PULSE_THREADS']}")
    connection.execute(f"set memory_limit to '{os.environ.get('PULSE_BUILD_MEMORY', '3GB')}'")
    while todo := [name for name in models if name not in took]:
        for name in todo:
            node = models[name]
            if set(node["depends_on"]["nodes"]) & set(models) <= set(took):
                kind = "view" if node["config"]["materialized"] == "view" else "table"
                connection.execute(f"create schema if not exists {node['database']}.{node['schema']}")
                compiled = (target / "compiled" / "customer_pulse" / node["original_file_path"]).read_text()
                before = resource.getrusage(resource.RUSAGE_SELF)
                connection.execute(f"create or replace {kind} {node['relation_name']} as {compiled}")
                after = resource.getrusage(resource.RUSAGE_SELF)
                took[name] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    for name, seconds in sorted(took.items(), key=lambda each: -each[1])[:20]:
        print(f"{seconds:7.2f} {models[name]['name']}", file=sys.stderr)


PAIRS = {
    "int_pairs__counted: small orders without a join": None,
    "distinct, window, join": """
        with baskets as (
            select distinct order_id, product_id from marts.fct_sales where is_order_line and product_id is not null
        ),
        sized as (select *, count(*) over (partition by order_id) as size from baskets)
        select a.product_id, b.product_id, count(distinct a.order_id)
        from sized as a inner join sized as b on a.order_id = b.order_id and a.product_id < b.product_id
        where a.size > 1 group by all
    """,
}


def run_pairs(home: Path, target: Path, name: str) -> None:
    """One way to count pairs, over the facts of a home."""
    compiled = target / "compiled" / "customer_pulse" / "models" / "intermediate" / "int_pairs__counted.sql"
    connection = duckdb.connect(str(home / FILES[0]), read_only=True)
    connection.execute(f"set threads to {os.environ['PULSE_THREADS']}")
    connection.execute(f"create temp table pairs as {PAIRS[name] or compiled.read_text()}")


def contents(home: Path) -> dict[str, tuple[int, int]]:
    """Row count and a checksum of every table of the marts."""
    with duckdb.connect(str(home / FILES[0]), read_only=True) as connection:
        names = connection.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
        query = "select count(*), coalesce(sum(hash(t::varchar) % 1000000007), 0)::bigint from marts.{} as t"
        return {name: connection.execute(query.format(name)).fetchone() or (0, 0) for (name,) in names}


class Shop:
    """One written shop, and the commands that make its marts.

    Args:
        folder: Where everything goes.
        sales: How many sale lines.
        memory: What DuckDB may use, through dbt and bare.
    """

    def __init__(self, folder: Path, sales: int, memory: str) -> None:
        self.folder, self.sales = folder, sales
        self.home, self.bare, self.target = folder / "home", folder / "bare", folder / "target"
        self.variables = {
            "PULSE_DATA_DIR": str(self.home),
            "PULSE_THREADS": "2",
            "PULSE_BUILD_MEMORY": memory,
            "POLARS_MAX_THREADS": "2",
        }
        self.raw = write_shop(self.home / "raw", sales)

    def dbt(self, *arguments: str) -> tuple[list[str], Path]:
        """A dbt command, and the folder to run it in."""
        paths = ["--target-path", str(self.target), "--log-path", str(self.folder)]
        return [str(BIN / "dbt"), "--quiet", *arguments, *paths], PROJECT

    def me(self, *arguments: str) -> tuple[list[str], Path]:
        """This file in a process of its own."""
        return [sys.executable, __file__, *arguments], ROOT

    def script(self, python: str, name: str) -> tuple[list[str], Path]:
        """The same marts without us."""
        paths = [str(self.home / "raw"), str(PROJECT / "seeds"), str(self.folder / name)]
        return [python, str(ROOT / "benchmarks" / f"{name}_marts.py"), *paths], ROOT

    def measure(self, command: tuple[list[str], Path]) -> tuple[float, float]:
        """CPU-seconds and peak megabytes of a command.

        Raises:
            SystemExit: It failed; the message is the end of dbt's log.
        """
        try:
            return measured(*command, self.variables)
        except subprocess.CalledProcessError as error:
            log = self.folder / "dbt.log"
            said = log.read_text(encoding="utf-8")[-3000:] if log.exists() else ""
            raise SystemExit(f"{' '.join(command[0])} failed with {error.returncode}\n{said}") from None

    def build(self) -> tuple[float, float]:
        """Seeds and models, from nothing."""
        return self.measure(self.dbt("build", "--exclude-resource-type", "unit_test", "test"))

    def copied(self, source: Path, target: Path) -> None:
        """The two DuckDB files of one home as those of another."""
        target.mkdir(exist_ok=True)
        for file in FILES:
            shutil.copy(source / file, target / file)


def polars_python(folder: Path) -> str:
    """An environment with polars in it."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", POLARS], check=True, stderr=subprocess.DEVNULL)
    return str(python)


def check(folder: Path, python: str) -> None:
    """Refuse to measure contestants that do not do the same.

    Raises:
        SystemExit: They disagree; the message says where.
    """
    shop = Shop(folder, 20_000, "1GB")
    shop.build()
    for name, interpreter in (("pandas", sys.executable), ("polars", python)):
        shop.measure(shop.script(interpreter, name))
        if found := differences(shop.home / FILES[0], shop.folder / name):
            raise SystemExit(f"{name} makes other marts, so that nothing was measured:\n" + "\n".join(found))
    print(f"pandas and polars give our {len(KEYS)} sales marts, value for value, on {shop.sales:,} sales.")


def say(way: str, figures: tuple[float, float]) -> None:
    """One measurement, for whoever waits."""
    print(f"  {way}: {figures[0]:.1f} CPU-s, {figures[1]:.0f} MB", file=sys.stderr, flush=True)


def interleaved(shop: Shop, contestants: dict[str, tuple[list[str], Path]], rounds: int) -> Figures:
    """Every contestant once a round."""
    figures: Figures = {way: [] for way in contestants}
    for _ in range(rounds):
        for way, command in contestants.items():
            figures[way].append(shop.measure(command))
            say(way, figures[way][-1])
    return figures


def compare(shop: Shop, rounds: int, python: str) -> None:
    """The marts through dbt, bare, in pandas, in polars; pairs two ways."""
    # seeds and ml tables are dbt's to make: bare SQL finds them in a copy
    shop.copied(shop.home, shop.bare)
    bare, target = str(shop.bare), str(shop.target)
    contestants = {
        "dbt run, all marts": shop.dbt("run", "--full-refresh"),
        "the same SQL, bare": shop.me("--bare", bare, target, "all"),
        "dbt run, the sales marts": shop.dbt("run", "--full-refresh", *SALES_MARTS),
        "the sales marts, bare": shop.me("--bare", bare, target, "sales"),
        "the sales marts, pandas": shop.script(sys.executable, "pandas"),
        "the sales marts, polars": shop.script(python, "polars"),
        **{f"pairs: {way}": shop.me("--pairs", str(shop.home), target, way) for way in PAIRS},
    }
    figures = interleaved(shop, contestants, rounds)
    report(figures, f"{shop.sales:,} sales, {rounds} rounds interleaved, {os.cpu_count()} cores")
    if found := differences(shop.home / FILES[0], shop.folder / "polars"):
        raise SystemExit("polars made other marts:\n" + "\n".join(found))


def refresh_a_day(shop: Shop, rounds: int) -> None:
    """A day's rows on top, incrementally and from nothing."""
    rows = deliver_day(shop.raw, shop.sales)
    before = shop.folder / "before"
    shop.copied(shop.home, before)
    some = ["--select", "config.materialized:incremental", "int_sales__changed"]
    ways = {
        "dbt run, a day's refresh": ["run"],
        "dbt run, a full one": ["run", "--full-refresh"],
        "dbt run, incremental models, a day's refresh": ["run", *some],
        "dbt run, incremental models, a full one": ["run", "--full-refresh", *some],
        "dbt run, one view: what starting costs": ["run", "--select", "stg_pulse__clock"],
    }
    days: Figures = {way: [] for way in ways}
    results = {}
    for _ in range(rounds):
        for way, command in ways.items():
            shop.copied(before, shop.home)
            days[way].append(shop.measure(shop.dbt(*command)))
            say(way, days[way][-1])
            results[way] = contents(shop.home)
    report(days, f"{shop.sales:,} sales, a day's {rows:,} rows, of which 9 % late and 1 % restated")
    same = results["dbt run, a day's refresh"] == results["dbt run, a full one"]
    print(f"\nThe day's refresh {'equals' if same else 'DIFFERS FROM'} the full one in every mart.")


def report(figures: Figures, title: str) -> None:
    """Print one table."""
    print(f"\n{title}\n\n| command | CPU-s, median (min to max) | peak MB |\n|---|---|---|")
    for way, runs in figures.items():
        seconds = [each for each, _ in runs]
        spread = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        print(f"| {way} | {spread} | {max(peak for _, peak in runs):,.0f} |", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sales", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="3GB", help="what DuckDB may use, as PULSE_BUILD_MEMORY")
    parser.add_argument("--part", choices=["all", "compare", "day", "build"], default="all")
    parser.add_argument("--bare", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--pairs", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        run_bare(Path(arguments.bare[0]), Path(arguments.bare[1]), arguments.bare[2])
        return
    if arguments.pairs:
        run_pairs(Path(arguments.pairs[0]), Path(arguments.pairs[1]), arguments.pairs[2])
        return
    with tempfile.TemporaryDirectory(prefix="pulse-marts-") as name:
        folder = Path(name)
        python = ""
        if arguments.part in ("all", "compare"):
            python = polars_python(folder / "polars_environment")
            check(folder / "small", python)
        (folder / "shop").mkdir()
        shop = Shop(folder / "shop", arguments.sales, arguments.memory)
        seconds, peak = shop.build()
        print(f"\n{arguments.sales:,} sales, from nothing, {arguments.memory}: {seconds:.1f} CPU-s, {peak:,.0f} MB")
        if python:
            compare(shop, arguments.rounds, python)
        if arguments.part in ("all", "day"):
            refresh_a_day(shop, arguments.rounds)


if __name__ == "__main__":
    main()
