"""The folder of pages: written beside the published one, put in its place when its refresh is published.

Pages share one style, one script and one copy of plotly.js, so that they open from disk without a network. What stands
on them is made elsewhere.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Mapping
from pathlib import Path

import plotly

from reports.folders import PublishedFolder
from reports.page import PLOTLY_FILE, SITE, data_file

FOLDER = "reports"
"""The folder's name in a home."""

_STATIC = Path(__file__).parent / "static"
SHARED: Mapping[str, Path] = {
    PLOTLY_FILE: Path(plotly.__file__).parent / "package_data" / "plotly.min.js",
    **{file.name: file for file in sorted(_STATIC.iterdir())},
}
"""The files that all pages need beside them, by name."""


def add_page(home: Path, refresh: int, files: Mapping[str, str]) -> Path:
    """Write a page of one refresh, not yet published, beside the other pages of that refresh.

    Args:
        home: Folder that holds ``reports``.
        refresh: Number of the refresh.
        files: Text by file name: the page, and the data it loads.

    Returns:
        The folder that waits to be published.
    """
    folder = PublishedFolder(home, FOLDER).open(refresh)
    if not any(folder.iterdir()):
        _add_shared(folder)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def write_page(page: Path, files: Mapping[str, str]) -> None:
    """Write a page that belongs to no refresh, with what it needs beside it.

    Args:
        page: Where to.
        files: As `reports.page.render` returns them; the page's own name gives way to that of the path.
    """
    page.parent.mkdir(parents=True, exist_ok=True)
    _add_shared(page.parent)
    for name, text in files.items():
        target = page if name.endswith(".html") else page.parent / name
        target.write_text(text, encoding="utf-8")


def publish_site(home: Path, refresh: int) -> None:
    """Put the pages of a refresh in place of the published ones; without new pages, those stay.

    A page that this refresh did not make anew stays as it is and says of which refresh it is.

    Args:
        home: Folder that holds ``reports``.
        refresh: Number of the refresh.
    """
    place = PublishedFolder(home, FOLDER)
    place.recover()
    waiting = place.waiting(refresh)
    if not waiting.exists():
        return
    for name, (file, _) in SITE.items():
        if not (waiting / file).exists():
            for kept in (place.published / file, place.published / data_file(name)):
                if kept.exists():
                    shutil.copyfile(kept, waiting / kept.name)
    place.publish(refresh)


def _add_shared(folder: Path) -> None:
    for name, file in SHARED.items():
        target = folder / name
        # Readers may have it open, and kept versions share it.
        if not (target.exists() and filecmp.cmp(file, target)):
            shutil.copyfile(file, target)
