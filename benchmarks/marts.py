"""What the marts cost through dbt: against the same SQL run bare, against pandas, and a day against a rebuild.

Writes a shop of the size asked for, then runs each contestant in a process of its own, interleaved, and prints
CPU-seconds (user and system) and peak memory. Run it with `.venv/bin/python benchmarks/marts.py --sales 1000000`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from datetime import date
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.refresh import BIN, ROOT, measured
from sources.contracts import BY_NAME, CONTRACTS
from sources.delivery import Delivery
from sources.store import RawFolder

DAYS = 730
AS_OF = date(2025, 12, 30)

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


def write_shop(raw: Path, sales: int) -> RawFolder:
    """Raw tables of a shop with that many sale lines over two years, two lines an order."""
    folder = RawFolder(raw)
    for contract in CONTRACTS:
        folder.folder(contract).mkdir(parents=True, exist_ok=True)
        folder.merge(contract, [], 1)
    connection = duckdb.connect()
    customers = max(100, sales // 20)
    numbers = f"select range as n, (range * {DAYS - 1} // {sales}) as day from range({sales})"
    connection.execute(f"create table lines as {SALES.format(customers=customers, numbers=numbers)}")
    target = folder.folder(BY_NAME["shop.sales"])
    for (month,) in connection.execute("select distinct strftime(sold_at, '%Y-%m') from lines").fetchall():
        rows = f"select *, 1::bigint as _batch from lines where strftime(sold_at, '%Y-%m') = '{month}' order by sold_at"
        connection.execute(f"copy ({rows}) to '{target / f'{month}.parquet'}' (format parquet, compression zstd)")
    products = """
        select 'p' || range::varchar as product_id, 'Product' as name, 'k' || (range % 12)::varchar as category,
            50::decimal(18, 4) as list_price, 20::decimal(18, 4) as unit_cost, null::date as launched_on,
            1::bigint as _batch from range(301)
    """
    connection.execute(f"copy ({products}) to '{folder.folder(BY_NAME['shop.products']) / 'all.parquet'}'")
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


def run_bare(home: Path, target: Path) -> None:
    """The compiled SQL of every model, in order, without dbt."""
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    models = {name: node for name, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    connection = duckdb.connect(str(home / "warehouse.duckdb"))
    connection.execute(f"attach '{home / 'work.duckdb'}' as work")
    connection.execute(f"set threads to {os.environ['PULSE_THREADS']}")
    done: set[str] = set()
    while todo := [name for name in models if name not in done]:
        for name in todo:
            node = models[name]
            if set(node["depends_on"]["nodes"]) & set(models) <= done:
                kind = "view" if node["config"]["materialized"] == "view" else "table"
                connection.execute(f"create schema if not exists {node['database']}.{node['schema']}")
                compiled = (target / "compiled" / "customer_pulse" / node["original_file_path"]).read_text()
                connection.execute(f"create or replace {kind} {node['relation_name']} as {compiled}")
                done.add(name)


PAIRS = {
    "int_pairs__counted: join, then count": None,
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
    connection = duckdb.connect(str(home / "warehouse.duckdb"), read_only=True)
    connection.execute(f"set threads to {os.environ['PULSE_THREADS']}")
    connection.execute(f"create temp table pairs as {PAIRS[name] or compiled.read_text()}")


def contents(home: Path) -> dict[str, tuple[int, int]]:
    """Row count and a checksum of every table of the marts."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        names = connection.execute("select table_name from duckdb_tables() where schema_name = 'marts'").fetchall()
        query = "select count(*), coalesce(sum(hash(t::varchar) % 1000000007), 0)::bigint from marts.{} as t"
        return {name: connection.execute(query.format(name)).fetchone() or (0, 0) for (name,) in names}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sales", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--pairs", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        run_bare(*arguments.bare)
        return
    if arguments.pairs:
        run_pairs(Path(arguments.pairs[0]), Path(arguments.pairs[1]), arguments.pairs[2])
        return

    with tempfile.TemporaryDirectory() as name:
        home, bare, target = Path(name) / "home", Path(name) / "bare", Path(name) / "target"
        folder = write_shop(home / "raw", arguments.sales)
        variables = {"PULSE_DATA_DIR": str(home), "PULSE_THREADS": "2"}
        dbt = [str(BIN / "dbt"), "--quiet"]
        paths = ["--target-path", str(target), "--log-path", name]
        me = [sys.executable, __file__]
        project = ROOT / "dbt_project"
        measured([*dbt, "build", "--exclude-resource-type", "unit_test", *paths], project, variables)
        contestants = {
            "dbt run, all marts": ([*dbt, "run", "--full-refresh", *paths], project),
            "dbt build, all marts and their tests": (
                [*dbt, "build", "--full-refresh", "--exclude-resource-type", "unit_test", *paths],
                project,
            ),
            "the same SQL, bare": ([*me, "--bare", str(bare), str(target)], ROOT),
            "pandas, five of the marts": (
                [sys.executable, str(ROOT / "benchmarks" / "pandas_marts.py"), str(home / "raw"), f"{name}/out"],
                ROOT,
            ),
            **{f"pairs: {way}": ([*me, "--pairs", str(home), str(target), way], ROOT) for way in PAIRS},
        }
        bare.mkdir()
        # seeds and ml tables are dbt's to make: bare SQL finds them in a copy
        for file in ("warehouse.duckdb", "work.duckdb"):
            shutil.copy(home / file, bare / file)
        figures: dict[str, list[tuple[float, float]]] = {way: [] for way in contestants}
        for _ in range(arguments.rounds):
            for way, (command, cwd) in contestants.items():
                figures[way].append(measured(command, cwd, variables))
        report(figures, f"{arguments.sales:,} sales, {arguments.rounds} rounds interleaved, {os.cpu_count()} cores")

        rows = deliver_day(folder, arguments.sales)
        before = Path(name) / "before"
        for file in ("warehouse.duckdb", "work.duckdb"):
            before.mkdir(exist_ok=True)
            shutil.copy(home / file, before / file)
        some = ["--select", "config.materialized:incremental", "int_sales__changed"]
        ways = {
            "dbt run, a day's refresh": ["run"],
            "dbt run, a full one": ["run", "--full-refresh"],
            "dbt run, incremental models, a day's refresh": ["run", *some],
            "dbt run, incremental models, a full one": ["run", "--full-refresh", *some],
            "dbt run, one view: what starting costs": ["run", "--select", "stg_pulse__clock"],
        }
        days: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        results = {}
        for _ in range(arguments.rounds):
            for way, command in ways.items():
                for file in ("warehouse.duckdb", "work.duckdb"):
                    shutil.copy(before / file, home / file)
                days[way].append(measured([*dbt, *command, *paths], project, variables))
                results[way] = contents(home)
        report(days, f"a day's {rows:,} rows, of which 9 % late and 1 % restated")
        same = results["dbt run, a day's refresh"] == results["dbt run, a full one"]
        print(f"\nThe day's refresh {'equals' if same else 'DIFFERS FROM'} the full one in every mart.")


def report(figures: dict[str, list[tuple[float, float]]], title: str) -> None:
    """Print one table."""
    print(f"\n{title}\n\n| command | CPU-s, median (min to max) | peak MB |\n|---|---|---|")
    for way, runs in figures.items():
        seconds = [each for each, _ in runs]
        spread = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        print(f"| {way} | {spread} | {max(peak for _, peak in runs):.0f} |", flush=True)


if __name__ == "__main__":
    main()
