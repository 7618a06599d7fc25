"""A damaged home, piece by piece: what is noticed, what is put right, and what the doctor says of it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from rich.console import Console

from orchestration.backup import BackupError, back_up, finish_restore, restore
from orchestration.doctor import Level, examine, print_findings
from orchestration.lock import lock_holder, writer_lock
from orchestration.recovery import mend_history, mend_home
from orchestration.resources import META_TABLES, InUseError, Warehouse, build_resources, now
from orchestration.settings import Settings
from orchestration.soundness import note_sound, trouble_with_duckdb
from orchestration.versions import RollbackError, keep_version, kept_versions, published_refresh, roll_back
from sources.contracts import CONTRACTS
from sources.store import RawFolder, RawState

AT = datetime(2026, 3, 1)  # noqa: DTZ001 - as the meta tables store it


def ignore(_: str) -> None:
    """For messages that are not looked at."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home as a refresh leaves it, with next to nothing in it."""
    settings = Settings.from_environment({}, home=tmp_path_factory.mktemp("made") / "home")
    settings.landing.mkdir(parents=True)
    (settings.landing / "sales.csv").write_text("customer_id,sold_at,amount\nann,2026-01-05,10\n", encoding="utf-8")
    folder = RawFolder(settings.raw)
    for contract in CONTRACTS:
        folder.merge(contract, [], 1)
    folder.save(RawState("files in landing", 1))
    folder.write_clock(date(2026, 1, 5), date(2026, 1, 6), 1)
    settings.models.mkdir()
    (settings.models / "churn.json").write_text("[]", encoding="utf-8")
    publish(settings, 1)
    return settings.home


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Settings:
    """A copy of it."""
    shutil.copytree(made, tmp_path / "home")
    return Settings.from_environment({}, home=tmp_path / "home", keep_versions=2)


def publish(settings: Settings, refresh: int) -> None:
    """What a refresh leaves at its end: the warehouse, a copy of it, pages, exports, a version."""
    with duckdb.connect(str(settings.warehouse)) as connection:
        connection.execute(META_TABLES)
        connection.execute(
            "insert into meta.refreshes values (?, ?, 'files', 'published', ?, ?, null, null)",
            [refresh, date(2026, 1, refresh), AT, AT],
        )
        connection.execute("create schema if not exists marts")
        connection.execute(f"create or replace table marts.numbers as select range + {refresh} as n from range(100000)")
    shutil.copyfile(settings.warehouse, settings.home / "copy")
    (settings.home / "copy").replace(settings.published)
    for folder, name in ((settings.reports, "index.html"), (settings.exports, "exports.json")):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / name).write_text(f"refresh {refresh}", encoding="utf-8")
    keep_version(settings, settings.published, refresh, date(2026, 1, refresh), AT)
    note_sound(settings, settings.published)


def warehouse_of(settings: Settings) -> Warehouse:
    return build_resources(settings)["warehouse"]


def statuses(settings: Settings) -> list[tuple[int, str]]:
    with duckdb.connect(str(settings.warehouse), read_only=True) as connection:
        return connection.execute("select refresh, status from meta.refreshes order by 1").fetchall()


