"""Charts on hand-made frames: every number in a title is counted by hand here."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import pytest

from reports.blocks import Chart
from reports.figures.actions import action_profits
from reports.figures.customers import (
    churn_distribution,
    cluster_scatter,
    cohort_retention,
    risk_tiers,
    value_tenths,
)
from reports.figures.products import category_bars, level_changes, monthly_trends, pair_heatmap, product_months
from reports.figures.sales import daily_revenue, weekly_revenue
from reports.figures.segments import segment_history, segment_moves, segment_sizes

MONDAY = pd.Timestamp("2026-01-05")


def days(*week_totals: float, start: pd.Timestamp = MONDAY) -> pd.DataFrame:
    """Whole weeks, each week's revenue on its Monday."""
    dates = pd.date_range(start, periods=7 * len(week_totals))
    revenue = [total if weekday == 0 else 0.0 for total in week_totals for weekday in range(7)]
    return pd.DataFrame({"sales_date": dates, "net_revenue": revenue, "order_count": 1})


def customers(*rows: tuple[str, float, float | None, bool]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["segment", "total_spend", "churn_probability", "is_at_risk"])
    return frame.assign(
        churn_probability=frame["churn_probability"].astype(float),
        has_unusual_sentiment=[True] + [False] * (len(frame) - 1),
    )


def drawn(chart: Chart) -> go.Figure:
    assert chart.figure is not None
    return chart.figure


FOUR = customers(
    ("Champions", 600.0, 0.10, False),
    ("Champions", 200.0, 0.70, True),
    ("Lost", 100.0, 0.99, False),
    ("Promising", 100.0, 1.00, True),
)
NO_DAYS = pd.DataFrame({"sales_date": [], "net_revenue": [], "order_count": []})
NOBODY = FOUR.head(0)


class TestWeeklyRevenue:
    def test_only_complete_weeks_count(self) -> None:
        frame = days(100.0, 250.0, 999.0).iloc[:-1]
        chart = weekly_revenue(frame)
        assert chart.title == "Net revenue: 350 in the last 2 weeks"
        assert chart.note.startswith(
            "Sales less returns in 2 complete weeks from Monday to Sunday, 5 January 2026 to 18 "
        )
        assert drawn(chart).data[0].y == (100.0, 250.0)
        assert drawn(chart).data[0].x == ("2026-01-05", "2026-01-12")

    def test_a_first_week_that_begins_on_a_tuesday_is_left_out(self) -> None:
        assert weekly_revenue(days(70.0, 30.0).iloc[1:]).title == "Net revenue: 30 in the last 1 week"

    def test_a_single_point_has_a_marker(self) -> None:
        assert drawn(weekly_revenue(days(5.0))).data[0].mode == "lines+markers"

    def test_compared_with_the_quarter_before(self) -> None:
        title = weekly_revenue(days(*[100.0] * 13, *[90.0] * 13)).title
        assert title == "Net revenue: 1,170 in the last 13 weeks, 10% less than in the 13 before"

    def test_compared_with_a_year_before_once_there_is_one(self) -> None:
        year_before, between, recent = [10.0] * 13, [1000.0] * 39, [15.0] * 13
        title = weekly_revenue(days(*year_before, *between, *recent)).title
        assert title == "Net revenue: 195 in the last 13 weeks, 50% more than in the same weeks a year before"

    def test_a_change_that_rounds_to_nothing_is_called_none(self) -> None:
        title = weekly_revenue(days(*[1000.0] * 13, *[1001.0] * 13)).title
        assert title == "Net revenue: 13,013 in the last 13 weeks, about as much as in the 13 before"

    @pytest.mark.parametrize("before", [0.0, -5.0])
    def test_no_change_is_stated_against_nothing(self, before: float) -> None:
        assert weekly_revenue(days(*[before] * 13, *[1.0] * 13)).title == "Net revenue: 13 in the last 13 weeks"

    @pytest.mark.parametrize("frame", [NO_DAYS, days(5.0).head(1)], ids=["no day", "one day"])
    def test_nothing_to_draw(self, frame: pd.DataFrame) -> None:
        chart = weekly_revenue(frame)
        assert chart.figure is None
        assert chart.title == "Net revenue by week: there is no complete week of sales yet"


