"""Worlds that two engines could see differently, built on DuckDB and on Spark and compared row for row.

As a script, `make spark-compare`: each world in full, on a Connect server and on a cluster with two workers, and all
unit tests of dbt in the homes of the first; it prints what was compared and what it took. Words choose worlds by a part
of their names, and `local` or `cluster` one of the two. The tests of this folder build a few tables of the smallest
world.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from benchmarks.usage import Session, own_cpu
from orchestration.compare import compare, print_comparison
from orchestration.settings import Settings
from orchestration.spark import servers
from orchestration.spark.client import require_extra
from orchestration.spark.session import SparkUnavailableError
from tests.conftest import ROOT, Refresh, run_pipeline

AS_OF = "2026-03-31"
NAMES = (
    *(
        "Zoë",
        "zoë",
        "ZOE",
        "Łódź",
        "O'Brien",
        "日本",
        "🎈",
        "a\\b",
        'say "hi"',
        "Straße",
        "STRASSE",
        "e\u0301clair",
        "éclair",
    ),
    *("%", "_", "null", "None", "NaN", "0", "-1", " x", "1e3", "İ", "i", "I", "\u0131", "ﬁ", "a;b", "a,b", "--", "/*"),
)
"""Ids and words that upper case, collation, escapes or type inference could change."""


def unavailable() -> str | None:
    """Why Spark cannot be tried here, or None."""
    try:
        require_extra()
        servers.find_java()
    except SparkUnavailableError as error:
        return str(error)
    return None


@contextmanager
def spark_servers(folder: Path, mode: str, say: Callable[[str], None] = print) -> Iterator[Settings]:
    """Spark on a free port, ended afterwards.

    Args:
        folder: Where its logs lie.
        mode: ``local`` or ``cluster``.
        say: Is told what happens.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(home=folder, spark_url=f"sc://127.0.0.1:{port}")
    servers.up(settings, say, mode=mode)
    try:
        yield settings
    finally:
        servers.down(settings, say)


