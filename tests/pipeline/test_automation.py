"""Who may read what a refresh writes, and what the sensors make of refreshes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration.automation import build_sensors
from orchestration.automation.sensors import note_failure, state_after
from orchestration.checks.declared import DATA_CHECKS, FILES_RECONCILE, RAW_RECONCILES
from orchestration.lock import writer_lock
from orchestration.notify import published_alerts
from orchestration.resources import build_resources
from orchestration.settings import Settings
from sources.contracts import BY_NAME
from tests.conftest import ROOT, Refresh, run_pipeline


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_only_what_is_published_can_be_read_by_the_group_and_nothing_by_others(shop: Refresh) -> None:
    assert shop.succeeded, shop.output
    home = shop.home
    private = {name: mode(home / name) for name in ("raw", "models", "dbt", "warehouse.duckdb", "work.duckdb")}
    assert private == {"raw": 0o700, "models": 0o700, "dbt": 0o700, "warehouse.duckdb": 0o600, "work.duckdb": 0o600}
    assert mode(home / "pulse.duckdb") == 0o640
    pages = [home / "reports", *(home / "reports").rglob("*")]
    assert {mode(path) for path in pages if path.is_dir()} == {0o750}
    assert {mode(path) for path in pages if path.is_file()} == {0o640}
    opened = {path.name for path in home.iterdir() if mode(path) & 0o077}
    assert opened == {"pulse.duckdb", "reports", "exports"}


READ_ONLY = """
import json, os, sys
from click.testing import CliRunner
from orchestration.cli import main
from tests.faults.struck import obey_permissions

home, customer, out = sys.argv[1:]
obey_permissions()
told = []
for arguments in (
    ["query", "select count(*) as sales from marts.fct_sales"],
    ["customer", customer],
    ["alerts", "--json"],
    ["export", "churn_scores", "--out", out],
    ["rollback", "--list"],
    ["sources", "quarantine"],
    ["doctor"],
    ["publish"],
):
    result = CliRunner().invoke(main, [*arguments, "--home", home])
    told.append([result.exit_code, result.output])
