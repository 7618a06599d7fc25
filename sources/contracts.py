"""One contract per raw table: columns, types, units, keys, allowed values.

Everything that reads or writes raw data asks here what a table looks like. No reading, no parsing and no
writing happens in this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a column's text is read."""

    ID = "id"
    """An identifier: text, never a number; surrounding space and a trailing ``.0`` are removed."""
    TEXT = "text"
    NUMBER = "number"
    """A quantity or an amount of money in the source's currency."""
    INTEGER = "integer"
    RATE = "rate"
    """A share between 0 and 1, or a score within the column's bounds."""
    FLAG = "flag"
    TIMESTAMP = "timestamp"
    """A local time of the business, without zone."""
    DATE = "date"

    @property
    def sql_type(self) -> str:
        """The DuckDB type of such a column in raw Parquet."""
        return _SQL_TYPES[self]


_SQL_TYPES = {
    Kind.ID: "varchar",
    Kind.TEXT: "varchar",
    Kind.NUMBER: "decimal(18,4)",
    Kind.INTEGER: "bigint",
    Kind.RATE: "double",
    Kind.FLAG: "boolean",
    Kind.TIMESTAMP: "timestamp",
    Kind.DATE: "date",
}


@dataclass(frozen=True)
class Column:
    """One column of a raw table.

    Args:
        name: The column's name in raw, and in staging unless staging says otherwise.
        kind: How its text is read.
        doc: What it holds, with its unit.
        required: The column must exist in a delivery. A value in it must be present too, unless `may_be_null`.
        may_be_null: A required column whose single values may be missing.
        allowed: The values it may take; empty means any.
        low: Smallest value, inclusive.
        high: Largest value, inclusive.
        filled_later: Known only some time after the row itself exists (a return, a resolution, a click).
    """

    name: str
    kind: Kind
    doc: str
    required: bool = False
    may_be_null: bool = False
    allowed: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    filled_later: bool = False


@dataclass(frozen=True)
class Contract:
    """One raw table.

    Args:
        source: The dbt source it belongs to, and its folder under ``raw/``.
        table: Its name within the source.
        doc: One sentence on what a row is.
        key: The column that identifies a row. Where a delivery has no such column, or no value in it, and the
            column is not required, the row gets a hash of its contract columns and of its occurrence in the file.
        event_at: When the row happened. It names the month file the row lies in, and a row after the day of
            receipt is quarantined. None for tables that are not events: they lie in one file.
        sets_clock: Whether its events count for ``as_of``.
        columns: All columns, in the order of the Parquet files.
    """

    source: str
    table: str
    doc: str
    key: str
    event_at: str | None
    sets_clock: bool
    columns: tuple[Column, ...]

    @property
    def name(self) -> str:
        """``source.table``, as used in messages and in ``sources.yml``."""
        return f"{self.source}.{self.table}"

    @property
    def column_names(self) -> tuple[str, ...]:
        """Column names in file order."""
        return tuple(column.name for column in self.columns)

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that a delivery must have."""
        return tuple(column.name for column in self.columns if column.required)

    def column(self, name: str) -> Column:
        """The column of that name.

        Raises:
            KeyError: The contract has no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")


_C = Column
_K = Kind

