"""Whole pages on frames of every kind of business: what stands on them, and that nothing breaks them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from html import unescape

import pandas as pd
import pytest

from reports.blocks import Page, Stamp
from reports.customer import customer_page
from reports.customers import customers_page
from reports.overview import overview_page
from reports.page import render
from reports.products import products_page
from tests.businesses import Frames, business, nothing, one_customer, sales_only

STAMP = Stamp(date(2026, 11, 20), 3)
MAKERS: dict[str, Callable[..., Page]] = {
    "overview": overview_page,
    "customers": customers_page,
    "products": products_page,
}
KINDS: dict[str, Callable[[], Frames]] = {
    "everything": lambda: business(60),
    "sales only": lambda: sales_only(60),
    "one customer": one_customer,
    "nothing": nothing,
}


def html(page: Page) -> str:
    return next(iter(render(page, STAMP).values()))


def tiles(page: str) -> dict[str, str]:
    found = re.findall(r'<dt>([^<]*)</dt><dd class="value">([^<]*)</dd>', page)
    return {unescape(name): unescape(value) for name, value in found}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_page_shows_a_missing_value_as_a_word(kind: str, name: str) -> None:
    page = html(MAKERS[name](**KINDS[kind]()[name]))
    words = unescape(re.sub(r"<script.*?</script>|<[^>]*>", " ", page, flags=re.DOTALL))
    assert re.findall(r"\b(nan|NaN|NaT|None|inf)\b", words) == []


@pytest.mark.parametrize("name", MAKERS)
def test_a_page_is_a_function_of_its_frames(name: str) -> None:
    assert html(MAKERS[name](**business(30)[name])) == html(MAKERS[name](**business(30)[name]))


@pytest.mark.parametrize("name", MAKERS)
def test_an_empty_world_shows_no_chart_and_no_table(name: str) -> None:
    page = html(MAKERS[name](**nothing()[name]))
    assert 'class="plot"' not in page
    assert 'class="table"' not in page
    assert page.count("empty") >= {"overview": 6, "customers": 8, "products": 1}[name]


class TestOverview:
    FRAMES = business(30)["overview"]

    def test_tiles_are_the_known_figures_with_their_change(self) -> None:
        page = html(overview_page(**self.FRAMES))
        assert tiles(page) == {
            "Net revenue": "1,234,568",
            "Orders": "1,500",
            "Retention": "61.0%",
            "Gross margin": "321.50",
            "Conversion": "3.1%",
        }
        # Of a share the change is in points, of an amount in percent.
        assert "up </span>2.0 points" in page
        assert "up </span>12%" in page
        assert "unchanged" in page

    def test_a_figure_that_is_not_known_is_no_tile(self) -> None:
        figures = self.FRAMES["figures"].assign(value=None)
        assert tiles(html(overview_page(**{**self.FRAMES, "figures": figures}))) == {}

    def test_the_lead_counts_the_alerts(self) -> None:
        assert overview_page(**self.FRAMES).lead == (
            "Net revenue of the last 30 days: 1,234,568, 12% more than in the 30 before. 12 alerts, 1 of them critical."
        )

    def test_an_alert_leads_to_its_subject(self) -> None:
        alerts = self.FRAMES["alerts"].head(2)
        alerts = alerts.assign(
            page=["customers.html", "index.html"], subject_type=["customer", "business"], subject_id=["C 1&", None]
        )
        page = html(overview_page(**{**self.FRAMES, "alerts": alerts}))
        assert 'href="customers.html#find=C%201%26"' in page
        assert "#find=None" not in page


class TestCustomers:
    def test_tiles(self) -> None:
        people = business(60)["customers"]["customers"]
        shown = tiles(html(customers_page(**business(60)["customers"])))
        assert shown["Have ordered"] == "60"
        assert shown["At risk of leaving"] == str(int(people["is_at_risk"].sum()))
        assert shown["May be contacted"] == str(int((people["contactable"] == "yes").sum()))

    def test_without_probabilities_risk_is_not_known_rather_than_nought(self) -> None:
        shown = tiles(html(customers_page(**one_customer()["customers"])))
        assert shown["At risk of leaving"] == "not known"

    def test_actions_are_words(self) -> None:
        page = html(customers_page(**business(60)["customers"]))
        assert '"Win back"' in page
        assert "win_back" not in page


class TestProducts:
    def test_without_products_it_says_what_to_add_and_nothing_else(self) -> None:
        page = html(products_page(**sales_only(30)["products"]))
        assert "The sales name no products" in page
        assert page.count("<figure") == 1
        assert tiles(page) == {}

    def test_the_lead_says_how_much_few_products_bring(self) -> None:
        products = business(30)["products"]["products"]
        share = products["net_revenue"].nlargest(8).sum() / products["net_revenue"].sum()
        lead = products_page(**business(30)["products"]).lead
        assert lead.startswith(f"8 products bring {share:.0%} of net revenue, ")


class TestCustomer:
    NO_ORDERS = pd.DataFrame({"ordered_on": [], "line_count": [], "unit_count": [], "net_revenue": []})
    NO_PRODUCTS = pd.DataFrame({"name": [], "category": [], "order_count": [], "net_revenue": []})
    NO_TICKETS = pd.DataFrame({"opened_on": [], "topic": [], "priority": [], "state": [], "sentiment_score": []})

    def page(self, customer: dict, orders: pd.DataFrame = NO_ORDERS) -> str:
        return html(customer_page(customer, orders, self.NO_PRODUCTS, self.NO_TICKETS))

    def test_what_is_known(self) -> None:
        customer = {
            "customer_id": "C1",
            "name": "Ada <b>Smith</b>",
            "segment": "Champions",
            "risk_tier": "High",
            "churn_probability": 0.999,
            "churn_horizon_days": 90,
            "total_spend": 1234.5,
            "purchase_count": 2,
            "last_purchase_at": pd.Timestamp("2026-11-01"),
            "days_since_last_purchase": 19,
            "next_action": "win_back",
            "next_action_reason": "No order for 19 days.",
            "next_action_expected_profit": 2.5,
            "offer_type": "discount",
            "offer_discount_rate": 0.2,
            "marketing_consent": None,
            "clv_365d": float("nan"),
            "next_order_on": pd.NaT,
        }
        orders = pd.DataFrame(
            {"ordered_on": pd.to_datetime(["2026-11-01", "2026-10-01"]), "net_revenue": [1000.0, 234.5]}
        )
        page = self.page(customer, orders.assign(line_count=1, unit_count=2.0))
        assert tiles(page) == {
            "Net revenue": "1,234.50",
            "Last order": "1 Nov 2026",
            "Probability of leaving": "over 99%",
        }
        assert "<h1>Ada &lt;b&gt;Smith&lt;/b&gt;</h1>" in page
        assert "2 orders, 617.25 on average, the last on 1 November 2026" in page
        for told in ("Win back", "No order for 19 days.", "Discount 20%", "not known, so no"):
            assert f">{told}<" in page

    def test_somebody_who_never_ordered(self) -> None:
        page = self.page({"customer_id": "C2", "purchase_count": None})
        assert "<h1>C2</h1>" in page
        assert "C2 · no order yet" in page
        assert tiles(page) == {}
        assert "No risk is known: there is no order yet" in page
