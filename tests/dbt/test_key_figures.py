"""The key figures a second time, in pandas and from the facts: every month end, every calendar month, and today."""

from __future__ import annotations

from datetime import date, timedelta

import pandas as pd
import pytest

from tests.dbt.homes import AS_OF, Home

LOOKBACK = {"active_customers": 90, "retention_rate": 180, "unresolved_tickets": 1}
"""Days looked at, where these are not those of the period."""


class Facts:
    """What the figures are counted from.

    Args:
        home: The home.
    """

    def __init__(self, home: Home) -> None:
        self.sales = home.frame("select * from marts.fct_sales")
        self.lines = self.sales[self.sales["is_order_line"]]
        self.known = self.lines[self.lines["customer_id"].notna()]
        self.first = self.known.groupby("customer_id")["sold_on"].min()
        self.tickets = home.frame("select *, cast(resolved_at as date) as resolved_on from marts.fct_tickets")
        self.sessions = home.frame("select * from marts.fct_sessions")
        self.starts = {
            "sales": self.sales["sold_on"].min(),
            "tickets": self.tickets["opened_on"].min(),
            "sessions": self.sessions["started_on"].min(),
        }

    def figures(self, first_day: date, last_day: date) -> dict[str, float | None]:
        """Every figure of a period, by its definition in the seed."""

        def within(days: pd.Series, start: date = first_day, end: date = last_day) -> pd.Series:
            return days.map(lambda day: day is not None and start <= day <= end).astype(bool)

        def bought(start: date, end: date) -> set[str]:
            return set(self.known.loc[within(self.known["sold_on"], start, end), "customer_id"])

        sold, orders = self.sales[within(self.sales["sold_on"])], self.lines[within(self.lines["sold_on"])]
        back = self.sales[within(self.sales["returned_on"])]
        gross, returned = sold["gross_revenue"].sum(), back["returned_revenue"].sum()
        order_count = len(orders[["order_id", "sold_on"]].drop_duplicates())
        buyers = bought(first_day, last_day)
        new = set(self.first[within(self.first)].index)
        costed, costed_back = sold[sold["unit_cost"].notna()], back[back["unit_cost"].notna()]
        margin = sum(
            row.gross_revenue - row.unit_cost * (1 if row.quantity is None else row.quantity)
            for row in costed[~costed["is_return"]].itertuples()
        ) + sum(
            row.unit_cost * abs(1 if row.quantity is None else row.quantity) - row.returned_revenue
            for row in costed_back.itertuples()
        )
        costed_revenue = costed["gross_revenue"].sum() - costed_back["returned_revenue"].sum()
        now = bought(last_day - timedelta(days=89), last_day)
        before = bought(last_day - timedelta(days=179), last_day - timedelta(days=90))
        opened = self.tickets[within(self.tickets["opened_on"])]
        timed = opened["is_first_response_within_business_target"].dropna()
        there = self.tickets[self.tickets["opened_on"] <= last_day]
        resolved = there["resolved_on"].map(lambda day: day is not None and not pd.isna(day) and day <= last_day)
        visits = self.sessions[within(self.sessions["started_on"])]
        return {
            "net_revenue": float(gross - returned),
            "orders": order_count,
            "buyers": len(buyers),
            "new_customers": len(new),
            "returning_buyer_rate": ratio(len(buyers - new), len(buyers)),
            "average_order_value": ratio(float(gross), order_count),
            "gross_margin": float(margin),
            "gross_margin_rate": ratio(float(margin), float(costed_revenue)),
            "return_rate": ratio(float(returned), float(gross)),
            "active_customers": len(now),
            "retention_rate": ratio(len(before & now), len(before)),
            "tickets": len(opened),
            "negative_ticket_rate": ratio(int(opened["is_negative"].eq(True).sum()), opened["sentiment_score"].count()),
            "first_response_attainment": ratio(int(timed.astype(bool).sum()), len(timed)),
            "unresolved_tickets": int((~resolved.astype(bool)).sum()),
            "sessions": len(visits),
            "conversion_rate": ratio(int(visits["is_converted"].sum()), len(visits)),
        }

    def is_full(self, source: str, metric: str, first_day: date, last_day: date) -> bool:
        """Whether the data reach back to the first day that a figure looks at."""
        looks_from = last_day - timedelta(days=LOOKBACK[metric] - 1) if metric in LOOKBACK else first_day
        return bool(self.starts[source] <= looks_from)


def ratio(part: float, whole: float) -> float | None:
    """One per another; None without the other."""
    return part / whole if whole else None