class TestSegmentSizes:
    def test_shares(self) -> None:
        chart = segment_sizes(FOUR)
        assert chart.title == "Champions: 50% of customers, 80% of revenue"
        assert chart.note.startswith("4 customers with an order, in 3 segments ")
        of_customers, of_revenue = drawn(chart).data
        assert of_customers.y == of_revenue.y == ("Promising", "Lost", "Champions")
        assert of_customers.x == (0.25, 0.25, 0.5)
        assert of_revenue.x == (0.1, 0.1, 0.8)
        assert chart.table is not None
        assert chart.table.iloc[0].tolist() == ["Champions", "2", "800.00", "50.0%", "80.0%"]

    def test_one_customer(self) -> None:
        chart = segment_sizes(FOUR.head(1))
        assert chart.title == "Champions: 100% of customers, 100% of revenue"
        assert chart.note.startswith("1 customer with an order, in 1 segment ")

    def test_without_revenue_no_share_of_it(self) -> None:
        chart = segment_sizes(customers(("Lost", 0.0, None, False)))
        assert chart.title == "Lost: 100% of customers; no revenue is left after returns"
        assert [trace.name for trace in drawn(chart).data] == ["share of customers"]

    def test_nobody(self) -> None:
        assert segment_sizes(NOBODY).figure is None


class TestChurnDistribution:
    def test_counts(self) -> None:
        chart = churn_distribution(FOUR)
        assert chart.title == "2 of 4 customers are at risk of leaving, with 300 spent so far"
        at_risk, others = drawn(chart).data
        # 0.70 opens the bin from 70 %, and 1.00 belongs to the last one.
        assert {place: count for place, count in enumerate(at_risk.y) if count} == {14: 1, 19: 1}
        assert {place: count for place, count in enumerate(others.y) if count} == {2: 1, 19: 1}

    def test_one_at_risk(self) -> None:
        assert churn_distribution(FOUR.head(2)).title == "1 of 2 customers is at risk of leaving, with 200 spent so far"

    def test_none_at_risk(self) -> None:
        assert churn_distribution(FOUR.head(1)).title == "None of 1 customer is at risk of leaving"

    @pytest.mark.parametrize("frame", [NOBODY, FOUR.assign(churn_probability=None)], ids=["nobody", "no probability"])
    def test_no_probability(self, frame: pd.DataFrame) -> None:
        chart = churn_distribution(frame)
        assert chart.figure is None
        assert chart.title == "Risk of leaving: too few customers for a probability; their tier goes by recency"

    def test_size_does_not_grow_with_the_number_of_customers(self) -> None:
        many = pd.concat([FOUR] * 1000, ignore_index=True)
        assert len(drawn(churn_distribution(many)).to_json()) < len(drawn(churn_distribution(FOUR)).to_json()) + 200


class TestDailyRevenue:
    COMING = pd.DataFrame({"day": pd.date_range("2026-01-19", periods=2), "forecast": [30.0, 40.0]}).assign(
        lower=[1.0, 2.0], upper=[80.0, 90.0]
    )
    UNUSUAL = pd.DataFrame({"day": [MONDAY], "value": [9.0], "expected": [3.0], "direction": ["up"]})

    def test_the_forecast_is_compared_with_as_many_days(self) -> None:
        chart = daily_revenue(days(100.0, 50.0).assign(net_revenue=25.0), self.COMING, self.UNUSUAL)
        assert chart.title == "Net revenue: 70 expected in the coming 2 days, 40% more than in the last 2"
        assert "of the last 14 days, 1 day with unusually many or few orders marked" in chart.note
        names = [trace.name for trace in drawn(chart).data if trace.showlegend is not False]
        assert names == ["9 of 10 days", "sold", "expected", "unusual number of orders"]
        assert chart.table is not None
        assert chart.table["What"].value_counts().to_dict() == {"sold": 13, "expected": 2, "unusual": 1}

    def test_without_limits_there_is_no_band(self) -> None:
        chart = daily_revenue(days(70.0), self.COMING.assign(lower=None, upper=None), self.UNUSUAL.head(0))
        assert [trace.name for trace in drawn(chart).data] == ["sold", "expected"]

    def test_without_a_forecast(self) -> None:
        chart = daily_revenue(days(70.0), self.COMING.head(0), self.UNUSUAL.head(0))
        assert chart.title == "Net revenue: 70 in the last 7 days; no forecast yet"

    def test_nothing_sold(self) -> None:
        assert daily_revenue(NO_DAYS, self.COMING.head(0), self.UNUSUAL.head(0)).figure is None