def awkward_shop(folder: Path, *, late: bool) -> Path:
    """Files of a small shop: words of many scripts, missing values, returns, and moments at the edges of days.

    Args:
        folder: Gets a file a table.
        late: Whether the delivery has come as well that belongs between the others and corrects one of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sales = [_sale(number) for number in range(420)]
    edges = (
        *("2025-11-02T05:30:00Z", "2025-11-02T06:30:00Z", "2025-11-02T01:30:00-04:00", "2025-11-02T01:30:00-05:00"),
        *(
            "2026-03-08T01:59:59.999999-05:00",
            "2026-03-08T03:00:00-04:00",
            "2026-01-01T04:59:59Z",
            "2026-01-01T05:00:00Z",
        ),
        *("2025-12-31T23:59:59.999999-05:00", "2026-02-28T23:59:59-05:00", "2026-03-01T00:00:00-05:00"),
    )
    sales += [
        [f"edge {number}", "", NAMES[number], "p1", at, 1, "9.9999", "", "", ""] for number, at in enumerate(edges)
    ]
    header = "sale_id order_id customer_id product_id sold_at quantity amount discount_rate channel returned_at"
    _write(folder / "sales.csv", header, sales)
    if late:
        forgotten = [
            [f"late {number}", "", NAMES[number], "p2", f"2025-1{number % 3}-15T12:00:00Z", 2, "20.01", "", "web", ""]
            for number in range(9)
        ]
        corrected = [*_sale(7)[:6], "0.0001", *_sale(7)[7:]]
        _write(folder / "sales2.csv", header, [*forgotten, corrected])
    _write(
        folder / "customers.csv",
        "customer_id name email region city signed_up_at marketing_consent",
        [
            [
                name,
                f"{name} & Söhne",
                "" if place % 4 == 0 else f"c{place}@example.org",
                ("", "Nörd", "süd")[place % 3],
                name,
                "2025-06-01",
                ("true", "false", "")[place % 3],
            ]
            for place, name in enumerate(NAMES)
            if place % 5
        ],
    )
    _write(
        folder / "products.csv",
        "product_id name category list_price unit_cost launched_on",
        [
            [
                f"p{n}",
                f"{NAMES[n]} №{n}",
                ("Tee", "TEE", "thé", "")[n % 4],
                f"{n}.5",
                "" if n % 3 == 0 else f"{n}.1234",
                "",
            ]
            for n in range(1, 9)
        ],
    )
    tickets = []
    for number in range(40):
        opened = datetime(2026, 1, 2, 16, 58, 30) + timedelta(hours=37 * number)  # noqa: DTZ001 - the shop's own time
        answered = opened + timedelta(minutes=number * 41) if number % 5 else ""
        resolved = opened + timedelta(hours=number * 5) if number % 3 and answered else ""
        tickets.append(
            [
                f"t{number}",
                NAMES[number % len(NAMES)],
                opened,
                answered,
                resolved,
                ("open", "resolved", "reopened")[number % 3],
                ("low", "high", "urgent")[number % 3],
                ("", "Größe", "delivery")[number % 3],
                ("-0.9", "0.25", "")[number % 3],
                ("", "1", "5")[number % 3],
            ]
        )
    _write(
        folder / "tickets.csv",
        "ticket_id customer_id opened_at first_response_at resolved_at status priority topic sentiment_score"
        " satisfaction_score",
        tickets,
    )
    return folder


def _sale(number: int) -> list[Any]:
    """A line: every seventh without order, every eleventh of a guest, every thirteenth a return."""
    at = datetime(2025, 8, 1, 3, 59) + timedelta(hours=13 * number, minutes=7 * number % 60)  # noqa: DTZ001
    customer = "" if number % 11 == 0 else NAMES[(number * number) % len(NAMES)]
    order = "" if number % 7 == 0 else f"o{number // 2}"
    amount = f"{(number * 37) % 991}.{number % 100:02}"
    back = at + timedelta(days=9) if number % 17 == 0 else ""
    product = "" if number % 9 == 0 else f"p{1 + number % 8}"
    sign = "-" if number % 13 == 0 else ""
    return [
        f"s{number}",
        order,
        customer,
        product,
        at,
        f"{sign}{1 + number % 3}",
        f"{sign}{amount}",
        ("", "0.1")[number % 2],
        ("web", "", "Läden")[number % 3],
        back,
    ]


def _write(path: Path, header: str, rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header.split(), *rows])


@dataclass(frozen=True)
class World:
    """A world to compare on.

    Args:
        name: What it is called.
        settings: Settings by field name.
        deliveries: Prepare the source of each refresh, in turn.
    """

    name: str
    settings: dict[str, Any]
    deliveries: tuple[Callable[[Path], Path | str], ...]


AWKWARD = {"as_of": AS_OF, "timezone": "America/New_York", "landing_settle_seconds": 0, "export_formats": "none"}
WORLDS = (
    World(
        "awkward shop, with late rows",
        AWKWARD,
        (
            lambda folder: awkward_shop(folder / "shop", late=False),
            lambda folder: awkward_shop(folder / "shop", late=True),
        ),
    ),
    World("CDNOW sample", {"export_formats": "none"}, (lambda _: ROOT / "data/samples/cdnow/sources.yml",)),
    World(
        "synthetic, 300 customers", {"as_of": AS_OF, "scale": 300, "export_formats": "none"}, (lambda _: "synthetic",)
    ),
)


def plain_dbt(settings: Settings, *arguments: str, project: Path = ROOT / "dbt_project") -> dict[str, str]:
    """Run dbt as people do, in a process of its own.

    Args:
        settings: The home, and where its tables are built.
        *arguments: What is asked of dbt.
        project: Folder of the dbt project.

    Returns:
        By unique id how each model, seed or test came out, hooks aside; dbt's own words are printed where one failed.
    """
    folder = settings.home / "plain dbt"
    shutil.rmtree(folder, ignore_errors=True)
    own = {name: value for name, value in os.environ.items() if not name.startswith("PULSE_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dbt.cli.main", "--no-use-colors", *arguments),
            *("--project-dir", str(project), "--profiles-dir", str(project)),
            *("--target-path", str(folder / "target"), "--log-path", str(folder)),
        ],
        env={**own, **settings.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    results = folder / "target" / "run_results.json"
    if done.returncode:
        print(done.stdout[-8000:] + done.stderr[-2000:])
    assert results.exists(), done.stdout[-8000:] + done.stderr[-2000:]
    return {
        each["unique_id"]: each["status"]
        for each in json.loads(results.read_text(encoding="utf-8"))["results"]
        if not each["unique_id"].startswith("operation.")
    }


def upstream_of(manifest: Mapping[str, Any], models: Sequence[str]) -> list[str]:
    """Keys of models and of all that they are made from, but for raw data.

    Args:
        manifest: dbt's manifest.
        models: Their names.
    """
    nodes = manifest["nodes"]
    waiting = [unique_id for unique_id, node in nodes.items() if node["name"] in models]
    found: set[str] = set()
    while waiting:
        unique_id = waiting.pop()
        if unique_id not in found and unique_id in nodes:
            found.add(unique_id)
            waiting += nodes[unique_id]["depends_on"].get("nodes", [])
    return sorted(f"{nodes[each]['config']['schema']}/{nodes[each]['name']}" for each in found)


def refreshed(home: Path, source: Path | str, **overrides: Any) -> Refresh:
    """A refresh that must succeed."""
    refresh = run_pipeline(home, source=str(source), **overrides)
    assert refresh.succeeded, refresh.output
    return refresh


def checks(home: Path) -> dict[str, str]:
    """How every check of the last refresh came out."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        return dict(
            connection.execute(
                "select check_name || ' on ' || asset, max_by(status, recorded_at) from meta.check_results"
                " where refresh = (select max(refresh) from meta.check_results) group by 1"
            ).fetchall()
        )


