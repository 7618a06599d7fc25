"""How a job that did not end well is told: what became of the published file, by mouth and by alert; and Ctrl+C."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import duckdb
import pytest
from rich.console import Console

from orchestration import refreshing
from orchestration.resources import Warehouse
from orchestration.settings import Settings
from tests.conftest import ROOT


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    settings = Settings.from_environment({"PULSE_ALERT_SINKS": "file"}, home=tmp_path)
    settings.published.write_text("refresh 1")
    return settings


def told(settings: Settings) -> tuple[bool, str, str]:
    """Whether a job succeeded, what it printed at the end, and what the alert said."""
    output = io.StringIO()
    succeeded = refreshing.execute("refresh", settings, Console(file=output, width=400))
    alert = json.loads((settings.alerts / "alerts.jsonl").read_text().splitlines()[-1])
    return succeeded, output.getvalue(), alert["evidence"]


def test_a_failure_before_publishing_leaves_the_file(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refreshing, "_run", lambda *_, **__: (False, ["marts: check x failed"]))
    succeeded, printed, alert = told(home)
    assert not succeeded
    assert f"{home.published} is as it was before." in printed
    assert alert == f"marts: check x failed {home.published} is as it was before."


def test_a_failure_after_publishing_does_not_deny_it(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def publishes_and_fails(*_: object, **__: object) -> tuple[bool, list[str]]:
        (home.home / "new").write_text("refresh 2")
        (home.home / "new").replace(home.published)
        return False, ["published__pulse: the pages could not be put in place"]

    monkeypatch.setattr(refreshing, "_run", publishes_and_fails)
    succeeded, printed, alert = told(home)
    assert not succeeded
    assert f"{home.published} was published before that; it is whole, and of this refresh." in printed
    assert "as it was before" not in printed + alert
    assert "was published before that" in alert


def test_a_disk_so_full_that_nothing_could_be_noted_is_told(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*_: object, **__: object) -> tuple[bool, list[str]]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(refreshing, "_run", ends)
    succeeded, printed, alert = told(home)
    assert not succeeded
    assert "✗ refresh: The disk that holds" in printed
    assert "is as it was before." in printed
    assert "Nothing is lost" in alert


def test_what_is_no_full_disk_is_not_hidden(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*_: object, **__: object) -> tuple[bool, list[str]]:
        raise ValueError("a mistake in the program")

    monkeypatch.setattr(refreshing, "_run", ends)
    with pytest.raises(ValueError, match="a mistake"):
        refreshing.execute("refresh", home, Console(file=io.StringIO()))


def test_a_warehouse_that_cannot_be_opened_is_no_second_failure(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(_: object) -> None:
        raise duckdb.IOException('Cannot open file "warehouse.duckdb": Permission denied\nmore')

    monkeypatch.setattr(Warehouse, "fail_refresh", denied)
    printed: list[str] = []
    refreshing._note_failure(home, printed.append)
    assert printed == [
        "That this refresh failed could not be noted, the next one will note it: "
        'Cannot open file "warehouse.duckdb": Permission denied'
    ]


# Somebody else's handler is in place, and the main thread does not listen, as with Dagster in the middle of a step.
DEAF = textwrap.dedent(
    """
    import signal, sys, time
    from pathlib import Path
    from orchestration.refreshing import _ending_at_once
    from orchestration.settings import Settings

    settings = Settings.from_environment({}, home=Path(sys.argv[1]))
    with _ending_at_once(settings, None):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: time.sleep(60))
        print("ready", flush=True)
        time.sleep(60)
    """
)


@pytest.mark.parametrize(
    ("number", "is_heard"), [(signal.SIGINT, True), (signal.SIGTERM, True), (signal.SIGINT, False)]
)
def test_ctrl_c_is_heard_at_once_unless_it_is_meant_for_others(tmp_path: Path, number: int, is_heard: bool) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler if is_heard else signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", DEAF, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("PULSE_")},
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        if is_heard:
            assert process.wait(timeout=20) == 128 + number
            assert process.stderr.read().strip() == (
                "Interrupted. Nothing has been published yet. The next refresh puts right what is unfinished."
            )
        else:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=1)
            process.kill()
