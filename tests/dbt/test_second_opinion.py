"""The marts computed a second time, in pandas and from raw: written from DESIGN section 6, not from the SQL.

Money is compared exactly (both sides are decimals), doubles to 1e-6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, norm

from tests.dbt.homes import AS_OF, Home

ZERO = Decimal(0)


@dataclass(frozen=True)
class Raw:
    """What both opinions start from."""

    lines: pd.DataFrame
    home: Home


@pytest.fixture(scope="module")
def raw(world: Home) -> Raw:
    """Sale lines up to as_of, with order, revenue and return decided line by line."""
    products = world.raw("shop.products").set_index("product_id")
    decided = []
    for row in world.raw("shop.sales").to_dict("records"):
        line = {key: None if pd.isna(value) else value for key, value in row.items()}
        day = line["sold_at"].date()
        if day > AS_OF:
            continue
        quantity = Decimal(1) if line["quantity"] is None else line["quantity"]
        given_back = line["amount"] < 0 or quantity < 0
        back = line["returned_at"].date() if line["returned_at"] is not None else None
        if given_back:
            gross, returned, returned_on = ZERO, abs(line["amount"]), day
        elif back is not None and back <= AS_OF:
            gross, returned, returned_on = line["amount"], line["amount"], back
        else:
            gross, returned, returned_on = line["amount"], ZERO, None
        product = line["product_id"]
        category = products.at[product, "category"] if product in products.index else line["category"]
        decided.append(
            {
                "customer": line["customer_id"],
                "order": line["order_id"] or f"{line['customer_id'] or line['sale_id']} on {day}",
                "product": product,
                "category": category or "Uncategorised",
                "at": line["sold_at"],
                "day": day,
                "ordered": not given_back and (line["amount"] > 0 or quantity > 0),
                "quantity": quantity,
                "gross": gross,
                "returned": returned,
                "returned_on": returned_on,
                "discounted": (line["discount_rate"] or 0) > 0,
            }
        )
    lines = pd.DataFrame(decided)
    # a world without any of these would prove little
    assert lines["returned_on"].notna().any()
    assert lines["discounted"].any()
    return Raw(lines, world)


def agree(mart: pd.DataFrame, expected: list[dict[str, object]], keys: list[str]) -> None:
    """The same rows; the columns of the second opinion, each exactly or, where a double, to 1e-6."""
    ours = pd.DataFrame(expected).sort_values(keys, ignore_index=True)
    theirs = mart.sort_values(keys, ignore_index=True)[list(ours.columns)]
    assert len(ours) > 0
    assert len(theirs) == len(ours)
    for column in ours.columns:
        if pd.api.types.is_float_dtype(theirs[column]):
            left, right = theirs[column].to_numpy(float), ours[column].to_numpy(float)
            np.testing.assert_allclose(left, right, rtol=0, atol=1.001e-6, err_msg=column)
        else:
            left, right = (frame[column].astype(object).where(frame[column].notna(), None) for frame in (theirs, ours))
            differing = [(a, b) for a, b in zip(left, right, strict=True) if a != b]
            assert differing == [], column


def orders_of(lines: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The order lines of every known customer with an order."""
    return dict(tuple(lines[lines["ordered"] & lines["customer"].notna()].groupby("customer")))


def metrics_of(raw: Raw) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for customer, orders in orders_of(raw.lines).items():
        own = raw.lines[raw.lines["customer"] == customer]
        spend = sum(own["gross"], ZERO) - sum(own["returned"], ZERO)
        days = (AS_OF - max(orders["day"])).days
        rows.append(
            {
                "customer_id": customer,
                "purchase_count": orders["order"].nunique(),
                "total_spend": spend,
                "average_transaction_value": float(spend) / orders["order"].nunique(),
                "first_purchase_at": min(orders["at"]),
                "last_purchase_at": max(orders["at"]),
                "days_since_last_purchase": days,
                "lifetime_days": (max(orders["day"]) - min(orders["day"])).days,
                "churn_risk_tier": ["Low", "Medium", "High"][(days > 90) + (days > 180)],
            }
        )
    return rows


