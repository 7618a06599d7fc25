"""Every kind of fault at every place: what happens, that readers never notice, and that the next refresh mends it.

`make faults` strikes them all, each in a home of its own, and prints what came of each; the tests strike one of each
kind in one home. A home has a published refresh; a refresh of more files meets the fault, or finds the damage; where it
failed, another one follows. Then the published tables must be those of a home that never met anything, the doctor must
find nothing broken, and nobody who read meanwhile may have met an error or anything but the state before or after.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from tests.conftest import ROOT
from tests.faults import world

INTERRUPTED = 130
READER = """
import json, sys, time, duckdb
path, log = sys.argv[1:]
with open(log, "w") as out:
    while True:
        try:
            with duckdb.connect(path, read_only=True) as connection:
                seen = connection.execute('''
                    select
                        (select max(refresh) from meta.refreshes where status = 'published'),
                        (select count(*) from marts.fct_sales),
                        (select cast(sum(net_revenue) as double) from marts.fct_sales),
                        (select cast(sum(net_revenue) as double) from marts.daily_sales),
                        (select count(*) from marts.dim_customers) - (select count(*) from marts.customer_360),
                        (select count(*) from ml.churn_scores join marts.dim_customers using (customer_id))
                            - (select count(*) from ml.churn_scores)
                ''').fetchall()[0]
        except Exception as error:
            seen = ["error", str(error)]
        out.write(json.dumps(seen) + "\\n")
        out.flush()
        time.sleep(.2)
"""
HOLDER = """
import sys, duckdb
from pathlib import Path
path = sys.argv[1]
if path.endswith(".duckdb"):
    held = duckdb.connect(path)
else:
    import fcntl
    held = open(path, "a+")
    fcntl.flock(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.readline()
"""
FEWEST_LOOKS = 20
FLIP, CUT = "bit flip", "truncated file"


class FaultError(AssertionError):
    """Something that must hold did not; the message says what."""


class Workshop:
    """Starts `pulse` in forked processes, and gives out homes.

    Args:
        folder: A folder for everything.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "DAGSTER_"))}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.struck"],
            cwd=ROOT,
            env={**environment, "COLUMNS": "200", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._made: Path | None = None
        self._expected: dict[str, list[tuple]] | None = None

    def close(self) -> None:
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait()

    def start(self, home: Path, *arguments: str, **fault: object) -> int:
        """Start a command; returns its process."""
        job = {
            "home": str(home),
            "log": str(home.parent / "log"),
            "arguments": [*(arguments or ("run",)), "--home", str(home)],
            **fault,
        }
        return self._ask(job)

    def end(self, process: int) -> int:
        """Await a command; returns its exit code, negative for a signal."""
        return self._ask({"await": process})

    def pulse(self, home: Path, *arguments: str, **fault: object) -> int:
        """Run a command to its end."""
        return self.end(self.start(home, *arguments, **fault))

    def _ask(self, job: dict[str, object]) -> int:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def home(self, folder: Path) -> Path:
        """A home whose first refresh is published, in an empty folder."""
        if self._made is None:
            self._made = self.folder / "made" / "home"
            world.deliver(self._made / "landing", world.ONE)
            self._must_succeed(self._made)
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self._made, folder / "home", copy_function=shutil.copy2)
        return folder / "home"

    def expected(self) -> dict[str, list[tuple]]:
        """What a home publishes that read all files at once and met nothing."""
        if self._expected is None:
            home = self.folder / "clean" / "home"
            for part in (world.ONE, world.TWO):
                world.deliver(home / "landing", part)
            self._must_succeed(home)
            self._expected = published_tables(home)
        return self._expected

    def _must_succeed(self, home: Path) -> None:
        if self.pulse(home):
            raise FaultError(f"a refresh without any fault failed:\n{(home.parent / 'log').read_text()}")


def published_tables(home: Path) -> dict[str, list[tuple]]:
    """All that is published, but for numbers of refreshes and the record of them."""
    found = {}
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        names = connection.execute(
            """
            select schema_name || '.' || table_name, list(column_name order by column_index)
            from duckdb_columns()
            -- model_runs says when models were trained
            where schema_name in ('marts', 'ml') and table_name != 'model_runs' and column_name != '_batch'
            group by 1 order by 1
            """
        ).fetchall()
        for name, columns in names:
            listed = ", ".join(f'"{column}"' for column in columns)
            found[name] = connection.execute(f"select {listed} from {name} order by all").fetchall()
    return found


