"""What has come in, as an asset: rows and missing values by table and column, and the checks that go by them.

How a check judges is the business of `orchestration.checks`; here is which figures it gets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

from orchestration.checks import Verdict
from orchestration.checks.content import (
    FEWEST_TO_COMPARE,
    Filled,
    Header,
    distributed_as_before,
    filled_as_before,
    same_columns,
)
from orchestration.checks.declared import (
    ARTEFACTS,
    DATA_CHECKS,
    DAYS,
    DISTRIBUTION,
    FILES_RECONCILE,
    FILLED,
    RAW_RECONCILES,
    SCHEMA,
    VOLUME,
)
from orchestration.checks.reconciliation import Inflow, files_reconcile, marts_reconcile, readable_artefacts
from orchestration.checks.volume import DAYS_READ, no_missing_days, usual_volume
from orchestration.preview import preview_markdown
from orchestration.resources import RawStore, Warehouse, quoted
from orchestration.settings import Settings
from sources.contracts import BY_NAME, CONTRACTS, Contract, Kind
from sources.store import RawFolder

PROFILE = dg.AssetKey(["meta", "data_profile"])
COLUMNS = {
    "refresh": ("bigint", "Number of the refresh."),
    "table_name": ("varchar", "Raw table, as source.table."),
    "column_name": ("varchar", "Column of the table."),
    "rows": ("bigint", "Rows of the table."),
    "new_rows": ("bigint", "Rows that this refresh brought or changed."),
    "new_filled": ("bigint", "Those with a value in the column."),
    "recent_rows": ("bigint", "Rows of earlier refreshes in the last 180 days; of all days in tables without events."),
    "recent_filled": ("bigint", "Those with a value in the column."),
}
_RECENT = timedelta(days=180)
_MOST_COMPARED = 20_000
_FACTS = {"shop.sales": "fct_sales", "helpdesk.tickets": "fct_tickets", "web.sessions": "fct_sessions"}
_COMPARED_TEXT = ("channel", "priority", "device_type", "event_type", "activity_type", "region", "acquisition_channel")
"""Texts with few values; names and topics have too many to be compared."""


def build_data_profile(settings: Settings) -> dg.AssetsDefinition:
    """`meta.data_profile` and the checks of incoming data."""

    @dg.asset(
        key=PROFILE,
        deps=[[c.source, c.table] for c in CONTRACTS] + [["marts", fact] for fact in _FACTS.values()],
        description="Rows and missing values of every raw column, refresh by refresh, and the checks that go by them.",
        group_name="quality",
        owners=["team:data-engineering"],
        kinds={"duckdb"},
        metadata={
            "dagster/column_schema": dg.TableSchema(
                columns=[dg.TableColumn(name, kind, words) for name, (kind, words) in COLUMNS.items()]
            )
        },
        check_specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=PROFILE,
                description=f"{check.description} {check.why}",
                blocking=check.severity == "error",
            )
            for check in DATA_CHECKS
        ],
    )
    def data_profile(raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        as_of, refresh = raw.folder.clock()
        with duckdb.connect() as connection:
            look = Look(connection, raw.folder, as_of, refresh)
            profile = look.profile()
            verdicts = judge(look, profile, warehouse, settings)
        warehouse.keep_profile([(name, kind) for name, (kind, _) in COLUMNS.items()], profile, refresh)
        outcomes = []
        for check in DATA_CHECKS:
            verdict = verdicts[check.name]
            outcomes.append(
                dg.AssetCheckResult(
                    check_name=check.name,
                    asset_key=PROFILE,
                    passed=verdict.passed,
                    severity=dg.AssetCheckSeverity.ERROR if check.severity == "error" else dg.AssetCheckSeverity.WARN,
                    description=verdict.message,
                )
            )
        warehouse.record_checks("data_profile", outcomes, refresh)
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": len(profile),
                "new_rows": int(profile.groupby("table_name")["new_rows"].first().sum()) if len(profile) else 0,
                "preview": dg.MetadataValue.md(preview_markdown(profile.head(5))),
            },
            check_results=outcomes,
        )

    return data_profile


class Look:
    """A look at the raw tables.

    Args:
        connection: An empty database.
        folder: The raw folder.
        as_of: The day everything is computed for.
        refresh: The refresh whose rows are new.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: RawFolder, as_of: date, refresh: int) -> None:
        self._con = connection
        self.folder = folder
        self.as_of = as_of
        self.refresh = refresh
        self.totals = {contract.name: self._count(contract, "true") for contract in CONTRACTS}

    def _relation(self, contract: Contract) -> str:
        return f"read_parquet({quoted(self.folder.glob(contract))})"

    def _count(self, contract: Contract, condition: str) -> int:
        found = self._con.execute(f"select count(*) from {self._relation(contract)} where {condition}").fetchall()
        return int(found[0][0])

    def up_to_as_of(self, name: str) -> int:
        """Rows of a table up to as_of."""
        contract = BY_NAME[name]
        return self._count(contract, f"cast({contract.event_at} as date) <= date '{self.as_of}'")

    def is_filled_anew(self, name: str) -> bool:
        """Whether every row of a table is of this refresh."""
        return self._count(BY_NAME[name], f"_batch <> {self.refresh}") == 0

    def days(self) -> dict[str, dict[date, int]]:
        """Rows by day of each table with events, for as many days as the checks look at."""
        since = self.as_of - timedelta(days=DAYS_READ)
        found = {}
        for contract in self._tables():
            if contract.event_at is None:
                continue
            day = f"cast({contract.event_at} as date)"
            rows = self._con.execute(
                f"select {day}, count(*) from {self._relation(contract)} "
                f"where {day} > date '{since}' and {day} <= date '{self.as_of}' group by 1"
            ).fetchall()
            found[contract.name] = dict(rows)
        return found

    def profile(self) -> pd.DataFrame:
        """One row a table and column, as in `meta.data_profile`."""
        rows: list[tuple[Any, ...]] = []
        for contract in self._tables():
            is_new, is_recent = f"_batch = {self.refresh}", f"_batch < {self.refresh} and {self._recent(contract)}"
            counts = ", ".join(
                f'count("{column}") filter ({is_new}), count("{column}") filter ({is_recent})'
                for column in contract.column_names
            )
            found = self._con.execute(
                f"select count(*) filter ({is_new}), count(*) filter ({is_recent}), {counts} "
                f"from {self._relation(contract)} where {is_new} or {is_recent}"
            ).fetchall()[0]
            for number, column in enumerate(contract.column_names):
                new_filled, filled = found[2 + 2 * number : 4 + 2 * number]
                total = self.totals[contract.name]
                rows.append((self.refresh, contract.name, column, total, found[0], new_filled, found[1], filled))
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def samples(self, profile: pd.DataFrame) -> Iterator[tuple[str, tuple[pd.DataFrame, pd.DataFrame]]]:
        """New and earlier rows of each table that has enough of both."""
        sizes = profile.groupby("table_name")[["new_rows", "recent_rows"]].first()
        for contract in self._tables():
            columns = [
                column.name
                for column in contract.columns
                if not column.filled_later
                and (column.kind in (Kind.NUMBER, Kind.INTEGER, Kind.RATE) or column.name in _COMPARED_TEXT)
            ]
            if not columns or sizes.loc[contract.name].min() < FEWEST_TO_COMPARE:
                continue
            selected = ", ".join(_plain(contract, column) for column in columns)
            new, earlier = (
                self._con.execute(
                    f"select {selected} from (select * from {self._relation(contract)} where {condition}) "
                    f"using sample reservoir({_MOST_COMPARED} rows) repeatable (7)"
                ).df()
                for condition in (f"_batch = {self.refresh}", f"_batch < {self.refresh} and {self._recent(contract)}")
            )
            yield contract.name, (new, earlier)

    def _tables(self) -> Iterator[Contract]:
        return (contract for contract in CONTRACTS if self.totals[contract.name])

    def _recent(self, contract: Contract) -> str:
        if contract.event_at is None:
            return "true"
        return f"{contract.event_at} > date '{self.as_of - _RECENT}'"


