"""Businesses of any size as the frames that pages are made of, without a pipeline: what pages must bear, not truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from reports.blocks import Page, Stamp
from reports.customers import SEGMENT_TONES, customers_page
from reports.overview import overview_page
from reports.page import SITE, render
from reports.products import products_page
from reports.site import add_page, publish_site
from tests.further_businesses import FURTHER_PAGES, further, further_nothing

AS_OF = pd.Timestamp("2026-11-20")
EVIL = "</script><script>document.title='harmed'</script><img src=x onerror=document.title='harmed'>'\"&\u2028 é"
PAGES = ("index", "customers", "products", "support", "web", "campaigns", "models", "quality")

Frames = dict[str, dict[str, pd.DataFrame]]


def business(size: int) -> Frames:
    """Everything there is to know about so many customers; the first one's name is a script."""
    return {
        "overview": _overview(size),
        "customers": _customers(size),
        "products": _products(40),
        **further(size, AS_OF, EVIL),
    }


def sales_only(size: int) -> Frames:
    """As CDNOW: no names, products, tickets, visits or campaigns, and no consent."""
    frames = business(size)
    people = frames["customers"]["customers"]
    people[["name", "region", "persona"]] = None
    people[["open_ticket_count", "contactable"]] = [0, "not known"]
    people["clv_basis"] = "revenue"
    overview = frames["overview"]
    overview["figures"].loc[overview["figures"]["metric"].isin(["conversion_rate", "gross_margin"]), "value"] = np.nan
    overview["actions"] = overview["actions"].assign(contactable=0, selected=0, expected_profit=np.nan)
    frames["products"] = {name: frame.head(0) for name, frame in frames["products"].items()}
    frames["models"]["grades"] = frames["models"]["grades"].head(0)
    return frames | {page: further_nothing(AS_OF)[page] for page in ("support", "web", "campaigns")}


def one_customer() -> Frames:
    """A single order, yesterday."""
    frames = business(1)
    people = frames["customers"]["customers"]
    people[["churn_probability", "clv_365d", "clv_365d_low", "clv_365d_high"]] = np.nan
    people[["cluster_id", "cluster_name", "value_tier", "clv_basis"]] = None
    people["is_at_risk"] = False
    for name in ("history", "migration", "cohorts"):
        frames["customers"][name] = frames["customers"][name].head(0)
    overview = frames["overview"]
    overview["daily_sales"] = overview["daily_sales"].tail(1)
    overview["figures"] = overview["figures"].assign(previous_value=np.nan, change_ratio=np.nan, direction_is_good=None)
    for name in ("snapshots", "alerts", "actions", "forecast", "unusual"):
        overview[name] = overview[name].head(0)
    products = frames["products"]
    products["products"] = products["products"].head(1)
    products["categories"] = products["categories"].head(1)
    for name in ("months", "trends", "changes", "pairs"):
        products[name] = products[name].head(0)
    return frames | {page: further_nothing(AS_OF)[page] for page in ("support", "web", "campaigns", "models")}


def nothing() -> Frames:
    """Typed and empty."""
    empty = {page: {name: frame.head(0) for name, frame in frames.items()} for page, frames in business(1).items()}
    return empty | further_nothing(AS_OF)


def publish(home: Path, frames: Frames) -> Path:
    """The pages of a business in the folder where people find them."""
    made: Mapping[str, Page] = {
        "overview": overview_page(**frames["overview"]),
        "customers": customers_page(**frames["customers"]),
        "products": products_page(**frames["products"]),
        **{name: make(frames[name]) for name, make in FURTHER_PAGES.items()},
    }
    assert made.keys() == SITE.keys()
    for page in made.values():
        add_page(home, 1, render(page, Stamp(AS_OF.date(), 1)))
    publish_site(home, 1)
    return home / "reports"


