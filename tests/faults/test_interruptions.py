"""A refresh that is killed, and one that finds another under way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from tests.conftest import ROOT, pulse


@contextmanager
def in_the_middle_of_the_marts(source: Path, home: Path) -> Iterator[subprocess.Popen[str]]:
    """`pulse run`, which has built a first mart; awaited at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "DAGSTER_"))}
    command = [str(Path(sys.executable).with_name("pulse")), "run", "--source", str(source), "--home", str(home), "-v"]
    pipe = subprocess.PIPE
    # Else a test in the background of a script would start something that does not hear of Ctrl+C.
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        running = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    finally:
        signal.signal(signal.SIGINT, heard)
    with running:
        assert running.stdout
        for line in running.stdout:
            if "marts/" in line:
                break
        yield running


def test_a_run_waits_for_another_and_one_that_is_ended_leaves_what_was_published(
    tmp_path: Path, sales_file: Callable[..., Path]
) -> None:
    """One home, as its user sees it: a run that waits, one that is killed, one ended by Ctrl+C, one that succeeds."""
    home = tmp_path / "home"
    source = sales_file("ann,2024-01-05,10", "bob,2024-02-05,20")
    published = home / "pulse.duckdb"

    _runs_when_the_lock_is_free(source, home)
    before = published.read_bytes()

    with in_the_middle_of_the_marts(source, home) as running:
        running.send_signal(signal.SIGKILL)
    assert published.read_bytes() == before
    alone = pulse("publish", "--home", str(home))
    assert alone.returncode == 1
    assert "Not published" in alone.stdout
    assert published.read_bytes() == before

    with in_the_middle_of_the_marts(source, home) as running:
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=10) == 130
        assert running.stdout
        assert running.stderr
        rest = running.stdout.read()
        assert [line for line in rest.splitlines() if not line.startswith("✓ ")] == []
        assert running.stderr.read().split("\n") == [
            "",
            f"Interrupted. {published} is as it was before. The next refresh puts right what is unfinished.",
            "",
        ]
    assert published.read_bytes() == before

    after = pulse("run", "--source", str(source), "--home", str(home))
    assert after.returncode == 0, after.stdout + after.stderr
    with duckdb.connect(str(published), read_only=True) as connection:
        statuses = connection.execute("select refresh, status from meta.refreshes order by 1").fetchall()
    assert statuses == [(1, "published"), (2, "failed"), (3, "failed"), (4, "published")]


def _runs_when_the_lock_is_free(source: Path, home: Path) -> None:
    """`pulse run` beside a holder of the home's lock: it says that it waits, publishes nothing, then all."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(home)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout
        assert holder.stdin
        assert holder.stdout.readline() == "held\n"
        command = [str(Path(sys.executable).with_name("pulse")), "run", "--source", str(source), "--home", str(home)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as waiting:
            assert waiting.stdout
            for line in waiting.stdout:
                if "waiting for it to finish" in line:
                    break
            else:
                pytest.fail("the second run did not say that it waits")
            assert not (home / "pulse.duckdb").exists()
            holder.stdin.write("\n")
            holder.stdin.flush()
            waiting.stdout.read()
            assert waiting.wait(timeout=120) == 0
        assert (home / "pulse.duckdb").exists()
    finally:
        holder.kill()


HOLD_LOCK = """
import sys
from pathlib import Path
from orchestration.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""