def same(ours: float | None, theirs: float | None) -> bool:
    """Both unknown, or equal to six decimals."""
    if ours is None or theirs is None or pd.isna(theirs):
        return ours is None and (theirs is None or pd.isna(theirs))
    return ours == pytest.approx(theirs, abs=1.001e-6)


@pytest.fixture(scope="module")
def facts(world: Home) -> Facts:
    return Facts(world)


@pytest.fixture(scope="module")
def sources(world: Home) -> dict[str, str]:
    kpis = world.frame("select metric, source from work.seeds.kpis where source <> 'scores'")
    return dict(zip(kpis["metric"], kpis["source"], strict=True))


def test_snapshots_at_every_month_end(world: Home, facts: Facts, sources: dict[str, str]) -> None:
    rows = world.frame("select * from marts.kpi_snapshots")
    days = sorted(set(rows["snapshot_on"]))
    assert days[-1] == AS_OF
    assert len(days) == 18
    assert len(rows) == len(days) * len(sources)
    figures = {day: facts.figures(day - timedelta(days=29), day) for day in days}

    def expected(metric: str, day: date) -> float | None:
        full = facts.is_full(sources[metric], metric, day - timedelta(days=29), day)
        return figures[day][metric] if full else None

    wrong = [
        (row.snapshot_on, row.metric, row.value, expected(row.metric, row.snapshot_on))
        for row in rows.itertuples()
        if not same(expected(row.metric, row.snapshot_on), row.value)
    ]
    assert wrong == []
    # every figure is full at some month end, and none at the first
    assert set(rows.loc[rows["value"].notna(), "metric"]) == set(sources)
    assert rows.loc[rows["snapshot_on"] == days[0], "value"].count() < len(sources)


def test_overview_is_the_last_30_days_against_those_before(world: Home, facts: Facts, sources: dict[str, str]) -> None:
    rows = world.frame("select * from marts.overview").set_index("metric")
    for days, column in ((0, "value"), (30, "previous_value"), (365, "year_before_value")):
        end = AS_OF - timedelta(days=days)
        start = end - timedelta(days=29)
        figures = facts.figures(start, end)
        for metric, source in sources.items():
            known = facts.is_full(source, metric, start, end)
            assert same(figures[metric] if known else None, rows.at[metric, column]), (metric, column)
    change = rows.at["orders", "value"] / rows.at["orders", "previous_value"] - 1
    assert rows.at["orders", "change_ratio"] == pytest.approx(change, abs=1e-6)
    assert bool(rows.at["orders", "direction_is_good"]) is bool(change > 0)
    # nobody has been scored yet
    assert pd.isna(rows.at["at_risk_customers", "value"])


def test_leadership_months(world: Home, facts: Facts, sources: dict[str, str]) -> None:
    rows = world.frame("select * from marts.leadership_monthly order by month")
    assert (len(rows), rows["is_full_month"].sum()) == (17, 16)
    for row in rows.to_dict("records"):
        end = (row["month"] + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        figures = facts.figures(row["month"], end)
        for metric, source in sources.items():
            unknown = facts.starts[source] > end or (
                metric == "retention_rate" and not facts.is_full(source, metric, row["month"], end)
            )
            theirs = None if row[metric] is None else float(row[metric])
            near = round(figures[metric], 4) if metric == "average_order_value" else figures[metric]  # type: ignore[arg-type]
            assert same(None if unknown else near, theirs), (row["month"], metric)


@pytest.mark.parametrize("name", ["one_sale", "activity_only"])
def test_a_young_business_shows_what_it_has(name: str, request: pytest.FixtureRequest) -> None:
    """Without comparison, without a year and without risk; what it has no data for stays unknown."""
    home: Home = request.getfixturevalue(name)
    rows = home.frame("select * from marts.overview").set_index("metric")
    assert rows.at["orders", "value"] >= 1
    assert pd.isna(rows.at["tickets", "value"])
    assert pd.isna(rows.at["sessions", "value"])
    assert pd.isna(rows.at["value_at_risk", "value"])
    alone = name == "one_sale"
    assert pd.isna(rows.at["orders", "previous_value"]) is alone
    assert rows.at["orders", "is_full_period"] == (not alone)
    assert home.frame("select * from marts.alerts where kind <> 'missing_keys'").empty


def test_every_customer_and_product_has_one_row(world: Home) -> None:
    def count(table: str) -> int:
        return int(world.frame(f"select count(*) as n from marts.{table}")["n"].iloc[0])

    assert count("customer_360") == count("dim_customers") > 0
    assert count("product_360") == count("dim_products") > 0
    assert count("leadership_monthly") == 17