ENDS = [pd.Timestamp("2026-01-31"), pd.Timestamp("2026-02-28")]


class TestSegmentHistory:
    HISTORY = pd.DataFrame(
        [(ENDS[0], "Champions", 10), (ENDS[0], "Lost", 4), (ENDS[1], "Champions", 12), (ENDS[1], "Promising", 3)],
        columns=["cutoff_date", "segment", "customers"],
    )

    def test_the_largest_comes_first_and_a_missing_day_is_nobody(self) -> None:
        chart = segment_history(self.HISTORY)
        assert chart.title == "Champions: 12 customers, 20% more than on 31 January 2026"
        assert [option.name for option in chart.options] == ["Champions", "Promising", "Lost"]
        assert [option.title for option in chart.options][1:] == [
            "Promising: 3 customers",
            "Lost: 0 customers, 100% less than on 31 January 2026",
        ]
        assert chart.options[2].traces == [{"y": [4, 0]}]

    def test_one_day_is_no_history(self) -> None:
        assert segment_history(self.HISTORY.head(2)).figure is None


class TestSegmentMoves:
    MOVES = pd.DataFrame(
        [
            ("Champions", "Champions", 50),
            ("Champions", "At Risk", 7),
            ("At Risk", "Champions", 2),
            ("No order yet", "New Customers", 30),
        ],
        columns=["from_segment", "to_segment", "customer_count"],
    ).assign(from_date=ENDS[0], to_date=ENDS[1])

    def test_who_came_and_who_left(self) -> None:
        chart = segment_moves(self.MOVES)
        assert chart.title == (
            "31 January to 28 February 2026: 9 of 59 customers changed segments, most from Champions to At Risk"
        )
        assert "30 of those who came have placed a first order" in chart.note
        came, left = drawn(chart).data
        assert dict(zip(came.y, came.x, strict=True)) == {"At Risk": 7, "Champions": 2, "New Customers": 30}
        assert dict(zip(left.y, left.x, strict=True)) == {"At Risk": -2, "Champions": -7, "New Customers": 0}

    def test_the_latest_period_comes_first(self) -> None:
        later = self.MOVES.assign(from_date=ENDS[1], to_date=pd.Timestamp("2026-03-31"))
        names = [option.name for option in segment_moves(pd.concat([self.MOVES, later])).options]
        assert names == ["28 February to 31 March 2026", "31 January to 28 February 2026"]

    def test_nobody_moved(self) -> None:
        assert segment_moves(self.MOVES.head(1)).figure is None


class TestClusterScatter:
    PEOPLE = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d"],
            "cluster_id": [0, 0, 1, None],
            "cluster_name": ["low", "low", "high", None],
            "purchase_count": [1, 2, 9, 1],
            "total_spend": [10.0, 0.0, 90.0, 5.0],
        }
    )

    def test_groups(self) -> None:
        chart = cluster_scatter(self.PEOPLE)
        assert chart.title == "high: 33% of customers and 90% of revenue"
        assert chart.note.endswith("each is a point, 1 without net revenue left out.")
        assert [(trace.name, trace.x) for trace in drawn(chart).data] == [("low", (1,)), ("high", (9,))]

    def test_of_many_some_are_drawn_and_that_is_said(self) -> None:
        numbers = [f"{number:05}" for number in range(6_000)]
        many = self.PEOPLE.iloc[[0] * 6_000].assign(customer_id=numbers)
        chart = cluster_scatter(many)
        assert "one in 3 is drawn, in order of spend" in chart.note
        assert len(drawn(chart).data[0].x) == 2_000

    def test_no_groups(self) -> None:
        assert cluster_scatter(self.PEOPLE.tail(1)).figure is None