def main(names: Sequence[str]) -> int:
    """Build each world on DuckDB and on both Sparks, and compare; 1 if anything differs."""
    if why := unavailable():
        print(f"not compared: {why}")
        return 1
    console = Console()
    all_equal = True
    targets = [name for name in names if name in (servers.LOCAL, servers.CLUSTER)] or [servers.LOCAL, servers.CLUSTER]
    parts = [name for name in names if name not in targets]
    chosen = [world for world in WORLDS if not parts or any(part in world.name for part in parts)]
    if not chosen:
        print(f"no world is called {' or '.join(parts)}; there are: {'; '.join(world.name for world in WORLDS)}")
        return 2
    with tempfile.TemporaryDirectory(prefix="pulse-spark-") as temporary:
        base = Path(temporary)
        for world in chosen:
            homes = {target: base / world.name.split()[0] / target for target in ("duckdb", *targets)}
            for target, home in homes.items():
                all_equal &= _compared(console, world, target, home, homes["duckdb"])
        all_equal &= _unit_tests_pass({target: base / chosen[0].name.split()[0] / target for target in homes})
    return 0 if all_equal else 1


def _unit_tests_pass(homes: Mapping[str, Path]) -> bool:
    """Run all unit tests of dbt in homes with every table: dbt looks there for the columns of the rows that are given.

    Args:
        homes: A home by where it was built, DuckDB's first.

    Returns:
        Whether the same tests ran everywhere, and passed.
    """
    all_passed, expected = True, set[str]()
    for target, home in homes.items():
        if target == "duckdb":
            statuses, used = plain_dbt(Settings(home=home), "test", "--select", "test_type:unit"), ""
            expected = set(statuses)
        else:
            with spark_servers(home.parent / f"files of {target}", target) as up:
                sessions = [Session(server.pid) for server in servers.running(up).servers]
                settings = Settings(home=home, target="spark", spark_url=up.spark_url)
                statuses = plain_dbt(settings, "test", "--select", "test_type:unit")
                used = f", {sum(session.cpu() for session in sessions):.0f} CPU-seconds in Spark"
        passed = [name for name, status in statuses.items() if status == "pass"]
        print(f"unit tests of dbt, {target}: {len(passed)} of {len(statuses)} passed{used}", flush=True)
        all_passed &= len(passed) == len(statuses) > 0 and set(statuses) == expected
    return all_passed


def _compared(console: Console, world: World, target: str, home: Path, reference: Path) -> bool:
    """Build a world somewhere, and compare it with what DuckDB made of it."""
    files = home.parent / f"files of {target}"
    # The same path each time: where a file lay is part of what is published of it.
    source = home.parent / "files"

    shutil.rmtree(source, ignore_errors=True)

    def build(up: servers.Servers | None = None, **further: Any) -> None:
        sessions = [Session(server.pid) for server in up.servers] if up else []
        for deliver in world.deliveries:
            began, used, used_there = time.monotonic(), own_cpu(), sum(session.cpu() for session in sessions)
            refreshed(home, deliver(source), **world.settings, **further)
            told = f"a refresh in {time.monotonic() - began:.0f} s, {own_cpu() - used:.0f} CPU-seconds in Python"
            if sessions:
                told += f", {sum(session.cpu() for session in sessions) - used_there:.0f} in Spark"
            print(f"{world.name}, {target}: {told}", flush=True)

    if target == "duckdb":
        build()
        return True
    with spark_servers(files, target) as settings:
        build(servers.running(settings), target="spark", spark_url=settings.spark_url)
    ours, theirs = home / "pulse.duckdb", reference / "pulse.duckdb"
    equal = print_comparison(console, theirs, ours, compare(theirs, ours, ("marts", "ml")))
    same_checks = checks(reference) == checks(home)
    print(f"{len(checks(home))} checks, {'as' if same_checks else 'NOT as'} on DuckDB", flush=True)
    return equal and same_checks


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
