"""Dagster's history on a real Postgres server, with the `dagster.yaml` of `deploy/`."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import dagster as dg
import pytest

from orchestration.instance import open_instance
from orchestration.retention import forget_runs
from orchestration.settings import PROJECT_ROOT, Settings
from tests.conftest import pulse

_SECONDS_TO_START = 60


def programs() -> Path | None:
    """Folder of Postgres's programs, which Debian keeps off the path."""
    found = shutil.which("pg_ctl")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders else None


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """The variables that lead to a server of its own, which is gone afterwards."""
    pytest.importorskip("dagster_postgres", reason="install the extra: pip install -e '.[postgres]'")
    folder = programs()
    if folder is None:
        pytest.skip("there is no Postgres here: apt-get install postgresql")
    # Postgres refuses to run as root; sockets have short paths.
    home = Path(mkdtemp(prefix="pg-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(home, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    data, secret = home / "data", home / "password"
    secret.write_text("hunter2")
    secret.chmod(0o644)
    initdb = [str(folder / "initdb"), "-D", str(data), "-U", "dagster", "--auth=scram-sha-256", f"--pwfile={secret}"]
    subprocess.run([*as_user, *initdb], check=True, capture_output=True, cwd=home)
    command = [str(folder / "postgres"), "-D", str(data), "-p", str(port), "-k", str(home), "-c", "fsync=off"]
    process = subprocess.Popen(
        [*as_user, *command], cwd=home, stdout=subprocess.DEVNULL, stderr=(home / "log").open("wb")
    )
    variables = {
        "DAGSTER_POSTGRES_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_PORT": str(port),
        "DAGSTER_POSTGRES_USER": "dagster",
        "DAGSTER_POSTGRES_PASSWORD": "hunter2",
        "DAGSTER_POSTGRES_DB": "postgres",
    }
    try:
        until = time.monotonic() + _SECONDS_TO_START
        while not answers(variables):
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < until, (home / "log").read_text()
            time.sleep(0.2)
        yield variables
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(home)


def answers(variables: dict[str, str]) -> bool:
    import psycopg2

    try:
        query(variables, "select 1")
    except psycopg2.OperationalError:
        return False
    return True


def query(variables: dict[str, str], sql: str) -> list[tuple]:
    import psycopg2

    connection = psycopg2.connect(
        host=variables["DAGSTER_POSTGRES_HOST"],
        port=variables["DAGSTER_POSTGRES_PORT"],
        user=variables["DAGSTER_POSTGRES_USER"],
        password=variables["DAGSTER_POSTGRES_PASSWORD"],
        dbname=variables["DAGSTER_POSTGRES_DB"],
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


@pytest.fixture
def dagster_home(tmp_path: Path) -> Path:
    folder = tmp_path / "dagster"
    folder.mkdir()
    shutil.copy(PROJECT_ROOT / "deploy" / "dagster.yaml", folder)
    return folder


def test_a_refresh_keeps_its_history_in_postgres(
    server: dict[str, str], dagster_home: Path, tmp_path: Path, sales_file: Callable[..., Path]
) -> None:
    home = tmp_path / "home"
    source = sales_file("ann,2024-01-05,10", "bob,2024-02-05,20")
    variables = {**server, "PULSE_DAGSTER_HOME": str(dagster_home)}
    result = pulse("run", "--source", str(source), "--home", str(home), **variables)
    assert result.returncode == 0, result.stdout + result.stderr
    ((job, status),) = query(server, "select pipeline_name, status from runs")
    assert (job, status) == ("refresh", "SUCCESS")
    ((materialized,),) = query(
        server, "select count(*) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'"
    )
    assert materialized > 50
    ((checked,),) = query(server, "select count(*) from asset_check_executions where execution_status = 'SUCCEEDED'")
    assert checked > 50
    # Nothing of it lies in the home, and the secret nowhere.
    assert not (home / "dagster").exists()
    assert "hunter2" not in result.stdout + result.stderr
    files = [file for folder in (home, dagster_home) for file in folder.rglob("*") if file.is_file()]
    assert not [file for file in files if b"hunter2" in file.read_bytes()]


def test_old_runs_are_forgotten_there_too(
    server: dict[str, str], dagster_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**server, "DAGSTER_HOME": ""}.items():
        monkeypatch.setenv(name, value)

    @dg.op
    def nothing() -> None: ...

    @dg.job
    def job() -> None:
        nothing()

    settings = Settings.from_environment({}, home=tmp_path, dagster_folder=dagster_home)
    with open_instance(settings) as instance:
        runs = [job.execute_in_process(instance=instance).run_id for _ in range(4)]
        before = len(instance.get_run_ids())
        assert forget_runs(instance, dagster_home, 2) == before - 2
        assert instance.get_run_ids() == runs[:1:-1]
    assert query(server, "select distinct run_id from event_logs order by 1") == [(run,) for run in sorted(runs[2:])]