class TestRiskTiers:
    PEOPLE = pd.DataFrame(
        {
            "risk_tier": ["High", "High", "Low", "Medium"],
            "value_tier": ["High", "Low", "High", None],
            "churn_probability": [0.9, 0.8, 0.1, 0.5],
        }
    )

    def test_of_all_and_of_each_value(self) -> None:
        chart = risk_tiers(self.PEOPLE)
        assert [option.title for option in chart.options] == [
            "50% of customers are in the high risk tier",
            "50% of customers of high value are in the high risk tier",
            "100% of customers of low value are in the high risk tier",
        ]
        assert chart.options[1].traces == [{"labels": ["High", "Medium", "Low"], "values": [1, 0, 1]}]
        assert "by the churn model" in chart.note

    def test_without_probabilities_it_says_what_tiers_go_by(self) -> None:
        assert "days since the last order" in risk_tiers(self.PEOPLE.assign(churn_probability=None)).note


class TestValueTenths:
    def people(self, *values: float | None) -> pd.DataFrame:
        return pd.DataFrame({"clv_365d": pd.Series(values, dtype=float), "clv_basis": "margin"})

    def test_shares_of_the_tenths(self) -> None:
        chart = value_tenths(self.people(*[1.0] * 10, *[9.0] * 10, None))
        assert chart.title == "The most valuable tenth of customers holds 18% of the margin expected in a year"
        assert drawn(chart).data[0].y == tuple([0.18] * 5 + [0.02] * 5)
        assert chart.note.startswith("100 expected of 20 customers")

    @pytest.mark.parametrize("values", [(5.0,) * 9, (0.0,) * 20, (None,) * 20])
    def test_too_few_or_nothing_expected(self, values: tuple[float | None, ...]) -> None:
        assert value_tenths(self.people(*values)).figure is None


class TestCohortRetention:
    COHORTS = pd.DataFrame(
        [(ENDS[0], 0, 50, 50, 1.0), (ENDS[0], 1, 50, 10, 0.2), (ENDS[1], 0, 150, 150, 1.0), (ENDS[1], 1, 150, 60, 0.4)],
        columns=["cohort_month", "months_since_first", "customers", "active_customers", "retention_rate"],
    )

    def test_the_rate_weighs_customers_not_cohorts(self) -> None:
        chart = cohort_retention(self.COHORTS)
        assert chart.title == "35% of new customers order again in the month after their first"
        assert "2 cohorts of 200 customers" in chart.note
        assert drawn(chart).data[0].z == ([0.2], [0.4])

    def test_no_complete_month(self) -> None:
        assert cohort_retention(self.COHORTS.query("months_since_first == 0")).figure is None


class TestActions:
    ACTIONS = pd.DataFrame(
        {
            "action": ["win_back", "service_recovery", "no_action"],
            "customers": [10, 3, 7],
            "contactable": [6, 2, 0],
            "selected": [5, 0, 0],
            "expected_profit": [123.4, None, None],
        }
    )

    def test_only_who_is_selected_counts(self) -> None:
        chart = action_profits(self.ACTIONS)
        assert chart.title == "5 customers to contact now, expected to bring 123 more than if left alone"
        assert "among 20 customers" in chart.note
        assert (drawn(chart).data[0].y, drawn(chart).data[0].x) == (("Win back",), (123.4,))

    def test_without_consent_it_says_so(self) -> None:
        chart = action_profits(self.ACTIONS.assign(contactable=0, selected=0))
        assert chart.figure is None
        assert chart.title == "Nobody is to be contacted: no customer is known to have agreed to marketing"

    def test_nobody_selected(self) -> None:
        chart = action_profits(self.ACTIONS.tail(2))
        assert chart.figure is None
        assert chart.note.startswith("Of 10 customers none is worth contacting")


class TestCategories:
    ROWS = pd.DataFrame(
        {
            "category": ["Books", "Food"],
            "revenue": [300.0, 100.0],
            "transaction_count": [3, 9],
            "average_transaction_value": [100.0, 11.111],
            "customer_count": [2, 5],
        }
    )

    def test_each_measure_names_its_leader(self) -> None:
        assert [option.title for option in category_bars(self.ROWS).options] == [
            "Books leads by net revenue: 300, 75% of all",
            "Food leads by orders: 9",
            "Food leads by customers: 5",
            "Books leads by average per order: 100.00",
        ]

    def test_none(self) -> None:
        assert category_bars(self.ROWS.head(0)).figure is None


