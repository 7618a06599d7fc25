"""What reading some files would give, without keeping anything: how each is read, its rows, what can be made of them.

It reads with the same code as a refresh, into a folder that is thrown away.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import duckdb
import yaml

from sources.contracts import BY_NAME, CONTRACTS, Column, Kind
from sources.delivery import Delivery, Outcome, Request, SourceError
from sources.file_rows import Plan
from sources.files import FilesSource
from sources.quarantine import refused_rows
from sources.reading import read_file
from sources.recognition import Feed, plain
from sources.sql import first_row, literal, quoted_name
from sources.store import RawFolder

_PREVIEW_ROWS = 10
_HORIZON = 90


@dataclass(frozen=True)
class Reading:
    """What reading one file would give.

    Args:
        name: The file as the user knows it.
        error: Why it cannot be read, or None.
        table: ``source.table``; empty where it cannot be read.
        delivery: What it holds.
        outcome: What would become of its rows in an empty home.
        columns: Names of the preview's columns.
        preview: Its first rows as they would be loaded, as text.
        refused: The first rows that would be refused: line, column, value, reason.
    """

    name: str
    error: str | None = None
    table: str = ""
    delivery: Delivery | None = None
    outcome: Outcome | None = None
    columns: tuple[str, ...] = ()
    preview: tuple[tuple[str, ...], ...] = ()
    refused: tuple[tuple[int, str | None, str | None, str], ...] = ()


@dataclass(frozen=True)
class DryRun:
    """What reading a source would give.

    Args:
        readings: One a file.
        can: What can be made of the data.
        cannot: What cannot, and what is missing for it.
        sources_yml: A sources.yml that says what was recognised, to start from.
    """

    readings: tuple[Reading, ...]
    can: tuple[str, ...]
    cannot: tuple[str, ...]
    sources_yml: str


def dry_run(source: FilesSource, quarantine: Path, request: Request) -> DryRun:
    """Read files without keeping anything.

    Args:
        source: The files.
        quarantine: The folder, to be thrown away, that the source was opened with.
        request: Day, zone and memory.
    """
    plans, mistakes = source.plans()
    request = source.request(request)
    readings = [Reading(name, str(error)) for name, error in mistakes]
    with tempfile.TemporaryDirectory(prefix="pulse-") as folder:
        raw = RawFolder(Path(folder) / "raw", request.memory)
        for contract in CONTRACTS:
            delivered: list[tuple[Plan, Delivery]] = []
            incoming = raw.incoming(contract)
            for number, plan in enumerate(plan for plan in plans if plan.contract == contract):
                try:
                    delivered.append((plan, read_file(plan, incoming / f"{number:05d}", quarantine, request)))
                except SourceError as error:
                    readings.append(Reading(plan.name, str(error)))
            previews = [_preview(plan, delivery) for plan, delivery in delivered]
            outcomes = raw.merge(contract, [delivery for _, delivery in delivered], 1)
            readings += [
                Reading(plan.name, None, contract.name, delivery, outcome, *preview, _refused(quarantine, plan))
                for (plan, delivery), outcome, preview in zip(delivered, outcomes, previews, strict=True)
            ]
        can, cannot = _uses(raw)
    readings.sort(key=lambda reading: (reading.error is None, reading.name))
    return DryRun(tuple(readings), tuple(can), tuple(cannot), _sources_yml(plans))


def _preview(plan: Plan, delivery: Delivery) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    columns = tuple(name for name in plan.contract.column_names if name in plan.feeds or name == "amount")
    if delivery.parquet is None or not any(delivery.parquet.iterdir()):
        return columns, ()
    listed = ", ".join(f"coalesce(cast({_shown(plan.contract.column(name))} as varchar), '')" for name in columns)
    files = literal(str(delivery.parquet / "*.parquet"))
    rows = duckdb.execute(f"select {listed} from read_parquet({files}) order by _line limit {_PREVIEW_ROWS}").fetchall()
    return columns, tuple(rows)


def _shown(column: Column) -> str:
    name = quoted_name(column.name)
    return f"cast({name} as double)" if column.kind == Kind.NUMBER else name


def _refused(quarantine: Path, plan: Plan) -> tuple[tuple[int, str | None, str | None, str], ...]:
    for refused in refused_rows(quarantine):
        if refused.table == plan.contract.name and refused.rows[0][0] == plan.name:
            return tuple((line, column, value, reason) for _, line, column, value, reason, _ in refused.rows[:5])
    return ()


def _uses(raw: RawFolder) -> tuple[list[str], list[str]]:
    """What can be made of the data, and what cannot."""

    def filled(table: str, column: str) -> bool:
        contract = BY_NAME[table]
        query = f"select count({quoted_name(column)}) from read_parquet({literal(raw.glob(contract))})"
        return _count(query) > 0

    rows = {contract.name: raw.row_count(contract) for contract in CONTRACTS}
    can: list[str] = []
    cannot: list[str] = []

    def tell(*, works: bool, what: str, without: str) -> None:
        if works:
            can.append(what)
        else:
            cannot.append(f"{what}: {without}")

    if not rows["shop.sales"] and not rows["usage.activity"]:
        return [], ["anything: there is no row of shop.sales, nor of usage.activity"]
    sales = rows["shop.sales"] > 0
    table = "shop.sales" if sales else "usage.activity"
    tell(works=filled(table, "customer_id"), what="who the customers are: RFM and segments", without="no customer ids")
    buyers, known = raw.buyers() if sales else (0, 0)
    if buyers and rows["shop.customers"]:
        tell(
            works=known > 0,
            what="what is known of customers beside their sales",
            without=f"none of the {buyers:,} buyers is in shop.customers; do both files say who by the same id?",
        )
    days = _days(raw, table)
    tell(
        works=days > 2 * _HORIZON + 30,
        what="who is leaving: churn probabilities",
        without=f"{days} days of history are too few; tiers go by recency",
    )
    tell(works=sales and filled("shop.sales", "product_id"), what="product trends and pairs", without="no product ids")
    tell(
        works=(sales and filled("shop.sales", "category")) or filled("shop.products", "category"),
        what="category figures",
        without="no categories",
    )
    tell(works=filled("shop.products", "unit_cost"), what="margins", without="no unit costs; worth is told on revenue")
    tell(
        works=rows["helpdesk.tickets"] > 0 and filled("helpdesk.tickets", "sentiment_score"),
        what="unusual sentiment",
        without="no tickets with a sentiment score" if rows["helpdesk.tickets"] else "no tickets",
    )
    tell(works=rows["web.sessions"] > 0, what="sessions, funnels and carts", without="no web sessions")
    tell(
        works=rows["marketing.contacts"] > 0,
        what="what campaigns earned, against a control group",
        without="no campaign contacts",
    )
    tell(
        works=filled("shop.customers", "marketing_consent"),
        what="whom you may contact",
        without="no marketing consent; everybody's is unknown",
    )
    return can, cannot


def _count(query: str) -> int:
    with duckdb.connect() as connection:
        return int(first_row(connection, query)[0])


def _days(raw: RawFolder, table: str) -> int:
    contract = BY_NAME[table]
    at = quoted_name(contract.event_at or "")
    days = f"coalesce(date_diff('day', min({at}), max({at})) + 1, 0)"
    return _count(f"select {days} from read_parquet({literal(raw.glob(contract))})")


def _sources_yml(plans: list[Plan]) -> str:
    """A sources.yml that says of every file what was recognised."""
    entries = []
    for plan in plans:
        container, _, inside = plan.name.partition(f"{plan.origin.name}/")
        path = container + plan.origin.name if inside else plan.name
        entry: dict[str, object] = {"path": path, "table": plan.contract.name}
        if plan.sheet is not None:
            entry["sheet"] = plan.sheet
        if plan.entry is not None:
            entry |= _said(plan)
        entry["columns"] = {column: _source(plan, feed) for column, feed in plan.feeds.items()}
        entries.append(entry)
    return yaml.safe_dump({"files": entries}, sort_keys=False, allow_unicode=True, width=120)


def _said(plan: Plan) -> dict[str, object]:
    """What a file's entry says beside path, table and columns."""
    if plan.entry is None:
        return {}
    said: dict[str, object] = plan.entry.model_dump(
        by_alias=True,
        exclude_defaults=True,
        include={"delimiter", "skip_lines", "header", "decimal", "timezone", "where", "where_not"},
        mode="json",
    )
    if fill := plan.entry.fill_down:
        present = set(map(plain, plan.header))
        said["fill_down"] = {"by": fill.by, "columns": [label for label in fill.columns if plain(label) in present]}
    return said


def _source(plan: Plan, feed: Feed) -> object:
    """What an entry says of one column."""
    more = {"format": feed.format, "unit": feed.unit, "sign": feed.sign, "values": dict(feed.values) or None}
    said: dict[str, object] = {key: value for key, value in more.items() if value is not None}
    if feed.index is None:
        return {"constant": feed.constant, **said}
    labels = [plan.header[index] for index in (feed.index, *feed.joined)]
    if not said:
        return labels[0] if len(labels) == 1 else labels
    return {"from": labels[0] if len(labels) == 1 else labels, **said}
