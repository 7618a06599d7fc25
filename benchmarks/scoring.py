"""What it costs to score churn on Spark's executors, against scoring here.

The customers of a home, each so many times, are scored for 90 days with all reasons: in this process, and by a Connect
server with two local threads that this script starts, from the same Parquet files. Scores must be equal, every one.
Run it with `.venv/bin/python benchmarks/scoring.py HOME`; the extra `spark` and Java 17 are needed, and nothing else
should be running.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import duckdb
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.usage import Session
from orchestration.assets.insights.churn import FEATURES_NOW, reasons
from orchestration.settings import Settings

COLUMNS = [
    ("customer_id", "string"),
    ("as_of", "date"),
    ("horizon_days", "bigint"),
    ("churn_probability", "double"),
    ("risk_tier", "string"),
    ("reason_1", "string"),
    ("reason_2", "string"),
    ("reason_3", "string"),
    ("model_version", "string"),
]
FILES = 8


def scorer_of(home: Path, horizon: int, as_of: date) -> object:
    """The champion's scorer."""
    from ml.churn_results import ChurnScorer
    from orchestration.artefacts import load_artefact

    artefact = load_artefact(home / "models", f"churn_{horizon}d")
    if artefact is None:
        sys.exit(f"{home} has no champion for {horizon} days: refresh it first, with enough customers")
    card = artefact.card
    return ChurnScorer(horizon, as_of, card["version"], artefact.models["scoring"], card["features"], None, reasons())


def enlarge(home: Path, target: Path, rows: int) -> date:
    """Write today's features of a home so often that there are enough; returns the day."""
    folder = target / "spark" / "marts" / "customer_features"
    folder.mkdir(parents=True)
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        as_of = connection.execute("select max(cutoff_date) from marts.customer_features").fetchall()[0][0]
        now = "select * from marts.customer_features where cutoff_date = ?"
        count = connection.execute(f"select count(*) from ({now})", [as_of]).fetchall()[0][0]
        for part in range(FILES):
            connection.execute(
                f"""
                copy (
                    select * replace (customer_id || '-' || copy as customer_id)
                    from ({now}) cross join range({-(-rows // count)}) as copies (copy)
                    where copy % {FILES} = {part}
                ) to '{folder}/part-{part}.parquet'
                """,
                [as_of],
            )
    return as_of


def here(home: Path, files: Path, as_of: date, horizon: int) -> pd.DataFrame:
    """Scored in this process, as a refresh on DuckDB does."""
    scorer = scorer_of(home, horizon, as_of)
    with duckdb.connect() as connection:
        source = files / "spark" / "marts" / "customer_features" / "*.parquet"
        rows = connection.execute(f"select * from read_parquet('{source}') order by customer_id").df()
    return scorer(rows)


def there(home: Path, files: Path, as_of: date, horizon: int, url: str) -> pd.DataFrame:
    """Scored by executors, and brought here."""
    from orchestration.spark.scoring import score_on_executors

    settings = Settings.from_environment({}, home=files, target="spark", spark_url=url, spark_prefix="scoring_")
    return score_on_executors(settings, scorer_of(home, horizon, as_of), FEATURES_NOW, [as_of], columns=COLUMNS)


def digest(scores: pd.DataFrame) -> str:
    """A number that is equal for equal scores."""
    plain = scores.drop(columns="as_of").astype(object)
    plain = plain.where(plain.notna(), None).astype(str).sort_values("customer_id")
    return str(int(pd.util.hash_pandas_object(plain, index=False).sum()))


def one(arguments: argparse.Namespace) -> None:
    """Score in this process's own way, and print what it took."""
    as_of = date.fromisoformat(arguments.as_of)
    began, cpu = time.perf_counter(), time.process_time()
    if arguments.one == "here":
        scores = here(arguments.home, arguments.files, as_of, arguments.horizon)
    else:
        scores = there(arguments.home, arguments.files, as_of, arguments.horizon, arguments.one)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps({"rows": len(scores), "wall": wall, "cpu": cpu, "peak": peak, "digest": digest(scores)}))


def measure(arguments: argparse.Namespace) -> None:
    """Score in turns, and print a table."""
    from orchestration.spark import servers

    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder)
        as_of = enlarge(arguments.home, files, arguments.rows)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            url = f"sc://127.0.0.1:{probe.getsockname()[1]}"
        settings = Settings.from_environment({}, home=files / "server", target="spark", spark_url=url)
        started = servers.up(settings, print, memory="2g")
        server = Session(started.named("connect").pid)
        found: dict[str, list[dict[str, float]]] = {"here": [], url: []}
        try:
            # the first round starts the workers and is not counted
            for turn in range(arguments.rounds + 1):
                for name, runs in found.items():
                    before = server.cpu()
                    server.peak()
                    command = [sys.executable, __file__, str(arguments.home), "--one", name, "--files", str(files)]
                    more = ["--as-of", str(as_of), "--horizon", str(arguments.horizon)]
                    done = subprocess.run([*command, *more], capture_output=True, text=True, check=True)
                    run = json.loads(done.stdout.splitlines()[-1])
                    run["server"], run["server_peak"] = server.cpu() - before, server.peak()
                    if turn:
                        runs.append(run)
        finally:
            servers.down(settings, print)
    digests = {run["digest"] for runs in found.values() for run in runs}
    print("| churn, 90 days, with reasons | s | CPU-s of Python here | of Spark | peak MB of Python here | of Spark |")
    print("|---|---|---|---|---|---|")
    for name, runs in found.items():
        best = min(runs, key=lambda run: run["wall"])
        label = "here" if name == "here" else "on `local[2]`"
        used = f"{best['wall']:.1f} | {best['cpu']:.1f} | {best['server']:.1f}"
        print(f"| {label} | {used} | {best['peak']:,.0f} | {best['server_peak']:,.0f} |")
    rows = found["here"][0]["rows"]
    print(f"\n{rows:,} customers, best of {arguments.rounds} interleaved rounds; scores equal: {len(digests) == 1}.")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="a home that was refreshed and published")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--horizon", type=int, default=90)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--files", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--as-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    one(arguments) if arguments.one else measure(arguments)


if __name__ == "__main__":
    main()