@dataclass(frozen=True)
class Fault:
    """A kind of fault at a place.

    Args:
        kind: What it is.
        place: Where it strikes.
        hit: Brings it about, in a refresh or between two; returns in words what came of it.
        words: What the next refresh says of it; empty where there is nothing to be said.
        hurts_readers: The published file itself is what is damaged, or what is published is right only for a part.
        ends_well: The last refresh of `hit` has published already.
    """

    kind: str
    place: str
    hit: Callable[[Workshop, Path], str]
    words: str = ""
    hurts_readers: bool = False
    ends_well: bool = False

    @property
    def name(self) -> str:
        """Kind and place in one line."""
        return f"{self.kind}: {self.place}"


def strike(workshop: Workshop, faults: Sequence[Fault], folder: Path) -> str:
    """Bring faults about one after the other in one home, let a refresh mend them, and judge everything.

    Returns:
        What happened, in words.

    Raises:
        FaultError: Something that must hold did not.
    """
    expected = workshop.expected()
    with _disk(folder, small=any(fault.kind == "disk full" for fault in faults)) as disk:
        home = workshop.home(disk)
        world.deliver(home / "landing", world.TWO)
        looks = folder / "looks.jsonl"
        with subprocess.Popen([sys.executable, "-c", READER, str(home / "pulse.duckdb"), str(looks)]) as reader:
            try:
                _require(lambda: looks.exists() and looks.read_text().count("\n") > 0, "the reader never began")
                words = [fault.hit(workshop, home) for fault in faults]
                if not faults[-1].ends_well:
                    _recover(workshop, home)
                    words.append("the next refresh published")
                words += [_said(home, fault.words) for fault in faults if fault.words]
                seen_till_then = looks.read_text().count("\n")
                _require(lambda: looks.read_text().count("\n") > seen_till_then + 1, "the reader came to an end")
            finally:
                reader.kill()
        hurt = any(fault.hurts_readers for fault in faults)
        _judge_looks(looks.read_text().splitlines()[:-1], hurts_readers=hurt)
        found = published_tables(home)
        if found != expected:
            differing = [name for name in sorted({*found, *expected}) if found.get(name) != expected.get(name)]
            raise FaultError(f"published tables differ from a clean rebuild: {', '.join(differing)}")
        if workshop.pulse(home, "doctor"):
            raise FaultError(f"the doctor still finds something broken:\n{_log(home)[-3000:]}")
        return "; ".join(filter(None, words))


@contextmanager
def _disk(folder: Path, *, small: bool) -> Iterator[Path]:
    """A folder for a home; on a small disk of its own where one is to be filled."""
    folder.mkdir(parents=True)
    disk = folder / "disk"
    disk.mkdir()
    if not small:
        yield disk
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=250m", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _judge_looks(lines: list[str], *, hurts_readers: bool) -> None:
    looks = Counter(tuple(json.loads(line)) for line in lines)
    if sum(looks.values()) < FEWEST_LOOKS:
        raise FaultError("the reader hardly looked")
    for look in looks:
        if look[0] == "error":
            if not hurts_readers:
                raise FaultError(f"a reader met an error: {look[1]}")
            continue
        refresh, *seen = look
        part = world.ONE if refresh == 1 else world.TWO
        right = [world.COUNTS[part], world.REVENUE[part], world.REVENUE[part], 0, 0]
        if hurts_readers:
            # Of a part they may read, but of one and the same part in all tables.
            right = [seen[0], seen[1], seen[1], 0, 0]
        if seen != right:
            raise FaultError(f"a reader saw refresh {refresh} with {seen} instead of {right}")