CONTRACTS: tuple[Contract, ...] = (
    Contract(
        "shop",
        "sales",
        "One order line: a product bought (or, when negative, given back) in one order.",
        key="sale_id",
        event_at="sold_at",
        sets_clock=True,
        columns=(
            _C("sale_id", _K.ID, "Identifies the line."),
            _C("order_id", _K.ID, "The basket the line belongs to; without it, one customer's lines of one day."),
            _C("customer_id", _K.ID, "Who bought; missing for a guest.", required=True, may_be_null=True),
            _C("product_id", _K.ID, "What was bought."),
            _C("sold_at", _K.TIMESTAMP, "When the line was sold, local time.", required=True),
            _C("quantity", _K.NUMBER, "Units; negative for a return."),
            _C("unit_price", _K.NUMBER, "Price of one unit before discount, in the source's currency."),
            _C("discount_rate", _K.RATE, "Share taken off the price.", low=0, high=1),
            _C(
                "amount",
                _K.NUMBER,
                "Paid for the line after discount; quantity x unit_price x (1 - discount_rate) where not given.",
                required=True,
            ),
            _C("channel", _K.TEXT, "Where it was sold (online, store, ...)."),
            _C("returned_at", _K.TIMESTAMP, "When the line was given back.", filled_later=True),
            _C("category", _K.TEXT, "Product category as written on the line."),
        ),
    ),
    Contract(
        "shop",
        "customers",
        "One customer.",
        key="customer_id",
        event_at=None,
        sets_clock=False,
        columns=(
            _C("customer_id", _K.ID, "Identifies the customer.", required=True),
            _C("name", _K.TEXT, "Full name."),
            _C("email", _K.TEXT, "E-mail address."),
            _C("industry", _K.TEXT, "Business the customer is served by (ecommerce, telecom, banking, ...)."),
            _C("region", _K.TEXT, "Sales region."),
            _C("city", _K.TEXT, "City."),
            _C("age_group", _K.TEXT, "Age group in years (18-25, 26-35, 36-45, 46-55, 56+)."),
            _C("loyalty_tier", _K.TEXT, "Tier of the loyalty programme today."),
            _C("acquisition_channel", _K.TEXT, "How the customer was won."),
            _C("signed_up_at", _K.TIMESTAMP, "When the customer signed up, local time."),
            _C("marketing_consent", _K.FLAG, "Whether the customer may be contacted; missing means unknown."),
        ),
    ),
    Contract(
        "shop",
        "products",
        "One product.",
        key="product_id",
        event_at=None,
        sets_clock=False,
        columns=(
            _C("product_id", _K.ID, "Identifies the product.", required=True),
            _C("name", _K.TEXT, "Product name."),
            _C("category", _K.TEXT, "Product category."),
            _C("list_price", _K.NUMBER, "Price of one unit before discount.", low=0),
            _C("unit_cost", _K.NUMBER, "Cost of one unit.", low=0),
            _C("launched_on", _K.DATE, "First day on sale."),
        ),
    ),
    Contract(
        "helpdesk",
        "tickets",
        "One support ticket.",
        key="ticket_id",
        event_at="opened_at",
        sets_clock=True,
        columns=(
            _C("ticket_id", _K.ID, "Identifies the ticket.", required=True),
            _C("customer_id", _K.ID, "Who asked.", required=True, may_be_null=True),
            _C("product_id", _K.ID, "What it was about."),
            _C("opened_at", _K.TIMESTAMP, "When it was opened, local time.", required=True),
            _C("first_response_at", _K.TIMESTAMP, "When it was first answered.", filled_later=True),
            _C("resolved_at", _K.TIMESTAMP, "When it was resolved; empty again when reopened.", filled_later=True),
            _C("status", _K.TEXT, "Status as the helpdesk says.", filled_later=True),
            _C("priority", _K.TEXT, "Priority as delivered (low, normal, high, urgent)."),
            _C("topic", _K.TEXT, "What it was about, in a word or two."),
            _C("channel", _K.TEXT, "How it came in (email, chat, phone, ...)."),
            _C("sentiment_score", _K.RATE, "Mood of the text, -1 to 1.", low=-1, high=1),
            _C(
                "satisfaction_score",
                _K.INTEGER,
                "The customer's own rating after the answer, 1 to 5.",
                low=1,
                high=5,
                filled_later=True,
            ),
        ),
    ),
    Contract(
        "web",
        "sessions",
        "One visit to the shop's site.",
        key="session_id",
        event_at="started_at",
        sets_clock=True,
        columns=(
            _C("session_id", _K.ID, "Identifies the session.", required=True),
            _C("customer_id", _K.ID, "Who visited; missing when not logged in."),
            _C("started_at", _K.TIMESTAMP, "When it started, local time.", required=True),
            _C("device_type", _K.TEXT, "Device (desktop, mobile, tablet)."),
            _C("pages_visited", _K.INTEGER, "Pages seen.", low=0),
            _C("time_on_site_seconds", _K.INTEGER, "Length of the visit in seconds.", low=0),
            _C("cart_value", _K.NUMBER, "Value put in the cart.", low=0),
            _C("order_id", _K.ID, "The order it ended in; missing when it did not."),
        ),
    ),
    Contract(
        "web",
        "events",
        "One thing a visitor or an e-mail reader did.",
        key="event_id",
        event_at="occurred_at",
        sets_clock=True,
        columns=(
            _C("event_id", _K.ID, "Identifies the event.", required=True),
            _C("session_id", _K.ID, "The session it belongs to; missing for e-mail events."),
            _C("customer_id", _K.ID, "Who did it."),
            _C(
                "event_type",
                _K.TEXT,
                "What was done.",
                required=True,
                allowed=(
                    "page_view",
                    "product_view",
                    "add_to_cart",
                    "purchase",
                    "review",
                    "email_open",
                    "email_click",
                ),
            ),
            _C("occurred_at", _K.TIMESTAMP, "When, local time.", required=True),
            _C("product_id", _K.ID, "The product concerned."),
            _C("campaign_id", _K.ID, "The campaign concerned."),
        ),
    ),
    Contract(
        "marketing",
        "campaigns",
        "One campaign.",
        key="campaign_id",
        event_at=None,
        sets_clock=False,
        columns=(
            _C("campaign_id", _K.ID, "Identifies the campaign.", required=True),
            _C("name", _K.TEXT, "Campaign name."),
            _C("offer_type", _K.TEXT, "Kind of offer.", allowed=("discount", "loyalty_points", "urgency")),
            _C("discount_rate", _K.RATE, "Discount offered, 0.05 to 0.30.", low=0, high=1),
            _C("target_segment", _K.TEXT, "Who it was meant for."),
            _C("starts_on", _K.DATE, "First day."),
            _C("ends_on", _K.DATE, "Last day."),
            _C("fixed_cost", _K.NUMBER, "Cost independent of the number contacted.", low=0),
            _C("cost_per_contact", _K.NUMBER, "Cost of contacting one customer.", low=0),
        ),
    ),
    Contract(
        "marketing",
        "contacts",
        "One customer drawn for a campaign, to be contacted or held back as control.",
        key="contact_id",
        event_at="assigned_at",
        sets_clock=True,
        columns=(
            _C("contact_id", _K.ID, "Identifies the contact.", required=True),
            _C("campaign_id", _K.ID, "The campaign.", required=True),
            _C("customer_id", _K.ID, "The customer.", required=True),
            _C("is_control", _K.FLAG, "Held back on purpose, never sent to.", required=True),
            _C("assigned_at", _K.TIMESTAMP, "When the customer was drawn, local time.", required=True),
            _C("sent_at", _K.TIMESTAMP, "When the message went out.", filled_later=True),
            _C("opened_at", _K.TIMESTAMP, "When it was first opened.", filled_later=True),
            _C("clicked_at", _K.TIMESTAMP, "When its link was first clicked.", filled_later=True),
            _C("converted_order_id", _K.ID, "The order credited to it.", filled_later=True),
        ),
    ),
    Contract(
        "usage",
        "activity",
        "One day's activity of one kind of a telecom or banking customer.",
        key="activity_id",
        event_at="occurred_on",
        sets_clock=True,
        columns=(
            _C("activity_id", _K.ID, "Identifies the activity."),
            _C("customer_id", _K.ID, "Who.", required=True),
            _C("occurred_on", _K.DATE, "Day.", required=True),
            _C("activity_type", _K.TEXT, "What (data_usage, call, login, payment_delay, ...).", required=True),
            _C("quantity", _K.NUMBER, "How much, in the unit of its kind."),
            _C("revenue_impact", _K.NUMBER, "Money it brought; a sale where there are no sales."),
        ),
    ),
    Contract(
        "scores",
        "churn",
        "One customer's churn score made elsewhere.",
        key="customer_id",
        event_at=None,
        sets_clock=False,
        columns=(
            _C("customer_id", _K.ID, "Who.", required=True),
            _C("churn_score", _K.RATE, "Probability of leaving, 0 to 1.", required=True, low=0, high=1),
        ),
    ),
)
"""All raw tables."""

BY_NAME: dict[str, Contract] = {contract.name: contract for contract in CONTRACTS}
"""The contracts by ``source.table``."""

CARRIES_CUSTOMERS: tuple[str, ...] = ("shop.sales", "usage.activity")
"""At least one of these must have rows: without them there is nothing to analyse."""