def test_customer_metrics(raw: Raw) -> None:
    agree(raw.home.frame("select * from marts.customer_metrics"), metrics_of(raw), ["customer_id"])


def test_customer_rfm(raw: Raw) -> None:
    metrics = metrics_of(raw)
    cells = raw.home.frame("select * from work.seeds.rfm_segments")
    segments = {(row.r_score, row.f_score, row.m_score): row.segment for row in cells.itertuples()}

    def cuts_below(column: str) -> list[int]:
        values = np.array([float(row[column]) for row in metrics])
        cuts = np.quantile(values, [0.2, 0.4, 0.6, 0.8])
        return [int((cuts < value).sum()) for value in values]

    points = engagement_points(raw.home)
    own = np.array([points.get(str(row["customer_id"]), 0) for row in metrics])
    rows: list[dict[str, object]] = []
    for i, (row, r, f, m) in enumerate(
        zip(
            metrics,
            cuts_below("days_since_last_purchase"),
            cuts_below("purchase_count"),
            cuts_below("total_spend"),
            strict=True,
        )
    ):
        scores = (5 - r, 1 + f, 1 + m)
        rows.append(
            {
                "customer_id": row["customer_id"],
                "days_since_last_order": row["days_since_last_purchase"],
                "frequency": row["purchase_count"],
                "monetary": row["total_spend"],
                "r_score": scores[0],
                "f_score": scores[1],
                "m_score": scores[2],
                "rfm_index": 100 * (sum(scores) - 3) / 12,
                "segment": segments[scores],
                "engagement_score": 100 * (own < own[i]).sum() / (len(own) - 1),
            }
        )
    agree(raw.home.frame("select * from marts.customer_rfm"), rows, ["customer_id"])


def engagement_points(home: Home) -> dict[str, int]:
    """Points of the 90 days up to as_of; opens and clicks by whichever table counts more of them."""

    def recent(moments: pd.Series) -> pd.Series:
        days = moments.dt.normalize()
        return (days <= pd.Timestamp(AS_OF)) & (days > pd.Timestamp(AS_OF - timedelta(days=90)))

    sessions, events, contacts = (home.raw(name) for name in ("web.sessions", "web.events", "marketing.contacts"))
    events = events[recent(events["occurred_at"])]
    contacts = contacts[contacts["assigned_at"].dt.date <= AS_OF]

    def of(kind: str) -> pd.Series:
        return events.loc[events["event_type"] == kind, "customer_id"].value_counts()

    def later(column: str) -> pd.Series:
        return contacts.loc[recent(contacts[column]), "customer_id"].value_counts()

    visits = sessions.loc[recent(sessions["started_at"]), "customer_id"].value_counts()
    total = visits.add(2 * of("add_to_cart"), fill_value=0).add(3 * of("review"), fill_value=0)
    for kind, column, weight in (("email_open", "opened_at", 1), ("email_click", "clicked_at", 2)):
        larger = pd.concat([of(kind), later(column)], axis=1).max(axis=1)
        total = total.add(weight * larger, fill_value=0)
    return total.astype(int).to_dict()


def test_daily_sales(raw: Raw) -> None:
    lines, rows = raw.lines, []
    for ordinal in range(min(lines["day"]).toordinal(), AS_OF.toordinal() + 1):
        day = date.fromordinal(ordinal)
        sold = lines[lines["day"] == day]
        orders = sold[sold["ordered"]]
        gross = sum(sold["gross"], ZERO)
        returned = sum(lines.loc[lines["returned_on"] == day, "returned"], ZERO)
        rows.append(
            {
                "sales_date": day,
                "gross_revenue": gross,
                "returned_revenue": returned,
                "net_revenue": gross - returned,
                "order_count": orders["order"].nunique(),
                "unit_count": sum(orders["quantity"], ZERO),
                "customer_count": orders["customer"].nunique(),
            }
        )
    agree(raw.home.frame("select * from marts.daily_sales"), rows, ["sales_date"])