def flip(path: Path) -> None:
    """Flip a bit in every block, leaving the time of change as it was."""
    times = (path.stat().st_atime, path.stat().st_mtime)
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 9, len(content), max(1, len(content) // 9)):
        content[at] ^= 1
    path.write_bytes(content)
    os.utime(path, times)


def broken(settings: Settings) -> set[str]:
    """The names of what the doctor calls broken."""
    return {Path(finding.where).name for finding in examine(settings) if finding.level == Level.BROKEN}


def test_a_sound_home_is_left_alone(home: Settings) -> None:
    told: list[str] = []
    mend_home(home, warehouse_of(home), told.append)
    assert told == []
    assert statuses(home) == [(1, "published")]
    findings = examine(home)
    assert {finding.level for finding in findings} <= {Level.FINE, Level.WARNING}
    assert print_findings(Console(quiet=True), findings)


@pytest.mark.parametrize("hurt", [flip, lambda path: os.truncate(path, 20_000)], ids=["flipped", "cut"])
def test_a_damaged_warehouse_is_built_anew_with_the_record_kept(home: Settings, hurt: Callable[[Path], None]) -> None:
    hurt(home.warehouse)
    assert broken(home) == {"warehouse.duckdb"}
    told: list[str] = []
    mend_home(home, warehouse_of(home), told.append)
    (message,) = told
    assert "warehouse.duckdb could not be read" in message
    assert f"the record of earlier refreshes is that of {home.published}" in message
    assert statuses(home) == [(1, "published")]
    assert trouble_with_duckdb(home.warehouse) is None
    assert not (home.home / ".warehouse-damaged.duckdb.new").exists()


def test_readers_of_a_damaged_file_get_the_version_before_until_the_refresh_ends(home: Settings) -> None:
    publish(home, 2)
    flip(home.published)
    assert "pulse.duckdb" in broken(home)
    told: list[str] = []
    mend_home(home, warehouse_of(home), told.append)
    # the kept version of refresh 2 is the same file, and as damaged
    assert published_refresh(home) == 1
    assert (home.reports / "index.html").read_text("utf-8") == "refresh 1"
    assert any("readers see refresh 1 (as of 2026-01-01) again" in message for message in told)


def test_a_warehouse_that_another_program_has_open_is_not_taken_for_damaged(home: Settings) -> None:
    (home.home / ".sound.json").unlink()
    with duckdb.connect(str(home.warehouse)), pytest.raises(InUseError, match=r"warehouse\.duckdb"):
        mend_home(home, warehouse_of(home), ignore)
    assert trouble_with_duckdb(home.warehouse) is None


HOLDER = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"


def test_a_warehouse_that_another_program_has_open_is_named_after_a_few_seconds(home: Settings) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home.warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InUseError, match=rf"{home.warehouse} is open in another program: .*PID {holder.pid}"):
            warehouse_of(home).fail_refresh()
    finally:
        holder.kill()
        holder.communicate()
    warehouse_of(home).fail_refresh()


def test_what_was_never_built_is_named_with_the_way_out(home: Settings) -> None:
    with pytest.raises(dg.Failure) as failed:
        warehouse_of(home).read("select * from marts.customer_rfm")
    assert str(failed.value.description) == (
        "customer_rfm was never built in this home. Materialize what is upstream as well, or everything: `pulse run`."
    )
    with pytest.raises(duckdb.CatalogException):
        warehouse_of(home).read("select no_such_function(1)")


def test_what_calls_itself_published_and_never_was_is_noted_as_failed(home: Settings) -> None:
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute(
            "insert into meta.refreshes values (2, null, 'files', 'published', ?, ?, null, null)", [AT] * 2
        )
    assert any("is noted as published, readers see 1" in finding.what for finding in examine(home))
    mend_home(home, warehouse_of(home), ignore)
    assert statuses(home) == [(1, "published"), (2, "failed")]


def test_what_was_noted_while_the_clock_was_ahead_does_not_count_as_the_latest(home: Settings) -> None:
    ahead = now() + timedelta(days=400)
    with duckdb.connect(str(home.warehouse)) as connection:
        connection.execute("insert into meta.builds values ('x', 'numbers', 'success', 1, ?)", [ahead])
    mend_home(home, warehouse_of(home), ignore)
    assert [build.recorded_at < now() for build in warehouse_of(home).builds()] == [True]


def test_leftovers_go(home: Settings) -> None:
    for name in (".pulse.duckdb.new", "models/.churn.json", "versions/.new/pulse.duckdb", "work.duckdb.tmp/spilled"):
        path = home.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    found = [finding for finding in examine(home) if "did not end" in finding.what]
    assert len(found) == 4
    mend_home(home, warehouse_of(home), ignore)
    assert not any("did not end" in finding.what for finding in examine(home))


