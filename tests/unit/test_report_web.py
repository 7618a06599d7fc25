"""Charts of the web page on hand-made visits: every number in a title is counted by hand here."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from reports.blocks import Chart, Listing, Stamp, Table
from reports.figures.visits import NO_VISITS, carts, conversion, funnel, intent, personas
from reports.page import render
from reports.web import web_page

AS_OF = pd.Timestamp("2026-06-30")


def visits(*rows: tuple[int, str, int, int, int, int]) -> pd.DataFrame:
    """Visits, product pages, carts and orders by how many days ago and device."""
    frame = pd.DataFrame(
        rows,
        columns=["session_date", "device_type", "session_count", "product_view_count", "cart_count", "purchase_count"],
    )
    return frame.assign(session_date=AS_OF - pd.to_timedelta(frame["session_date"], unit="D"))


def drawn(chart: Chart) -> go.Figure:
    assert chart.figure is not None
    return chart.figure


TWO = visits((0, "mobile", 100, 80, 30, 10), (89, "desktop", 100, 90, 50, 40), (90, "mobile", 50, 50, 50, 50))


class TestFunnel:
    def test_what_is_lost_where_and_by_whom(self) -> None:
        chart = funnel(TWO, AS_OF)
        # 200 visits, 170 product pages, 80 carts, 50 orders
        assert chart.title == (
            "25% of 200 visits ended in an order; most are lost before the cart, and mobile (10%) clearly sells less "
            "than desktop (40%)"
        )
        assert {bar.name: bar.y for bar in drawn(chart).data} == {
            "mobile": (1.0, 0.8, 0.3, 0.1),
            "desktop": (1.0, 0.9, 0.5, 0.4),
        }

    def test_devices_that_chance_explains_are_not_compared(self) -> None:
        close = visits((0, "mobile", 100, 80, 30, 10), (0, "desktop", 100, 80, 30, 12))
        assert funnel(close, AS_OF).title == "11% of 200 visits ended in an order; most are lost before the cart"

    def test_everyone_buys(self) -> None:
        assert funnel(visits((0, "app", 1, 1, 1, 1)), AS_OF).title == "100% of 1 visit ended in an order"

    def test_nobody_buys(self) -> None:
        assert funnel(visits((0, "app", 2, 1, 0, 0)), AS_OF).title == (
            "None of 2 visits in the last 90 days ended in an order"
        )

    def test_nothing(self) -> None:
        assert funnel(TWO.head(0), AS_OF).note == NO_VISITS
        assert funnel(visits((90, "app", 1, 1, 1, 1)), AS_OF).note == "There was no visit in the last 90 days."


class TestConversion:
    def test_a_clear_change_and_each_device(self) -> None:
        chart = conversion(TWO, AS_OF)
        assert chart.title == (
            "Conversion: 25% of the visits of the last 90 days, clearly less than the 100% of the 90 days before"
        )
        assert [option.name for option in chart.options] == ["all devices", "mobile", "desktop"]
        assert chart.options[2].title == "Conversion, desktop: 40% of the visits of the last 90 days"

    def test_weeks_end_on_the_last_day(self) -> None:
        _, line = drawn(
            conversion(visits((0, "app", 4, 4, 4, 1), (7, "app", 2, 2, 2, 2), (13, "app", 2, 2, 2, 0)), AS_OF)
        ).data
        assert line.x == ("2026-06-23", "2026-06-30")
        assert line.y == (0.5, 0.25)

    def test_a_week_that_the_visits_begin_in_is_left_out(self) -> None:
        _, line = drawn(conversion(visits((0, "app", 4, 4, 4, 1), (9, "app", 2, 2, 2, 2)), AS_OF)).data
        assert line.x == ("2026-06-30",)

    def test_one_day(self) -> None:
        chart = conversion(visits((0, "app", 4, 4, 4, 1)), AS_OF)
        assert chart.title == "Conversion: 25% of the visits of the last 90 days"
        assert not chart.options

    def test_nothing(self) -> None:
        assert conversion(TWO.head(0), AS_OF).note == NO_VISITS


class TestCarts:
    MONTHS = pd.DataFrame(
        {
            "month": pd.to_datetime(["2026-05-01", "2026-06-01", "2026-06-01"]),
            "device_type": ["mobile", "mobile", "desktop"],
            "cart_count": [10, 20, 20],
            "abandoned_cart_count": [5, 8, 2],
            "abandoned_cart_value": [50.0, 1200.4, 100.0],
            "recovered_cart_count": [0, 1, 1],
        }
    )

    def test_the_last_complete_month(self) -> None:
        chart = carts(self.MONTHS, AS_OF)
        assert chart.title == (
            "Carts in June 2026: 25% of 40 carts left behind, worth 1,300; 20% of these ordered within 7 days so far"
        )
        bought, back, left = drawn(chart).data
        assert (bought.y, back.y, left.y) == ((5, 30), (0, 2), (5, 8))
        assert [option.name for option in chart.options] == ["all devices", "mobile", "desktop"]

    def test_a_month_that_goes_on_is_not_the_last_complete_one(self) -> None:
        assert carts(self.MONTHS, AS_OF - pd.Timedelta(days=1)).title.startswith("Carts in May 2026: 50% of 10 carts")

    def test_only_a_month_that_goes_on(self) -> None:
        assert carts(self.MONTHS.tail(1), pd.Timestamp("2026-06-03")).title.startswith(
            "Carts in June 2026 so far: 10% of"
        )

    def test_none_left_and_no_value(self) -> None:
        kept = self.MONTHS.tail(1).assign(abandoned_cart_count=0, abandoned_cart_value=0.0, recovered_cart_count=0)
        assert carts(kept, AS_OF).title == "Carts in June 2026: 0% of 20 carts left behind"

    def test_nothing(self) -> None:
        assert carts(self.MONTHS.head(0), AS_OF).note.endswith(NO_VISITS)


PEOPLE = pd.DataFrame(
    {
        "persona": ["Buyer", "Browser"],
        "display_order": [1, 2],
        "description": "",
        "colour": ["#0072B2", "#BBBBBB"],
        "customer_count": [1, 3],
        "customer_share": [0.25, 0.75],
        "session_count": [10, 30],
        "conversion_rate": [0.5, 0.0],
        "net_revenue": [900.0, 100.0],
        "average_lifetime_value": [281.4, None],
    }
)


class TestPersonas:
    def test_each_view_names_its_first(self) -> None:
        assert [option.title for option in personas(PEOPLE).options] == [
            "Browser is the most frequent persona: 75% of 4 customers",
            "Buyer visits end in an order most often: 50% of 10",
            "Buyer is worth most: 281 a customer in the next 365 days, 25% of customers",
            "Buyer: 25% of customers, 90% of net revenue",
        ]

    def test_bars_have_the_colours_of_the_seed(self) -> None:
        bars = drawn(personas(PEOPLE)).data[0]
        assert dict(zip(bars.y, bars.marker.color, strict=True)) == {"Buyer": "#0072B2", "Browser": "#BBBBBB"}

    def test_a_tie_names_both(self) -> None:
        level = PEOPLE.assign(customer_share=0.5, customer_count=2)
        assert personas(level).title == "Browser and Buyer come first together: share of customers"

    def test_a_view_without_values_is_left_out(self) -> None:
        chart = personas(PEOPLE.assign(average_lifetime_value=None))
        assert [option.name for option in chart.options] == ["Customers", "Conversion", "Net revenue so far"]

    def test_nobody(self) -> None:
        nobody = PEOPLE.assign(customer_count=0, customer_share=None, session_count=0, conversion_rate=None)
        assert personas(nobody).figure is None
        assert personas(PEOPLE.head(0)).figure is None


BANDS = pd.DataFrame(
    {
        "lower": [0, 40, 50, 90, 90],
        "has_ordered": [False, False, False, True, False],
        "customer_count": [10, 5, 2, 4, 1],
    }
)


class TestIntent:
    def test_who_has_ordered_since_is_no_longer_about_to(self) -> None:
        chart = intent(BANDS)
        assert chart.title == ("3 of 22 customers with recent visits came close to an order and have not ordered since")
        waiting, ordered = drawn(chart).data
        assert waiting.y == (10, 0, 0, 0, 5, 2, 0, 0, 0, 1)
        assert ordered.y == (0, 0, 0, 0, 0, 0, 0, 0, 0, 4)

    def test_one_and_none(self) -> None:
        assert intent(BANDS.tail(1)).title == (
            "1 of 1 customer with recent visits came close to an order and has not ordered since"
        )
        assert intent(BANDS.iloc[[0, 3]]).title == (
            "None of 14 customers with recent visits came close to an order without one since"
        )

    def test_nothing(self) -> None:
        assert intent(BANDS.head(0)).figure is None


class TestPage:
    LIKELY = pd.DataFrame(
        {
            "customer_id": ["c1"],
            "name": ["<script>"],
            "segment": ["Lost"],
            "persona": [None],
            "intent_score": [99.9],
            "session_count": [3],
            "last_session_on": [AS_OF],
            "days_since_last_order": [None],
        }
    )

    def test_the_table_says_how_many_it_leaves_out(self) -> None:
        page = web_page(
            clock=pd.DataFrame({"as_of": [AS_OF]}),
            days=TWO,
            abandonment=TestCarts.MONTHS,
            people=PEOPLE,
            bands=BANDS,
            likely=self.LIKELY,
        )
        tables = [block for section in page.sections for block in section.blocks if isinstance(block, Table)]
        assert [table.title for table in tables] == [
            "Customers without an order since their last visit, by intent: the first 1 of 18"
        ]
        assert '"<script>"' not in render(page, Stamp(AS_OF.date(), 1))["web.html"]

    def frames(self, days: pd.DataFrame) -> dict[str, pd.DataFrame]:
        return {
            "clock": pd.DataFrame({"as_of": [AS_OF]}),
            "days": days,
            "abandonment": TestCarts.MONTHS.head(0),
            "people": PEOPLE.assign(customer_count=0, session_count=0),
            "bands": BANDS.head(0),
            "likely": self.LIKELY.head(0),
        }

    def test_without_visits_the_page_says_what_to_add(self) -> None:
        page = web_page(**self.frames(TWO.head(0)))
        ((listing,),) = [section.blocks for section in page.sections]
        assert isinstance(listing, Listing)
        assert [item.title for item in listing.items] == ["web.sessions", "web.events"]
        assert 'class="plot"' not in render(page, Stamp(AS_OF.date(), 1))["web.html"]

    def test_one_old_visit(self) -> None:
        page = web_page(**self.frames(visits((400, "app", 1, 0, 0, 0))))
        charts = [block for section in page.sections for block in section.blocks if isinstance(block, Chart)]
        assert len(charts) == 5
        assert [bool(chart.figure) for chart in charts] == [False, True, False, False, False]
        assert all(chart.note for chart in charts)
        assert charts[1].title == "Conversion: no visit in the last 90 days"
