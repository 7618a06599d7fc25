"""What a page says instead of charts when the table it is about has not been delivered. Text in, a section out."""

from __future__ import annotations

from collections.abc import Mapping

from reports.blocks import Item, Listing, Section


def missing(what: str, needed: Mapping[str, str], shown: str) -> Section:
    """The one part of a page without data.

    Args:
        what: What there is none of, in the plural.
        needed: The columns needed, by table as ``source.table``.
        shown: What the page would show.
    """
    items = [
        Item("add", "info", table, f"Needed are {columns}; more is used where it is there.")
        for table, columns in needed.items()
    ]
    return Section(
        f"There are no {what} yet",
        [
            Listing(
                "What to add",
                items,
                f"Put CSV or Parquet files into landing/, in {_folders(needed)} or under any name if the header says "
                "what they are, and run `pulse run`; `pulse sources check` says how a file is read.",
            )
        ],
        f"With them, this page shows {shown}.",
    )


def _folders(needed: Mapping[str, str]) -> str:
    return " and ".join(f"{table.replace('.', '/')}/" for table in needed)