def test_a_damaged_history_is_laid_aside_and_a_sound_one_stays(home: Settings) -> None:
    for name in ("history/runs.db", "schedules/schedules.db"):
        path = home.dagster_home / name
        path.parent.mkdir(parents=True)
        with sqlite3.connect(path) as connection:
            connection.execute(
                "create table runs as with recursive n(i) as (values(1) union all select i + 1 from n "
                "limit 5000) select i from n"
            )
    os.truncate(home.dagster_home / "history" / "runs.db", 9_000)
    assert broken(home) == {"runs.db"}
    told: list[str] = []
    mend_history(home, told.append)
    assert len(told) == 1
    assert "begins anew" in told[0]
    assert (home.dagster_home / "history-damaged" / "runs.db").exists()
    assert (home.dagster_home / "schedules" / "schedules.db").exists()
    assert not broken(home)


def test_the_doctor_names_damage_in_raw_and_changes_nothing(home: Settings) -> None:
    file = home.raw / "shop" / "sales" / "none.parquet"
    flip(file)
    before = file.read_bytes()
    (finding,) = [finding for finding in examine(home) if finding.level == Level.BROKEN and "bytes" in finding.what]
    assert finding.where == str(file)
    assert "`pulse run` reads the source again" in finding.remedy
    assert not print_findings(Console(quiet=True), examine(home))
    assert file.read_bytes() == before


def test_the_doctor_names_who_has_the_lock(home: Settings) -> None:
    assert lock_holder(home.home) is None
    with writer_lock(home.home):
        holder = lock_holder(home.home)
        assert holder is not None
        assert holder.pid == os.getpid()
        assert any(f"process {os.getpid()}" in finding.what for finding in examine(home))
    assert lock_holder(home.home) is None


# Versions


def test_the_last_versions_are_kept_and_cost_no_space(home: Settings) -> None:
    for refresh in (2, 3):
        publish(home, refresh)
    assert [version.refresh for version in kept_versions(home)] == [3, 2]
    assert home.published.samefile(home.versions / "3" / "pulse.duckdb")


def test_rolling_back_goes_to_the_version_before_and_is_noted(home: Settings) -> None:
    publish(home, 2)
    version = roll_back(home, None, ignore)
    assert (version.refresh, version.as_of, published_refresh(home)) == (1, date(2026, 1, 1), 1)
    assert (home.reports / "index.html").read_text("utf-8") == "refresh 1"
    assert (home.exports / "exports.json").read_text("utf-8") == "refresh 1"
    assert statuses(home) == [(1, "published"), (2, "rolled back")]
    # what readers see is not taken for a refresh that never published
    mend_home(home, warehouse_of(home), ignore)
    assert statuses(home) == [(1, "published"), (2, "rolled back")]
    roll_back(home, 2, ignore)
    assert published_refresh(home) == 2
    assert (home.reports / "index.html").read_text("utf-8") == "refresh 2"


def test_a_version_that_is_not_there_or_damaged_is_not_put_back(home: Settings) -> None:
    with pytest.raises(RollbackError, match=r"an earlier refresh is not kept. Kept are: 1 \(as of 2026-01-01\)"):
        roll_back(home, None, ignore)
    publish(home, 2)
    with pytest.raises(RollbackError, match="refresh 7 is not kept"):
        roll_back(home, 7, ignore)
    flip(home.versions / "1" / "pulse.duckdb")
    with pytest.raises(RollbackError, match="holds other bytes than were published"):
        roll_back(home, 1, ignore)
    assert published_refresh(home) == 2


# Backups


def test_a_backup_brings_back_what_cannot_be_made_again(home: Settings, tmp_path: Path) -> None:
    file = tmp_path / "kept.tar.gz"
    landing = (home.landing / "sales.csv").stat().st_mtime
    card = back_up(home, file, ignore)
    # no rows were read from the landing file yet, so raw is no part of what it gives
    assert sorted(name for name in card["files"] if not name.startswith("raw/")) == [
        "landing/sales.csv",
        "models/churn.json",
        "record.duckdb",
    ]
    assert file.stat().st_mode & 0o077 == 0
    there = Settings.from_environment({}, home=tmp_path / "there")
    restore(there, file, ignore)
    assert (there.landing / "sales.csv").read_bytes() == (home.landing / "sales.csv").read_bytes()
    # files are read in the order of their times
    assert (there.landing / "sales.csv").stat().st_mtime == pytest.approx(landing, abs=1)
    assert statuses(there) == [(1, "published")]
    assert warehouse_of(there).last_refresh() == 1
    assert (there.models / "churn.json").exists()