def _customers(size: int) -> dict[str, pd.DataFrame]:
    draw = np.random.default_rng(7)
    segments = list(SEGMENT_TONES)
    spend = np.sort(draw.lognormal(5, 1.2, size))[::-1].round(2)
    probability = draw.beta(2, 1, size).round(6)
    first, last = ("Ada", "Béla", "Chen", "Dora", "Emil"), ("Smith", "Jones", "Novák", "Okafor", "Li", "Garcia", "Kim")
    people = pd.DataFrame({"customer_id": [f"C{number:07}" for number in range(1, size + 1)]})
    people["name"] = [f"{first[number % 5]} {last[number % 7]}-{number:,}" for number in range(size)]
    people.loc[0, "name"] = EVIL
    people["region"] = draw.choice(["North", "South", "West"], size)
    people["segment"] = draw.choice(segments, size)
    people["risk_tier"] = np.where(probability >= 0.7, "High", np.where(probability >= 0.4, "Medium", "Low"))
    people["churn_probability"] = probability
    people["is_at_risk"] = probability > 0.9
    people["value_tier"] = np.where(
        np.arange(size) < size / 5, "High", np.where(np.arange(size) < size / 2, "Medium", "Low")
    )
    people["clv_365d"] = (spend / 3).round(2)
    people["clv_365d_low"] = (spend / 9).round(2)
    people["clv_365d_high"] = (spend / 2).round(2)
    people["clv_basis"] = "margin"
    people["total_spend"] = spend
    people["purchase_count"] = 1 + draw.geometric(0.2, size)
    people["last_order_on"] = AS_OF - pd.to_timedelta(draw.integers(0, 700, size), "D")
    people["next_order_on"] = AS_OF + pd.to_timedelta(draw.integers(1, 99, size), "D")
    people["next_action"] = draw.choice(["retention", "win_back", "no_action", "cross_sell"], size)
    people["next_action_expected_profit"] = draw.normal(2, 1, size).round(4)
    people["cluster_id"] = draw.integers(0, 3, size)
    people["cluster_name"] = people["cluster_id"].map({0: "Low value", 1: "Mid value", 2: "High value"})
    people["persona"] = draw.choice(["Browser", "Quick Buyer"], size)
    for place in (1, 2, 3):
        people[f"reason_{place}"] = [f"no order for {days} days" for days in draw.integers(1, 700, size)]
    people["open_ticket_count"] = draw.integers(0, 3, size)
    people["contactable"] = draw.choice(["yes", "no", "not known"], size)

    ends = pd.date_range("2025-11-30", periods=12, freq="ME")
    pairs = [(end, segment) for end in ends for segment in segments]
    history = pd.DataFrame(pairs, columns=["cutoff_date", "segment"]).assign(customers=range(100, 100 + len(pairs)))
    moves = [
        (start, end, one, other, 5 + place)
        for start, end in zip(ends[-4:-1], ends[-3:], strict=True)
        for place, (one, other) in enumerate(zip(segments, segments[1:] + segments[:1], strict=True))
    ]
    migration = pd.DataFrame(moves, columns=["from_date", "to_date", "from_segment", "to_segment", "customer_count"])
    cohorts = pd.DataFrame(
        [(month, later, 100, 40 - 2 * later) for place, month in enumerate(ends) for later in range(12 - place)],
        columns=["cohort_month", "months_since_first", "customers", "active_customers"],
    )
    cohorts["retention_rate"] = cohorts["active_customers"] / cohorts["customers"]
    return {"customers": people, "history": history, "migration": migration, "cohorts": cohorts}


