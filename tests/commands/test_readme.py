"""Every command of the README runs, in a copy of the checkout, with the environment that runs this test."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import ROOT

BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The README's shell commands, without their comments, in order."""
    blocks = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    return [line.split("  #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is under version control, using this environment instead of installing another."""
    copy = tmp_path_factory.mktemp("readme") / "customer-pulse"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    environment = Path(sys.prefix)
    (copy / ".venv").mkdir()
    for part in environment.iterdir():
        if part.name != ".installed":
            (copy / ".venv" / part.name).symlink_to(part)
    (copy / ".venv" / ".installed").touch()
    return copy


def variables(checkout: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "DAGSTER_"))}
    # The package is installed in place of another checkout; this copy comes first. A small business is enough here.
    return {**kept, "PYTHONPATH": str(checkout), "PULSE_SCALE": "150"}


def test_the_readme_has_the_commands_tested_here() -> None:
    assert [command.split('"')[0].strip() for command in commands()] == [
        "make run",
        "make test",
        "make ui",
        "make dbt",
        ".venv/bin/pulse query",
        ".venv/bin/pulse customer C0000001",
        ".venv/bin/pulse alerts",
        ".venv/bin/pulse export next_best_actions --format csv --out data/actions.csv",
        ".venv/bin/pulse sources check data/samples/kiosk",
        ".venv/bin/pulse run --source data/samples/cdnow/sources.yml --home data/cdnow",
    ]


def test_every_command_but_the_server_runs(checkout: Path) -> None:
    for command in commands():
        if command == "make ui":
            continue
        # This test is part of what `make test` runs; of that command it can only see what would be run.
        shell = f"{command} --dry-run" if command == "make test" else command
        result = subprocess.run(
            ["bash", "-c", shell], cwd=checkout, env=variables(checkout), capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        if command == "make test":
            assert "-m pytest" in result.stdout
        if command == "make run":
            assert (checkout / "data" / "pulse.duckdb").exists()
            assert "Customer Pulse, as of" in result.stdout
    assert (checkout / "data" / "cdnow" / "pulse.duckdb").exists()


def test_the_ui_answers_and_ends(checkout: Path) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 3000)) == 0:
            pytest.fail("port 3000 is taken: end what listens there, `make ui` needs it")
    with subprocess.Popen(["make", "ui"], cwd=checkout, env=variables(checkout), start_new_session=True) as server:
        try:
            deadline = time.monotonic() + 120
            while True:
                assert server.poll() is None, "make ui ended by itself"
                assert time.monotonic() < deadline, "the UI did not answer within two minutes"
                try:
                    with urllib.request.urlopen("http://127.0.0.1:3000/server_info", timeout=5) as answer:
                        assert answer.status == 200
                        break
                except OSError:
                    time.sleep(0.5)
        finally:
            os.killpg(server.pid, signal.SIGINT)
            server.wait(timeout=60)