def test_category_performance(raw: Raw) -> None:
    rows: list[dict[str, object]] = []
    for category, lines in raw.lines.groupby("category"):
        orders = lines[lines["ordered"]]
        revenue = sum(lines["gross"], ZERO) - sum(lines["returned"], ZERO)
        rows.append(
            {
                "category": category,
                "transaction_count": orders["order"].nunique(),
                "revenue": revenue,
                "average_transaction_value": float(revenue) / orders["order"].nunique(),
                "customer_count": orders["customer"].nunique(),
            }
        )
    agree(raw.home.frame("select * from marts.category_performance"), rows, ["category"])


def test_product_trends(raw: Raw) -> None:
    lines = raw.lines[raw.lines["product"].notna()]
    opening = min(raw.lines["day"])
    assert opening.day != 1, "the half first month is part of what is tested"
    months = pd.period_range(opening, AS_OF, freq="M")[1:]
    complete = [month for month in months if month.end_time.date() <= AS_OF]
    tests = []
    for product, own in lines.groupby("product"):
        sold = pd.PeriodIndex(pd.to_datetime(own["day"]), freq="M")
        back = pd.PeriodIndex(pd.to_datetime(own["returned_on"]), freq="M")
        first = sold.min()
        kept = [month for month in complete if first == pd.Period(opening, "M") or month > first]
        units = [sum(own.loc[(sold == month) & own["ordered"], "quantity"], ZERO) for month in kept]
        revenue = [sum(own.loc[sold == m, "gross"], ZERO) - sum(own.loc[back == m, "returned"], ZERO) for m in kept]
        for i in range(1, len(kept)):
            before = np.array([float(count) for count in units[max(0, i - 12) : i]])
            dispersion = before.var(ddof=1) / before.mean() if len(before) > 1 and before.mean() > 0 else 1.0
            u, u0 = float(units[i]), float(units[i - 1])
            z = (u - u0) / np.sqrt(max(1.0, dispersion) * (u + u0)) if u + u0 > 0 else 0.0
            tests.append(
                {
                    "product_id": product,
                    "month": kept[i].start_time.date(),
                    "units": units[i],
                    "previous_units": units[i - 1],
                    "net_revenue": revenue[i],
                    "previous_net_revenue": revenue[i - 1],
                    "change_ratio": u / u0 - 1 if u0 > 0 else np.nan,
                    "p_value": 2 * norm.sf(abs(z)),
                }
            )
    frame = pd.DataFrame(tests)
    frame["q_value"] = frame.groupby("month")["p_value"].transform(lambda p: false_discovery_control(p.to_numpy()))
    change = frame["change_ratio"].abs().round(6)
    volume = frame["units"].astype(float) + frame["previous_units"].astype(float)
    frame["is_significant"] = (frame["q_value"] <= 0.05) & (change >= 0.2) & (volume >= 20)
    rose = frame["units"] > frame["previous_units"]
    frame["direction"] = np.where(frame["is_significant"], np.where(rose, "up", "down"), "flat")
    # so small a world has no trends; the unit tests show each threshold from both sides
    assert frame["q_value"].nunique() > 12
    assert (frame["month"].nunique()) > 12, "the window of 12 months must be shorter than the history"
    agree(raw.home.frame("select * from marts.product_trends"), frame.to_dict("records"), ["product_id", "month"])


