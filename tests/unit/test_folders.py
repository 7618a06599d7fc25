"""Folders that are published as a whole: never none, never half, whenever the process dies."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reports import folders
from reports.folders import PublishedFolder


class Killed(BaseException):
    """Stands for the end of the process."""


def fill(place: PublishedFolder, refresh: int) -> None:
    (place.begin(refresh) / "index.html").write_text(str(refresh))


def published(home: Path) -> PublishedFolder:
    """A folder of refresh 1, and one of refresh 2 that waits."""
    place = PublishedFolder(home, "reports")
    fill(place, 1)
    place.publish(1)
    fill(place, 2)
    return place


def content(place: PublishedFolder) -> tuple[str, list[str]]:
    """What readers find, and what else lies in the home."""
    others = sorted(path.name for path in place.home.iterdir() if path != place.published)
    return (place.published / "index.html").read_text(), others


@pytest.mark.parametrize("can_exchange", [True, False])
@pytest.mark.parametrize("is_done", [True, False])
def test_who_dies_at_the_exchange_leaves_one_or_the_other_and_the_next_one_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool, is_done: bool
) -> None:
    place = published(tmp_path)

    def dies(one: Path, other: Path) -> bool:
        if is_done:
            if can_exchange:
                assert exchange(one, other)
            else:
                other.rename(place.home / ".reports-old")
        raise Killed

    exchange = folders._exchange
    monkeypatch.setattr(folders, "_exchange", dies)
    with pytest.raises(Killed):
        place.publish(2)
    monkeypatch.setattr(folders, "_exchange", exchange)
    if can_exchange:
        assert content(place)[0] == ("2" if is_done else "1")
    place.publish(2)
    assert content(place) == ("2", [])


def test_where_folders_cannot_be_exchanged_they_are_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_exchange", lambda _one, _other: False)
    place = published(tmp_path)
    place.publish(2)
    assert content(place) == ("2", [])


def test_a_note_that_was_not_written_to_its_end_says_nothing(tmp_path: Path) -> None:
    place = published(tmp_path)
    (tmp_path / ".reports-exchange").write_text(str(place.published.stat().st_ino))
    place.publish(2)
    assert content(place) == ("2", [])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges folders")
def test_the_published_name_is_never_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = published(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", lambda path, _target: pytest.fail(f"{path} was renamed"))
        place.publish(2)
    assert content(place) == ("2", [])
