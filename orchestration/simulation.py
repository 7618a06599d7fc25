"""`pulse simulate`: the synthetic business as export files, and a page that shows what it is like.

Only puts the pieces together: the business is in `sources.synthetic`, the page in `reports.gallery`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.sources import synthetic_start
from sources.delivery import SourceError
from sources.synthetic import SyntheticSource
from sources.synthetic.export import export

_CDNOW = PROJECT_ROOT / "data" / "samples" / "cdnow" / "CDNOW_sample.txt"


class SimulationError(Exception):
    """The business cannot be written as asked; the message says why."""


def write_simulation(
    settings: Settings, folder: Path, file_format: str, gallery: Path | None, say: Callable[[str], None]
) -> None:
    """Write the business that `pulse run --source synthetic` would read in a new home.

    Args:
        settings: Seed, size and last day.
        folder: Where to; must be empty or absent, so that nothing of another business is left among the files.
        file_format: One of `sources.synthetic.export.FORMATS`.
        gallery: Where to draw it, or None; plotly.js is written beside the page.
        say: Takes one line a table.

    Raises:
        SimulationError: The folder is not empty, or there can be no such business.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SimulationError(f"--out {folder} is not empty; name a new folder, or empty this one.")
    as_of = settings.as_of or settings.today() - timedelta(days=1)
    try:
        source = SyntheticSource(settings.seed, settings.scale, synthetic_start(None, as_of))
    except SourceError as error:
        raise SimulationError(str(error)) from None
    simulation = source.simulation(as_of)
    rows = export(source.windows(simulation), folder, file_format)
    for name, count in rows.items():
        say(f"{name:<20}{count:>14,} rows")
    say(f"{folder}: {source.title}, to {as_of}")
    if gallery is not None:
        from reports.gallery import gallery_page
        from reports.site import write_page
        from sources.synthetic.portrait import portrait

        frames = portrait(simulation, folder, file_format, _CDNOW)
        write_page(gallery, gallery_page(frames, source.title, as_of))
        say(str(gallery))
