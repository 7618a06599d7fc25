"""One customer on a terminal: who, how much, which risk, what next. Reads the published file and nothing else.

What the figures mean is said in dbt; the customer's page for the browser is made in `reports`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestration.terminal import plain, shown

_SUGGESTED = 5
_LISTED = 10
_ORDERS = 5
_TICKETS = 5
_NUMBERS = ("lines", "units", "net revenue", "sentiment")


class UnknownCustomerError(Exception):
    """No one customer is meant; the message says which might be."""


@dataclass(frozen=True)
class Customer:
    """What is known of a customer.

    Args:
        row: Of customer_360, by column.
        orders: The last orders: day, lines, units, net revenue.
        tickets: The last tickets: day, topic, priority, state, sentiment.
    """

    row: dict[str, Any]
    orders: list[tuple[Any, ...]]
    tickets: list[tuple[Any, ...]]


def find_customer(connection: duckdb.DuckDBPyConnection, wanted: str) -> str:
    """The id that is meant by an id, a name or an e-mail address.

    Args:
        connection: To the published file.
        wanted: What was typed.

    Raises:
        UnknownCustomerError: None or several fit; the message lists the nearest.
    """
    if not wanted.strip():
        raise UnknownCustomerError("give an id, a name or an e-mail address.")
    exact = connection.execute("select customer_id from marts.dim_customers where customer_id = ?", [wanted]).fetchall()
    if exact:
        return wanted
    fitting = connection.execute(
        """
        select customer_id, name, email, count(*) over () as found
        from marts.dim_customers
        where
            lower(customer_id) = lower($wanted)
            or contains(lower(name), lower($wanted))
            or contains(lower(email), lower($wanted))
        -- somebody of just that name comes before those whose name holds it
        order by lower($wanted) in (lower(customer_id), lower(name), lower(email)) desc nulls last, customer_id
        limit $listed
        """,
        {"wanted": wanted, "listed": _LISTED},
    ).fetchall()
    named = [row for row in fitting if wanted.lower() in {str(each).lower() for each in row[:3] if each is not None}]
    if len(named) == 1 or len(fitting) == 1:
        return (named or fitting)[0][0]
    if fitting:
        count = fitting[0][3]
        more = f"\n  and {count - len(fitting):,} more" if count > len(fitting) else ""
        listed = "".join(f"\n  {plain(identity)}  {plain(name)}" for identity, name, *_ in fitting)
        raise UnknownCustomerError(f"{count:,} customers fit {plain(wanted)}; ask for one by id:{listed}{more}")
    nearest = connection.execute(
        """
        select customer_id
        from marts.dim_customers
        order by jaro_winkler_similarity(lower(customer_id), lower($wanted)) desc, customer_id
        limit $suggested
        """,
        {"wanted": wanted, "suggested": _SUGGESTED},
    ).fetchall()
    if not nearest:
        raise UnknownCustomerError("there are no customers in the published file.")
    listed = ", ".join(plain(identity) for (identity,) in nearest)
    raise UnknownCustomerError(
        f"there is no customer with the id, name or e-mail {plain(wanted)}. The nearest ids: {listed}."
    )


def read_customer(connection: duckdb.DuckDBPyConnection, customer_id: str) -> Customer:
    """Read one customer.

    Args:
        connection: To the published file.
        customer_id: An id that exists.
    """
    cursor = connection.execute("select * from marts.customer_360 where customer_id = ?", [customer_id])
    names = [column[0] for column in cursor.description or ()]
    (row,) = cursor.fetchall()
    orders = connection.execute(
        """
        select
            min(sold_on) filter (where is_order_line) as ordered_on,
            count(*) filter (where is_order_line),
            sum(quantity) filter (where is_order_line),
            sum(net_revenue)
        from marts.fct_sales
        where customer_id = ?
        group by order_id
        having ordered_on is not null
        order by ordered_on desc, order_id
        limit ?
        """,
        [customer_id, _ORDERS],
    ).fetchall()
    tickets = connection.execute(
        """
        select opened_on, topic, priority, state, sentiment_score
        from marts.fct_tickets
        where customer_id = ?
        order by opened_at desc, ticket_id
        limit ?
        """,
        [customer_id, _TICKETS],
    ).fetchall()
    return Customer(dict(zip(names, row, strict=True)), orders, tickets)


def print_customer(console: Console, customer: Customer) -> None:
    """Print one customer's view; what is not known is left out."""
    row = customer.row
    title = Text.assemble(shown(row.get("name") or row["customer_id"], "bold"))
    if row.get("name"):
        title.append(f"  {plain(row['customer_id'])}")
    console.print()
    console.rule(title)
    for heading, lines in _SECTIONS:
        told = [(label, text) for label, make in lines if (text := make(row))]
        if told:
            _print_section(console, heading, told)
    if customer.orders:
        _print_table(
            console,
            "Last orders",
            ("day", "lines", "units", "net revenue"),
            [(day, lines, _number(units), _money(revenue)) for day, lines, units, revenue in customer.orders],
        )
    if customer.tickets:
        _print_table(
            console,
            "Last tickets",
            ("day", "topic", "priority", "state", "sentiment"),
            [(*rest, "" if mood is None else f"{mood:+.2f}") for *rest, mood in customer.tickets],
        )


def _print_section(console: Console, heading: str, lines: Sequence[tuple[str, str]]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=18)
    table.add_column(overflow="fold")
    for label, text in lines:
        table.add_row(label, shown(text))
    console.print(f"\n[bold]{heading}[/]")
    console.print(table)