def judge(look: Look, profile: pd.DataFrame, warehouse: Warehouse, settings: Settings) -> dict[str, Verdict]:
    """The verdicts of all checks of incoming data, by their names.

    Args:
        look: The raw tables.
        profile: Their profile.
        warehouse: Holds the facts and the record of refreshes.
        settings: The settings.
    """
    days = look.days()
    # The day of as_of may still be going on.
    last_day = min(look.as_of, settings.today() - timedelta(days=1))
    later = {(c.name, column.name) for c in CONTRACTS for column in c.columns if column.filled_later}
    filled = [
        Filled(
            f"{row['table_name']}.{row['column_name']}",
            row["new_rows"],
            row["new_filled"],
            row["recent_rows"],
            row["recent_filled"],
        )
        for row in profile.to_dict("records")
        if (row["table_name"], row["column_name"]) not in later
    ]
    headers = [
        Header(known.name, known.table, known.batch, frozenset(known.labels))
        for known in look.folder.state().files.values()
        if known.labels
    ]
    return {
        FILES_RECONCILE.name: files_reconcile(_inflows(look, warehouse)),
        RAW_RECONCILES.name: marts_reconcile(_facts(look, warehouse)),
        VOLUME.name: usual_volume(days, last_day),
        DAYS.name: no_missing_days(days, last_day),
        SCHEMA.name: same_columns(headers, look.refresh),
        FILLED.name: filled_as_before(filled),
        DISTRIBUTION.name: distributed_as_before(dict(look.samples(profile))),
        ARTEFACTS.name: readable_artefacts(settings.models),
    }


