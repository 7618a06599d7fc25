"""Spark on this machine, as far as no Spark is needed for it: what is refused, and whose processes are ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.settings import Settings, SettingsError
from orchestration.spark import client, servers
from orchestration.spark.servers import Server, Servers, down, find_java, running, up
from orchestration.spark.session import SparkUnavailableError


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(servers, "require_extra", lambda: None)
    monkeypatch.setattr(servers, "find_java", lambda: Path("/usr/bin/java"))
    return Settings(home=tmp_path / "home")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def java(folder: Path, version: str) -> None:
    program = folder / "bin" / "java"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2026-01-01' >&2\n")
    program.chmod(0o755)


def note(settings: Settings, *noted: Server) -> None:
    settings.spark_servers.mkdir(parents=True)
    stored = asdict(Servers("local", settings.spark_url, noted))
    (settings.spark_servers / "servers.json").write_text(json.dumps(stored))


def test_java_is_found_or_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SparkUnavailableError, match=r"no Java in JAVA_HOME .*`apt-get install openjdk-17"):
        find_java()
    java(tmp_path, "21.0.2")
    assert find_java() == tmp_path / "bin" / "java"


def test_an_old_java_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    java(tmp_path, "1.8.0_312")
    with pytest.raises(SparkUnavailableError, match=r'version "1.8.0_312".* needs Java 17'):
        find_java()


def test_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "find_spec", lambda module: None if module == "pyspark" else object())
    with pytest.raises(SparkUnavailableError, match="Spark needs pyspark: `make spark-env`"):
        client.require_extra()


def test_nobody_listens(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "require_extra", lambda: None)
    nowhere = settings.model_copy(update={"spark_url": "sc://127.0.0.1:1"})
    with pytest.raises(SparkUnavailableError, match=r"PULSE_SPARK_URL sc://127.0.0.1:1: `make spark-up`"):
        client.require_server(nowhere)


def test_servers_are_started_on_this_machine_only(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"spark_url": "sc://spark.example.org"})
    with pytest.raises(SparkUnavailableError, match="is on another machine"):
        up(elsewhere, print)


def test_a_port_that_is_taken_is_told_before_anything_is_started(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SparkUnavailableError, match=f"port {port} is in use by another program"):
            up(settings.model_copy(update={"spark_url": f"sc://127.0.0.1:{port}"}), print)
    assert running(settings) is None


def test_down_ends_what_was_started(settings: Settings, sleeper: subprocess.Popen[bytes]) -> None:
    note(settings, Server("connect", sleeper.pid, servers._began(sleeper.pid)))
    said: list[str] = []
    down(settings, said.append)
    assert sleeper.poll() is not None or sleeper.wait(5) is not None
    down(settings, said.append)
    assert said == ["Ended: connect.", "No Spark of this home is up."]


def test_a_process_that_has_only_the_number_is_left_alone(settings: Settings, sleeper: subprocess.Popen[bytes]) -> None:
    note(settings, Server("connect", sleeper.pid, "Thu Jan  1 00:00:00 1970"))
    said: list[str] = []
    down(settings, said.append)
    os.kill(sleeper.pid, 0)
    assert sleeper.poll() is None
    assert said == ["No Spark of this home is up."]


def test_a_clock_that_is_set_makes_no_other_process(
    settings: Settings, sleeper: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ps` reckons the time of day at which a process began from the clock, which may be set meanwhile."""
    program = tmp_path / "ps"
    program.write_text("#!/bin/sh\ndate +%s.%N\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    note(settings, Server("connect", sleeper.pid, servers._began(sleeper.pid)))
    said: list[str] = []
    down(settings, said.append)
    assert said == ["Ended: connect."]


def test_what_was_noted_before_the_machine_was_started_anew_is_left_alone(
    settings: Settings, sleeper: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same number, as many ticks after the start, but of another start."""
    note(settings, Server("connect", sleeper.pid, servers._began(sleeper.pid)))
    monkeypatch.setattr(servers, "_BOOT", tmp_path / "boot_id")
    (tmp_path / "boot_id").write_text("another\n")
    down(settings, print)
    assert sleeper.poll() is None


def test_a_machine_without_proc_asks_ps(
    settings: Settings, sleeper: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "_BOOT", tmp_path / "none")
    began = servers._began(sleeper.pid)
    assert datetime.strptime(began, "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC) <= datetime.now(UTC)
    note(settings, Server("connect", sleeper.pid, began))
    said: list[str] = []
    down(settings, said.append)
    assert said == ["Ended: connect."]


def test_a_program_may_be_called_anything() -> None:
    rename = "open('/proc/self/comm', 'w').write('a) Z 1 (b'); print(flush=True); import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", rename], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            ticks, _, _ = servers._began(process.pid).partition(" ")
            # Began after the process that runs this test.
            assert int(ticks) >= int(servers._began(os.getpid()).partition(" ")[0])
        finally:
            process.kill()


@pytest.mark.parametrize(
    "stored", ["[]", '{"mode": "local", "url": "", "servers": [{"name": "connect", "pid": 1}]}', "{"]
)
def test_notes_of_another_form_are_none(settings: Settings, stored: str) -> None:
    settings.spark_servers.mkdir(parents=True)
    (settings.spark_servers / "servers.json").write_text(stored)
    assert running(settings) is None
    down(settings, print)


def test_who_starts_it_is_told_who_may_use_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_start_connect", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    said: list[str] = []
    up(settings.model_copy(update={"spark_url": f"sc://127.0.0.1:{free}"}), said.append)
    assert "every account on this machine can run code as you" in said[-1]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PULSE_TARGET", "sparks", "'duckdb' or 'spark'"),
        ("PULSE_SPARK_URL", "http://127.0.0.1", "pattern"),
        ("PULSE_SPARK_URL", "sc://h:1/;token=x", "SPARK_CONNECT_AUTHENTICATE_TOKEN"),
        ("PULSE_SPARK_URL", "sc://h:99999", "99999 is no port.* from 1 to 65535"),
        ("PULSE_SPARK_URL", "sc://h:0/;use_ssl=true", "0 is no port"),
        ("PULSE_SPARK_PREFIX", "a-b", "pattern"),
    ],
)
def test_settings_of_spark_are_refused_by_name(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        Settings.from_environment({variable: value})
    assert variable in str(caught.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sc://spark.example.org", ("spark.example.org", 15002)),
        ("sc://10.0.0.1:1", ("10.0.0.1", 1)),
        ("sc://h:65535/;use_ssl=true;user_id=a:0", ("h", 65535)),
    ],
)
def test_every_port_there_is_may_be_named(url: str, expected: tuple[str, int]) -> None:
    assert client.endpoint(Settings.from_environment({"PULSE_SPARK_URL": url})) == expected
