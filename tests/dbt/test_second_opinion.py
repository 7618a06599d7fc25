"""The marts computed a second time, in pandas and from raw: written from DESIGN section 6, not from the SQL.

Money is compared exactly (both sides are decimals), doubles to 1e-6.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, false_discovery_control, norm

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
        cost = products.at[product, "unit_cost"] * abs(quantity) if product in products.index else None
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
                "cost": cost,
                "given_back": given_back,
            }
        )
    lines = pd.DataFrame(decided)
    # a world without any of these would prove little
    assert lines["returned_on"].notna().any()
    assert lines["discounted"].any()
    return Raw(lines, world)


def agree(mart: pd.DataFrame, expected: list[dict[str, object]], keys: list[str], tolerance: float = 1.001e-6) -> None:
    """The same rows; the columns of the second opinion, each exactly or, where a double, within the tolerance."""
    ours = pd.DataFrame(expected).sort_values(keys, ignore_index=True)
    theirs = mart.sort_values(keys, ignore_index=True)[list(ours.columns)]
    assert len(ours) > 0
    assert len(theirs) == len(ours)
    for column in ours.columns:
        if pd.api.types.is_float_dtype(theirs[column]):
            left, right = theirs[column].to_numpy(float), ours[column].to_numpy(float)
            np.testing.assert_allclose(left, right, rtol=0, atol=tolerance, err_msg=column)
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


def test_contact_features_of_contacts_and_of_now(raw: Raw) -> None:
    """What is known now is taken from the latest cutoff, what was known of a contact is counted: by one definition."""
    orders = orders_of(raw.lines)
    mart = raw.home.frame("select * from marts.contact_features")
    rows: list[dict[str, object]] = []
    for contact, customer, known_on in zip(mart["contact_id"], mart["customer_id"], mart["known_on"], strict=True):
        day = pd.Timestamp(known_on).date()
        own = orders.get(customer, raw.lines.iloc[:0])
        own = own.loc[[sold_on <= day for sold_on in own["day"]], :]
        last_days = own.groupby("order")["day"].max()
        row: dict[str, object] = {
            "contact_id": None if pd.isna(contact) else contact,
            "customer_id": customer,
            "order_count": len(last_days),
            "days_since_first_order": (day - min(own["day"])).days if len(own) else None,
            "days_since_last_order": (day - max(own["day"])).days if len(own) else None,
            "average_order_value": float(sum(own["gross"], ZERO)) / len(last_days) if len(own) else np.nan,
        }
        for window in (30, 90, 365):
            row[f"orders_{window}d"] = sum((day - last).days < window for last in last_days)
        rows.append(row)
    is_now = mart["contact_id"].isna()
    assert mart.loc[is_now, "orders_30d"].nunique() > 1
    assert mart.loc[~is_now, "orders_30d"].nunique() > 1
    agree(
        mart.astype({"days_since_first_order": "Int64", "days_since_last_order": "Int64"}),
        rows,
        ["customer_id", "contact_id"],
    )


def service_counts(home: Home, cutoff: date) -> dict[str, dict[str, int]]:
    """The features that do not come from sales, by name and customer."""

    def age(moments: pd.Series) -> pd.Series:
        return (pd.Timestamp(cutoff) - pd.to_datetime(moments).dt.normalize()).dt.days

    def count(frame: pd.DataFrame, wanted: Callable[[pd.DataFrame], pd.Series]) -> dict[str, int]:
        return frame.loc[wanted(frame), "customer_id"].value_counts().to_dict()

    tickets, sessions = home.raw("helpdesk.tickets"), home.raw("web.sessions")
    events = home.raw("web.events")
    events = events[age(events["occurred_at"]) >= 0]

    def had(kind: str) -> pd.Series:
        return sessions["session_id"].isin(events.loc[events["event_type"] == kind, "session_id"])

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
            lambda s: (
                age(s["started_at"]).between(0, 89)
                & ((s["cart_value"] > 0) | had("add_to_cart"))
                & s["order_id"].isna()
                & ~had("purchase")
            ),
        ),
        "email_open_count_180d": count(contacts, opened),
        "email_click_count_180d": count(contacts, lambda c: age(c["clicked_at"]).between(0, 179)),
        "activity_count_90d": count(activity, lambda a: age(a["occurred_on"]).between(0, 89)),
        "activity_count_before_90d": count(activity, lambda a: age(a["occurred_on"]).between(90, 179)),
    }


def test_product_pairs(raw: Raw) -> None:
    baskets: dict[str, set[str]] = defaultdict(set)
    for row in raw.lines[raw.lines["ordered"]].itertuples():
        baskets[row.order].update([row.product] if row.product else [])
    singles = Counter(product for basket in baskets.values() for product in basket)
    pairs = Counter(pair for basket in baskets.values() for pair in combinations(sorted(basket), 2))
    n = len(baskets)
    rows: list[dict[str, object]] = [
        {
            "product_id_a": a,
            "product_id_b": b,
            "pair_orders": count,
            "support": count / n,
            "confidence_a_to_b": count / singles[a],
            "confidence_b_to_a": count / singles[b],
            "lift": count * n / (singles[a] * singles[b]),
            "leverage": count / n - singles[a] * singles[b] / n**2,
        }
        for (a, b), count in pairs.items()
        if count >= 3 and count / n >= 0.0005
    ]
    assert len(rows) < len(pairs), "the limits are part of what is tested"
    agree(raw.home.frame("select * from marts.product_pairs"), rows, ["product_id_a", "product_id_b"])


def test_cohort_retention(raw: Raw) -> None:
    def month_of(day: date) -> int:
        return 12 * day.year + day.month - 1

    cohorts = {customer: month_of(min(orders["day"])) for customer, orders in orders_of(raw.lines).items()}
    active: dict[tuple[int, int], set[str]] = defaultdict(set)
    revenue: dict[tuple[int, int], Decimal] = defaultdict(Decimal)
    margin: dict[tuple[int, int], Decimal | None] = {}

    def book(cohort: int, day: date, amount: Decimal, earned: Decimal | None) -> None:
        cell = (cohort, max(month_of(day) - cohort, 0))
        revenue[cell] += amount
        if earned is not None:
            margin[cell] = (margin.get(cell) or ZERO) + earned

    for row in raw.lines.itertuples():
        if row.customer not in cohorts:
            continue
        cohort = cohorts[row.customer]
        if row.ordered:
            active[cohort, month_of(row.day) - cohort].add(row.customer)
        if not row.given_back:
            book(cohort, row.day, row.gross, None if row.cost is None else row.gross - row.cost)
        if row.returned_on is not None:
            book(cohort, row.returned_on, -row.returned, None if row.cost is None else row.cost - row.returned)
    sizes = Counter(cohorts.values())
    rows: list[dict[str, object]] = [
        {
            "cohort_month": date(cohort // 12, cohort % 12 + 1, 1),
            "months_since_first": later,
            "customers": size,
            "active_customers": len(active[cohort, later]),
            "retention_rate": len(active[cohort, later]) / size,
            "net_revenue": revenue[cohort, later],
            "gross_margin": margin.get((cohort, later)),
        }
        for cohort, size in sizes.items()
        for later in range(month_of(AS_OF) - cohort + 1)
    ]
    mart = raw.home.frame("select * from marts.cohort_retention")
    assert len(sizes) > 12
    agree(mart, rows, ["cohort_month", "months_since_first"])


def test_funnel_daily(raw: Raw) -> None:
    sessions = raw.home.raw("web.sessions")
    sessions = sessions[sessions["started_at"].dt.date <= AS_OF].set_index("session_id")
    events = raw.home.raw("web.events")
    kinds = events[events["occurred_at"].dt.date <= AS_OF].groupby("session_id")["event_type"].agg(set)
    kinds = kinds.reindex(sessions.index)
    done = {kind: kinds.map(lambda seen, kind=kind: isinstance(seen, set) and kind in seen) for kind in _STEPS}
    bought = sessions["order_id"].notna() | done["purchase"]
    carted = (sessions["cart_value"].fillna(ZERO) > 0) | done["add_to_cart"] | bought
    viewed = done["product_view"] | carted
    frame = pd.DataFrame(
        {"session_date": sessions["started_at"].dt.date, "device_type": sessions["device_type"].fillna("unknown")}
    )
    frame["session_count"], frame["product_view_count"] = 1, viewed.astype(int)
    frame["cart_count"], frame["purchase_count"] = carted.astype(int), bought.astype(int)
    daily = frame.groupby(["session_date", "device_type"], as_index=False).sum()
    daily["conversion_rate"] = daily["purchase_count"] / daily["session_count"]
    daily["purchase_rate"] = daily["purchase_count"] / daily["cart_count"].replace(0, np.nan)
    rows = daily.to_dict("records")
    agree(raw.home.frame("select * from marts.funnel_daily"), rows, ["session_date", "device_type"])


_STEPS = ("product_view", "add_to_cart", "purchase")


def test_campaign_roi(raw: Raw) -> None:
    """Welch's interval of a difference of means, by scipy's normal quantile, contact by contact."""
    contacts = raw.home.raw("marketing.contacts")
    contacts = contacts[contacts["assigned_at"].dt.date <= AS_OF]
    campaigns = raw.home.raw("marketing.campaigns").set_index("campaign_id")
    by_customer = dict(tuple(raw.lines[raw.lines["customer"].notna()].groupby("customer")))
    found: list[dict[str, object]] = []
    for contact in contacts.itertuples():
        start = contact.assigned_at.date()
        if start + timedelta(days=30) > AS_OF:
            continue
        own = by_customer.get(contact.customer_id, raw.lines.iloc[:0])
        last = start + timedelta(days=30)
        since = own["at"] >= contact.assigned_at
        sold = own[since & (own["day"] <= last) & ~own["given_back"]]
        came_back = own["returned_on"].map(lambda day, first=start, last=last: day is not None and first <= day <= last)
        # Of a return that is a mark on a sale only the day is known.
        returns = own[came_back.astype(bool) & (since | ~own["given_back"])]
        paid, saved = (sum((each for each in some["cost"] if each), ZERO) for some in (sold, returns))
        net = sum(sold["gross"], ZERO) - sum(returns["returned"], ZERO)
        found.append(
            {
                "campaign": contact.campaign_id,
                "control": contact.is_control,
                "sent": pd.notna(contact.sent_at),
                "orders": sold.loc[sold["ordered"], "order"].nunique(),
                "revenue": float(net),
                "margin": float(net - paid + saved),
            }
        )
    rows: list[dict[str, object]] = []
    for campaign, frame in pd.DataFrame(found).groupby("campaign"):
        treated, control = frame[~frame["control"]], frame[frame["control"]]
        n = len(treated)
        row: dict[str, object] = {"campaign_id": campaign, "treated_count": n, "control_count": len(control)}
        for measure in ("orders", "revenue", "margin"):
            effect = treated[measure].mean() - control[measure].mean()
            # Without a control group there is neither mean nor variance, and nothing to say.
            error = np.sqrt(treated[measure].var() / n + control[measure].var() / max(len(control), 1))
            half = norm.ppf(0.975) * error
            row |= {
                f"incremental_{measure}": n * effect,
                f"incremental_{measure}_low": n * (effect - half),
                f"incremental_{measure}_high": n * (effect + half),
            }
        record = campaigns.loc[campaign]
        cost = float(record["fixed_cost"] + record["cost_per_contact"] * int(frame["sent"].sum()))
        row["net_profit"] = row["incremental_margin"] - cost
        row["roi"] = row["net_profit"] / cost
        rows.append(row)
    mart = raw.home.frame("select * from marts.campaign_roi where treated_count > 0")
    # money in the thousands, from a quantile of seven digits
    agree(mart, rows, ["campaign_id"], tolerance=1e-3)


def test_the_control_groups_are_a_fifth_and_left_alone(raw: Raw) -> None:
    """The synthetic business holds back a fifth at random: within the binomial 99 % interval of every campaign."""
    campaigns = raw.home.frame("select * from marts.campaign_performance where contact_count > 0")
    assert len(campaigns) >= 5
    for campaign in campaigns.itertuples():
        low, high = binom.interval(0.99, campaign.contact_count, 0.2)
        assert low <= campaign.control_count <= high, campaign.campaign_id
    sent = raw.home.frame(
        "select count(*) as n from work.staging.stg_marketing__contacts where is_control and sent_at is not null"
    )
    assert sent["n"].tolist() == [0]


def test_customer_rfm_history_is_scored_within_each_cutoff(raw: Raw) -> None:
    """By pandas from the features, which have their own second opinion."""
    features = raw.home.frame("select * from marts.customer_features")
    scores = {"days_since_last_order": "r_score", "order_count": "f_score", "net_revenue": "m_score"}
    rows = []
    for _, frame in features.groupby("cutoff_date"):
        scored = frame[["customer_id", "cutoff_date"]].copy()
        for column, score in scores.items():
            values = frame[column].astype(float).to_numpy()
            below = (np.quantile(values, [0.2, 0.4, 0.6, 0.8])[:, None] < values).sum(axis=0)
            scored[score] = 5 - below if score == "r_score" else 1 + below
        rows += scored.to_dict("records")
    agree(raw.home.frame("select * from marts.customer_rfm_history"), rows, ["cutoff_date", "customer_id"])
