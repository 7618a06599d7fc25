"""What is published beside the file: the pages and the exports, each a folder that is replaced as a whole.

What lies in them is made by assets; how a folder is replaced is the business of `reports.folders`.
"""

from __future__ import annotations

from pathlib import Path

from orchestration.modes import share_waiting
from reports.folders import PublishedFolder
from reports.site import FOLDER as PAGES
from reports.site import publish_site

EXPORTS = "exports"
FOLDERS = (PAGES, EXPORTS)


def publish_beside(home: Path, refresh: int) -> None:
    """Put the folders of a refresh in place; of one that this refresh has not made, what is published stays.

    Args:
        home: The home.
        refresh: Number of the refresh.
    """
    share_waiting(home, refresh)
    publish_site(home, refresh)
    PublishedFolder(home, EXPORTS).publish(refresh)
