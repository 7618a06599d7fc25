"""The page of how far the data can be trusted: its queries, and what it reads of the raw folder and the quarantine."""

import json
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import pandas as pd

from orchestration.assets.reports.report_page import CLOCK, ReportPage
from orchestration.resources import quoted
from orchestration.settings import Settings
from sources.contracts import CONTRACTS, Contract
from sources.store import RawFolder

if TYPE_CHECKING:
    from reports.blocks import Page

_REFRESHES = 24
_RECEIVED = {
    "refresh": "int64",
    "table": "object",
    "file": "object",
    **dict.fromkeys(("rows", "inserted", "restated", "duplicate", "quarantined", "left_out"), "int64"),
    "set_aside": "object",
}


def _page(frames: Mapping[str, pd.DataFrame]) -> "Page":
    from reports.quality import quality_page

    refreshes = frames["refreshes"]
    return quality_page(
        **{**frames, "refreshes": refreshes.drop(columns="rows")},
        received=_received(refreshes),
    )


def _received(refreshes: pd.DataFrame) -> pd.DataFrame:
    """What each refresh noted of each file, out of the JSON it is kept as."""
    rows = [
        {"refresh": refresh, "file": outcome["name"], **{name: outcome[name] for name in outcome if name in _RECEIVED}}
        for refresh, noted in zip(refreshes["refresh"], refreshes["rows"], strict=True)
        if noted
        for outcome in json.loads(noted)
    ]
    return pd.DataFrame(rows, columns=list(_RECEIVED)).astype(_RECEIVED)


def _files(settings: Settings) -> dict[str, pd.DataFrame]:
    """What the raw folder and the quarantine hold."""
    folder = RawFolder(settings.raw)
    as_of, _ = folder.clock()
    with duckdb.connect() as connection:
        tables = [_extent(connection, folder, contract) for contract in CONTRACTS]
        weeks = [_weeks(connection, folder, contract, as_of) for contract in CONTRACTS if contract.event_at]
        refused = _refused(connection, settings)
    return {"tables": pd.DataFrame(tables), "weeks": pd.concat(weeks, ignore_index=True), "refused": refused}


def _extent(connection: duckdb.DuckDBPyConnection, folder: RawFolder, contract: Contract) -> dict[str, Any]:
    day = f'cast("{contract.event_at}" as date)' if contract.event_at else "cast(null as date)"
    count, first, last = connection.execute(
        f"select count(*), min({day}), max({day}) from read_parquet({quoted(folder.glob(contract))})"
    ).fetchall()[0]
    return {"table": contract.name, "row_count": count, "first_event_on": first, "last_event_on": last}


def _weeks(connection: duckdb.DuckDBPyConnection, folder: RawFolder, contract: Contract, as_of: date) -> pd.DataFrame:
    """Rows by week, counted back from as_of; later events (a campaign to come) are in no week."""
    day = f'cast("{contract.event_at}" as date)'
    return connection.execute(
        f"""
        select ? as "table", cast(floor((cast(? as date) - {day}) / 7) as bigint) as weeks_ago, count(*) as row_count
        from read_parquet({quoted(folder.glob(contract))})
        where {day} <= ?
        group by all
        order by weeks_ago
        """,
        [contract.name, as_of, as_of],
    ).df()


def _refused(connection: duckdb.DuckDBPyConnection, settings: Settings) -> pd.DataFrame:
    """Rows in quarantine by reason: how many, never what stood in them."""
    found = [
        connection.execute(
            f"""
            select ? as "table", file, "column", reason, count(*) as row_count
            from read_parquet({quoted(file)})
            group by all
            order by all
            """,
            [".".join(file.parent.relative_to(settings.quarantine).parts)],
        ).df()
        for file in sorted(settings.quarantine.rglob("*.parquet"))
    ]
    columns = ["table", "file", "column", "reason", "row_count"]
    return (
        pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns).astype({"row_count": "int64"})
    )


PAGE = ReportPage(
    name="quality",
    description="Rows received and refused, checks, freshness and volume of every table.",
    queries={
        "clock": CLOCK,
        "refreshes": f"""
            select refresh, as_of, source, status, started_at, finished_at, rows
            from meta.refreshes
            order by refresh desc
            limit {_REFRESHES}
        """,
        "checks": """
            select check_name, asset, severity, status, failures, message, refresh
            from meta.check_results
            -- every check there is has run for this refresh by now; older names are of checks that are no more
            where refresh = (select max(refresh) from meta.check_results)
            qualify row_number() over (partition by check_name order by recorded_at desc) = 1
            order by check_name
        """,
        "history": f"""
            with last as (
                select check_name, refresh, status
                from meta.check_results
                where refresh > (select coalesce(max(refresh), 0) from meta.refreshes) - {_REFRESHES}
                qualify row_number() over (partition by check_name, refresh order by recorded_at desc) = 1
            )
            select refresh, status, count(*) as check_count from last group by all order by all
        """,
    },
    make=_page,
    files=_files,
    after=("marts.customer_360", "ml.scorecard"),
)
