"""A full disk is told as one, with the disk's name and room, and nothing else is taken for it."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path

import duckdb
import pytest

from orchestration.disk import full_disk, words_of
from orchestration.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings.from_environment({}, home=tmp_path / "home")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What is free on every disk."""
    free = {"free": 2_000_000}
    asked: list[Path] = []

    def usage(path: Path) -> shutil._ntuple_diskusage:
        asked.append(path)
        return shutil._ntuple_diskusage(250_000_000, 250_000_000 - free["free"], free["free"])

    monkeypatch.setattr("orchestration.disk.shutil.disk_usage", usage)
    return free


@pytest.mark.parametrize(
    "said",
    [
        str(OSError(errno.ENOSPC, "No space left on device")),
        'marts: fct_sales: IO Error: Could not write file "/home/warehouse.duckdb": No space left on device',
        "(sqlite3.OperationalError) database or disk is full",
        'Out of Memory Error: failed to offload data block of size 256.0 KiB. This limit was set by the "max_temp_directory_size" setting.',  # noqa: E501
        "OSError: [Errno 122] Disk quota exceeded",
    ],
)
def test_what_everybody_says_of_a_full_disk_is_understood(home: Settings, room: dict[str, int], said: str) -> None:
    told = full_disk(home, ["something else", said])
    assert told is not None
    assert told.startswith("The disk that holds ")
    assert "was full: 2 of 250 MB are free now, a refresh may need 1 MB. Nothing is lost" in told
    assert room == {"free": 2_000_000}


def test_the_disk_is_that_of_the_file_that_could_not_be_written(
    home: Settings, room: dict[str, int], tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    error = OSError(errno.ENOSPC, "No space left on device", str(elsewhere / "not" / "there.parquet"))
    assert f"The disk that holds {elsewhere} was full" in str(full_disk(home, words_of(error)))
    assert f"The disk that holds {home.home} was full" in str(full_disk(home, ["No space left on device"]))
    assert room


def test_a_broken_disk_is_a_full_one_only_where_there_is_no_room(home: Settings, room: dict[str, int]) -> None:
    said = words_of(sqlite3.OperationalError("disk I/O error"))
    assert full_disk(home, said) is None
    room["free"] = 4096
    assert "0 of 250 MB" in str(full_disk(home, said))


def test_other_failures_are_none(home: Settings, room: dict[str, int]) -> None:
    room["free"] = 0
    assert full_disk(home, ["check x on y failed: 1 row", str(duckdb.CatalogException("no such table"))]) is None
    assert full_disk(home, []) is None


def test_an_error_is_told_with_those_that_led_to_it() -> None:
    cause = OSError(errno.ENOSPC, "No space left on device")
    error = RuntimeError("the step failed")
    error.__cause__ = cause
    assert words_of(error) == ["the step failed", "[Errno 28] No space left on device"]