print(json.dumps(told))
"""


def test_what_only_reads_needs_no_right_to_write(shop: Refresh, tmp_path: Path) -> None:
    home = shutil.copytree(shop.home, tmp_path / "home")
    ((customer,),) = shop.query("select min(customer_id) from marts.customer_360")
    for folder in (home, home / "reports"):
        folder.chmod(0o550)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(home), customer, str(tmp_path)],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("PULSE_")},
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        for folder in (home, home / "reports"):
            folder.chmod(0o750)
    (queried, shown, alerted, exported, listed, refused, examined, published) = json.loads(ended.stdout)
    assert [code for code, _ in (queried, shown, alerted, exported, listed, refused)] == [0] * 6
    assert str(shop.query("select count(*) from marts.fct_sales")[0][0]) in queried[1]
    assert "Page: no page" in shown[1]
    assert (tmp_path / "churn_scores.csv").exists()
    assert "refresh 1" in listed[1]
    # What is needed to refresh is said by the doctor, and by what writes.
    assert examined[0] == 1
    assert "may not be read and written by this user" in examined[1]
    assert published == [2, f"pulse: --home / PULSE_DATA_DIR {home} cannot be written to\n"]


def failed_run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    @dg.asset
    def broken() -> None:
        raise dg.Failure(description="sales.csv was set aside", allow_retries=False)

    job = dg.define_asset_job("refresh", [broken])
    definitions = dg.Definitions(assets=[broken], jobs=[job])
    return definitions.resolve_job_def("refresh").execute_in_process(instance=instance, raise_on_error=False)


def test_a_failed_run_is_noted_and_told_once(tmp_path: Path) -> None:
    settings = Settings.from_environment({"PULSE_ALERT_SINKS": "file"}, home=tmp_path)
    warehouse = build_resources(settings)["warehouse"]
    warehouse.begin_refresh(1, "a test")
    (sensor,) = [each for each in build_sensors(settings) if each.name == "failures"]
    with dg.DagsterInstance.ephemeral() as instance:
        result = failed_run(instance)
        context = dg.build_run_status_sensor_context(
            sensor_name="failures",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
        ).for_run_failure()
        assert sensor(context).skip_message == "Alerts sent: 1 to file."
        assert sensor(context).skip_message == "Told already."
    (line,) = [json.loads(line) for line in (tmp_path / "alerts" / "alerts.jsonl").read_text().splitlines()]
    assert (line["kind"], line["severity"]) == ("refresh_failed", "critical")
    assert line["evidence"] == "broken: sales.csv was set aside Nothing has been published yet."
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        assert connection.execute("select refresh, status from meta.refreshes").fetchall() == [(1, "failed")]


def test_a_run_that_failed_after_publishing_is_told_as_such(tmp_path: Path) -> None:
    published = tmp_path / "pulse.duckdb"
    assert state_after(published, 10.0, 20.0) == "Nothing has been published yet."
    published.touch()
    for moment, words in ((5, "is as it was before"), (15, "was replaced before that"), (25, "is as it was before")):
        os.utime(published, (moment, moment))
        assert words in state_after(published, 10.0, 20.0)
    assert "is as it was before" in state_after(published, None, None)


def test_a_refresh_under_way_is_not_noted_as_failed(tmp_path: Path) -> None:
    settings = Settings.from_environment({}, home=tmp_path)
    assert not note_failure(settings)
    build_resources(settings)["warehouse"].begin_refresh(1, "a test")
    with writer_lock(settings.home):
        assert not note_failure(settings, patience_seconds=0)
    assert note_failure(settings)


@pytest.mark.parametrize("damaged", [False, True])
def test_the_alert_sensor_says_what_it_did(shop: Refresh, tmp_path: Path, damaged: bool) -> None:
    shutil.copy(shop.home / "pulse.duckdb", tmp_path)
    settings = Settings.from_environment({"PULSE_ALERT_SINKS": "file", "PULSE_ALERT_SEVERITY": "info"}, home=tmp_path)
    if damaged:
        settings.published.write_bytes(settings.published.read_bytes()[:5000])
    (sensor,) = [each for each in build_sensors(settings) if each.name == "alerts"]
    with dg.DagsterInstance.ephemeral() as instance:
        told = sensor(dg.build_sensor_context(instance)).skip_message
        again = sensor(dg.build_sensor_context(instance)).skip_message
    alerts = 0 if damaged else len(published_alerts(shop.home / "pulse.duckdb", "info"))
    assert told == (f"Alerts sent: {alerts} to file." if alerts else "No new alerts.")
    assert again == "No new alerts."


def test_checks_of_incoming_data_are_on_record_and_pass(shop: Refresh) -> None:
    recorded = shop.query("select check_name, severity, status from meta.check_results where asset = 'data_profile'")
    assert sorted(recorded) == sorted((check.name, check.severity, "pass") for check in DATA_CHECKS)
    ((message,),) = shop.query(
        "select message from meta.check_results where check_name = '" + FILES_RECONCILE.name + "'"
    )
    assert message.endswith("add up.")
    ((rows, columns),) = shop.query(
        "select max(rows), count(*) from meta.data_profile where table_name = 'shop.sales' and refresh = 1"
    )
    assert shop.query("select count(*) from marts.fct_sales") == [(rows,)]
    assert columns == len(BY_NAME["shop.sales"].columns)


def test_a_row_that_is_lost_in_raw_is_found_and_blocks(shop: Refresh, tmp_path: Path) -> None:
    home = shutil.copytree(shop.home, tmp_path / "home")
    months = (home / "raw" / "shop" / "sales").glob("*.parquet")
    max(months, key=lambda month: month.stat().st_size).unlink()
    result = run_pipeline(home, only="meta/data_profile", source="synthetic", scale=300, as_of="2026-03-31")
    assert not result.succeeded
    assert f"check {FILES_RECONCILE.name} on meta/data_profile: shop.sales holds " in result.output
    assert f"check {RAW_RECONCILES.name} on meta/data_profile: fct_sales has " in result.output
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        failed = connection.execute(
            "select distinct check_name, status from meta.check_results where status = 'fail' order by 1"
        ).fetchall()
    assert failed == [(RAW_RECONCILES.name, "fail"), (FILES_RECONCILE.name, "fail")]
