"""`pulse ui` left to itself: a file that arrives is published, a bad one is told about, nothing runs twice."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from orchestration.instance import open_instance
from orchestration.settings import Settings

TO_REFRESH, TO_END = 400, 60
"""Seconds, for busy cores."""


def wait_for(what: str, happened: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + TO_REFRESH
    while not happened():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < until, f"{what} did not happen:\n{log.read_text()[-3000:]}"
        time.sleep(1)


def told(home: Path) -> list[dict[str, str]]:
    file = home / "alerts" / "alerts.jsonl"
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def deliver(home: Path, name: str, *lines: str) -> None:
    """As programs should: under another name until it is whole."""
    part = home / "landing" / f"{name}.part"
    part.write_text("\n".join(["customer_id,sold_at,amount", *lines]) + "\n", encoding="utf-8")
    part.rename(part.with_suffix(""))


def test_files_are_refreshed_and_failures_told_by_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (home / "landing").mkdir(parents=True)
    deliver(home, "sales_1.csv", "ann,2024-01-05,10", "bob,2024-02-05,20")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "DAGSTER_"))}
    # The daily refresh is out of the way: at an hour that has just passed.
    hour = (time.gmtime().tm_hour - 1) % 24
    settings = {"PULSE_LANDING_SETTLE_SECONDS": "2", "PULSE_DAILY_AT": f"{hour:02d}:00", "PULSE_ALERT_SINKS": "file"}
    log = tmp_path / "ui.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("pulse")), "ui", "--home", str(home), "--port", str(port)],
            env={**environment, **settings},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for("the first refresh", (home / "pulse.duckdb").exists, process, log)
        deliver(home, "sales_2.csv", *["ann,2024-01-05,much"] * 6)
        wait_for("the failure", lambda: "refresh_failed" in {each["kind"] for each in told(home)}, process, log)
        # Two looks more: what was read is not asked for again.
        time.sleep(75)
    finally:
        process.terminate()
        process.wait(TO_END)
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        refreshes = connection.execute("select refresh, status from meta.refreshes order by 1").fetchall()
    assert refreshes == [(1, "published"), (2, "failed")]
    (failed,) = [each for each in told(home) if each["kind"] == "refresh_failed"]
    assert failed["severity"] == "critical"
    assert "sales_2.csv was set aside: 6 of 6 rows" in failed["evidence"]
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(Settings.from_environment({}, home=home)) as instance:
        runs = [(run.status.value, run.tags.get("dagster/sensor_name")) for run in instance.get_runs()]
    assert runs == [("FAILURE", "landing"), ("SUCCESS", "landing")]