def _require(condition: Callable[[], bool], otherwise: str, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise FaultError(otherwise)
        time.sleep(0.02)


def _log(home: Path) -> str:
    """What all commands have said in this home; damage between two refreshes comes before any of them."""
    log = home.parent / "log"
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""


def _recover(workshop: Workshop, home: Path) -> None:
    """The next refresh succeeds, and nothing before it was told in a way that nobody understands."""
    if "Traceback" in _log(home):
        raise FaultError(f"a failure was told by a traceback:\n{_log(home)[-3000:]}")
    if workshop.pulse(home):
        raise FaultError(f"the next refresh failed:\n{_log(home)[-3000:]}")


def _said(home: Path, *words: str) -> str:
    """The line of the log that holds some words."""
    for line in _log(home).splitlines():
        if all(word in line for word in words):
            return line.strip()[:150]
    raise FaultError(f"nothing was said of {' '.join(words)}:\n{_log(home)[-3000:]}")


def _fails(code: int, home: Path) -> None:
    if code == 0:
        raise FaultError(f"the refresh succeeded in spite of the fault:\n{_log(home)[-2000:]}")


def killed(place: str) -> Fault:
    def hit(workshop: Workshop, home: Path) -> str:
        code = workshop.pulse(home, strike="kill", place=place)
        if code != -9:
            raise FaultError(f"the process was not killed but ended with {code}:\n{_log(home)[-2000:]}")
        return "killed"

    return Fault("kill -9", place, hit)


def disk_full(place: str, *, needs_room: bool = True) -> Fault:
    """A disk that is full from a place on; what comes after it may need no room any more."""

    def hit(workshop: Workshop, home: Path) -> str:
        code = workshop.pulse(home, strike="fill", place=place)
        if needs_room:
            _fails(code, home)
        (home / "filler").unlink()
        return "failed, then room again" if code else "published without room, then room again"

    return Fault("disk full", place, hit, "of 262 MB are free now" if needs_room else "")


def interrupted(place: str) -> Fault:
    def hit(workshop: Workshop, home: Path) -> str:
        code = workshop.pulse(home, strike="interrupt", place=place)
        if code != INTERRUPTED:
            raise FaultError(f"the process ended with {code}:\n{_log(home)[-2000:]}")
        return "ended at once with a line"

    state = "was published before that" if place == "publish, pages" else "is as it was before"
    return Fault("Ctrl+C", place, hit, state)


def no_permission(place: str, what: str, strikes_at: str = "start") -> Fault:
    def hit(workshop: Workshop, home: Path) -> str:
        mode = (home / what).stat().st_mode
        code = workshop.pulse(home, strike="shut", place=strikes_at, what=what, obeys=True)
        (home / what).chmod(mode & 0o777)
        _fails(code, home)
        return "failed plainly, then the right again"

    return Fault("permission denied", place, hit)


def right_given_back(place: str, what: str) -> Fault:
    """What the owner of a home may not read, but may set the right of: the refresh does."""

    def hit(workshop: Workshop, home: Path) -> str:
        if code := workshop.pulse(home, strike="shut", place="start", what=what, obeys=True):
            raise FaultError(f"the refresh did not give itself the right back ({code}):\n{_log(home)[-3000:]}")
        return "the refresh gave its owner the right back, and published"

    return Fault("permission denied", place, hit, ends_well=True)


def damaged(
    kind: str, place: str, what: str, *, words: str = "", hurts_readers: bool = False, pages: int | None = None
) -> Fault:
    """A file that is truncated, or in which bits flip, between two refreshes; its time of change does not tell.

    The bits lie where they may, or where each page of so many bytes says what it is: SQLite has no checksums, and
    cannot notice that a value has become another one.
    """

    def hit(workshop: Workshop, home: Path) -> str:  # noqa: ARG001
        path = next(iter(sorted(home.glob(what))))
        times = (path.stat().st_atime, path.stat().st_mtime)
        if kind == CUT:
            os.truncate(path, path.stat().st_size * 2 // 3)
        else:
            with path.open("r+b") as file:
                content = bytearray(file.read())
                places = range(len(content) // 7, len(content), max(1, len(content) // 5))
                for at in range(pages, len(content), pages) if pages else places:
                    content[at] ^= 0b100
                file.seek(0)
                file.write(content)
        os.utime(path, times)
        return ""

    return Fault(kind, place, hit, words, hurts_readers)


def half_written(name: str) -> Fault:
    """A landing file that is read while only its first part has arrived."""

    def hit(workshop: Workshop, home: Path) -> str:
        path = home / "landing" / name
        whole = path.read_text(encoding="utf-8")
        times = (path.stat().st_atime, path.stat().st_mtime)
        # within the amount of a line: what has arrived reads as another amount
        path.write_text(whole[: whole.rindex(".25", 0, len(whole) - 100)], encoding="utf-8")
        if workshop.pulse(home):
            raise FaultError(f"the refresh of the part failed:\n{_log(home)[-3000:]}")
        path.write_text(whole, encoding="utf-8")
        os.utime(path, times)
        return "the part was published"

    return Fault(CUT, f"landing file, {name} half written", hit, "before it was written to the end", hurts_readers=True)


def lock_left(place: str, leave: Callable[[Path], None], words: str = "") -> Fault:
    def hit(workshop: Workshop, home: Path) -> str:  # noqa: ARG001
        leave(home)
        return ""

    return Fault("stale lock", place, hit, words)


def lock_held(place: str, what: str, *, waits: bool) -> Fault:
    """A lock that another process holds, until it is gone without having freed it."""

    def hit(workshop: Workshop, home: Path) -> str:
        command = [sys.executable, "-c", HOLDER, str(home / what)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout
            assert holder.stdout.readline() == "held\n"
            process = workshop.start(home)
            if waits:
                _require(lambda: "waiting for it to finish" in _log(home), "it did not say that it waits")
            else:
                _fails(workshop.end(process), home)
                _said(home, "is open in another program")
            holder.kill()
        if not waits:
            return "refused, naming the program"
        if workshop.end(process):
            raise FaultError(f"the refresh failed:\n{_log(home)[-3000:]}")
        return "it waited, and published when the holder was gone"

    return Fault("stale lock", place, hit, ends_well=waits)


def two_at_once(place: str) -> Fault:
    def hit(workshop: Workshop, home: Path) -> str:
        first = workshop.start(home, strike="meet", place=place)
        _require((home.parent / "reached").exists, "the first never came to the place")
        second = workshop.start(home)
        codes = (workshop.end(first), workshop.end(second))
        if codes != (0, 0):
            raise FaultError(f"they ended with {codes}:\n{_log(home)[-3000:]}")
        return "the second waited for the first; both published"

    return Fault("two at once", place, hit, "waiting for it to finish", ends_well=True)


def clock_wrong(place: str, days: int) -> Fault:
    def hit(workshop: Workshop, home: Path) -> str:
        code = workshop.pulse(home, strike="shift", place=place, what=str(days))
        return "failed, then the right time" if code else "published, then the right time"

    return Fault("clock change", f"{place} ({days:+d} days)", hit)


def _dead_holder(home: Path) -> None:
    (home / ".writer.lock").write_text('{"pid": 999999, "command": "pulse run", "since": "2026-01-01 00:00:00"}')


def _dead_ui(home: Path) -> None:
    (home / "dagster" / ".ui.lock").write_text("999999")


def _half_merge(home: Path) -> None:
    pending = home / "raw" / "shop" / "sales" / ".pending"
    pending.mkdir()
    (pending / "2026-01.parquet").write_bytes(b"PAR1 and no more")
    (home / "raw" / ".incoming" / "shop").mkdir(parents=True)


def _strange_log(home: Path) -> None:
    (home / "warehouse.duckdb.wal").write_bytes(os.urandom(5000))


def _hot_journal(home: Path) -> None:
    (home / "dagster" / "history" / "runs.db-journal").write_bytes(b"\0" * 512)


def _unfinished_publish(home: Path) -> None:
    (home / ".pulse.duckdb.new").write_bytes(b"half a copy")
    (home / ".reports-2").mkdir()


FAULTS = [
    *map(killed, ("raw", "raw, half in place", "raw, state", "staging", "marts", "ml", "insights", "pages")),
    *map(killed, ("publish", "publish, pages", "publish, version")),
    *map(interrupted, ("raw", "raw, state", "marts", "ml", "insights", "publish, pages")),
    *map(disk_full, ("raw", "staging", "marts", "ml", "insights", "publish, version")),
    # The copy has been written by then.
    disk_full("publish", needs_room=False),
    damaged(CUT, "raw month", "raw/shop/sales/2026-01.parquet", words="Raw data is damaged"),
    damaged(CUT, "raw state", "raw/_state.json"),
    damaged(CUT, "raw clock", "raw/pulse/clock/clock.parquet"),
    damaged(CUT, "warehouse", "warehouse.duckdb", words="it is built anew from raw"),
    damaged(CUT, "staging and intermediate", "work.duckdb", words="it is built anew from raw"),
    damaged(CUT, "published file", "pulse.duckdb", words="could not be read", hurts_readers=True),
    damaged(CUT, "Dagster's history", "dagster/history/runs.db", words="begins anew"),
    damaged(CUT, "dbt's manifest", "dbt/target/partial_parse.msgpack"),
    half_written("sales_2.csv"),
    damaged(FLIP, "raw month", "raw/shop/sales/2026-02.parquet", words="Raw data is damaged"),
    damaged(FLIP, "raw notes", "raw/helpdesk/tickets/_files.json", words="Raw data is damaged"),
    damaged(FLIP, "raw state", "raw/_state.json"),
    damaged(FLIP, "warehouse", "warehouse.duckdb", words="it is built anew from raw"),
    damaged(FLIP, "staging and intermediate", "work.duckdb", words="it is built anew from raw"),
    damaged(FLIP, "published file", "pulse.duckdb", words="could not be read", hurts_readers=True),
    damaged(FLIP, "Dagster's history, its pages", "dagster/history/runs/index.db", words="begins anew", pages=4096),
    damaged(FLIP, "Dagster's history, anywhere", "dagster/history/runs/index.db"),
    damaged(FLIP, "a trained model", "models/*.skops"),
    no_permission("landing file", "landing/sales_2.csv"),
    no_permission("raw", "raw/shop/sales"),
    right_given_back("warehouse, before", "warehouse.duckdb"),
    no_permission("warehouse, in the middle", "warehouse.duckdb", "raw, state"),
    no_permission("models, at ml", "models", "marts"),
    no_permission("published folder, at publish", "versions", "pages"),
    lock_left("writer lock of a dead process", _dead_holder),
    lock_left("UI lock of a dead process", _dead_ui),
    lock_left("a merge that never ended", _half_merge),
    lock_left("a publish that never ended", _unfinished_publish),
    lock_left("journal of a dead process in the history", _hot_journal),
    lock_left("log of a dead process beside the warehouse", _strange_log),
    lock_held("writer lock, held until its process dies", ".writer.lock", waits=True),
    lock_held("warehouse, open elsewhere", "warehouse.duckdb", waits=False),
    *map(two_at_once, ("raw", "staging", "marts", "ml", "insights", "publish")),
    clock_wrong("start", 400),
    clock_wrong("start", -400),
    clock_wrong("staging", -400),
    clock_wrong("marts", 400),
    clock_wrong("ml", -400),
    clock_wrong("insights", 400),
    clock_wrong("pages", -400),
]
SAMPLED = (
    "clock change: start (-400 days)",
    "permission denied: landing file",
    "disk full: raw",
    "kill -9: raw, state",
    "Ctrl+C: marts",
    "truncated file: raw month",
    "bit flip: warehouse",
    "stale lock: writer lock of a dead process",
    "two at once: staging",
)
"""One of each kind, struck by the tests one after the other in one home: the last refresh has to mend them all."""


def main(wanted: list[str]) -> int:
    """Strike every fault whose name holds one of some words, all by default; print what came of each."""
    chosen = [fault for fault in FAULTS if not wanted or any(word in fault.name for word in wanted)]
    failed = 0
    counts: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="pulse-faults-") as scratch:
        workshop = Workshop(Path(scratch))
        try:
            for number, fault in enumerate(chosen):
                begun = time.monotonic()
                folder = Path(scratch) / str(number)
                try:
                    words, passed = strike(workshop, [fault], folder), True
                except FaultError as error:
                    words, passed = str(error), False
                except Exception as error:  # noqa: BLE001 - one that cannot be struck is no reason not to strike the others
                    words, passed = f"could not be struck: {error!r}", False
                failed += not passed
                counts.setdefault(fault.kind, Counter())["held" if passed else "FAILED"] += 1
                print(
                    f"{'held  ' if passed else 'FAILED'} {fault.name}: {words} ({time.monotonic() - begun:.0f} s)",
                    flush=True,
                )
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            workshop.close()
    print("\nkind                 places  held")
    for kind, results in counts.items():
        print(f"{kind:<20} {sum(results.values()):>6} {results['held']:>5}")
    print(f"{len(chosen)} faults, {len(chosen) - failed} held, {failed} failed.")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
