"""What reading files costs: ours against bare DuckDB and pandas, which check, name and keep apart nothing.

    .venv/bin/python benchmarks/ingest.py [--rows 10000000] [--rounds 3]

Every measurement is a process of its own; the commands take turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import duckdb

ROWS = """
    select
        {ids} 'C' || lpad((hash(i // 3) % 500000)::varchar, 6, '0') as customer_id,
        'P' || lpad((hash(i) % 2000)::varchar, 4, '0') as product_id,
        timestamp '2023-01-01' + to_seconds((i * 63072000.0 / {rows})::bigint) as sold_at,
        1 + (hash(i + 1) % 4)::int as quantity, ((hash(i + 2) % 20000) / 100.0)::decimal(10, 2) as unit_price,
        case when hash(i + 3) % 5 = 0 then 0.1 else 0 end as discount_rate,
        case when hash(i + 4) % 3 = 0 then 'store' else 'online' end as channel
    from range({rows}) as t(i)
"""
IDS = "'S' || lpad(i::varchar, 9, '0') as sale_id, 'O' || lpad((i // 3)::varchar, 8, '0') as order_id,"


def ours(source: Path, folder: Path) -> None:
    """Read a file and merge it into an empty raw folder, as a refresh does."""
    from sources.contracts import BY_NAME
    from sources.delivery import Request
    from sources.files import open_files
    from sources.store import RawFolder

    raw, contract = RawFolder(folder / "raw"), BY_NAME["shop.sales"]
    files = open_files(source, folder / "quarantine")
    request = Request(date(2026, 1, 1), None, "UTC", {}, batch=1)
    (outcome,) = raw.merge(contract, files.deliver(contract, raw.incoming(contract), request), 1)
    if outcome.inserted != outcome.rows:
        raise SystemExit(f"not all rows were read: {outcome}")


def bare(source: Path, folder: Path) -> None:
    """DuckDB reads what it guesses and writes it."""
    reader = "read_parquet" if source.suffix == ".parquet" else "read_csv"
    duckdb.execute("set memory_limit = '512MB'")
    duckdb.execute(f"set temp_directory = '{folder / 'spill'}'")
    duckdb.execute(f"copy (from {reader}('{source}')) to '{folder / 'out.parquet'}' (format parquet)")


def pandas(source: Path, folder: Path) -> None:
    """Pandas reads and writes."""
    import pandas as pd

    if source.suffix == ".parquet":
        pd.read_parquet(source).to_parquet(folder / "out.parquet")
    else:
        pd.read_csv(source, parse_dates=["sold_at"]).to_parquet(folder / "out.parquet")


WAYS = {"ours": ours, "bare DuckDB": bare, "pandas": pandas}


def measure(way: str, source: Path) -> dict[str, float]:
    """CPU-seconds and peak megabytes of one way in a process of its own, its start included."""
    command = [sys.executable, __file__, "--way", way, "--source", str(source)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    figures: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Measure, or be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        with tempfile.TemporaryDirectory() as folder:
            WAYS[options.way](options.source, Path(folder))
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({"cpu": used.ru_utime + used.ru_stime, "mb": used.ru_maxrss / 1024}))
        return
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for name, ids in (("with ids", IDS), ("without ids", "")):
            query = ROWS.format(ids=ids, rows=options.rows)
            for suffix in ("csv", "parquet"):
                path = Path(folder) / f"{'ids' if ids else 'none'}.{suffix}"
                duckdb.execute(f"copy ({query}) to '{path}' (format {suffix})")
                files[f"{suffix}, {name}"] = path
        for what, path in files.items():
            found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _ in range(options.rounds):
                for way in WAYS:
                    found[way].append(measure(way, path))
            least = {way: statistics.median(one["cpu"] for one in figures) for way, figures in found.items()}
            for way, figures in found.items():
                peak = max(one["mb"] for one in figures)
                ratio = least[way] / least["bare DuckDB"]
                print(f"{what:22} {way:12} {least[way]:7.1f} CPU-s {ratio:5.2f} x {peak:7,.0f} MB", flush=True)


if __name__ == "__main__":
    main()
