"""How a page becomes an asset: its queries are run, its frames rendered, its files written to the waiting folder.

No page is known here; `publish` puts the folder in place.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings

if TYPE_CHECKING:
    from reports.blocks import Page

_TABLE = re.compile(r"\b(marts|ml)\.(\w+)")

CLOCK = "select as_of, refresh from meta.refreshes where as_of is not null order by refresh desc limit 1"
"""The day that tables are computed for and the refresh, for pages whose charts reach up to that day."""


@dataclass(frozen=True)
class ReportPage:
    """A page and what it reads.

    Args:
        name: Its key in `reports.page.SITE`; the asset is `reports/<name>`.
        description: What a person finds on it.
        queries: SQL by the name of the frame it gives. Money is cast to double, rows are ordered.
        make: Takes the frames by name and gives the page; imports its module when called, as drawing costs time to
            import.
        files: Gives further frames by name, of what lies outside the warehouse.
        after: Tables, as ``schema.name``, that the page waits for without reading them.
    """

    name: str
    description: str
    queries: Mapping[str, str]
    make: "Callable[[Mapping[str, pd.DataFrame]], Page]"
    files: Callable[[Settings], Mapping[str, pd.DataFrame]] | None = None
    after: Sequence[str] = ()

    @property
    def reads(self) -> list[dg.AssetKey]:
        """The tables of the warehouse that it waits for: those its queries name; meta, which is no asset, aside."""
        named = {match.groups() for query in (*self.queries.values(), *self.after) for match in _TABLE.finditer(query)}
        return [dg.AssetKey(list(table)) for table in sorted(named)]


def page_asset(settings: Settings, page: ReportPage) -> dg.AssetsDefinition:
    """A page as an asset that depends on the tables its queries name."""

    @dg.asset(
        key=["reports", page.name],
        deps=page.reads,
        description=page.description,
        group_name="reports",
        owners=["team:analytics-engineering"],
        kinds={"plotly", "html"},
    )
    def report(raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from reports.blocks import Stamp
        from reports.page import SITE, render
        from reports.site import add_page

        as_of, refresh = raw.folder.clock()
        frames = warehouse.read_all(page.queries)
        if page.files is not None:
            frames |= page.files(settings)
        files = render(page.make(frames), Stamp(as_of, refresh))
        add_page(settings.home, refresh, files)
        return dg.MaterializeResult(
            metadata={
                "page": dg.MetadataValue.path(settings.reports / SITE[page.name][0]),
                "size_bytes": sum(len(text.encode()) for text in files.values()),
                "rows_read": sum(len(frame) for frame in frames.values()),
            }
        )

    return report
