"""A month of daily refreshes of one home, with all that happens to files, against a clean rebuild.

Late and restated rows, a bad file, another header, a day without data and a file twice. At the end the marts are those
of a clean rebuild, the alerts are the expected ones, and the disk holds no more than it has to.

Run it with `.venv/bin/python benchmarks/month.py`; it takes about ten CPU-minutes and ends with 1 if anything is amiss.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import numpy as np
from rich.console import Console

from orchestration.automation.sensors import look_for_files
from orchestration.definitions import build_defs
from orchestration.instance import open_instance, run_job
from orchestration.lock import writer_lock
from orchestration.notify import failure, tell
from orchestration.progress import Progress
from orchestration.resources import now
from orchestration.settings import Settings

FIRST = date(2026, 6, 1)
DAYS = 30
HISTORY = 200
BAD, HEADER, CLOSED, TWICE = 9, 14, 19, 24
"""Days of the month, from 0, on which something is not as usual."""
COLUMNS = ("sale_id", "order_id", "customer_id", "product_id", "sold_at", "quantity", "amount", "channel")


class Shop:
    """A small shop that exports one file a day.

    Args:
        landing: Where its exports go.
    """

    def __init__(self, landing: Path) -> None:
        self._landing = landing
        self._draws = np.random.default_rng(7)
        self._sold = 0
        self._late: list[list[str]] = []
        self._known: list[list[str]] = []
        landing.mkdir(parents=True)

    def lines(self, day: date) -> list[list[str]]:
        """The sale lines of a day."""
        rows = []
        for _ in range(int(self._draws.poisson(60 if day.weekday() < 5 else 90))):
            self._sold += 1
            customer = int(self._draws.gamma(1.2, 60))
            product = int(self._draws.integers(1, 25))
            minute = int(self._draws.integers(9 * 60, 20 * 60))
            moment = f"{day} {minute // 60:02d}:{minute % 60:02d}:00"
            amount = f"{self._draws.lognormal(3, 0.5):.2f}"
            channel = "online" if self._draws.random() < 0.7 else "store"
            rows.append(
                [
                    f"S{self._sold}",
                    f"O{self._sold // 2}-{day}",
                    f"C{customer}",
                    f"P{product}",
                    moment,
                    "1",
                    amount,
                    channel,
                ]
            )
        return rows

    def history(self) -> None:
        """What was sold before the month."""
        rows = [row for back in range(HISTORY, 0, -1) for row in self.lines(FIRST - timedelta(days=back))]
        self._known = rows[-50:]
        self._write("history.csv", rows)

    def deliver(self, number: int) -> list[Path]:
        """The files that arrive after a day.

        Args:
            number: The day of the month, from 0.
        """
        day = FIRST + timedelta(days=number)
        if number == CLOSED:
            return []
        rows = self.lines(day)
        # A tenth of the lines come a day late, and some of yesterday's amounts were wrong.
        late, rows = rows[: len(rows) // 10], rows[len(rows) // 10 :]
        restated = [[*row[:6], f"{float(row[6]) + 1:.2f}", row[7]] for row in self._known[:3]]
        content = [*rows, *self._late, *restated]
        self._late, self._known = late, rows
        name = f"sales_{day}.csv"
        if number == BAD:
            broken = [[*row[:4], "soon", *row[5:]] if place % 3 == 0 else row for place, row in enumerate(content)]
            self._late += content
            return [self._write(name, broken)]
        if number == HEADER:
            return [self._write(name, content, (*COLUMNS[:-1], "sales_channel_code"))]
        if number == TWICE:
            return [self._write(name, content), self._write(f"copy_of_{name}", content)]
        return [self._write(name, content)]

    def _write(self, name: str, rows: list[list[str]], header: tuple[str, ...] = COLUMNS) -> Path:
        path = self._landing / name
        path.write_text("\n".join(",".join(row) for row in [list(header), *rows]) + "\n", encoding="utf-8")
        return path


class Home:
    """A home that is refreshed in this process, as the daemon would.

    Args:
        settings: Its settings.
        instance: Dagster's history of it.
    """

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.settings = settings
        self._instance = instance

    def refresh(self) -> tuple[bool, str]:
        """Refresh once, and tell what there is to tell; whether it succeeded, and what it said."""
        output = io.StringIO()
        progress = Progress(Console(file=output, width=300))
        definitions = build_defs(self.settings)
        with writer_lock(self.settings.home):
            succeeded = run_job(definitions, "refresh", self._instance, progress)
        at = now()
        failures = [failure(at.isoformat(), "refresh", progress.failures, at, "")] * (not succeeded)
        tell(self.settings, lambda _: None, failures)
        return succeeded, output.getvalue()

    def is_asked_for(self) -> bool:
        """Whether the landing sensor would start a refresh now."""
        return isinstance(look_for_files(self.settings, self._instance), dg.RunRequest)

    def size(self) -> int:
        """Bytes on disk, but for the files that were delivered."""
        files = (file for file in self.settings.home.rglob("*") if file.is_file())
        stats = [file.stat() for file in files if not file.is_relative_to(self.settings.landing)]
        # The published file and its kept version are one file with two names.
        return sum({(stat.st_dev, stat.st_ino): stat.st_size for stat in stats}.values())

    def alerts(self) -> list[dict[str, str]]:
        """What has been sent."""
        file = self.settings.alerts / "alerts.jsonl"
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


@contextmanager
def opened(folder: Path) -> Iterator[Home]:
    """A home in a folder, with little history to keep."""
    settings = Settings.from_environment(
        {
            "PULSE_ALERT_SINKS": "file",
            "PULSE_LANDING_SETTLE_SECONDS": "0",
            "PULSE_KEEP_RUNS": "5",
            "PULSE_KEEP_REFRESHES": "8",
        },
        home=folder,
    )
    with open_instance(settings) as instance:
        yield Home(settings, instance)


def marts(home: Path) -> dict[str, list[tuple]]:
    """Every row of the marts that no model has a part in, without the numbers of refreshes, which differ."""
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        manifest = json.loads((home / "dbt" / "target" / "manifest.json").read_text(encoding="utf-8"))
        names = sorted(
            node["name"]
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model"
            and node["database"] == "warehouse"
            and "insights" not in node["config"]["tags"]
        )
        found = {}
        for name in names:
            columns = [row[0] for row in connection.execute(f"describe marts.{name}").fetchall()]
            kept = ", ".join(f'"{column}"' for column in columns if column not in ("_batch", "refresh"))
            found[name] = connection.execute(f"select {kept} from marts.{name} order by all").fetchall()
    return found


def expected_alerts(sent: list[dict[str, str]]) -> list[str]:
    """What is wrong with the alerts about the data and the refreshes; what they say of the business is not judged."""
    technical = [alert for alert in sent if alert["kind"] in ("refresh_failed", "data_check")]
    wanted = {
        "refresh_failed": (f"sales_{FIRST + timedelta(days=BAD)}.csv was set aside", 1),
        "columns are as before": ("has lost channel and brings sales_channel_code", 1),
        "columns are filled as before": ("shop.sales.channel is filled in 0% of the new rows", 1),
        "no day is without data": (f"{FIRST + timedelta(days=CLOSED):%a %d %b %Y}", 1),
    }
    wrong = []
    for what, (words, times) in wanted.items():
        hits = [
            each for each in technical if words in each["evidence"] and (what in each["title"] or what == each["kind"])
        ]
        if len(hits) != times:
            wrong.append(f"{what}: sent {len(hits)} times, expected {times}")
        technical = [each for each in technical if each not in hits]
    wrong += [f"not expected: {each['title']} {each['evidence']}" for each in technical]
    return wrong


def main() -> int:
    """Live through the month, and judge it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=DAYS)
    arguments = parser.parse_args()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "home"
        path.mkdir()
        shop = Shop(path / "landing")
        shop.history()
        sizes = []
        with opened(path) as home:
            if not home.refresh()[0]:
                wrong.append("the history was not read")
            for number in range(arguments.days):
                started = time.process_time()
                files = shop.deliver(number)
                if home.is_asked_for() != bool(files):
                    wrong.append(f"day {number}: the sensor does not say what has arrived")
                succeeded, said = home.refresh()
                if succeeded == (number == BAD):
                    wrong.append(f"day {number}: {'succeeded' if succeeded else 'failed'}\n{said}")
                if succeeded and home.is_asked_for():
                    wrong.append(f"day {number}: the sensor asks for what has just been read")
                sizes.append(home.size())
                print(
                    f"day {number + 1:2d}: {'published' if succeeded else 'failed':<9} {sizes[-1] / 1e6:6.1f} MB, "
                    f"{len(home.alerts())} alerts sent, {time.process_time() - started:.0f} CPU-seconds",
                    flush=True,
                )
            sent = home.alerts()
        if arguments.days > CLOSED:
            wrong += expected_alerts(sent)
        third = len(sizes) // 3
        growth = sizes[-1] / sizes[third]
        print(f"disk: {sizes[third] / 1e6:.1f} MB after {third + 1} days, {sizes[-1] / 1e6:.1f} MB at the end")
        if growth > 1.5:
            wrong.append(f"the home has grown by a factor of {growth:.2f} in two thirds of the month")

        clean = Path(folder) / "clean"
        clean.mkdir()
        shutil.copytree(path / "landing", clean / "landing", copy_function=shutil.copy2)
        with opened(clean) as home:
            # The first refresh sets the bad file aside, the second goes on without it.
            if not home.refresh()[0]:
                home.refresh()
        ours, theirs = marts(path), marts(clean)
        differing = [name for name in ours if ours[name] != theirs.get(name)]
        rows = sum(map(len, ours.values()))
        print(f"marts: {len(ours)} tables with {rows:,} rows, {len(differing)} differ from a clean rebuild {differing}")
        wrong += [f"{name} differs from a clean rebuild" for name in differing]
        kinds = sorted({alert["kind"] for alert in sent})
        print("alerts:", ", ".join(f"{sum(each['kind'] == kind for each in sent)} {kind}" for kind in kinds))
    for each in wrong:
        print(f"AMISS: {each}")
    return 1 if wrong else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
