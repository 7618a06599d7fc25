"""Charts of the support page on hand-made tickets: every number in a title is counted by hand here."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go
import pytest

from reports.blocks import Chart, Listing, Stamp, Table
from reports.figures.service import backlog_weeks, promises_by_priority, promises_kept, waiting
from reports.figures.tickets import NO_TICKETS, mood, topic_trends, unhappy_parts
from reports.page import render
from reports.support import support_page

AS_OF = pd.Timestamp("2026-06-30")
COLUMNS = [
    *("opened_on", "topic", "priority", "ticket_count", "scored_count", "negative_count"),
    *("answered_count", "answered_in_time_count", "resolved_count", "resolved_in_time_count"),
]


def days(*rows: tuple[int, str, str, int, int, int, int, int, int, int]) -> pd.DataFrame:
    """Rows by how many days ago."""
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.assign(opened_on=AS_OF - pd.to_timedelta(frame["opened_on"], unit="D"))


def asked(
    ago: int, tickets: int, negative: int, topic: str = "billing"
) -> tuple[int, str, str, int, int, int, int, int, int, int]:
    return (ago, topic, "high", tickets, tickets, negative, tickets, tickets, tickets, tickets)


NONE = days().astype(dict.fromkeys(COLUMNS[3:], "int64"))
TARGETS = pd.DataFrame(
    {"priority": ["urgent", "high"], "first_response_minutes": [60, 240], "resolution_minutes": [480, 960]}
)


def drawn(chart: Chart) -> go.Figure:
    assert chart.figure is not None
    return chart.figure


class TestMood:
    def test_a_change_that_chance_explains_is_called_so(self) -> None:
        # z = .15 / sqrt(.275 * .725 * 2 / 40) = 1.5
        chart = mood(days(asked(0, 40, 14), asked(90, 40, 8)), AS_OF)
        assert chart.title == (
            "Mood: 35% of 40 tickets of the last 90 days are negative, against 20% of the 90 days before: no more of a "
            "change than chance explains"
        )

    def test_a_clear_change(self) -> None:
        chart = mood(days(asked(89, 400, 140), asked(179, 400, 80)), AS_OF)
        assert chart.title.endswith("are negative, clearly more than the 20% of the 90 days before")
        assert mood(days(asked(0, 400, 80), asked(90, 400, 140)), AS_OF).title.endswith(
            "clearly fewer than the 35% of the 90 days before"
        )

    def test_the_day_before_the_window_is_not_in_it(self) -> None:
        assert "35% of 40 tickets" in mood(days(asked(89, 40, 14), asked(90, 10, 10)), AS_OF).title

    def test_months_are_drawn_with_their_interval(self) -> None:
        band, line = drawn(mood(days(asked(0, 10, 0), asked(30, 4, 2)), AS_OF)).data
        assert line.x == ("2026-05-01", "2026-06-01")
        assert line.y == (0.5, 0.0)
        # Wilson for 0 of 10: 0 to z^2 / (10 + z^2)
        assert band.y[1] == pytest.approx(1.959964**2 / (10 + 1.959964**2), abs=1e-6)
        assert band.y[2] == 0

    def test_one_ticket(self) -> None:
        assert mood(days(asked(0, 1, 1)), AS_OF).title == "Mood: 100% of 1 ticket of the last 90 days is negative"

    def test_nothing_lately(self) -> None:
        assert mood(days(asked(400, 5, 5)), AS_OF).title == "Mood of the tickets: none in the last 90 days"

    def test_no_ticket_and_no_sentiment(self) -> None:
        assert mood(NONE, AS_OF).note == NO_TICKETS
        silent = mood(days((0, "a", "high", 3, 0, 0, 0, 0, 0, 0)), AS_OF)
        assert silent.figure is None
        assert silent.note == "No ticket has a sentiment_score."


class TestUnhappyParts:
    PARTS = pd.DataFrame({"name": ["a", "b", "c"], "scored_count": [100, 100, 10], "negative_count": [60, 10, 4]})

    def test_the_worst_that_is_clearly_worse(self) -> None:
        chart = unhappy_parts(self.PARTS, "topic")
        # 74 of 210; the interval of c, 4 of 10, holds 35 %
        assert chart.title == "Mood by topic, worst: a, 60% of 100 tickets negative, against 35% of all"
        bars = drawn(chart).data[0]
        assert bars.y == ("b", "c", "a")
        assert len(set(bars.marker.color)) == 2

    def test_a_second_one_is_counted(self) -> None:
        more = pd.concat([self.PARTS, pd.DataFrame({"name": ["d"], "scored_count": [100], "negative_count": [70]})])
        assert unhappy_parts(more, "topic").title.endswith("; 1 other topic clearly above it too")

    def test_products_of_one_name_keep_their_own_bars(self) -> None:
        twins = self.PARTS.assign(name="A product with a name that is far too long for an axis")
        assert len(set(drawn(unhappy_parts(twins, "product")).data[0].y)) == 3

    def test_none_stands_out(self) -> None:
        assert unhappy_parts(self.PARTS.tail(1), "product").title == (
            "Mood by product: none is clearly worse than the 40% of all tickets"
        )

    def test_only_those_with_most_tickets_are_drawn_and_the_rest_is_told(self) -> None:
        many = pd.DataFrame(
            {"name": [f"p{n:02}" for n in range(20)], "scored_count": range(1, 21), "negative_count": 0}
        )
        chart = unhappy_parts(many, "product")
        assert len(drawn(chart).data[0].y) == 10
        assert "the 10 with most tickets of 20 products" in chart.note

    def test_nothing(self) -> None:
        assert unhappy_parts(self.PARTS.head(0), "topic").note == NO_TICKETS


class TestPromises:
    MIXED = days(
        (0, "a", "high", 10, 0, 0, 8, 6, 5, 5),
        (1, "a", "urgent", 10, 0, 0, 2, 2, 4, 1),
        (100, "a", "low", 9, 0, 0, 9, 0, 9, 0),
    )

    def test_of_the_recent_past(self) -> None:
        chart = promises_kept(self.MIXED, AS_OF)
        assert chart.title == (
            "Promised times, tickets of the last 90 days: 80% of 10 first answers and 67% of 9 resolutions came in time"
        )
        assert "19 answered tickets and 18 resolved ones" in chart.note

    def test_by_priority_the_lowest_is_named(self) -> None:
        chart = promises_by_priority(self.MIXED, TARGETS, AS_OF)
        assert chart.title == "Promised times by priority, lowest: 25% of urgent resolutions in time"
        assert chart.table is not None
        assert chart.table.to_dict("list") == {
            "Priority": ["urgent", "high"],
            "Answer within hours": ["1", "4"],
            "Resolve within hours": ["8", "16"],
            "First answers": ["2", "8"],
            "First answers in time": ["100.0%", "75.0%"],
            "Resolutions": ["4", "5"],
            "Resolutions in time": ["25.0%", "100.0%"],
        }

    def test_all_in_time(self) -> None:
        chart = promises_by_priority(days(asked(0, 3, 0)), TARGETS, AS_OF)
        assert chart.title == "Promised times by priority: every answer and resolution was in time"

    def test_nothing_answered(self) -> None:
        waiting_only = days((0, "a", "high", 3, 0, 0, 0, 0, 0, 0))
        assert promises_kept(waiting_only, AS_OF).figure is None
        assert promises_by_priority(waiting_only, TARGETS, AS_OF).figure is None
        assert promises_kept(NONE, AS_OF).note == NO_TICKETS
        assert promises_by_priority(NONE, TARGETS, AS_OF).note == NO_TICKETS


class TestBacklog:
    def daily(self, number: int, growth: int) -> pd.DataFrame:
        dates = pd.date_range(end=AS_OF, periods=number)
        left = [1 + growth * day for day in range(number)]
        return pd.DataFrame(
            {"backlog_date": dates, "opened_count": 2, "resolved_count": 2 - growth, "backlog_count": left}
        )

    def test_against_four_weeks_before(self) -> None:
        chart = backlog_weeks(self.daily(29, 1))
        assert chart.title == "Backlog: 29 tickets unresolved, 28 more than four weeks before"
        opened, resolved, left = drawn(chart).data
        assert opened.y == (2, 14, 14, 14, 14)
        assert resolved.y == (1, 7, 7, 7, 7)
        assert left.y == (1, 8, 15, 22, 29)

    def test_unchanged_and_short(self) -> None:
        assert backlog_weeks(self.daily(29, 0)).title == "Backlog: 1 ticket unresolved, as many as four weeks before"
        assert backlog_weeks(self.daily(1, 0)).title == "Backlog: 1 ticket unresolved"
        assert backlog_weeks(self.daily(0, 0)).note == NO_TICKETS


class TestTopics:
    def test_a_clear_change_is_named(self) -> None:
        frame = days(asked(0, 100, 0), asked(90, 50, 0), asked(0, 30, 0, "late"), asked(179, 31, 0, "late"))
        assert topic_trends(frame, AS_OF).title == "Topics with a clear change in 90 days: billing up from 50 to 100"

    def test_chance_is_not(self) -> None:
        frame = days(asked(0, 31, 0), asked(179, 30, 0))
        assert topic_trends(frame, AS_OF).title == (
            "Topics: none has clearly more or fewer tickets than in the 90 days before"
        )

    def test_without_a_period_before_nothing_is_compared(self) -> None:
        chart = topic_trends(days(asked(0, 100, 0), asked(100, 1, 0), asked(5, 7, 0, "late")), AS_OF)
        assert chart.title == "Topics: billing leads with 100 of 107 tickets"
        assert len(drawn(chart).data) == 1

    def test_nothing(self) -> None:
        assert topic_trends(NONE, AS_OF).note == NO_TICKETS
        assert topic_trends(days(asked(200, 1, 0)), AS_OF).note == "No ticket was opened in the last 180 days."


QUEUE = pd.DataFrame(
    {
        "position": [1, 2, 3],
        "ticket_id": ["t3", "t1", "t2"],
        "customer_id": ["c1", None, "c1"],
        "queue": ["Returns", "Returns", "Billing"],
        "priority": ["high", "high", "low"],
        "is_overdue": [True, False, True],
        "value_tier": ["High", None, "High"],
        "is_at_risk": [True, False, True],
        "topic": ["<b>late</b>", "late", "billing"],
        "opened_on": AS_OF - pd.to_timedelta([31, 7, 8], unit="D"),
        "segment": ["Champions", None, "Champions"],
        "routing_hint": "Answer.",
    }
)
WAITS = QUEUE[["queue", "opened_on", "is_overdue"]].assign(ticket_count=[1, 2, 1])


class TestWaiting:
    def test_what_is_past_its_promise(self) -> None:
        chart = waiting(WAITS, AS_OF)
        assert chart.title == "Open queue: 4 tickets wait, 2 past what was promised"
        overdue, in_time = drawn(chart).data
        assert overdue.y == ("Billing", "Returns")
        assert (overdue.x, in_time.x) == ((1, 1), (0, 2))
        assert chart.note.endswith("The oldest waits for 31 days.")
        assert chart.table is not None
        assert chart.table.iloc[0].tolist() == ["Returns", "3", "1", "31"]

    def test_one_in_time(self) -> None:
        assert waiting(WAITS.iloc[[1]].assign(ticket_count=1), AS_OF).title == (
            "Open queue: 1 ticket waits, 0 past what was promised"
        )

    def test_nothing_waits(self) -> None:
        assert waiting(WAITS.head(0), AS_OF).note == "No ticket waits."


class TestPage:
    SENTIMENT = pd.DataFrame(
        {
            "customer_id": ["c1", "c2"],
            "name": ["Ann", None],
            "ticket_count": [10, 5],
            "negative_count": [9, 1],
            "expected_rate": [0.25, 0.25],
            "q_value": [0.001, 0.9],
            "is_anomaly": [True, False],
        }
    )

    def frames(self, *, empty: bool) -> dict[str, pd.DataFrame]:
        frames = {
            "days": days(asked(0, 4, 1), asked(200, 1, 0)),
            "targets": TARGETS,
            "topics": TestUnhappyParts.PARTS,
            "products": TestUnhappyParts.PARTS,
            "backlog": TestBacklog().daily(40, 1),
            "sentiment": self.SENTIMENT,
            "waits": WAITS,
            "queue": QUEUE,
        }
        return {"clock": pd.DataFrame({"as_of": [AS_OF]}), **{n: f.head(0) if empty else f for n, f in frames.items()}}

    def test_tables(self) -> None:
        page = support_page(**self.frames(empty=False))
        unusual, queue = [block for section in page.sections for block in section.blocks if isinstance(block, Table)]
        assert unusual.title == "1 of 2 customers is unhappier than chance explains"
        assert unusual.rows[["customer_id", "expected"]].to_numpy().tolist() == [["c1", 2.5]]
        assert queue.title == "Tickets to take next: the first 3 of 4"
        assert queue.rows["overdue"].tolist() == ["overdue", "in time", "overdue"]
        assert page.lead == "5 tickets, 4 of them opened in the last 90 days; 4 tickets wait."

    def test_a_long_queue_is_cut_and_says_so(self) -> None:
        page = support_page(**{**self.frames(empty=False), "queue": QUEUE.head(2)})
        *_, queue = [block for section in page.sections for block in section.blocks if isinstance(block, Table)]
        assert queue.title == "Tickets to take next: the first 2 of 4"

    def test_text_from_data_is_escaped(self) -> None:
        html = render(support_page(**self.frames(empty=False)), Stamp(AS_OF.date(), 1))["support.html"]
        assert "<b>late" not in html

    def test_without_tickets_the_page_says_what_to_add(self) -> None:
        page = support_page(**self.frames(empty=True))
        ((listing,),) = [section.blocks for section in page.sections]
        assert isinstance(listing, Listing)
        assert page.sections[0].title == "There are no tickets yet"
        assert [item.title for item in listing.items] == ["helpdesk.tickets"]
        assert 'class="plot"' not in render(page, Stamp(AS_OF.date(), 1))["support.html"]

    def test_one_old_ticket_without_anything(self) -> None:
        frames = {**self.frames(empty=True), "days": days((400, "unknown", "unknown", 1, 0, 0, 0, 0, 0, 0))}
        page = support_page(**frames)
        charts = [block for section in page.sections for block in section.blocks if isinstance(block, Chart)]
        assert len(charts) == 8
        assert all(chart.figure is None and chart.note for chart in charts)
        assert "nan" not in render(page, Stamp(AS_OF.date(), 1))["support.html"]
