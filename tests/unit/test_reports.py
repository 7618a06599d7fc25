"""The frame of the pages: every block as HTML, data inside scripts, and the folder they are published in."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from reports.blocks import Chart, Column, Facts, Item, Listing, Option, Page, Section, Stamp, Table, Tile
from reports.figures.style import amount, blank, compared
from reports.page import SITE, customer_file, render
from reports.site import SHARED, add_page, publish_site, write_page

STAMP = Stamp(date(2026, 1, 18), 3)


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

    def test_a_change_of_shares_is_in_points(self) -> None:
        assert "</span>2.5 points" in shown([Tile("Rate", "30%", 0.025, is_points=True)])

    def test_nothing_to_compare_shows_no_change(self) -> None:
        assert 'class="change' not in shown([Tile("Orders", "5")])

    def test_the_past_is_drawn_from_three_values_on(self) -> None:
        assert "<svg" not in shown([Tile("Orders", "5", history=[1, 2])])
        assert 'points="0.0,22.0 50.0,2.0 100.0,12.0"' in shown([Tile("Orders", "5", history=[1, 3, 2])])

    def test_amounts_fit_a_telephone(self) -> None:
        assert amount(3_587_094_780.0) == "3,587.1 million"
        assert amount(9_999_999.4) == "9,999,999"

    def test_changes_in_words(self) -> None:
        told = [compared(ratio) for ratio in (0.12, -0.3, 0.004)]
        assert told == ["12% more than", "30% less than", "about as much as"]


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

    def test_a_column_without_any_value_is_left_out(self) -> None:
        table = replace(LETTERS, rows=LETTERS.rows.assign(spend=None, id=None))
        names = [column["name"] for column in embedded(shown(table), "letters-data")["columns"]]
        assert names == ["id", "risk", "share", "seen"]

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


class TestFacts:
    def test_what_is_not_known_is_left_out(self) -> None:
        html = shown(Facts("Who", {"Name": "Ada", "City": ""}))
        assert '<dl class="facts"><dt>Name</dt><dd>Ada</dd></dl>' in html

    def test_with_nothing_known_the_title_stands_alone(self) -> None:
        assert '<div class="card empty"><h2 class="title">Who</h2></div>' in shown(Facts("Who", {"City": ""}))


class TestFiles:
    def test_a_customer_has_a_file_of_its_own_whatever_the_id(self) -> None:
        assert customer_file("C0000011") == "customer-C0000011.html"
        odd = [customer_file(each) for each in ("a/b", "a_b", "a:b", "../../x", "é", "x" * 80, "x" * 81, "x" * 82)]
        assert len(set(odd)) == 8
        assert all(re.fullmatch(r"customer-[A-Za-z0-9_-]+\.html", name) for name in odd)


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
