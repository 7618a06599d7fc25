"""The support page: mood, promised times, backlog, topics, unhappy customers and what waits. Frames in, a page out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from reports.blocks import Column, Page, Section, Table, Tile, Tone
from reports.figures.findings import RECENT_DAYS, beside, counted, last_days, share
from reports.figures.service import backlog_weeks, promises_by_priority, promises_kept, waiting
from reports.figures.tickets import mood, topic_trends, unhappy_parts
from reports.missing import missing

_PROMISE_TONES: Mapping[str, Tone] = {"overdue": "bad", "in time": "plain"}
_PRIORITY_TONES: Mapping[str, Tone] = {"urgent": "bad", "high": "warn", "normal": "plain", "low": "plain"}


def support_page(
    *,
    clock: pd.DataFrame,
    days: pd.DataFrame,
    targets: pd.DataFrame,
    topics: pd.DataFrame,
    products: pd.DataFrame,
    backlog: pd.DataFrame,
    sentiment: pd.DataFrame,
    waits: pd.DataFrame,
    queue: pd.DataFrame,
) -> Page:
    """The page.

    Args:
        clock: as_of; one row.
        days: opened_on, topic, priority, ticket_count, scored_count, negative_count, answered_count and
            resolved_count (of those with a target), answered_in_time_count, resolved_in_time_count; a row each of the
            first three.
        targets: priority, first_response_minutes, resolution_minutes.
        topics: name, scored_count, negative_count; one row a topic.
        products: The same; one row a product.
        backlog: backlog_date, opened_count, resolved_count, backlog_count; every day from the first ticket.
        sentiment: customer_id, name, ticket_count, negative_count, expected_rate, q_value, is_anomaly; one row a
            customer with tickets enough to be judged.
        waits: As `reports.figures.service.waiting` takes them: all unresolved tickets.
        queue: position, ticket_id, customer_id, queue, priority, is_overdue, value_tier, is_at_risk, topic, opened_on,
            segment, routing_hint; the unresolved tickets to take first.
    """
    as_of = pd.Timestamp(clock["as_of"].iloc[0])
    number = int(waits["ticket_count"].sum())
    return Page(
        name="support",
        heading="Support",
        lead=_lead(days, number, as_of),
        sections=[_MISSING]
        if days.empty
        else [
            Section("", [_tiles(days, backlog, sentiment, number, as_of)]),
            Section(
                "How customers feel",
                [mood(days, as_of), *beside(unhappy_parts(topics, "topic"), unhappy_parts(products, "product"))],
            ),
            Section("Unusually unhappy customers", [_unusual(sentiment)]),
            Section("Promised times", beside(promises_kept(days, as_of), promises_by_priority(days, targets, as_of))),
            Section("What it is about", [topic_trends(days, as_of)]),
            Section("What waits", [*beside(backlog_weeks(backlog), waiting(waits, as_of)), _queue(queue, number)]),
        ],
        source=(
            "From marts.fct_tickets, ticket_topics, ticket_backlog_daily, support_priority_queue and "
            "ml.ticket_anomalies in pulse.duckdb. Targets and business hours are the seeds sla_targets and "
            "business_hours."
        ),
    )


_MISSING = missing(
    "tickets",
    {"helpdesk.tickets": "ticket_id, customer_id and opened_at"},
    "how customers feel, which of them are unusually unhappy, promised times, topics, backlog and what to answer next",
)


def _lead(days: pd.DataFrame, waits: int, as_of: pd.Timestamp) -> str:
    if days.empty:
        return "No ticket has been delivered."
    recent = int(last_days(days, "opened_on", as_of, RECENT_DAYS)["ticket_count"].sum())
    total = int(days["ticket_count"].sum())
    wait = f"{counted(waits, 'ticket')} {'waits' if waits == 1 else 'wait'}" if waits else "none waits"
    return f"{counted(total, 'ticket')}, {recent:,} of them opened in the last {RECENT_DAYS} days; {wait}."


def _tiles(
    days: pd.DataFrame, backlog: pd.DataFrame, sentiment: pd.DataFrame, waits: int, as_of: pd.Timestamp
) -> list[Tile]:
    recent, before = (last_days(days, "opened_on", as_of, RECENT_DAYS, ago).sum(numeric_only=True) for ago in (0, 90))
    against = f"{RECENT_DAYS} days, against the {RECENT_DAYS} before"
    begins = pd.to_datetime(days["opened_on"]).min() if len(days) else as_of
    known = (as_of - begins).days >= 2 * RECENT_DAYS - 1
    unusual = int(sentiment["is_anomaly"].astype(bool).sum())
    return [
        Tile(
            "Tickets opened",
            f"{recent['ticket_count']:,.0f}",
            change=_change(recent["ticket_count"], before["ticket_count"]) if known else None,
            is_good=bool(recent["ticket_count"] < before["ticket_count"]),
            note=against if known else f"{RECENT_DAYS} days",
        ),
        Tile(
            "Negative", share(recent["negative_count"], recent["scored_count"]), note=f"of those of {RECENT_DAYS} days"
        ),
        Tile(
            "First answers in time",
            share(recent["answered_in_time_count"], recent["answered_count"]),
            note=f"of {recent['answered_count']:,.0f} with a target, {RECENT_DAYS} days",
        ),
        Tile(
            "Resolutions in time",
            share(recent["resolved_in_time_count"], recent["resolved_count"]),
            note=f"of {recent['resolved_count']:,.0f} with a target, {RECENT_DAYS} days",
        ),
        Tile("Unresolved", f"{waits:,}", history=backlog["backlog_count"].iloc[-365::7].tolist(), note="now"),
        Tile("Unusually unhappy", f"{unusual:,}", note=f"of {counted(len(sentiment), 'customer')} judged"),
    ]


def _change(now: float, before: float) -> float | None:
    return now / before - 1 if before else None


def _unusual(sentiment: pd.DataFrame) -> Table:
    """Customers with more negative tickets than chance explains, the clearest first."""
    unusual = sentiment[sentiment["is_anomaly"].astype(bool)]
    unusual = unusual.sort_values(["q_value", "negative_count", "customer_id"], ascending=[True, False, True])
    judged = counted(len(sentiment), "customer")
    if not len(sentiment):
        title, note = "Nobody can be judged", "It takes five tickets with a sentiment to judge a customer by."
    elif unusual.empty:
        title, note = (
            f"None of {judged} is unhappier than chance explains",
            "Judged are those with five tickets or more.",
        )
    else:
        title = f"{len(unusual):,} of {judged} {'is' if len(unusual) == 1 else 'are'} unhappier than chance explains"
        note = (
            "Judged are those with five tickets or more. Expected is what all tickets let one expect of as many; q is "
            "the share of chance findings to be expected among those at least as clear."
        )
    rows = unusual.assign(
        expected=unusual["ticket_count"] * unusual["expected_rate"],
        q=["under 0.001" if value < 0.001 else f"{value:.3f}" for value in unusual["q_value"]],
    )
    return Table(
        "unusual",
        title,
        note,
        [
            Column("customer_id", "Customer", is_searched=True, width=14),
            Column("name", "Name", is_searched=True, width=20),
            Column("ticket_count", "Tickets", "number", width=9),
            Column("negative_count", "Negative", "number", width=10),
            Column("expected", "Expected negative", "number", decimals=1, width=12),
            Column("q", "q", width=9),
        ],
        rows,
        "customers",
    )


def _queue(queue: pd.DataFrame, number: int) -> Table:
    """What waits, what to take first on top; of very many, as many as anybody reads."""
    rows = queue.assign(
        overdue=["overdue" if flag else "in time" for flag in queue["is_overdue"]],
        risk=["at risk" if flag else "not at risk" for flag in queue["is_at_risk"]],
    )
    which = f"the first {len(rows):,} of {number:,}" if len(rows) < number else f"all {number:,}"
    return Table(
        "queue",
        f"Tickets to take next: {which}" if len(rows) else "No ticket waits",
        "In the order of urgency (priority, a negative mood, reopened), of what is overdue, and of the customer's "
        "value and risk. A row opens to show how to answer."
        if len(rows)
        else "Unresolved tickets would stand here in the order in which to take them.",
        [
            Column("ticket_id", "Ticket", is_searched=True, width=16),
            Column("position", "Turn", "number", width=7),
            Column("queue", "Queue", "category", is_filter=True, width=15),
            Column("priority", "Priority", "category", tones=_PRIORITY_TONES, is_filter=True, width=10),
            Column("overdue", "Promise", "category", tones=_PROMISE_TONES, is_filter=True, width=10),
            Column("value_tier", "Customer's value", "category", is_filter=True, width=11),
            Column("topic", "Topic", is_searched=True, width=18),
            Column("opened_on", "Opened", "date", width=12),
            Column("customer_id", "Customer", is_searched=True, width=12),
            Column("segment", "Segment", is_detail=True),
            Column("risk", "Risk of leaving", is_detail=True),
            Column("routing_hint", "How to answer", is_detail=True),
        ],
        rows,
        "tickets",
    )
