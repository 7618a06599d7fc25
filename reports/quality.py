"""The page of how far the data can be trusted: rows, refusals, checks, freshness. Frames in, a page out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from reports.blocks import Column, Page, Section, Table, Tile, Tone
from reports.figures.findings import beside, counted
from reports.figures.trust import check_outcomes, check_share, freshness, quarantine, rows_received, volume

_STATUS_TONES: Mapping[str, Tone] = {"failed": "bad", "warned": "warn", "passed": "good"}
_STATUSES = {"pass": "passed", "warn": "warned"}
_SEVERITIES = {"error": "stops publishing", "warn": "warns"}


def quality_page(
    *,
    clock: pd.DataFrame,
    received: pd.DataFrame,
    refreshes: pd.DataFrame,
    refused: pd.DataFrame,
    checks: pd.DataFrame,
    history: pd.DataFrame,
    tables: pd.DataFrame,
    weeks: pd.DataFrame,
) -> Page:
    """The page.

    Args:
        clock: as_of, refresh; one row.
        received: refresh, table, file, rows, inserted, restated, duplicate, quarantined, set_aside, left_out; one row a
            refresh, table and file.
        refreshes: refresh, as_of, source, status, started_at, finished_at; the last ones.
        refused: table, file, column, reason, row_count: what lies in quarantine.
        checks: check_name, asset, severity, status, failures, message, refresh; the last result of each check.
        history: refresh, status, check_count.
        tables: table, row_count, first_event_on, last_event_on; one row a raw table.
        weeks: table, weeks_ago, row_count.
    """
    as_of, refresh = pd.Timestamp(clock["as_of"].iloc[0]), int(clock["refresh"].iloc[0])
    return Page(
        name="quality",
        heading="Data quality",
        lead=_lead(tables, checks),
        sections=[
            Section("", [_tiles(received, refused, checks, tables)]),
            Section("Checks", [check_outcomes(history, checks), _checks(checks)]),
            Section("Rows received", [rows_received(received), _received(received, refresh)]),
            Section("Rows refused", [quarantine(refused)]),
            Section("Freshness and volume", beside(freshness(tables, as_of), volume(weeks, as_of))),
            Section("Refreshes", [_refreshes(refreshes, refresh)]),
        ],
        source="From meta.refreshes and meta.check_results in pulse.duckdb, data/raw and data/quarantine.",
    )


def _lead(tables: pd.DataFrame, checks: pd.DataFrame) -> str:
    delivered = tables[tables["row_count"] > 0]
    return (
        f"{counted(delivered['row_count'].sum(), 'row')} in {counted(len(delivered), 'table')} of {len(tables)}, under "
        f"{counted(len(checks), 'check')}. A failed check stops a refresh: what stands here was published."
    )


def _tiles(received: pd.DataFrame, refused: pd.DataFrame, checks: pd.DataFrame, tables: pd.DataFrame) -> list[Tile]:
    warned = int((checks["status"] == "warn").sum())
    aside = received[received["set_aside"].notna()]["file"].nunique()
    return [
        Tile("Rows held", f"{tables['row_count'].sum():,}", note="in all raw tables"),
        Tile("Rows refused", f"{refused['row_count'].sum():,}", note="in quarantine"),
        Tile("Files set aside", f"{aside:,}", note="too many bad rows"),
        Tile("Checks passed", check_share(checks), note=f"of {len(checks):,}"),
        Tile("Warnings", f"{warned:,}", note="do not stop publishing"),
    ]


def _checks(checks: pd.DataFrame) -> Table:
    rows = checks.assign(
        name=checks["check_name"].astype(str).str.replace("_", " "),
        outcome=checks["status"].map(lambda status: _STATUSES.get(status, "failed")),
        severity=checks["severity"].map(lambda severity: _SEVERITIES.get(severity, severity)),
    )
    order = {outcome: place for place, outcome in enumerate(_STATUS_TONES)}
    rows = rows.assign(place=rows["outcome"].map(order)).sort_values(["place", "asset", "name"])
    return Table(
        "checks",
        f"{counted(len(rows), 'check')}, those that did not pass first" if len(rows) else "Checks",
        "The last result of each; a row opens to show what was found." if len(rows) else "No check has run yet.",
        [
            Column("name", "Check", is_searched=True, width=46),
            Column("outcome", "Result", "category", tones=_STATUS_TONES, is_filter=True, width=10),
            Column("severity", "If it fails", "category", is_filter=True, width=16),
            Column("asset", "Table", is_searched=True, width=26),
            Column("failures", "Rows that fail", "number", width=9),
            Column("refresh", "Refresh", "number", width=9),
            Column("message", "Found", is_detail=True),
        ],
        rows,
        "checks",
    )


def _received(received: pd.DataFrame, refresh: int) -> Table:
    rows = received[received["refresh"] == refresh].sort_values(["table", "file"])
    rows = rows.assign(sum=rows[["inserted", "restated", "duplicate", "quarantined"]].sum(axis=1))
    rows = rows.assign(agrees=["yes" if a == b else "no" for a, b in zip(rows["rows"], rows["sum"], strict=True)])
    return Table(
        "received",
        f"Refresh {refresh}, file by file" if len(rows) else f"Refresh {refresh} received no file",
        "Rows in = inserted + restated + duplicate + quarantined. Left out by sources.yml are not among the rows."
        if len(rows)
        else "",
        [
            Column("file", "File", is_searched=True, width=30),
            Column("table", "Table", "category", is_filter=True, width=20),
            Column("rows", "Rows in", "number", width=11),
            Column("inserted", "Inserted", "number", width=11),
            Column("restated", "Restated", "number", width=10),
            Column("duplicate", "Duplicate", "number", width=10),
            Column("quarantined", "Quarantined", "number", width=12),
            Column("left_out", "Left out", "number", width=9),
            Column("agrees", "Adds up", "category", tones={"no": "bad", "yes": "good"}, width=9),
            Column("set_aside", "Set aside because", is_detail=True),
        ],
        rows,
        "files",
    )


def _refreshes(refreshes: pd.DataFrame, refresh: int) -> Table:
    taken = pd.to_datetime(refreshes["finished_at"]) - pd.to_datetime(refreshes["started_at"])
    rows = refreshes.assign(
        seconds=taken.dt.total_seconds(),
        # It is published after its pages are made.
        outcome=refreshes["status"].where(refreshes["refresh"] != refresh, "this one"),
    ).sort_values("refresh", ascending=False)
    return Table(
        "refreshes",
        "The only refresh so far" if len(rows) == 1 else f"The last {len(rows)} refreshes",
        "Times are UTC; a refresh that failed left the published file as it was.",
        [
            Column("refresh", "Refresh", "number", width=9),
            Column("outcome", "Outcome", "category", tones={"failed": "bad", "published": "good"}, width=12),
            Column("as_of", "As of", "date", width=12),
            Column("started_at", "Started", "date", width=12),
            Column("seconds", "Seconds taken", "number", width=10),
            Column("source", "Source", width=44),
        ],
        rows,
        "refreshes",
    )
