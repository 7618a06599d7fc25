"""Charts and pages on hand-made frames: every number in a title is counted by hand here."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from reports.figures import Chart, churn_distribution, segment_sizes, weekly_revenue
from reports.overview import overview_page
from reports.site import PLOTLY_FILE, publish_site, write_site

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


class TestOverviewPage:
    def page(self, daily: pd.DataFrame, people: pd.DataFrame) -> str:
        return overview_page(daily, people, as_of=date(2026, 1, 18), refresh=3)

    def test_key_figures(self) -> None:
        page = self.page(days(100.0, 250.4), FOUR)
        assert "<p>As of 18 January 2026, refresh 3</p>" in page
        for name, value in {
            "Customers with an order": "4",
            "Orders": "14",
            "Net revenue": "350",
            "Customers at risk": "2",
            "Spent by those at risk": "300",
            "With unusual sentiment": "1",
        }.items():
            assert f"<dt>{name}</dt><dd>{value}</dd>" in page

    def test_large_amounts_stay_short(self) -> None:
        assert "<dt>Net revenue</dt><dd>3,587.1 million</dd>" in self.page(days(3_587_094_780.0), FOUR)

    def test_same_input_same_bytes(self) -> None:
        assert self.page(days(100.0), FOUR) == self.page(days(100.0), FOUR)

    def test_order_of_rows_does_not_matter(self) -> None:
        assert self.page(days(100.0), FOUR) == self.page(days(100.0).iloc[::-1], FOUR.iloc[::-1])

    def test_without_probabilities_risk_is_not_known_rather_than_nought(self) -> None:
        page = self.page(days(100.0), FOUR.assign(churn_probability=None, is_at_risk=False))
        assert "<dt>Customers at risk</dt><dd>not known</dd>" in page

    def test_empty_frames_make_a_page_without_charts(self) -> None:
        page = self.page(NO_DAYS, NOBODY)
        assert "<dt>Net revenue</dt><dd>0</dd>" in page
        assert "plotly-graph-div" not in page
        assert page.count("<figure>") == 3

    def test_names_from_data_are_text_not_markup(self) -> None:
        page = self.page(days(100.0), FOUR.assign(segment="<script>alert(1)</script> & co"))
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co: 100% of customers" in page

    def test_every_chart_is_named_by_a_heading(self) -> None:
        page = self.page(days(100.0), FOUR)
        assert '<html lang="en">' in page
        for name in ("revenue", "segments", "churn"):
            assert f'<h2 id="{name}-title">' in page
            assert f'<div role="img" aria-labelledby="{name}-title">' in page


class TestSite:
    def test_written_beside_and_put_in_place_by_publish(self, tmp_path: Path) -> None:
        folder = write_site(tmp_path, 1, {"index.html": "one"})
        assert not (tmp_path / "reports").exists()
        assert sorted(file.name for file in folder.iterdir()) == ["index.html", PLOTLY_FILE]
        publish_site(tmp_path, 1)
        assert (tmp_path / "reports" / "index.html").read_text() == "one"
        assert [entry.name for entry in tmp_path.iterdir()] == ["reports"]

    def test_publishing_again_replaces_the_whole_folder(self, tmp_path: Path) -> None:
        for refresh, name in ((1, "gone.html"), (2, "index.html")):
            write_site(tmp_path, refresh, {name: str(refresh)})
            publish_site(tmp_path, refresh)
        assert sorted(file.name for file in (tmp_path / "reports").iterdir()) == ["index.html", PLOTLY_FILE]
        assert [entry.name for entry in tmp_path.iterdir()] == ["reports"]

    def test_without_pages_of_that_refresh_the_published_ones_stay(self, tmp_path: Path) -> None:
        write_site(tmp_path, 1, {"index.html": "one"})
        publish_site(tmp_path, 1)
        write_site(tmp_path, 2, {"index.html": "two"})
        publish_site(tmp_path, 3)
        assert (tmp_path / "reports" / "index.html").read_text() == "one"

    def test_pages_that_were_never_published_are_cleared(self, tmp_path: Path) -> None:
        write_site(tmp_path, 1, {"index.html": "one"})
        write_site(tmp_path, 2, {"index.html": "two"})
        assert [entry.name for entry in tmp_path.iterdir()] == [".reports-2"]

    def test_a_publish_that_died_halfway_loses_nothing(self, tmp_path: Path) -> None:
        write_site(tmp_path, 1, {"index.html": "one"})
        publish_site(tmp_path, 1)
        (tmp_path / "reports").rename(tmp_path / ".reports-old")
        write_site(tmp_path, 2, {"index.html": "two"})
        assert (tmp_path / "reports" / "index.html").read_text() == "one"