@pytest.mark.parametrize("cutoff", [date(2025, 2, 28), AS_OF])
def test_customer_features(raw: Raw, cutoff: date) -> None:
    """At a cutoff whose labels are partly open, and at as_of, where all are."""
    home, lines = raw.home, raw.lines
    known = lines[lines["day"] <= cutoff]
    labels_from = {customer: set(orders["day"]) for customer, orders in orders_of(lines).items()}
    profiles = home.raw("shop.customers").set_index("customer_id")
    service = service_counts(home, cutoff)
    rows: list[dict[str, object]] = []
    for customer, orders in orders_of(known).items():
        own = known[known["customer"] == customer]
        # None days are not comparable
        returned = own[[day is not None and day <= cutoff for day in own["returned_on"]]]
        days = sorted(set(orders["day"]))
        gap = (days[-1] - days[0]).days / (len(days) - 1) if len(days) > 1 else np.nan
        since = (cutoff - days[-1]).days

        def within(window: int, orders: pd.DataFrame = orders) -> pd.DataFrame:
            return orders[[(cutoff - day).days < window for day in orders["day"]]]

        row: dict[str, object] = {
            "customer_id": customer,
            "days_since_last_order": since,
            "days_since_first_order": (cutoff - days[0]).days,
            "order_count": orders["order"].nunique(),
            "order_day_count": len(days),
            "average_gap_days": gap,
            "recency_to_gap_ratio": since / round(gap, 6),
            **{f"orders_{window}d": within(window)["order"].nunique() for window in (30, 90, 180, 365)},
            "net_revenue": sum(orders["gross"], ZERO) - sum(returned["returned"], ZERO),
            "gross_revenue_90d": sum(within(90)["gross"], ZERO),
            "average_order_value": float(sum(orders["gross"], ZERO)) / orders["order"].nunique(),
            "largest_line_revenue": max(orders["gross"]),
            "unit_count": sum(orders["quantity"], ZERO),
            "product_count": orders["product"].nunique(),
            "category_count": orders["category"].nunique(),
            "discounted_line_rate": orders["discounted"].mean(),
            "returned_line_rate": len(returned) / len(orders),
            **{name: counts.get(customer, 0) for name, counts in service.items()},
        }
        for name in ("industry", "region", "age_group", "acquisition_channel"):
            row[name] = profiles[name].get(customer)
        for horizon in (30, 90, 180):
            end = cutoff + timedelta(days=horizon)
            came = any(cutoff < day <= end for day in labels_from[customer])
            row[f"churned_{horizon}d"] = None if end > AS_OF else not came
        rows.append(row)
    mart = home.frame(f"select * from marts.customer_features where cutoff_date = date '{cutoff}'")
    agree(mart, rows, ["customer_id"])
    closed = [f"churned_{horizon}d" for horizon in (30, 90, 180) if cutoff + timedelta(days=horizon) <= AS_OF]
    assert all(mart[name].nunique() == 2 for name in closed), "both classes are part of what is tested"


def service_counts(home: Home, cutoff: date) -> dict[str, dict[str, int]]:
    """The features that do not come from sales, by name and customer."""

    def age(moments: pd.Series) -> pd.Series:
        return (pd.Timestamp(cutoff) - pd.to_datetime(moments).dt.normalize()).dt.days

    def count(frame: pd.DataFrame, wanted: Callable[[pd.DataFrame], pd.Series]) -> dict[str, int]:
        return frame.loc[wanted(frame), "customer_id"].value_counts().to_dict()

    tickets, sessions = home.raw("helpdesk.tickets"), home.raw("web.sessions")
    contacts, activity = home.raw("marketing.contacts"), home.raw("usage.activity")
    contacts = contacts[age(contacts["assigned_at"]) >= 0]

    def opened(frame: pd.DataFrame) -> pd.Series:
        return age(frame["opened_at"]).between(0, 179)

    return {
        "ticket_count_180d": count(tickets, opened),
        "negative_ticket_count_180d": count(tickets, lambda t: opened(t) & (t["sentiment_score"] < -0.25)),
        "unresolved_ticket_count": count(tickets, lambda t: (age(t["opened_at"]) >= 0) & ~(age(t["resolved_at"]) >= 0)),
        "session_count_90d": count(sessions, lambda s: age(s["started_at"]).between(0, 89)),
        "abandoned_cart_count_90d": count(
            sessions,
            lambda s: age(s["started_at"]).between(0, 89) & (s["cart_value"] > 0) & s["order_id"].isna(),
        ),
        "email_open_count_180d": count(contacts, opened),
        "email_click_count_180d": count(contacts, lambda c: age(c["clicked_at"]).between(0, 179)),
        "activity_count_90d": count(activity, lambda a: age(a["occurred_on"]).between(0, 89)),
        "activity_count_before_90d": count(activity, lambda a: age(a["occurred_on"]).between(90, 179)),
    }