def _inflows(look: Look, warehouse: Warehouse) -> dict[str, Inflow]:
    """What each raw table held when it was last profiled, and what was counted as new since."""
    earlier, refreshes = warehouse.profiled_before(look.refresh)
    new: dict[str, int] = {}
    for rows in refreshes.values():
        for outcome in json.loads(rows or "[]"):
            new[outcome["table"]] = new.get(outcome["table"], 0) + outcome["inserted"]
    inflows = {}
    for name, total in look.totals.items():
        before: int | None = None
        if look.is_filled_anew(name):
            # Nothing was there, or nothing of it is left.
            before, arrived = 0, _inserted(refreshes.get(look.refresh), name)
        else:
            # A refresh that did not come to its end may have brought rows that it could not count.
            is_known = earlier is not None and None not in refreshes.values()
            before, arrived = (earlier or {}).get(name, 0) if is_known else None, new.get(name, 0)
        inflows[name] = Inflow(total, arrived, before)
    return inflows


def _inserted(rows: str | None, name: str) -> int:
    return sum(outcome["inserted"] for outcome in json.loads(rows or "[]") if outcome["table"] == name)


def _facts(look: Look, warehouse: Warehouse) -> dict[str, tuple[int, int]]:
    """Rows up to as_of in raw and in the facts."""
    facts = warehouse.read(
        " union all ".join(f"select '{fact}' as fact, count(*) as rows from marts.{fact}" for fact in _FACTS.values())
    ).set_index("fact")["rows"]
    # Without sales, what was used is what was sold: its lines are counted by dbt.
    names = [name for name in _FACTS if name != "shop.sales" or look.up_to_as_of(name)]
    return {_FACTS[name]: (look.up_to_as_of(name), int(facts[_FACTS[name]])) for name in names}


def _plain(contract: Contract, name: str) -> str:
    """A column as a frame takes it: pandas knows no decimals."""
    (column,) = [column for column in contract.columns if column.name == name]
    return f'cast("{name}" as double) as "{name}"' if column.kind is Kind.NUMBER else f'"{name}"'
