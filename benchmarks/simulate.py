"""What the synthetic business costs: simulating and writing it, against DuckDB writing the same rows from memory.

Every contestant runs in a process of its own; CPU-seconds are user and system, over all threads. Beside them a script
as one would write it with Faker and pandas, row by row, of which a stated part is run. Run it with
`.venv/bin/python benchmarks/simulate.py`; nothing else should be running, 6 GB of memory and 8 GB of disk are enough.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq
from faker import Faker

from sources.contracts import BY_NAME, CONTRACTS
from sources.delivery import Request
from sources.synthetic import SyntheticSource
from sources.synthetic.tables import repetitive

STARTS_ON, AS_OF = date(2024, 1, 1), date(2025, 12, 31)
SEED = 7
SALES_PER_CUSTOMER = 9.62
CHUNK_ROWS = 5_000_000
FAKER_SALES = 5_000


def cpu() -> float:
    """CPU-seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def sales(folder: Path, customers: int) -> dict[str, float]:
    """Simulate and write the sales table, and nothing else."""
    source = SyntheticSource(SEED, customers, STARTS_ON)
    writer, rows = None, 0
    for world in source.simulation(AS_OF).windows():
        table = world.table("shop.sales")
        writer = writer or pq.ParquetWriter(
            folder / "sales.parquet", table.schema, use_dictionary=repetitive(BY_NAME["shop.sales"])
        )
        writer.write_table(table)
        rows += table.num_rows
    if writer:
        writer.close()
    return {"cpu": cpu(), "rows": rows}


def deliver(folder: Path, customers: int, as_of: date, delivered_to: date | None) -> int:
    """Deliver every table up to a day, as a refresh asks for it; number of rows."""
    source = SyntheticSource(SEED, customers, STARTS_ON, memory=folder / "memory")
    request = Request(as_of + timedelta(days=1), as_of, "UTC", {}, delivered_to=delivered_to)
    rows = 0
    for contract in CONTRACTS:
        place = folder / as_of.isoformat() / contract.name
        place.mkdir(parents=True)
        rows += sum(delivery.rows for delivery in source.deliver(contract, place, request))
    return rows


def world(folder: Path, customers: int) -> dict[str, float]:
    """Simulate and write every table."""
    return {"rows": deliver(folder, customers, AS_OF, None), "cpu": cpu()}


def advance(folder: Path, customers: int) -> dict[str, float]:
    """Simulate and write what the next day brings."""
    return {"rows": deliver(folder, customers, AS_OF + timedelta(days=1), AS_OF), "cpu": cpu()}


def copying(files: list[Path], out: Path) -> dict[str, float]:
    """CPU-seconds in which DuckDB writes rows to Parquet that it holds in memory, a part at a time."""
    seconds, size = 0.0, 0
    for file in files:
        rows = pq.ParquetFile(file).metadata.num_rows
        for start in range(0, rows, CHUNK_ROWS):
            with duckdb.connect() as connection:
                connection.execute(
                    f"""
                    create table part as select * exclude (file_row_number)
                    from read_parquet('{file}', file_row_number = true)
                    where file_row_number >= {start} and file_row_number < {start + CHUNK_ROWS}
                    """
                )
                before = cpu()
                connection.execute(f"copy part to '{out}' (format parquet)")
                seconds += cpu() - before
            size += out.stat().st_size
    return {"cpu": seconds, "size": size}


def copy_sales(folder: Path, customers: int) -> dict[str, float]:  # noqa: ARG001
    """DuckDB writing the sales."""
    return copying([folder / "sales.parquet"], folder / "copy.parquet")


def copy_world(folder: Path, customers: int) -> dict[str, float]:  # noqa: ARG001
    """DuckDB writing every table."""
    return copying(sorted((folder / AS_OF.isoformat()).glob("*/*.parquet")), folder / "copy.parquet")