def _print_table(console: Console, heading: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(
            column, justify="right" if column in ("lines", "units", "net revenue", "sentiment") else "left"
        )
    for row in rows:
        table.add_row(*(shown(value) for value in row))
    console.print(f"\n[bold]{heading}[/]")
    console.print(table)


Row = dict[str, Any]
Told = Callable[[Row], str]


def _money(value: Any) -> str:
    return "" if value is None else f"{value:,.2f}"


def _number(value: Any) -> str:
    return "" if value is None else f"{float(value):,.10g}"


def _share(value: float) -> str:
    """A probability in words: never certain where it is not."""
    if 0 < value < 0.005:
        return "under 1%"
    return "over 99%" if 0.995 < value < 1 else f"{value:.0%}"


def _of_100(score: float) -> str:
    return f"{score:.0f} of 100"


def _of(column: str, form: Callable[[Any], str] = plain, after: str = "") -> Told:
    """A line of one column, with a word after it; empty where the column is."""
    return lambda row: f"{form(row[column])}{after}" if row.get(column) is not None else ""


def _joined(*parts: Told, by: str = ", ") -> Told:
    return lambda row: by.join(filter(None, (part(row) for part in parts)))


def _words(value: Any) -> str:
    return plain(value).replace("_", " ")


def _day(value: Any) -> str:
    return str(value.date() if isinstance(value, datetime) else value)


def _orders(row: Row) -> str:
    count = row.get("purchase_count")
    if count is None:
        return "no order yet"
    return f"{count:,} order{'' if count == 1 else 's'}, {_money(row['total_spend'])} net"


def _risk(row: Row) -> str:
    told = [plain(row["risk_tier"])] if row.get("risk_tier") else []
    if row.get("churn_probability") is not None:
        horizon = row.get("churn_horizon_days")
        days = f" of no order in {horizon} days" if horizon else " of leaving, by a delivered score"
        told.append(f"{_share(row['churn_probability'])}{days}")
    if row.get("is_at_risk"):
        told.append("at risk")
    return ", ".join(told)


def _worth(row: Row) -> str:
    if row.get("clv_365d") is None:
        return ""
    low, high = row.get("clv_365d_low"), row.get("clv_365d_high")
    span = "" if low is None or high is None else f" ({_money(low)} to {_money(high)})"
    return f"{_money(row['clv_365d'])}{span} of {row.get('clv_basis') or 'value'} in the next 365 days"


def _contact(row: Row) -> str:
    consent = {True: "may be contacted", False: "must not be contacted", None: "consent unknown: not to be contacted"}
    group = ", in the control group: leave alone" if row.get("next_action_is_control") else ""
    return consent[row.get("marketing_consent")] + group


def _offer(row: Row) -> str:
    if row.get("offer_type") is None:
        return ""
    rate = row.get("offer_discount_rate")
    told = [_words(row["offer_type"])]
    if rate is not None:
        told.append(f"{rate:.0%}")
    if row.get("offer_valid_until") is not None:
        told.append(f"until {_day(row['offer_valid_until'])}")
    message = plain(row.get("offer_message"))
    return ", ".join(told) + (f": {message}" if message else "")


def _tickets(row: Row) -> str:
    count = row.get("ticket_count")
    if not count:
        return ""
    waiting = row.get("open_ticket_count")
    unusual = ", unusually negative" if row.get("has_unusual_sentiment") else ""
    return (
        f"{count:,}, {row.get('negative_count') or 0:,} of them negative"
        + ("" if waiting is None else f", {waiting:,} open")
        + unusual
    )


_SECTIONS: tuple[tuple[str, tuple[tuple[str, Told], ...]], ...] = (
    (
        "Customer",
        (
            ("e-mail", _of("email")),
            ("place", _joined(_of("city"), _of("region"))),
            ("kind", _joined(_of("industry"), _of("age_group"), _of("loyalty_tier"))),
            ("came by", _of("acquisition_channel")),
            ("signed up", _of("signed_up_at", _day)),
            ("marketing", _contact),
        ),
    ),
    (
        "Orders and value",
        (
            ("so far", _orders),
            ("average order", _of("average_transaction_value", _money)),
            ("first order", _of("first_purchase_at", _day)),
            (
                "last order",
                _joined(
                    _of("last_purchase_at", _day), _of("days_since_last_purchase", _number, " days before"), by=", "
                ),
            ),
            ("next order", _of("next_order_on", _day, " expected")),
            ("worth", _worth),
            ("value tier", _of("value_tier")),
        ),
    ),
    (
        "Segment and behaviour",
        (
            ("segment", _joined(_of("segment"), _of("segment_score", lambda score: f"score {_of_100(score)}"))),
            ("cluster", _of("cluster_name")),
            ("persona", _of("persona")),
            ("intent", _of("intent_score", _of_100)),
            ("activity", _of("activity_trend")),
            ("behaviour", _of("behaviour_score", _of_100)),
            ("signals", _of("risk_signals")),
        ),
    ),
    (
        "Risk",
        (
            ("risk", _risk),
            ("reasons", _joined(_of("reason_1"), _of("reason_2"), _of("reason_3"), by="; ")),
            ("tickets", _tickets),
        ),
    ),
    (
        "What to do next",
        (
            (
                "action",
                _joined(_of("next_action", _words), _of("next_action_channel", lambda channel: f"by {channel}")),
            ),
            ("because", _of("next_action_reason")),
            ("expected profit", _of("next_action_expected_profit", _money)),
            ("until", _of("next_action_deadline_on", _day)),
            ("offer", _offer),
        ),
    ),
)
