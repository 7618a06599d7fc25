"""Charts and pages on hand-made frames: every number in a title is counted by hand here."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from reports.blocks import Chart, Column, Item, Listing, Option, Page, Section, Stamp, Table, Tile
from reports.figures.customers import churn_distribution, segment_sizes
from reports.figures.sales import weekly_revenue
from reports.figures.style import amount, blank, change_in_words
from reports.overview import overview_page
from reports.page import SITE, render
from reports.site import SHARED, add_page, publish_site, write_page

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


STAMP = Stamp(date(2026, 1, 18), 3)


class TestOverviewPage:
    def page(self, daily: pd.DataFrame, people: pd.DataFrame) -> str:
        return render(overview_page(daily, people), STAMP)["index.html"]

    def test_key_figures(self) -> None:
        page = self.page(days(100.0, 250.4), FOUR)
        for name, value in {
            "Customers with an order": "4",
            "Orders": "14",
            "Net revenue": "350",
            "Customers at risk": "2",
            "Spent by those at risk": "300",
            "With unusual sentiment": "1",
        }.items():
            assert f'<dt>{name}</dt><dd class="value">{value}</dd>' in page

    def test_same_input_same_bytes(self) -> None:
        assert self.page(days(100.0), FOUR) == self.page(days(100.0), FOUR)

    def test_order_of_rows_does_not_matter(self) -> None:
        assert self.page(days(100.0), FOUR) == self.page(days(100.0).iloc[::-1], FOUR.iloc[::-1])

    def test_without_probabilities_risk_is_not_known_rather_than_nought(self) -> None:
        page = self.page(days(100.0), FOUR.assign(churn_probability=None, is_at_risk=False))
        assert '<dt>Customers at risk</dt><dd class="value">not known</dd>' in page

    def test_empty_frames_make_a_page_of_empty_states(self) -> None:
        page = self.page(NO_DAYS, NOBODY)
        assert '<dt>Net revenue</dt><dd class="value">0</dd>' in page
        assert 'class="plot"' not in page
        assert page.count('<figure class="empty">') == 3


def shown(*blocks: object, **page: str) -> str:
    """The HTML of a page with these blocks."""
    given = {"name": "support", "heading": "Support", "lead": "", "source": "", **page}
    return render(Page(sections=[Section("", blocks)], **given), STAMP)["support.html"]  # type: ignore[arg-type]


def embedded(html: str, element: str) -> dict:
    """The JSON in a script element."""
    (text,) = re.findall(rf'<script type="application/json" id="{element}">(.*?)</script>', html)
    return json.loads(text)


LETTERS = Table(
    name="letters",
    title="Letters",
    note="All of them.",
    columns=[
        Column("id", "Letter", is_searched=True),
        Column("risk", "Risk", "category", tones={"High": "bad", "Low": "good"}, is_filter=True),
        Column("spend", "Spend", "number"),
        Column("share", "Share", "percent", decimals=1, is_detail=True),
        Column("seen", "Seen", "date"),
    ],
    rows=pd.DataFrame(
        {
            "id": ["a", None, "c"],
            "risk": ["Low", "High", None],
            "spend": [10.4, None, -2.5],
            "share": [0.12345, 1.0, None],
            "seen": pd.to_datetime(["1970-01-02", None, "2026-01-18"]),
        }
    ),
    noun="letters",
)


class TestFrame:
    def test_the_navigation_names_every_page_and_marks_this_one(self) -> None:
        html = shown(name="support")
        assert re.findall(r'<li><a href="([^"]+)"', html) == [file for file, _ in SITE.values()]
        assert re.findall(r'<a href="([^"]+)" aria-current="page">', html) == ["support.html"]
        assert '<a class="skip" href="#main">' in html
        assert '<main id="main">' in html
        assert '<html lang="en">' in html

    def test_it_says_what_it_was_made_for(self) -> None:
        assert '<p class="stamp">As of 18 January 2026, refresh 3</p>' in shown()

    def test_a_page_outside_the_site_has_no_navigation(self) -> None:
        page = Page("gallery", "Gallery", "", [], "")
        files = render(page, "a business", in_site=False)
        assert list(files) == ["gallery.html"]
        assert "<nav" not in files["gallery.html"]

    def test_text_from_data_is_text_not_markup(self) -> None:
        evil = "</script><script>alert(1)</script>'\"& \u2028"
        column = Column("id", evil, is_searched=True)
        html = shown(
            [Tile(evil, evil, note=evil)],
            Chart(evil, evil, blank(), pd.DataFrame({evil: [evil]})),
            Table("t", evil, evil, [column], pd.DataFrame({"id": [evil]}), noun=evil),
            Listing(evil, [Item(evil, "bad", evil, evil, evil, link="javascript:alert(1)")], evil),
            heading=evil,
            lead=evil,
            source=evil,
        )
        assert "<script>alert" not in html
        assert "javascript:alert" not in html
        assert embedded(html, "t-data")["columns"][0]["values"] == [evil]
        assert html.count("</script>") == 3


class TestTiles:
    @pytest.mark.parametrize(
        ("change", "is_good", "expected"),
        [
            (0.12, True, 'good"><span aria-hidden="true">▲</span> <span class="unseen">up </span>12%'),
            (-0.051, False, 'bad"><span aria-hidden="true">▼</span> <span class="unseen">down </span>5.1%'),
            (0.5, None, 'change"><span aria-hidden="true">▲</span>'),
            (0.0001, True, 'change">unchanged'),
        ],
    )
    def test_a_change_is_colour_arrow_and_word(self, change: float, is_good: bool | None, expected: str) -> None:
        assert expected in shown([Tile("Orders", "5", change, is_good)])

    def test_nothing_to_compare_shows_no_change(self) -> None:
        assert 'class="change' not in shown([Tile("Orders", "5")])

    def test_the_past_is_drawn_from_three_values_on(self) -> None:
        assert "<svg" not in shown([Tile("Orders", "5", history=[1, 2])])
        assert 'points="0.0,22.0 50.0,2.0 100.0,12.0"' in shown([Tile("Orders", "5", history=[1, 3, 2])])

    def test_amounts_fit_a_telephone(self) -> None:
        assert amount(3_587_094_780.0) == "3,587.1 million"
        assert amount(9_999_999.4) == "9,999,999"

    def test_changes_in_words(self) -> None:
        assert [change_in_words(ratio) for ratio in (0.12, -0.3, 0.004)] == ["12% more", "30% less", "about as much"]


class TestCharts:
    def test_a_chart_is_named_by_its_heading(self) -> None:
        html = shown(Chart("Finding", "Note", blank()))
        assert '<h2 class="title" id="chart-1-title">Finding</h2><p id="chart-1-note">Note</p>' in html
        assert 'id="chart-1" role="img" aria-labelledby="chart-1-title" style="height:300px"' in html

    def test_nothing_to_draw_is_an_empty_state(self) -> None:
        html = shown(Chart("No tickets yet", "They come from helpdesk.tickets."))
        assert '<figure class="empty">' in html
        assert 'class="plot"' not in html

    def test_options_are_offered_and_embedded(self) -> None:
        figure = blank()
        figure.add_bar(x=["a"], y=[1])
        views = [
            Option(name, f"{name} sells", "n", [{"y": [value]}], table=pd.DataFrame({"Day": ["1"], "Units": [name]}))
            for name, value in (("Tea", 1), ("<Milk>", 2))
        ]
        html = shown(Chart("Tea sells", "n", figure, views[0].table, views, "Product"))
        assert "<option>Tea</option><option>&lt;Milk&gt;</option>" in html
        assert '<label for="chart-1-choice">Product</label>' in html
        data = embedded(html, "chart-1-data")
        assert [option["traces"] for option in data["options"]] == [[{"y": [1]}], [{"y": [2]}]]
        assert data["options"][1]["table"] == {"columns": ["Day", "Units"], "rows": [["1", "<Milk>"]]}


class TestTables:
    def test_values_are_compact_and_missing_ones_stay_missing(self) -> None:
        columns = {column["name"]: column for column in embedded(shown(LETTERS), "letters-data")["columns"]}
        assert columns["id"]["values"] == ["a", None, "c"]
        assert (columns["risk"]["names"], columns["risk"]["values"]) == (["High", "Low"], "10.")
        assert columns["spend"]["values"] == [10, None, -2]
        assert columns["share"]["values"] == [0.123, 1.0, None]
        assert columns["seen"]["values"] == [1, None, 20471]
        assert [name for name, column in columns.items() if column.get("detail")] == ["share"]

    def test_many_names_are_numbered(self) -> None:
        rows = pd.DataFrame({"name": [f"n{number:03}" for number in range(100)]})
        table = Table("t", "T", "", [Column("name", "Name", "category")], rows)
        assert embedded(shown(table), "t-data")["columns"][0]["values"] == list(range(100))

    def test_a_long_one_lies_in_a_file_of_its_own(self) -> None:
        rows = pd.DataFrame({"name": ["it's \\ </script>"] * 2_001})
        table = Table("people", "People", "", [Column("name", "Name")], rows)
        files = render(Page("customers", "Customers", "", [Section("", [table])], ""), STAMP)
        assert list(files) == ["customers.html", "customers.data.js"]
        assert 'data-file="customers.data.js"' in files["customers.html"]
        assert len(files["customers.html"]) < 5_000
        assert "</script>" not in files["customers.data.js"]

    def test_no_rows_are_an_empty_state(self) -> None:
        html = shown(replace(LETTERS, rows=LETTERS.rows.head(0)))
        assert (
            '<div class="card empty"><h2 class="title" id="letters-title">Letters</h2><p>All of them.</p></div>' in html
        )


class TestListing:
    def test_items_link_to_pages_of_the_site(self) -> None:
        html = shown(
            Listing("Alerts", [Item("critical", "bad", "Sales fell", "by a third", "2026-01-18", "index.html")])
        )
        assert '<span class="badge bad">critical</span>' in html
        assert '<strong><a href="index.html">Sales fell</a></strong><p>by a third · 2026-01-18</p>' in html

    def test_none_is_an_empty_state(self) -> None:
        assert '<div class="card empty">' in shown(Listing("No alerts", []))


class TestSite:
    def test_written_beside_and_put_in_place_by_publish(self, tmp_path: Path) -> None:
        folder = add_page(tmp_path, 1, {"index.html": "one"})
        add_page(tmp_path, 1, {"customers.html": "people", "customers.data.js": "data"})
        assert not (tmp_path / "reports").exists()
        files = {"index.html", "customers.html", "customers.data.js", *SHARED}
        assert {file.name for file in folder.iterdir()} == files
        publish_site(tmp_path, 1)
        assert (tmp_path / "reports" / "index.html").read_text() == "one"
        assert [entry.name for entry in tmp_path.iterdir()] == ["reports"]

    def test_what_a_page_needs_lies_beside_it(self) -> None:
        assert set(SHARED) == {"plotly.min.js", "pulse.css", "pulse.js"}
        assert all(file.is_file() for file in SHARED.values())

    def test_publishing_again_replaces_the_whole_folder(self, tmp_path: Path) -> None:
        for refresh, name in ((1, "gone.html"), (2, "index.html")):
            add_page(tmp_path, refresh, {name: str(refresh)})
            publish_site(tmp_path, refresh)
        assert {file.name for file in (tmp_path / "reports").iterdir()} == {"index.html", *SHARED}
        assert [entry.name for entry in tmp_path.iterdir()] == ["reports"]

    def test_a_page_that_was_not_made_anew_stays_with_its_data(self, tmp_path: Path) -> None:
        add_page(tmp_path, 1, {"index.html": "one", "customers.html": "one", "customers.data.js": "one"})
        publish_site(tmp_path, 1)
        add_page(tmp_path, 2, {"index.html": "two"})
        publish_site(tmp_path, 2)
        texts = {name: (tmp_path / "reports" / name).read_text() for name in ("index.html", "customers.html")}
        assert texts == {"index.html": "two", "customers.html": "one"}
        assert (tmp_path / "reports" / "customers.data.js").exists()

    def test_without_pages_of_that_refresh_the_published_ones_stay(self, tmp_path: Path) -> None:
        add_page(tmp_path, 1, {"index.html": "one"})
        publish_site(tmp_path, 1)
        add_page(tmp_path, 2, {"index.html": "two"})
        publish_site(tmp_path, 3)
        assert (tmp_path / "reports" / "index.html").read_text() == "one"

    def test_pages_that_were_never_published_are_cleared(self, tmp_path: Path) -> None:
        add_page(tmp_path, 1, {"index.html": "one"})
        add_page(tmp_path, 2, {"index.html": "two"})
        assert [entry.name for entry in tmp_path.iterdir()] == [".reports-2"]

    def test_a_publish_that_died_halfway_loses_nothing(self, tmp_path: Path) -> None:
        add_page(tmp_path, 1, {"index.html": "one"})
        publish_site(tmp_path, 1)
        (tmp_path / "reports").rename(tmp_path / ".reports-old")
        add_page(tmp_path, 2, {"index.html": "two"})
        assert (tmp_path / "reports" / "index.html").read_text() == "one"

    def test_a_page_of_no_refresh_takes_the_name_it_is_given(self, tmp_path: Path) -> None:
        write_page(tmp_path / "new" / "business.html", {"gallery.html": "page"})
        assert {file.name for file in (tmp_path / "new").iterdir()} == {"business.html", *SHARED}