def test_raw_is_left_out_where_all_its_rows_can_be_read_again(home: Settings, tmp_path: Path) -> None:
    from orchestration.sources import open_source
    from sources.delivery import KnownFile

    source = open_source(home, date(2024, 1, 1), home.raw / ".memory")
    ((plan,), _) = source.plans()
    known = KnownFile("sales.csv", "shop.sales", 1, 0, 1)
    folder = RawFolder(home.raw)
    folder.save(RawState("files in landing", 1, None, {plan.sha256: known}))
    assert not back_up(home, tmp_path / "without.tar.gz", ignore)["with_raw"]
    folder.save(RawState("files in landing", 1, None, {plan.sha256: known, "of a file that is gone": known}))
    with_raw = back_up(home, tmp_path / "with.tar.gz", ignore)
    assert with_raw["with_raw"]
    assert "raw/_state.json" in with_raw["files"]


def test_a_home_that_is_not_empty_is_replaced_only_when_asked_and_kept_beside(home: Settings, tmp_path: Path) -> None:
    file = tmp_path / "kept.tar.gz"
    back_up(home, file, ignore)
    (home.landing / "newer.csv").write_text("customer_id,sold_at,amount\nbob,2026-01-06,10\n", encoding="utf-8")
    with pytest.raises(BackupError, match="is not empty: it holds landing files, raw, models"):
        restore(home, file, ignore)
    assert (home.landing / "newer.csv").exists()
    restore(home, file, ignore, force=True)
    assert not (home.landing / "newer.csv").exists()
    assert (home.home / "before-restore-1" / "landing" / "newer.csv").exists()
    # what readers see stays until the next refresh
    assert published_refresh(home) == 1


@pytest.mark.parametrize("hurt", [flip, lambda path: os.truncate(path, path.stat().st_size // 2)], ids=["flip", "cut"])
def test_a_damaged_backup_changes_nothing(home: Settings, tmp_path: Path, hurt: Callable[[Path], None]) -> None:
    file = tmp_path / "kept.tar.gz"
    back_up(home, file, ignore)
    hurt(file)
    there = Settings.from_environment({}, home=tmp_path / "there")
    with pytest.raises(BackupError, match=r"cannot be read as a backup|is damaged|is not whole"):
        restore(there, file, ignore)
    assert [path.name for path in there.home.iterdir()] == [".writer.lock"]


def test_a_backup_refuses_to_replace_a_file_or_to_lie_in_the_home(home: Settings, tmp_path: Path) -> None:
    (tmp_path / "there.tar.gz").write_bytes(b"mine")
    with pytest.raises(BackupError, match="exists already"):
        back_up(home, tmp_path / "there.tar.gz", ignore)
    with pytest.raises(BackupError, match="lies in the home"):
        back_up(home, home.home / "kept.tar.gz", ignore)
    with pytest.raises(BackupError, match="does not exist"):
        restore(home, tmp_path / "nowhere.tar.gz", ignore, force=True)


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_an_interrupted_restore_is_finished(tmp_path: Path, moved: int) -> None:
    """Killed after so many of the steps that put the new in the place of the old."""
    home = tmp_path / "home"
    decided = home / (".restore-decided" if moved < 2 else ".restore-placing")
    for name in ("landing", "models"):
        (decided / name).mkdir(parents=True)
        (decided / name / "new").touch()
        if moved < 1:
            (home / name).mkdir()
            (home / name / "old").touch()
    if moved == 1:
        (home / "models").mkdir()
        (home / "models" / "old").touch()
    if moved == 2:
        (decided / "models").rename(home / "models")
    assert finish_restore(home)
    assert [path.name for name in ("landing", "models") for path in (home / name).iterdir()] == ["new", "new"]
    assert not finish_restore(home)


def test_times_of_the_lock_are_told_in_utc(home: Settings) -> None:
    with writer_lock(home.home):
        holder = lock_holder(home.home)
    assert holder is not None
    since = datetime.strptime(holder.since, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - since).total_seconds()) < 60
