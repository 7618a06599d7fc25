"""The page of one customer: who, how much, which risk and why, what to do next, orders, products, tickets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from reports.blocks import Chart, Column, Facts, Page, Section, Table, Tile
from reports.figures.actions import in_words
from reports.figures.style import AXIS, BLUE, ORANGE, TIME_AXIS, blank, count
from reports.page import customer_file

_CONSENT = {True: "yes, agreed to marketing", False: "no", None: "not known, so no"}


def customer_page(
    customer: Mapping[Any, Any], orders: pd.DataFrame, products: pd.DataFrame, tickets: pd.DataFrame
) -> Page:
    """The page.

    Args:
        customer: A row of customer_360, by column.
        orders: ordered_on, line_count, unit_count, net_revenue; the latest first.
        products: name, category, order_count, net_revenue; those of most revenue first.
        tickets: opened_on, topic, priority, state, sentiment_score; the latest first.
    """
    identity = str(customer["customer_id"])
    name = str(_value(customer, "name") or identity)
    return Page(
        name=customer_file(identity).removesuffix(".html"),
        heading=name,
        lead=_lead(customer, identity),
        sections=[
            Section("", [_tiles(customer)]),
            Section("What to do", [_next(customer), _risk(customer)]),
            Section("Orders", [_orders(customer, orders), _products(products)]),
            Section("Tickets", [_tickets(tickets)]),
            Section("Profile", [_profile(customer)]),
        ],
        source="From marts.customer_360, fct_sales and fct_tickets in pulse.duckdb; a page of that refresh only.",
    )


def _value(customer: Mapping[str, Any], column: str) -> Any:
    """A value, or None where it is missing in any of pandas' and DuckDB's ways."""
    value = customer.get(column)
    return None if value is None or pd.isna(value) else value


def _told(customer: Mapping[str, Any], column: str, form: Callable[[Any], str] = str) -> str:
    value = _value(customer, column)
    return "" if value is None else form(value)


def _day(value: Any) -> str:
    return f"{pd.Timestamp(value):%-d %B %Y}"


def _short_day(value: Any) -> str:
    return f"{pd.Timestamp(value):%-d %b %Y}"


def _money(value: Any) -> str:
    return f"{float(value):,.2f}"


def _share(value: Any) -> str:
    """A probability; never certain where it is not."""
    probability = float(value)
    if 0 < probability < 0.005:
        return "under 1%"
    return "over 99%" if 0.995 < probability < 1 else f"{probability:.0%}"


def _lead(customer: Mapping[str, Any], identity: str) -> str:
    parts = [identity, _told(customer, "segment"), _told(customer, "risk_tier", lambda tier: f"{tier.lower()} risk")]
    parts.append(_told(customer, "value_tier", lambda tier: f"{tier.lower()} value"))
    if _value(customer, "purchase_count") is None:
        parts.append("no order yet")
    return " · ".join(filter(None, parts))


def _tiles(customer: Mapping[str, Any]) -> list[Tile]:
    horizon = _told(customer, "churn_horizon_days", lambda days: f"of no order in {int(days)} days")
    low, high = _told(customer, "clv_365d_low", _money), _told(customer, "clv_365d_high", _money)
    basis = _told(customer, "clv_basis")
    candidates = [
        Tile(
            "Net revenue",
            _told(customer, "total_spend", _money),
            note=_told(customer, "purchase_count", lambda orders: count(int(orders), "order")),
        ),
        Tile(
            "Last order",
            _told(customer, "last_purchase_at", _short_day),
            note=_told(customer, "days_since_last_purchase", lambda days: f"{count(int(days), 'day')} before"),
        ),
        Tile("Next order expected", _told(customer, "next_order_on", _short_day)),
        Tile("Probability of leaving", _told(customer, "churn_probability", _share), note=horizon),
        Tile(
            f"Expected {basis or 'value'} of a year",
            _told(customer, "clv_365d", _money),
            note=f"{low} to {high}, nine times in ten" if low and high else "",
        ),
        Tile("Tickets", _told(customer, "ticket_count", lambda tickets: f"{int(tickets):,}"), note=_open(customer)),
    ]
    return [tile for tile in candidates if tile.value]


def _open(customer: Mapping[str, Any]) -> str:
    return _told(customer, "open_ticket_count", lambda tickets: f"{int(tickets):,} not resolved")


def _next(customer: Mapping[str, Any]) -> Facts:
    consent = _value(customer, "marketing_consent")
    offer = _told(customer, "offer_type", in_words)
    rate = _told(customer, "offer_discount_rate", lambda value: f"{float(value):.0%}")
    return Facts(
        _told(customer, "next_action", in_words) or "Nothing to do now",
        {
            "Why": _told(customer, "next_action_reason"),
            "By": _told(customer, "next_action_channel"),
            "Until": _told(customer, "next_action_deadline_on", _day),
            "Expected profit": _told(customer, "next_action_expected_profit", _money),
            "Offer": " ".join(filter(None, (offer, rate))),
            "Message": _told(customer, "offer_message"),
            "Offer valid until": _told(customer, "offer_valid_until", _day),
            "May be contacted": _CONSENT[None if consent is None else bool(consent)],
            "Held back": "yes, one of the control group" if _value(customer, "next_action_is_control") else "",
        },
        is_half=True,
    )


def _risk(customer: Mapping[str, Any]) -> Facts:
    reasons = [_told(customer, f"reason_{place}") for place in (1, 2, 3)]
    tier = _told(customer, "risk_tier")
    source = _told(customer, "churn_source")
    return Facts(
        f"{tier} risk" if tier else "No risk is known: there is no order yet",
        {
            "Because": "; ".join(filter(None, reasons)),
            "At risk": "yes: a recent customer who will probably leave" if _value(customer, "is_at_risk") else "",
            "Judged by": {"model": "the churn model", "delivered": "a score that was delivered"}.get(source, source),
            "Signals": _told(customer, "risk_signals"),
            "Activity": _told(customer, "activity_trend"),
            "Tickets": "unusually many negative ones" if _value(customer, "has_unusual_sentiment") else "",
            "Chance of being active": _told(customer, "probability_alive", _share),
        },
        is_half=True,
    )


def _orders(customer: Mapping[str, Any], orders: pd.DataFrame) -> Chart:
    if orders.empty:
        return Chart("No order yet", "Orders come with the sales.")
    days = pd.to_datetime(orders["ordered_on"])
    revenue = orders["net_revenue"].astype(float)
    figure = blank()
    figure.add_scatter(
        x=[f"{day:%Y-%m-%d}" for day in days],
        y=revenue.round(2).tolist(),
        mode="markers",
        marker={"color": BLUE, "size": 9, "opacity": 0.7},
        name="order",
        hovertemplate="%{x|%-d %b %Y}: %{y:,.2f}<extra></extra>",
    )
    coming = _value(customer, "next_order_on")
    if coming is not None:
        average = float(_value(customer, "average_transaction_value") or revenue.mean())
        figure.add_scatter(
            x=[f"{pd.Timestamp(coming):%Y-%m-%d}"],
            y=[round(average, 2)],
            mode="markers",
            marker={"color": ORANGE, "size": 10, "symbol": "diamond-open"},
            name="expected",
            hovertemplate="next order expected on %{x|%-d %b %Y}<extra></extra>",
        )
    figure.update_layout(showlegend=coming is not None)
    figure.update_xaxes(TIME_AXIS, type="date", tickformat="%-d %b<br>%Y")
    figure.update_yaxes(AXIS, title_text="net revenue of the order", rangemode="tozero", nticks=6, tickformat="~s")
    return Chart(
        title=f"{count(len(orders), 'order')}, {revenue.mean():,.2f} on average, the last on {_day(days.max())}",
        note="Each point is an order, at what is left of it after returns, in the currency of the sales data.",
        figure=figure,
        table=pd.DataFrame(
            {
                "Day": [f"{day:%Y-%m-%d}" for day in days],
                "Lines": [f"{value:,}" for value in orders["line_count"]],
                "Units": [f"{float(value):,.10g}" for value in orders["unit_count"]],
                "Net revenue": [f"{value:,.2f}" for value in revenue],
            }
        ),
    )


def _products(products: pd.DataFrame) -> Table:
    return Table(
        name="products",
        title=f"{count(len(products), 'product')} bought" if len(products) else "No product is known",
        note="Those of most net revenue first." if len(products) else "The sales of this customer name none.",
        columns=[
            Column("name", "Product", is_searched=True, width=26),
            Column("category", "Category", "category", is_filter=True, width=16),
            Column("order_count", "Orders", "number", width=9),
            Column("net_revenue", "Net revenue", "number", decimals=2, width=14),
        ],
        rows=products,
        noun="products",
    )


def _tickets(tickets: pd.DataFrame) -> Table:
    return Table(
        name="tickets",
        title=count(len(tickets), "ticket") if len(tickets) else "No tickets",
        note="The latest first; sentiment from -1 to 1." if len(tickets) else "This customer has not asked for help.",
        columns=[
            Column("opened_on", "Opened", "date", width=12),
            Column("topic", "Topic", "category", is_filter=True, width=20),
            Column("priority", "Priority", "category", width=12),
            Column(
                "state", "State", "category", tones={"open": "warn", "waiting": "warn", "resolved": "plain"}, width=12
            ),
            Column("sentiment_score", "Sentiment", "number", decimals=2, width=11),
        ],
        rows=tickets,
        noun="tickets",
    )


def _profile(customer: Mapping[str, Any]) -> Facts:
    place = ", ".join(filter(None, (_told(customer, "city"), _told(customer, "region"))))
    return Facts(
        "Who this is",
        {
            "Customer": str(customer["customer_id"]),
            "Name": _told(customer, "name"),
            "Place": place,
            "Kind": _told(customer, "industry"),
            "Age": _told(customer, "age_group"),
            "Loyalty tier": _told(customer, "loyalty_tier"),
            "Came by": _told(customer, "acquisition_channel"),
            "Signed up": _told(customer, "signed_up_at", _day),
            "First order": _told(customer, "first_purchase_at", _day),
            "Group": _told(customer, "cluster_name"),
            "Persona on the web": _told(customer, "persona"),
            "Intent": _told(customer, "intent_score", lambda score: f"{float(score):.0f} of 100"),
            "Behaviour": _told(customer, "behaviour_score", lambda score: f"{float(score):.0f} of 100"),
            "Segment score": _told(customer, "segment_score", lambda score: f"{float(score):.0f} of 100"),
        },
    )
