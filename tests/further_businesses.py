"""The frames of the pages of support, web, campaigns, models and data quality, for a business of any size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from reports.blocks import Page
from reports.campaigns import campaigns_page
from reports.models import models_page
from reports.quality import quality_page
from reports.support import support_page
from reports.web import web_page

Frames = dict[str, dict[str, pd.DataFrame]]

_PERSONAS = ("VIP Loyalist", "Quick Buyer", "Research Shopper", "Browser", "Casual Visitor")
_COLOURS = ("#0072B2", "#009E73", "#E69F00", "#56B4E9", "#BBBBBB")
_TABLES = ("shop.sales", "shop.customers", "helpdesk.tickets", "web.sessions")


def _models(frames: dict[str, pd.DataFrame]) -> Page:
    rest = {name: frame for name, frame in frames.items() if name != "runs"}
    runs = [{str(key): value for key, value in run.items()} for run in frames["runs"].to_dict("records")]
    return models_page(runs=runs, grows_by_itself=("days_since_first_order",), **rest)


def _campaigns(frames: dict[str, pd.DataFrame]) -> Page:
    run = frames["uplift"].to_dict("records")
    rest = {name: frame for name, frame in frames.items() if name != "uplift"}
    return campaigns_page(uplift=run[0] if run else {"metrics": {}, "notes": ""}, **rest)


FURTHER_PAGES: dict[str, Callable[[dict[str, pd.DataFrame]], Page]] = {
    "support": lambda frames: support_page(**frames),
    "web": lambda frames: web_page(**frames),
    "campaigns": _campaigns,
    "models": _models,
    "quality": lambda frames: quality_page(**frames),
}
"""Makers of a page by its frames."""


def further(size: int, as_of: pd.Timestamp, evil: str) -> Frames:
    """Frames by page; whatever is free text is, once, a script."""
    draw = np.random.default_rng(11)
    clock = pd.DataFrame({"as_of": [as_of], "refresh": [1]})
    return {
        "support": {"clock": clock, **_support(size, as_of, evil, draw)},
        "web": {"clock": clock, **_web(size, as_of, evil, draw)},
        "campaigns": _campaign_frames(as_of, evil, draw),
        "models": _model_frames(as_of, draw),
        "quality": {"clock": clock, **_quality(as_of, evil, draw)},
    }


def further_nothing(as_of: pd.Timestamp) -> Frames:
    """Typed and empty, but for the day and the refresh."""
    return {
        page: {name: frame if name == "clock" else frame.head(0) for name, frame in frames.items()}
        for page, frames in further(1, as_of, "x").items()
    }


def _support(size: int, as_of: pd.Timestamp, evil: str, draw: np.random.Generator) -> dict[str, pd.DataFrame]:
    topics = ["late delivery", "billing", "defective product", evil]
    days = pd.DataFrame({"opened_on": as_of - pd.to_timedelta(np.repeat(np.arange(400), 2), "D")})
    days["topic"] = draw.choice(topics, len(days))
    days["priority"] = draw.choice(["urgent", "high", "normal", "low"], len(days))
    days["ticket_count"] = draw.integers(1, 9, len(days))
    days["scored_count"] = days["ticket_count"]
    days["negative_count"] = draw.binomial(days["ticket_count"], 0.3)
    for name in ("answered", "resolved"):
        days[f"{name}_count"] = days["ticket_count"]
        days[f"{name}_in_time_count"] = draw.binomial(days["ticket_count"], 0.9)
    parts = pd.DataFrame({"name": topics, "scored_count": 100, "negative_count": [10, 20, 60, 30]})
    dates = pd.date_range(end=as_of, periods=400)
    waits = min(size, 300)
    queue = pd.DataFrame({"ticket_id": [f"T{number:05}" for number in range(waits)]})
    queue["position"] = np.arange(1, waits + 1)
    queue["customer_id"] = [f"C{number:07}" for number in range(waits)]
    queue["queue"] = draw.choice(["Returns", "Billing"], waits)
    queue["priority"] = draw.choice(["urgent", "high", "normal", "low"], waits)
    queue["is_overdue"] = draw.random(waits) < 0.8
    queue["value_tier"] = draw.choice(["High", "Medium", "Low"], waits)
    queue["is_at_risk"] = False
    queue["topic"] = draw.choice(topics, waits)
    queue["opened_on"] = as_of - pd.to_timedelta(draw.integers(0, 90, waits), "D")
    queue["segment"] = "Champions"
    queue["routing_hint"] = evil
    sentiment = pd.DataFrame({"customer_id": [f"C{number:07}" for number in range(20)], "name": evil})
    sentiment["ticket_count"] = 10
    sentiment["negative_count"] = 9
    sentiment["expected_rate"] = 0.25
    sentiment["q_value"] = np.linspace(0.0001, 0.2, 20)
    sentiment["is_anomaly"] = sentiment["q_value"] <= 0.05
    return {
        "days": days,
        "targets": pd.DataFrame(
            {"priority": ["urgent", "high"], "first_response_minutes": [60, 240], "resolution_minutes": [480, 960]}
        ),
        "topics": parts,
        "products": parts.assign(name=["Linen Shirt", "French Press", "Chess Openings", evil]),
        "backlog": pd.DataFrame(
            {"backlog_date": dates, "opened_count": 5, "resolved_count": 4, "backlog_count": np.arange(400)}
        ),
        "sentiment": sentiment,
        "waits": queue.groupby(["queue", "opened_on", "is_overdue"]).size().rename("ticket_count").reset_index(),
        "queue": queue,
    }


def _web(size: int, as_of: pd.Timestamp, evil: str, draw: np.random.Generator) -> dict[str, pd.DataFrame]:
    devices = ["mobile", "desktop", evil]
    days = pd.DataFrame({"session_date": as_of - pd.to_timedelta(np.repeat(np.arange(400), 3), "D")})
    days["device_type"] = devices * 400
    days["session_count"] = draw.integers(50, 90, len(days))
    for before, after in (
        ("session_count", "product_view_count"),
        ("product_view_count", "cart_count"),
        ("cart_count", "purchase_count"),
    ):
        days[after] = draw.binomial(days[before], 0.6)
    months = pd.DataFrame({"month": np.repeat(pd.date_range("2025-10-01", periods=14, freq="MS"), 3)})
    months["device_type"] = devices * 14
    months["cart_count"] = draw.integers(100, 200, len(months))
    months["abandoned_cart_count"] = draw.binomial(months["cart_count"], 0.4)
    months["abandoned_cart_value"] = draw.normal(9000, 500, len(months)).round(2)
    months["recovered_cart_count"] = draw.binomial(months["abandoned_cart_count"], 0.2)
    people = pd.DataFrame({"persona": _PERSONAS, "display_order": range(1, 6), "description": evil, "colour": _COLOURS})
    people["customer_count"] = [5, 4, 3, 2, 1]
    people["customer_share"] = (people["customer_count"] / 15).round(6)
    people["session_count"] = 100
    people["conversion_rate"] = [0.5, 0.4, 0.3, 0.2, 0.1]
    people["net_revenue"] = [100.0, 900.0, 300.0, 200.0, 50.0]
    people["average_lifetime_value"] = [10.0, 20.0, 900.0, 5.0, 1.0]
    listed = min(size, 1000)
    likely = pd.DataFrame({"customer_id": [f"C{number:07}" for number in range(listed)], "name": evil})
    likely["segment"] = "Champions"
    likely["persona"] = draw.choice(_PERSONAS, listed)
    likely["intent_score"] = np.linspace(99, 1, listed)
    likely["session_count"] = 3
    likely["last_session_on"] = as_of
    likely["days_since_last_order"] = 4.0
    return {
        "days": days,
        "abandonment": months,
        "people": people,
        "bands": pd.DataFrame({"lower": [*range(0, 100, 10)] * 2, "has_ordered": [True] * 10 + [False] * 10}).assign(
            customer_count=max(size // 20, 1)
        ),
        "likely": likely,
    }


def _campaign_frames(as_of: pd.Timestamp, evil: str, draw: np.random.Generator) -> dict[str, pd.DataFrame]:
    number = 14
    names = [f"Weekend special {place}" for place in range(number - 1)] + [evil]
    campaigns = pd.DataFrame({"campaign_id": [f"M{place:03}" for place in range(number)], "name": names})
    campaigns["offer_type"] = draw.choice(["discount", "loyalty_points", "urgency"], number)
    campaigns["target_segment"] = draw.choice(["everyone", "under 36", evil], number)
    campaigns["starts_on"] = [as_of - pd.Timedelta(days=60 * place) for place in range(number)]
    campaigns["treated_count"], campaigns["control_count"] = 400, 100
    campaigns["incremental_orders"] = draw.normal(10, 20, number).round(4)
    campaigns["fixed_cost"], campaigns["contact_cost"] = 200.0, 40.0
    campaigns["total_cost"], campaigns["discount_given"] = 240.0, 900.0
    campaigns["profit_basis"] = "margin"
    campaigns["net_profit"] = draw.normal(800, 1500, number).round(4)
    campaigns["net_profit_low"] = campaigns["net_profit"] - 2000
    campaigns["net_profit_high"] = campaigns["net_profit"] + 2000
    campaigns["incremental_retained"] = 5.0
    messages = campaigns[["campaign_id", "name", "offer_type", "target_segment", "starts_on", "control_count"]].assign(
        discount_rate=0.1, sent_count=400, converted_count=20, open_rate=0.4, click_rate=0.1, conversion_rate=0.05
    )
    periods = {
        "month": campaigns["starts_on"].dt.strftime("%Y-%m-01"),
        "quarter": campaigns["starts_on"].dt.to_period("Q").dt.start_time.dt.strftime("%Y-%m-%d"),
        "year": campaigns["starts_on"].dt.strftime("%Y-01-01"),
        "segment": campaigns["target_segment"],
    }
    profits = pd.concat([_summed(campaigns, part).assign(breakdown=name) for name, part in periods.items()])
    metrics = {
        "contacts": 7000,
        "treated": 5600,
        "control": 1400,
        "campaigns": number,
        **{
            name: {"estimate": 0.06, "low": 0.02, "high": 0.1}
            for name in ("average_effect", "qini", "qini_above_churn", "top_10", "top_20", "top_50")
        },
    }
    deciles = pd.DataFrame({"uplift_decile": range(1, 11), "customer_count": 50, "contactable_count": 20})
    deciles["uplift"] = np.linspace(0.1, 0.02, 10)
    deciles["uplift_low"], deciles["uplift_high"] = deciles["uplift"] - 0.05, deciles["uplift"] + 0.05
    deciles["uplift_value"] = 2.5
    incentives = _summed(campaigns, campaigns["offer_type"]).rename(columns={"part": "offer_type"})
    return {
        "campaigns": campaigns,
        "messages": messages,
        "profits": profits.reset_index(drop=True),
        "incentives": incentives.assign(judged_campaign_count=incentives["campaign_count"]),
        "deciles": deciles,
        "uplift": pd.DataFrame({"metrics": [metrics], "notes": [evil]}),
        "simple": pd.DataFrame(
            {"customer_count": [20], "spend": [9000.0], "cost": [900.0], "net_profit": [8100.0], "roi": [9.0]}
        ),
    }


def _summed(campaigns: pd.DataFrame, part: pd.Series) -> pd.DataFrame:
    sums = campaigns.groupby(part.rename("part"))[["total_cost", "net_profit"]].sum().reset_index()
    counts = part.value_counts()
    return sums.assign(
        campaign_count=sums["part"].map(counts),
        roi=sums["net_profit"] / sums["total_cost"],
        net_profit_change=sums["net_profit"].diff(),
    )


def _model_frames(as_of: pd.Timestamp, draw: np.random.Generator) -> dict[str, pd.DataFrame]:
    cutoff = pd.Timestamp("2026-07-31")
    runs, curves, tests = [], [], []
    for horizon in (30, 90, 180):
        drift = {f"feature_{place}": {"psi": float(draw.uniform(0, 0.3)), "bound": 0.25} for place in range(20)}
        baselines = {"base_rate": {"brier": 0.18}, "recency_frequency": {"brier": 0.13}}
        metrics = {"auc": 0.88, "brier": 0.11, "ece": 0.01, "n": 4000, "baselines": baselines, "drift": drift}
        metrics["profit"] = {"value": 100.0, "cost": 5.0, "success_rate": 0.1}
        runs.append(_run("churn", metrics, as_of, horizon, cutoff))
        rates = np.linspace(0.05, 0.95, 10)
        bins = pd.DataFrame({"bin": range(1, 11), "customers": 400 + horizon, "mean_probability": rates})
        bins["churn_rate"] = rates + 0.0001 * horizon
        bins["churn_rate_low"], bins["churn_rate_high"] = rates - 0.04, rates + 0.05
        captured = np.cumsum(rates[::-1] * 400) / np.sum(rates * 400)
        tenths = pd.DataFrame({"bin": range(1, 11), "customers": 400, "churned": rates[::-1] * 400})
        tenths["captured_rate"], tenths["lift"] = captured, captured / np.linspace(0.1, 1, 10)
        share = np.linspace(0.01, 1, 100)
        steps = pd.DataFrame({"bin": range(1, 101), "customers": (4000 * share).astype(int)})
        steps["profit"] = 1000 * share * (1.5 - share) + horizon
        steps["expected_profit"] = steps["profit"] + 10
        for name, rows in (("calibration", bins), ("gains", tenths), ("profit", steps)):
            curves.append(rows.assign(curve=name, horizon_days=horizon, test_cutoff=cutoff))
        months = pd.date_range("2026-02-28", periods=5, freq="ME")
        tests.append(
            pd.DataFrame({"test_cutoff": months, "horizon_days": horizon, "customers": 4000}).assign(
                base_rate=0.7,
                auc=0.88 + horizon / 1e4,
                brier=0.11,
                ece=0.01,
                base_rate_brier=0.2,
                recency_frequency_auc=0.85,
                recency_frequency_brier=0.13,
            )
        )
    part = {"actual": 100.0, "expected": 103.0, "correlation": 0.7, "group_coverage": 0.9}
    holdout = {"customers": 900, "days": 365, "orders": part, "value": part}
    runs.append(_run("customer_lifetime_value", {"basis": "margin", "holdout": holdout}, as_of, 365, cutoff))
    errors = {"mase_recent_level": 0.98, "mase_seasonal_naive": 1.2, "mase_holt_winters_yearly": 1.1}
    forecast = {"method": "recent_level", "origins": 16, "days": 700, "coverage": 0.87, **errors}
    runs.append(_run("revenue_forecast", forecast, as_of, 90, None))
    return {
        "runs": pd.DataFrame(runs),
        "curves": pd.concat(curves, ignore_index=True),
        "backtests": pd.concat(tests, ignore_index=True),
        "grades": _grades(),
    }


def _run(model: str, metrics: dict, as_of: pd.Timestamp, horizon: int, cutoff: pd.Timestamp | None) -> dict:
    return {
        "model": model,
        "version": f"{model}-{horizon}d",
        "horizon_days": horizon,
        "as_of": as_of,
        "test_cutoff": cutoff,
        "metrics": metrics,
        "notes": "",
    }


def _grades() -> pd.DataFrame:
    shares = {"recall_low": 0.3, "recall_high": 0.8, "precision_low": 0.5, "precision_high": 1.0}
    rows = []
    for detector in ("ticket_anomalies", "sales_anomalies", "trend_changes", "product_associations"):
        whole = {"planted": 12, "planted_found": 6, "recall": 0.5, "found": 7, "true_found": 6, "precision": 6 / 7}
        rows.append({"detector": detector, "effect": "all", **whole, **shares, "bound": 0.9, "passed": True})
        for place in range(3):
            band = {"planted": 4, "planted_found": place + 1, "recall": (place + 1) / 4}
            rows.append({"detector": detector, "effect": f"0.{place} to 0.{place + 1}", **band})
    rows.append({"detector": "churn_scores", "measure": "AUC", "value": 0.88, "bound": 0.8, "passed": True})
    columns = ["value_low", "value_high", "measure"]
    frame = pd.DataFrame(rows)
    return frame.assign(**{column: frame.get(column) for column in columns})


def _quality(as_of: pd.Timestamp, evil: str, draw: np.random.Generator) -> dict[str, pd.DataFrame]:
    received = pd.DataFrame({"refresh": np.repeat([1, 2, 3], 4), "table": _TABLES * 3, "file": [evil, "a.csv"] * 6})
    received["inserted"] = draw.integers(100, 900, 12)
    received["restated"], received["duplicate"], received["quarantined"], received["left_out"] = 5, 3, 2, 0
    received["rows"] = received["inserted"] + 10
    received["set_aside"] = None
    checks = pd.DataFrame({"check_name": [f"table_{place}_is_valid" for place in range(40)]})
    checks["asset"] = [f"table_{place}" for place in range(40)]
    checks["severity"] = ["error"] * 30 + ["warn"] * 10
    checks["status"] = ["pass"] * 38 + ["warn"] * 2
    checks["failures"], checks["message"], checks["refresh"] = 0, evil, 3
    weeks = pd.DataFrame({"table": np.repeat(["shop.sales", "helpdesk.tickets", "web.sessions"], 52)})
    weeks["weeks_ago"] = [*range(52)] * 3
    weeks["row_count"] = draw.integers(10, 90, len(weeks))
    started = pd.to_datetime(["2026-11-19 02:00", "2026-11-20 02:00", "2026-11-21 02:00"])
    refreshes = pd.DataFrame({"refresh": [1, 2, 3], "as_of": as_of, "source": evil, "started_at": started})
    refreshes["status"] = ["published", "failed", "running"]
    refreshes["finished_at"] = refreshes["started_at"] + pd.Timedelta(minutes=2)
    return {
        "received": received,
        "refreshes": refreshes,
        "refused": pd.DataFrame(
            {"table": _TABLES[0], "file": [evil, "a.csv"], "column": ["amount", None], "reason": [evil, "too short"]}
        ).assign(row_count=[6, 2]),
        "checks": checks,
        "history": pd.DataFrame({"refresh": [1, 2, 3], "status": ["pass", "warn", "warn"], "check_count": [40, 3, 2]}),
        "tables": pd.DataFrame({"table": _TABLES, "row_count": [900, 50, 70, 0]}).assign(
            first_event_on=as_of - pd.Timedelta(days=400),
            last_event_on=[as_of, None, as_of - pd.Timedelta(days=3), None],
        ),
        "weeks": weeks,
    }
