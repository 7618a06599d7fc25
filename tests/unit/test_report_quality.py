"""Charts of data quality on hand-made figures: every number in a title is counted by hand here."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from reports.blocks import Chart, Stamp, Table
from reports.figures.trust import check_outcomes, freshness, quarantine, rows_received, volume
from reports.page import render
from reports.quality import quality_page

AS_OF = pd.Timestamp("2026-06-30")
COUNTS = ["rows", "inserted", "restated", "duplicate", "quarantined", "left_out"]


def received(*rows: tuple[int, str, int, int, int, int, int]) -> pd.DataFrame:
    """Rows in, inserted, restated, duplicate and quarantined by refresh and file."""
    frame = pd.DataFrame(rows, columns=["refresh", "file", *COUNTS[:-1]])
    return frame.assign(table="shop.sales", left_out=0, set_aside=None)


def drawn(chart: Chart) -> go.Figure:
    assert chart.figure is not None
    return chart.figure


TWICE = received((1, "a.csv", 100, 97, 0, 1, 2), (2, "a.csv", 0, 0, 0, 0, 0), (2, "b.csv", 1_500, 1_400, 60, 40, 0))


class TestRowsReceived:
    def test_the_last_refresh_and_all(self) -> None:
        chart = rows_received(TWICE)
        assert chart.title == (
            "Every row is accounted for: 1,500 rows in refresh 2, 1,400 of them new, 0 refused, by refresh"
        )
        assert chart.note.endswith(
            "In 2 refreshes: 1,600 in, 1,497 inserted, 60 restated, 41 duplicate, 2 quarantined."
        )
        assert {bar.name: bar.y for bar in drawn(chart).data} == {
            "inserted": (97, 1400),
            "restated": (0, 60),
            "duplicate": (1, 40),
            "quarantined": (2, 0),
        }

    def test_by_table_is_all_there_is_of_one_refresh(self) -> None:
        assert [option.name for option in rows_received(TWICE).options] == ["by refresh", "by table"]
        first = rows_received(TWICE.head(1))
        assert not first.options
        assert drawn(first).data[0].y == ("shop.sales",)
        assert drawn(first).data[0].x == (97,)

    def test_nothing_new(self) -> None:
        assert rows_received(TWICE.head(2)).title == "Every row is accounted for; refresh 2 brought none, by refresh"

    def test_rows_that_are_lost_are_the_finding(self) -> None:
        lost = received((1, "a.csv", 100, 97, 0, 0, 2))
        assert rows_received(lost).title == "Rows do not add up in 1 file, first a.csv (shop.sales), refresh 1"

    def test_before_the_first_refresh(self) -> None:
        assert rows_received(TWICE.head(0)).figure is None


class TestQuarantine:
    REFUSED = pd.DataFrame(
        {
            "table": "shop.sales",
            "file": ["a.csv", "b.csv", "a.csv"],
            "column": ["amount", "amount", None],
            "reason": ["not a number", "not a number", "3 fields where the header has 4"],
            "row_count": [2, 3, 1],
        }
    )

    def test_the_most_frequent_reason_over_all_files(self) -> None:
        chart = quarantine(self.REFUSED)
        assert chart.title == "Quarantine: 6 rows refused, 5 of them in shop.sales: not a number"
        assert chart.note.startswith("2 reasons in 2 files.")
        assert drawn(chart).data[0].x == (1, 5)

    def test_one_reason(self) -> None:
        assert quarantine(self.REFUSED.tail(1)).title == (
            "Quarantine: 1 row refused, all of them in shop.sales: 3 fields where the header has 4"
        )

    def test_nothing_refused_is_good_news(self) -> None:
        chart = quarantine(self.REFUSED.head(0))
        assert chart.title == "Quarantine: no row has been refused"
        assert chart.figure is None


CHECKS = pd.DataFrame(
    {
        "check_name": ["b_agrees", "a_is_fresh", "c_is_valid"],
        "asset": ["b", "a", "c"],
        "severity": ["error", "warn", "error"],
        "status": ["pass", "warn", "pass"],
        "failures": [0, 1, 0],
        "message": [None, "PSI 0.3", None],
        "refresh": 2,
    }
)
HISTORY = pd.DataFrame({"refresh": [1, 2, 2], "status": ["pass", "pass", "warn"], "check_count": [3, 2, 1]})


class TestChecks:
    def test_what_did_not_pass_is_named(self) -> None:
        chart = check_outcomes(HISTORY, CHECKS)
        assert chart.title == "2 of 3 checks passed; 1 warned: a is fresh"
        assert chart.note.startswith("The last result of every check, 2 of which stop a refresh")
        assert {bar.name: bar.y for bar in drawn(chart).data} == {"warned": (0, 1), "failed": (0, 0)}

    def test_an_error_counts_as_failed(self) -> None:
        broken = CHECKS.assign(status=["error", "pass", "fail"])
        assert check_outcomes(HISTORY, broken).title == "1 of 3 checks passed; 2 failed: b agrees and c is valid"

    def test_all_pass(self) -> None:
        assert check_outcomes(HISTORY.head(1), CHECKS.assign(status="pass")).title == "All 3 checks passed"

    def test_none_has_run(self) -> None:
        assert check_outcomes(HISTORY.head(0), CHECKS.head(0)).note == "No check has run yet."


TABLES = pd.DataFrame(
    {
        "table": ["shop.sales", "helpdesk.tickets", "shop.products", "web.sessions"],
        "row_count": [10, 5, 3, 0],
        "first_event_on": pd.to_datetime(["2026-01-01", "2026-01-01", None, None]),
        "last_event_on": pd.to_datetime(["2026-06-30", "2026-06-18", None, None]),
    }
)
WEEKS = pd.DataFrame(
    {
        "table": ["shop.sales"] * 9 + ["helpdesk.tickets"],
        "weeks_ago": [*range(9), 0],
        "row_count": [*[30] * 4, *[20] * 4, 5, 7],
    }
)


class TestFreshness:
    def test_the_oldest_table_and_what_is_missing(self) -> None:
        chart = freshness(TABLES, AS_OF)
        assert chart.title == "Oldest: helpdesk.tickets, whose last event is 12 days before 30 June 2026"
        assert chart.note.endswith("Not delivered: web.sessions.")
        assert drawn(chart).data[0].x == (0, 12)

    def test_up_to_date(self) -> None:
        assert freshness(TABLES.head(1), AS_OF).title == (
            "Every table is up to date: the last event of 1 table is of 30 June 2026"
        )

    def test_events_to_come_are_not_a_negative_age(self) -> None:
        planned = TABLES.head(1).assign(last_event_on=AS_OF + pd.Timedelta(days=9))
        assert drawn(freshness(planned, AS_OF)).data[0].x == (0,)

    def test_nothing(self) -> None:
        assert freshness(TABLES.tail(1), AS_OF).figure is None


class TestVolume:
    def test_against_the_four_weeks_before(self) -> None:
        chart = volume(WEEKS, AS_OF)
        assert [(option.name, option.title) for option in chart.options] == [
            ("shop.sales", "shop.sales: 120 rows in the last four weeks, 50% more than in the four before"),
            ("helpdesk.tickets", "helpdesk.tickets: 7 rows in the last four weeks"),
        ]
        assert drawn(chart).data[0].y == (5, 20, 20, 20, 20, 30, 30, 30, 30)

    def test_unchanged(self) -> None:
        level = WEEKS.head(9).assign(row_count=1)
        assert volume(level, AS_OF).title.endswith("4 rows in the last four weeks, about as much as in the four before")

    def test_nothing(self) -> None:
        assert volume(WEEKS.head(0), AS_OF).figure is None


class TestPage:
    REFRESHES = pd.DataFrame(
        {
            "refresh": [2, 1],
            "as_of": AS_OF,
            "source": "files",
            "status": ["running", "failed"],
            "started_at": pd.to_datetime(["2026-07-01 02:00", "2026-07-01 01:00"]),
            "finished_at": pd.to_datetime([None, "2026-07-01 01:01"]),
        }
    )

    def frames(self, *, empty: bool) -> dict[str, pd.DataFrame]:
        frames = {
            "received": TWICE,
            "refreshes": self.REFRESHES,
            "refused": TestQuarantine.REFUSED,
            "checks": CHECKS,
            "history": HISTORY,
            "weeks": WEEKS,
        }
        return {
            "clock": pd.DataFrame({"as_of": [AS_OF], "refresh": [2]}),
            "tables": TABLES.tail(1) if empty else TABLES,
            **{name: frame.head(0) if empty else frame for name, frame in frames.items()},
        }

    def test_tables(self) -> None:
        page = quality_page(**self.frames(empty=False))
        checks, files, refreshes = [b for section in page.sections for b in section.blocks if isinstance(b, Table)]
        assert checks.rows["name"].tolist() == ["a is fresh", "b agrees", "c is valid"]
        assert files.rows[["file", "agrees"]].to_numpy().tolist() == [["a.csv", "yes"], ["b.csv", "yes"]]
        # What is under way is not called unpublished by the page that it is about to publish.
        assert refreshes.rows[["outcome", "seconds"]].fillna(0).to_numpy().tolist() == [
            ["this one", 0.0],
            ["failed", 60.0],
        ]
        assert page.lead.startswith("18 rows in 3 tables of 4, under 3 checks.")
        assert "quality.html" in render(page, Stamp(AS_OF.date(), 2))

    def test_an_empty_home(self) -> None:
        page = quality_page(**self.frames(empty=True))
        charts = [block for section in page.sections for block in section.blocks if isinstance(block, Chart)]
        assert len(charts) == 5
        assert all(chart.figure is None and chart.note for chart in charts)
        assert 'class="plot"' not in render(page, Stamp(AS_OF.date(), 2))["quality.html"]
