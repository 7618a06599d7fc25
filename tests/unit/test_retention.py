"""What is old goes, what is needed stays."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from orchestration.instance import open_instance
from orchestration.resources import Warehouse, build_resources
from orchestration.retention import forget_runs, tidy
from orchestration.settings import Settings

DAY = 86_400


def age(path: Path, days: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    os.utime(path, (time.time() - days * DAY,) * 2)
    return path


def run_once(instance: dg.DagsterInstance, *, succeeds: bool) -> str:
    @dg.op
    def step() -> None:
        if not succeeds:
            raise ValueError

    @dg.job
    def job() -> None:
        step()

    return job.execute_in_process(instance=instance, raise_on_error=False).run_id


def test_the_latest_runs_stay_and_the_last_success_whatever_came_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = Settings.from_environment({}, home=tmp_path)
    with open_instance(settings) as instance:
        runs = [run_once(instance, succeeds=succeeds) for succeeds in (True, False, False)]
        logs = settings.dagster_home / "storage" / runs[1]
        logs.mkdir(parents=True, exist_ok=True)
        files = settings.dagster_home / "history" / "runs"
        assert (files / f"{runs[1]}.db").exists()
        assert forget_runs(instance, settings.dagster_home, 4) == 0
        assert forget_runs(instance, settings.dagster_home, 1) == 1
        assert instance.get_run_ids() == [runs[2], runs[0]]
        assert not list(files.glob(f"{runs[1]}*"))
        assert not logs.exists()
        # There is a later success now.
        last = run_once(instance, succeeds=True)
        assert forget_runs(instance, settings.dagster_home, 1) == 2
        assert instance.get_run_ids() == [last]


def warehouse_of(settings: Settings) -> Warehouse:
    warehouse: Warehouse = build_resources(settings)["warehouse"]
    return warehouse


def test_records_of_old_refreshes_go_but_not_that_they_were(tmp_path: Path) -> None:
    settings = Settings.from_environment({}, home=tmp_path, keep_refreshes=2)
    warehouse = warehouse_of(settings)
    start = datetime(2026, 1, 1)  # noqa: DTZ001 - as the meta tables store it
    for refresh in range(1, 5):
        warehouse.begin_refresh(refresh, "a test")
        warehouse.note_refresh(refresh, None, [{"rows": 1}])
        passed = dg.AssetCheckResult(check_name="check", passed=True, severity=dg.AssetCheckSeverity.WARN)
        warehouse.record_checks("asset", [passed], refresh)
        at = start + timedelta(days=refresh)
        with warehouse.connect() as connection:
            connection.execute("update meta.refreshes set started_at = ? where refresh = ?", [at, refresh])
            connection.execute("update meta.check_results set recorded_at = ? where refresh = ?", [at, refresh])
            connection.execute(
                "insert into meta.builds values ('i', 'dbt', 'started', null, ?), ('i', 'm', 'success', ?, ?)",
                [at, refresh, at],
            )
    with dg.DagsterInstance.ephemeral() as instance:
        tidy(settings, instance, warehouse, print)
    rows = warehouse.read("select refresh, rows is null as forgotten from meta.refreshes order by 1")
    assert rows.values.tolist() == [[1, True], [2, True], [3, False], [4, False]]
    assert [result.refresh for result in warehouse.check_results()] == [3, 4]
    assert [(build.resource, build.refresh) for build in warehouse.builds()] == [
        ("dbt", None),
        ("m", 3),
        ("dbt", None),
        ("m", 4),
    ]


def test_old_refused_rows_and_leftovers_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "tmp"
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    settings = Settings.from_environment({}, home=tmp_path / "home", keep_quarantine_days=10)
    kept = [
        age(settings.quarantine / "shop" / "sales" / "new.parquet", 9),
        age(settings.models / "churn_90d.skops", 500),
        age(elsewhere / "pulse-now" / "part", 0.5),
        age(elsewhere / "others" / "part", 50),
    ]
    gone = [
        age(settings.quarantine / "shop" / "sales" / "old.parquet", 11),
        age(settings.models / ".churn_90d.skops", 0),
        age(elsewhere / "pulse-killed" / "part", 2),
    ]
    os.utime(elsewhere / "pulse-killed", (time.time() - 2 * DAY,) * 2)
    with dg.DagsterInstance.ephemeral() as instance:
        removed = tidy(settings, instance, warehouse_of(settings), print)
    assert removed == {"runs": 0, "quarantined files": 1, "leftovers": 2}
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in gone)
    assert not (elsewhere / "pulse-killed").exists()
    assert not settings.warehouse.exists()


def test_a_home_of_an_earlier_version_gets_limits_and_own_changes_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster._core.definitions.run_request import InstigatorType

    from orchestration.instance import _CONFIG, _EARLIER_CONFIG

    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = Settings.from_environment({}, home=tmp_path)
    config = settings.dagster_home / "dagster.yaml"
    config.parent.mkdir()
    config.write_text(_EARLIER_CONFIG)
    with open_instance(settings) as instance:
        assert instance.get_tick_retention_settings(InstigatorType.SENSOR) is not None
    assert config.read_text() == _CONFIG
    config.write_text(own := f"# mine\n{_EARLIER_CONFIG}")
    with open_instance(settings):
        assert config.read_text() == own
