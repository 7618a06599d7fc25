"""The web page: visits and carts, who visits, and who came close to an order. Frames in, a page out."""

from __future__ import annotations

import pandas as pd

from reports.blocks import Column, Page, Section, Table, Tile
from reports.figures.findings import RECENT_DAYS, beside, counted, last_days, share
from reports.figures.style import amount
from reports.figures.visits import LIKELY, carts, conversion, funnel, intent, personas
from reports.missing import missing


def web_page(
    *,
    clock: pd.DataFrame,
    days: pd.DataFrame,
    abandonment: pd.DataFrame,
    people: pd.DataFrame,
    bands: pd.DataFrame,
    likely: pd.DataFrame,
) -> Page:
    """The page.

    Args:
        clock: as_of; one row.
        days: session_date, device_type, session_count, product_view_count, cart_count, purchase_count.
        abandonment: month, device_type, cart_count, abandoned_cart_count, abandoned_cart_value, recovered_cart_count.
        people: As marts.persona_distribution.
        bands: As `reports.figures.visits.intent` takes them.
        likely: customer_id, name, segment, persona, intent_score, session_count, last_session_on,
            days_since_last_order; the highest scores of those who have not ordered since their last visit.
    """
    as_of = pd.Timestamp(clock["as_of"].iloc[0])
    return Page(
        name="web",
        heading="Web",
        lead=_lead(days, as_of),
        sections=[_MISSING]
        if days.empty
        else [
            Section("", [_tiles(days, abandonment, bands, as_of)]),
            Section("From visit to order", beside(funnel(days, as_of), conversion(days, as_of))),
            Section("Carts left behind, and who visits", beside(carts(abandonment, as_of), personas(people))),
            Section("Who came close to an order", [intent(bands), _likely(likely, bands)]),
        ],
        source=(
            "From marts.funnel_daily, cart_abandonment, persona_distribution, ml.customer_intent and "
            "ml.customer_personas in pulse.duckdb. Personas and their colours are the seed personas."
        ),
    )


_MISSING = missing(
    "visits",
    {"web.sessions": "session_id and started_at", "web.events": "event_id, event_type and occurred_at"},
    "how far visits come, what is left in carts, who visits and who came close to an order",
)


def _lead(days: pd.DataFrame, as_of: pd.Timestamp) -> str:
    if days.empty:
        return "No visit has been delivered."
    recent = last_days(days, "session_date", as_of, RECENT_DAYS)["session_count"].sum()
    return f"{counted(days['session_count'].sum(), 'visit')}, {recent:,.0f} of them in the last {RECENT_DAYS} days."


def _tiles(days: pd.DataFrame, abandonment: pd.DataFrame, bands: pd.DataFrame, as_of: pd.Timestamp) -> list[Tile]:
    recent, before = (
        last_days(days, "session_date", as_of, RECENT_DAYS, ago).sum(numeric_only=True) for ago in (0, RECENT_DAYS)
    )
    begins = pd.to_datetime(days["session_date"]).min() if len(days) else as_of
    known = (as_of - begins).days >= 2 * RECENT_DAYS - 1
    against = f"{RECENT_DAYS} days, against the {RECENT_DAYS} before" if known else f"{RECENT_DAYS} days"
    figures = []
    for name, column in (("Visits", "session_count"), ("Visits with an order", "purchase_count")):
        now, then = recent[column], before[column]
        figures.append(
            Tile(
                name,
                f"{now:,.0f}",
                change=now / then - 1 if known and then else None,
                is_good=bool(now > then),
                note=against,
            )
        )
    left = recent["cart_count"] - recent["purchase_count"]
    months = abandonment.assign(month=pd.to_datetime(abandonment["month"]))
    complete = months[months["month"] + pd.offsets.MonthEnd(0) <= as_of] if len(months) else months
    last = complete[complete["month"] == complete["month"].max()]
    close = bands.loc[(bands["lower"] >= LIKELY) & ~bands["has_ordered"].astype(bool), "customer_count"].sum()
    return [
        *figures,
        Tile(
            "Conversion",
            share(recent["purchase_count"], recent["session_count"]),
            note=f"of visits, {RECENT_DAYS} days",
        ),
        Tile("Carts left behind", share(left, recent["cart_count"]), note=f"of {recent['cart_count']:,.0f} carts"),
        Tile(
            "Value left in carts",
            amount(last["abandoned_cart_value"].sum()) if len(last) else "none",
            note=f"{last['month'].iloc[0]:%B %Y}" if len(last) else "no complete month of carts",
        ),
        Tile(
            "Came close, no order since", f"{close:,}", note=f"of {counted(bands['customer_count'].sum(), 'customer')}"
        ),
    ]


def _likely(likely: pd.DataFrame, bands: pd.DataFrame) -> Table:
    total = int(bands.loc[~bands["has_ordered"].astype(bool), "customer_count"].sum())
    which = f"the first {len(likely):,} of {total:,}" if len(likely) < total else f"all {total:,}"
    return Table(
        "likely",
        f"Customers without an order since their last visit, by intent: {which}"
        if len(likely)
        else "Customers by intent",
        "Score 0 to 100: how probable it was that one of their visits would end in an order; older visits count less."
        if len(likely)
        else f"Nobody is known to have visited in the last {RECENT_DAYS} days without ordering since.",
        [
            Column("customer_id", "Customer", is_searched=True, width=13),
            Column("name", "Name", is_searched=True, width=20),
            Column("intent_score", "Intent score", "number", decimals=1, width=10),
            Column("session_count", "Visits, 90 days", "number", width=10),
            Column("last_session_on", "Last visit", "date", width=12),
            Column("days_since_last_order", "Days since last order", "number", width=12),
            Column("persona", "Persona", "category", is_filter=True, width=17),
            Column("segment", "Segment", "category", is_filter=True, width=19),
        ],
        likely,
        "customers",
    )