def faker_and_pandas(folder: Path, customers: int) -> dict[str, float]:  # noqa: ARG001
    """FAKER_SALES sales row by row: the shape of the sales table, and nothing of its laws."""
    fake = Faker()
    fake.seed_instance(SEED)
    before = cpu()
    rows = []
    for number in range(FAKER_SALES):
        price = fake.pyfloat(min_value=6, max_value=800, right_digits=2)
        quantity = fake.random_int(1, 4)
        discount = fake.random_element((0, 0, 0, 0.1, 0.2))
        rows.append(
            {
                "sale_id": f"O{number:07d}-0001-1",
                "order_id": f"O{number:07d}-0001",
                "customer_id": f"C{fake.random_int(1, 100_000):07d}",
                "product_id": f"P{fake.random_int(1, 60):03d}",
                "sold_at": fake.date_time_between(STARTS_ON, AS_OF),
                "quantity": quantity,
                "unit_price": price,
                "discount_rate": discount,
                "amount": round(quantity * price * (1 - discount), 2),
                "channel": fake.random_element(("online", "store")),
                "returned_at": fake.date_time_between(STARTS_ON, AS_OF) if fake.boolean(5) else None,
                "category": fake.random_element(("Electronics", "Clothing", "Food", "Books", "Home")),
            }
        )
    pd.DataFrame(rows).to_parquet(folder / "faker.parquet")
    return {"cpu": cpu() - before}


CONTESTANTS: dict[str, Callable[[Path, int], dict[str, float]]] = {
    function.__name__: function for function in (sales, copy_sales, world, copy_world, advance, faker_and_pandas)
}


def measured(name: str, folder: Path, customers: int) -> dict[str, float]:
    """What one contestant reports, run in a process of its own, with its peak memory in MB.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    command = [sys.executable, __file__, "--contestant", name, "--folder", str(folder), "--customers", str(customers)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def main() -> None:
    """Measure every size and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sales", type=float, nargs="+", default=[1e6, 1e7], help="sizes, in sales")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--customers", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        figures = CONTESTANTS[arguments.contestant](arguments.folder, arguments.customers)
        figures["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(figures))
        return
    built = []
    for size in arguments.sales:
        customers = round(size / SALES_PER_CUSTOMER)
        rounds = []
        for _ in range(arguments.rounds):
            with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
                rounds.append({name: measured(name, Path(folder), customers) for name in CONTESTANTS})
        best = {name: min((each[name] for each in rounds), key=lambda figures: figures["cpu"]) for name in CONTESTANTS}
        built.append(best)
        print(f"\n{customers:,} customers: {best['sales']['rows']:,} sales, {best['world']['rows']:,} rows\n")
        print("| what | CPU-s | against | peak MB |\n|---|---|---|---|")
        faker = best["faker_and_pandas"]["cpu"] * best["sales"]["rows"] / FAKER_SALES
        for what, name, base in (
            ("sales, simulated and written", "sales", "copy_sales"),
            ("DuckDB writing them from memory", "copy_sales", "copy_sales"),
            ("every table, simulated and written", "world", "copy_world"),
            ("DuckDB writing them from memory", "copy_world", "copy_world"),
            ("the next day", "advance", "world"),
        ):
            against = f"{best[name]['cpu'] / best[base]['cpu']:.2f} x {base.replace('_', ' ')}"
            print(f"| {what} | {best[name]['cpu']:.1f} | {against} | {best[name]['peak']:.0f} |")
        print(
            f"| Faker and pandas, row by row, sales only; {FAKER_SALES:,} run, the rest extrapolated "
            f"| {faker:,.0f} | {faker / best['sales']['cpu']:.0f} x sales | |"
        )
    for small, large in pairwise(built):
        growth = {name: large[name]["cpu"] / small[name]["cpu"] for name in ("sales", "world")}
        times = large["sales"]["rows"] / small["sales"]["rows"]
        print(f"\n{times:.2f} times the sales: sales {growth['sales']:.1f} x, every table {growth['world']:.1f} x.")


if __name__ == "__main__":
    main()