def _products(size: int) -> dict[str, pd.DataFrame]:
    draw = np.random.default_rng(8)
    numbers = np.arange(1, size + 1)
    products = pd.DataFrame({"product_id": [f"P{number:03}" for number in numbers], "revenue_rank": numbers})
    products["name"] = [EVIL if number == 1 else f"Noise-Cancelling Product {number}" for number in numbers]
    products["category"] = draw.choice(["Books", "Food", "Home"], size)
    products["net_revenue"] = (1e6 / numbers).round(2)
    products["gross_margin"] = products["net_revenue"] * 0.3
    products["margin_rate"] = 0.3
    products[["unit_count", "order_count", "customer_count"]] = draw.integers(5, 5000, (size, 3))
    products["return_rate"] = 0.05
    products["revenue_share"] = products["net_revenue"] / products["net_revenue"].sum()
    products["discount_rate"] = 0.1
    products["first_sold_on"], products["last_sold_on"], products["changed_on"] = AS_OF, AS_OF, pd.NaT
    products["trend_direction"] = draw.choice(["up", "down", "flat"], size)
    products["ticket_count"], products["negative_rate"], products["top_topic"] = 3, 0.25, EVIL
    products["bought_together"], products["top_customers"] = EVIL, "C0000001 (12)"
    categories = products.groupby("category", as_index=False).agg(revenue=("net_revenue", "sum"))
    categories = categories.assign(transaction_count=900, average_transaction_value=12.5, customer_count=400)
    starts = pd.date_range("2025-01-01", periods=22, freq="MS")
    months = pd.DataFrame(
        [
            (product, month, 50 + place % 17, 99.5)
            for product in products["product_id"]
            for place, month in enumerate(starts)
        ],
        columns=["product_id", "month", "units", "net_revenue"],
    )
    trends = pd.DataFrame({"month": starts.repeat(3), "direction": ["up", "down", "flat"] * 22, "is_significant": True})
    changes = products.head(6)[["product_id", "name"]].assign(
        changed_on=AS_OF,
        units_per_week_before=5.0,
        units_per_week_after=8.0,
        change_ratio=[0.6, -0.4, 1.2, 0.3, -0.6, 0.9],
    )
    pairs = pd.DataFrame(
        [
            (f"P{one:03}", f"P{other:03}", 20, 1 + (one * other) % 7 / 2)
            for one in range(1, 12)
            for other in range(one + 1, 12)
        ],
        columns=["product_id_a", "product_id_b", "pair_orders", "lift"],
    ).assign(is_associated=lambda frame: frame["lift"] > 3.5)
    return {
        "products": products,
        "categories": categories,
        "months": months,
        "trends": trends,
        "changes": changes,
        "pairs": pairs,
    }


def _overview(size: int) -> dict[str, pd.DataFrame]:
    draw = np.random.default_rng(9)
    days = pd.date_range(end=AS_OF, periods=560)
    daily = pd.DataFrame({"sales_date": days, "net_revenue": draw.gamma(9, 700, 560).round(2)})
    coming = pd.DataFrame({"day": pd.date_range(AS_OF + pd.Timedelta("1D"), periods=90), "forecast": 6300.0})
    coming = coming.assign(lower=3100.0, upper=10200.0)
    figures = pd.DataFrame(
        [
            ("net_revenue", "Net revenue", "currency", 1_234_567.8, 1_100_000.0, 0.12, True),
            ("orders", "Orders", "orders", 1500.0, 1600.0, -0.0625, False),
            ("retention_rate", "Retention", "share", 0.61, 0.59, 0.034, True),
            ("gross_margin", "Gross margin", "currency", 321.5, np.nan, np.nan, None),
            ("conversion_rate", "Conversion", "share", 0.031, 0.031, 0.0, None),
        ],
        columns=["metric", "label", "unit", "value", "previous_value", "change_ratio", "direction_is_good"],
    ).assign(description="As it says.", year_before_value=np.nan)
    figures["period_start"], figures["period_end"] = AS_OF - pd.Timedelta("29D"), AS_OF
    figures["previous_period_end"] = AS_OF - pd.Timedelta("30D")
    ends = pd.date_range("2025-11-30", periods=12, freq="ME")
    snapshots = pd.DataFrame(
        [(end, metric, 100 + place) for place, end in enumerate(ends) for metric in figures["metric"]]
    )
    snapshots.columns = pd.Index(["snapshot_on", "metric", "value"])
    alerts = pd.DataFrame(
        {
            "severity": ["critical", *["warning"] * 6, *["info"] * 5],
            "kind": "risk_jump",
            "title": [EVIL, *[f"Orders of Books fell by a third in week {week}" for week in range(11)]],
            "evidence": "12 orders a day where 28 were expected",
            "subject_type": "customer",
            "subject_id": "C0000001",
            "first_seen_on": AS_OF,
            "page": ["customers.html", "javascript:document.title='harmed'", *["products.html"] * 10],
        }
    )
    actions = pd.DataFrame(
        {"action": ["no_action", "service_recovery", "win_back"], "customers": [size, 3, 40], "contactable": [0, 2, 30]}
    ).assign(selected=[0, 2, 25], expected_profit=[np.nan, np.nan, 321.5])
    unusual = pd.DataFrame(
        {"day": days[-40:-38], "value": [12.0, 90.0], "expected": [28.0, 30.0], "direction": ["down", "up"]}
    )
    customers = _customers(min(size, 1000))["customers"][["segment", "total_spend"]]
    return {
        "figures": figures,
        "snapshots": snapshots,
        "alerts": alerts,
        "actions": actions,
        "daily_sales": daily,
        "forecast": coming,
        "unusual": unusual,
        "customers": customers,
    }
