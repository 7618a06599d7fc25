"""Which landing files are complete and new, and when the sensor asks for a refresh."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration.automation.sensors import look_for_files
from orchestration.landing import look, remember, remembered
from orchestration.lock import writer_lock
from orchestration.settings import Settings
from sources.delivery import KnownFile
from sources.files import open_files
from sources.store import RawFolder, RawState

SETTLE = 30
SECOND = 1_000_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "landing").mkdir()
    (tmp_path / "raw").mkdir()
    return Settings.from_environment({}, home=tmp_path, landing_settle_seconds=SETTLE)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def drop(settings: Settings, name: str, text: str = "customer_id,sold_at,amount\nann,2024-01-05,1\n") -> Path:
    path = settings.landing / name
    path.write_text(text, encoding="utf-8")
    return path


def later() -> int:
    return time.time_ns() + (SETTLE + 1) * SECOND


def test_a_file_is_complete_when_it_has_not_changed_for_a_while(settings: Settings) -> None:
    drop(settings, "sales.csv")
    assert set(look(settings).growing) == {"sales.csv"}
    found = look(settings, later())
    assert (set(found.complete), dict(found.growing)) == ({"sales.csv"}, {})
    assert look(settings).left == {settings.landing / "sales.csv"}


def test_a_copy_that_keeps_its_old_time_is_not_taken_for_complete(settings: Settings) -> None:
    """As `cp -p` and sync tools write: the time of the original, while the rest is still to come."""
    os.utime(drop(settings, "sales.csv"), (1_500_000_000, 1_500_000_000))
    assert set(look(settings).growing) == {"sales.csv"}


def test_a_time_that_lies_ahead_says_nothing(settings: Settings) -> None:
    path = drop(settings, "sales.csv")
    os.utime(path, (2_500_000_000, 2_500_000_000))
    assert set(look(settings, later()).complete) == {"sales.csv"}
    # the machine's clock was set back: nobody waits for the day when it comes round again
    assert set(look(settings, 1_000_000_000 * SECOND).complete) == {"sales.csv"}


def test_unfinished_names_and_the_synthetic_business_hold_no_files(settings: Settings) -> None:
    assert not look(settings, later()).paths
    for name in (".sales.csv", "sales.csv.part", "sales.csv.tmp"):
        drop(settings, name)
    assert not look(settings, later()).paths


def test_one_run_for_all_new_files_and_one_key_a_set(settings: Settings, instance: dg.DagsterInstance) -> None:
    settings = settings.model_copy(update={"landing_settle_seconds": 0})
    drop(settings, "a.csv")
    drop(settings, "b.csv")
    first = look_for_files(settings, instance)
    assert isinstance(first, dg.RunRequest)
    assert first.tags["pulse/files"] == "2"
    # asked again before the run has begun, or after it could not read them: the same key, which Dagster runs once
    assert look_for_files(settings, instance).run_key == first.run_key  # type: ignore[union-attr]

    remember(settings.raw, look(settings).complete)
    RawFolder(settings.raw).save(RawState("files", 1))
    assert remembered(settings.raw).keys() == {"a.csv", "b.csv"}
    nothing = look_for_files(settings, instance)
    assert isinstance(nothing, dg.SkipReason)
    assert nothing.skip_message == "No new files."

    drop(settings, "b.csv", "customer_id,sold_at,amount\nbob,2024-02-05,20\n")
    changed = look_for_files(settings, instance)
    assert isinstance(changed, dg.RunRequest)
    assert changed.run_key != first.run_key
    assert changed.tags["pulse/first_file"] == "b.csv"


def test_a_file_that_goes_and_comes_back_after_a_refresh_is_asked_for_again(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    settings = settings.model_copy(update={"landing_settle_seconds": 0})
    stat = drop(settings, "a.csv").stat()
    first = look_for_files(settings, instance)
    remember(settings.raw, {})
    RawFolder(settings.raw).save(RawState("files", 1))
    (settings.landing / "a.csv").unlink()
    os.utime(drop(settings, "a.csv"), ns=(stat.st_atime_ns, stat.st_mtime_ns))
    again = look_for_files(settings, instance)
    assert isinstance(first, dg.RunRequest)
    assert isinstance(again, dg.RunRequest)
    assert again.run_key != first.run_key


def test_a_growing_file_waits_and_is_named(settings: Settings, instance: dg.DagsterInstance) -> None:
    drop(settings, "a.csv")
    result = look_for_files(settings, instance)
    assert isinstance(result, dg.SkipReason)
    assert result.skip_message == "No new files. 1 still being written: a.csv."


def test_never_two_at_once(settings: Settings, instance: dg.DagsterInstance) -> None:
    settings = settings.model_copy(update={"landing_settle_seconds": 0})
    drop(settings, "a.csv")
    with writer_lock(settings.home):
        busy = look_for_files(settings, instance)
    assert isinstance(busy, dg.SkipReason)
    assert "A refresh is under way; a.csv may come after it." in str(busy.skip_message)
    instance.create_run_for_job(_refresh_job(), status=dg.DagsterRunStatus.STARTING)
    starting = look_for_files(settings, instance)
    assert isinstance(starting, dg.SkipReason)
    assert "about to start" in str(starting.skip_message)


def _refresh_job() -> dg.JobDefinition:
    @dg.op
    def nothing() -> None: ...

    @dg.job(name="refresh")
    def refresh() -> None:
        nothing()

    return refresh


def test_a_source_that_cannot_be_understood_starts_nothing_and_says_why(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    drop(settings, "a.csv")
    drop(settings, "sources.yml", "files: [{path: none.csv, table: shop.sales}]\n")
    result = look_for_files(settings, instance)
    assert isinstance(result, dg.SkipReason)
    assert "there is no file 'none.csv'" in str(result.skip_message)


def test_a_changed_mapping_is_a_reason_to_read_again(settings: Settings) -> None:
    drop(settings, "a.csv")
    mapping = "files: [{path: a.csv, table: shop.sales}]\n"
    drop(settings, "sources.yml", mapping)
    remember(settings.raw, look(settings, later()).complete)
    assert look(settings, later()).unseen(remembered(settings.raw)) == []
    drop(settings, "sources.yml", mapping + "\n")
    assert look(settings, later()).unseen(remembered(settings.raw)) == ["sources.yml"]


def test_a_growing_file_is_not_read_and_not_taken_for_gone(settings: Settings) -> None:
    from orchestration.assets.raw import _but

    drop(settings, "whole.csv")
    drop(settings, "growing.csv")
    source = open_files(settings.landing, settings.quarantine, frozenset({settings.landing / "growing.csv"}))
    assert [plan.name for plan in source.plans()[0]] == ["whole.csv"]
    known = {
        name: KnownFile(name, "shop.sales", 1, 0, 1)
        for name in ("whole.csv", "growing.csv", "growing.csv/Sheet1", "growing.csv.old")
    }
    assert _but(known, ["growing.csv"]).keys() == {"whole.csv", "growing.csv.old"}