class TestLevelChanges:
    CHANGES = pd.DataFrame(
        {
            "product_id": ["a", "a", "b"],
            "name": ["A", "A", "B"],
            "changed_on": pd.to_datetime(["2026-01-05", "2026-06-01", "2026-03-02"]),
            "units_per_week_before": [10.0, 5.0, 8.0],
            "units_per_week_after": [5.0, 9.0, 2.0],
            "change_ratio": [-0.5, 0.8, -0.75],
        }
    )

    def test_the_latest_change_of_each_product(self) -> None:
        chart = level_changes(self.CHANGES)
        assert chart.title == "1 product sells more than before, 1 less"
        assert (drawn(chart).data[0].y, drawn(chart).data[0].x) == (("B", "A"), (-0.75, 0.8))

    def test_none(self) -> None:
        assert level_changes(self.CHANGES.head(0)).figure is None


class TestPairs:
    PAIRS = pd.DataFrame(
        {
            "product_id_a": ["a", "a"],
            "product_id_b": ["b", "c"],
            "pair_orders": [20, 5],
            "lift": [2.0, 6.0],
            "is_associated": [True, False],
        }
    )
    NAMES = pd.Series({"a": "Tea", "b": "Milk"})

    def test_both_triangles_are_filled_and_what_is_beyond_chance_leads(self) -> None:
        chart = pair_heatmap(self.PAIRS, self.NAMES)
        assert chart.title == "Tea and Milk sell together 2.0 times as often as by chance"
        assert "2 pairs bought together, 1 of them beyond chance" in chart.note
        heat = drawn(chart).data[0]
        assert heat.y == ("Tea 1", "Milk 2", "c 3")
        assert heat.z == ([None, 2.0, 6.0], [2.0, None, None], [6.0, None, None])

    def test_nothing_beyond_chance_is_said(self) -> None:
        title = pair_heatmap(self.PAIRS.assign(is_associated=False), self.NAMES).title
        assert title == "No pair of products sells together more often than chance explains"

    def test_no_pairs(self) -> None:
        assert pair_heatmap(self.PAIRS.head(0), self.NAMES).figure is None


class TestProductMonths:
    PRODUCTS = pd.DataFrame({"product_id": ["a", "b"], "name": ["Tea", "Milk"], "revenue_rank": [2.0, 1.0]})

    def test_a_product_at_a_time(self) -> None:
        starts = pd.date_range("2025-01-01", periods=13, freq="MS")
        months = pd.DataFrame({"product_id": "a", "month": starts, "units": 10.0, "net_revenue": 5.0})
        months.loc[12, "units"] = 15.0
        # A month in which nothing was sold at all.
        chart = product_months(months.drop(index=5), self.PRODUCTS)
        assert [option.title for option in chart.options] == [
            "Milk: 0 sold in January 2026",
            "Tea: 15 sold in January 2026, 50% more than a year before",
        ]
        assert chart.options[1].traces == [{"y": [10.0] * 5 + [0.0] + [10.0] * 6 + [15.0]}]

    def test_no_complete_month(self) -> None:
        months = pd.DataFrame({"product_id": [], "month": [], "units": [], "net_revenue": []})
        assert product_months(months, self.PRODUCTS).figure is None


class TestMonthlyTrends:
    TRENDS = pd.DataFrame(
        {"month": [ENDS[0], ENDS[1], ENDS[1]], "direction": ["up", "down", "up"], "is_significant": [True, True, False]}
    )

    def test_only_what_is_significant_counts(self) -> None:
        chart = monthly_trends(self.TRENDS)
        assert chart.title == "February 2026: 0 products up on the month before, 1 down"
        up, down = drawn(chart).data
        assert (up.y, down.y) == ((1, 0), (0, -1))

    def test_a_quiet_month_says_so(self) -> None:
        title = monthly_trends(self.TRENDS.assign(is_significant=False)).title
        assert title == "February 2026: no product differs from the month before by more than chance explains"
