"""What a refresh costs: `pulse run` and plain `dbt build` against the same marts as a pandas script would make them.

Runs each command several times, interleaved, and prints CPU-seconds (user and system, with child processes) and peak
memory. Run it with `.venv/bin/python benchmarks/refresh.py`; nothing else should be running.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent


def measured(command: list[str], cwd: Path, variables: dict[str, str]) -> tuple[float, float]:
    """CPU-seconds and peak memory in MB of one command, measured by a process of its own.

    Raises:
        subprocess.CalledProcessError: The command failed.
    """
    program = (
        "import resource, subprocess, sys\n"
        "code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)\n"
        "sys.exit(code)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *command],
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, megabytes = result.stdout.split()
    return float(seconds), float(megabytes)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=5_000, help="customers of the synthetic business")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        variables = {"PULSE_DATA_DIR": str(home), "PULSE_SCALE": str(arguments.customers), "PULSE_SOURCE": "synthetic"}
        measured([str(BIN / "pulse"), "run"], ROOT, variables)
        dbt = ["--target-path", f"{folder}/target", "--log-path", f"{folder}/log"]
        contestants = {
            "pulse run: ingest, marts, checks, models, publish": ([str(BIN / "pulse"), "run"], ROOT),
            "dbt build: marts and their tests": (
                [str(BIN / "dbt"), "build", "--exclude-resource-type", "unit_test", *dbt],
                ROOT / "dbt_project",
            ),
            "pandas script: five of the marts, no checks": (
                [sys.executable, str(ROOT / "benchmarks" / "pandas_marts.py"), str(home / "raw"), f"{folder}/out"],
                ROOT,
            ),
        }
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
        for _ in range(arguments.rounds):
            for name, (command, cwd) in contestants.items():
                figures[name].append(measured(command, cwd, variables))
    base = statistics.median(seconds for seconds, _ in figures["pandas script: five of the marts, no checks"])
    print("| command | CPU-s, median (min to max) | against pandas | peak MB |")
    print("|---|---|---|---|")
    for name, runs in figures.items():
        seconds = [each for each, _ in runs]
        middle = statistics.median(seconds)
        spread = f"{middle:.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        print(f"| {name} | {spread} | {middle / base:.2f} x | {max(peak for _, peak in runs):.0f} |")
    print(
        f"\n{arguments.customers:,} synthetic customers, {arguments.rounds} interleaved rounds, {os.cpu_count()} cores."
    )


if __name__ == "__main__":
    main()
