"""Spark on this machine, as far as no Spark is needed for it: what is refused, and whose processes are ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
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
