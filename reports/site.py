"""The folder of pages: written beside the published one, put in its place when its refresh is published.

Pages share one copy of plotly.js, so that they open from disk without a network. What stands on them is made
elsewhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from plotly.offline import get_plotlyjs

PLOTLY_FILE = "plotly.min.js"


def write_site(home: Path, refresh: int, pages: Mapping[str, str]) -> Path:
    """Write the pages of one refresh, not yet published.

    Args:
        home: Folder that holds ``reports``.
        refresh: Number of the refresh.
        pages: HTML by file name.

    Returns:
        The folder that waits to be published.
    """
    _recover(home)
    for forgotten in home.glob(".reports-*"):
        shutil.rmtree(forgotten)
    folder = _waiting(home, refresh)
    folder.mkdir(parents=True)
    (folder / PLOTLY_FILE).write_text(get_plotlyjs(), encoding="utf-8")
    for name, html in pages.items():
        (folder / name).write_text(html, encoding="utf-8")
    return folder


def write_page(page: Path, html: str) -> None:
    """Write a page that belongs to no refresh, with the copy of plotly.js that it needs beside it."""
    page.parent.mkdir(parents=True, exist_ok=True)
    (page.parent / PLOTLY_FILE).write_text(get_plotlyjs(), encoding="utf-8")
    page.write_text(html, encoding="utf-8")


def publish_site(home: Path, refresh: int) -> None:
    """Put the pages of a refresh in place of the published ones; without new pages, those stay.

    Args:
        home: Folder that holds ``reports``.
        refresh: Number of the refresh.
    """
    _recover(home)
    waiting, published, old = _waiting(home, refresh), _published(home), _old(home)
    if not waiting.exists():
        return
    shutil.rmtree(old, ignore_errors=True)
    if published.exists():
        published.rename(old)
    waiting.rename(published)
    shutil.rmtree(old, ignore_errors=True)


def _recover(home: Path) -> None:
    """Put back what a process left that died between the two steps in which a folder is replaced."""
    if _old(home).exists() and not _published(home).exists():
        _old(home).rename(_published(home))


def _published(home: Path) -> Path:
    return home / "reports"


def _waiting(home: Path, refresh: int) -> Path:
    return home / f".reports-{refresh}"


def _old(home: Path) -> Path:
    return home / ".reports-old"
