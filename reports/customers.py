"""The customers page: segments and movements, groups, risk, value, retention, and a table of everyone."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from reports.blocks import Column, Page, Section, Table, Tile, Tone
from reports.figures.actions import in_words
from reports.figures.customers import (
    churn_distribution,
    cluster_scatter,
    cohort_retention,
    risk_tiers,
    value_tenths,
)
from reports.figures.segments import segment_history, segment_moves, segment_sizes
from reports.figures.style import amount, count

RISK_TONES: Mapping[str, Tone] = {"High": "bad", "Medium": "warn", "Low": "good"}
VALUE_TONES: Mapping[str, Tone] = {"High": "info", "Medium": "plain", "Low": "plain"}
SEGMENT_TONES: Mapping[str, Tone] = {
    "Champions": "good",
    "Loyal Customers": "good",
    "Potential Loyalists": "info",
    "New Customers": "info",
    "Promising": "info",
    "Need Attention": "warn",
    "About to Sleep": "warn",
    "At Risk": "bad",
    "Cannot Lose Them": "bad",
    "Hibernating": "plain",
    "Lost": "plain",
}
"""From the best to the worst; also the order in filters and when sorted."""

CONSENT_TONES: Mapping[str, Tone] = {"yes": "good", "no": "plain", "not known": "plain"}

COLUMNS = (
    Column("customer_id", "Customer", is_searched=True, width=12),
    Column("name", "Name", is_searched=True, width=18),
    Column("segment", "Segment", "category", tones=SEGMENT_TONES, is_filter=True, width=19),
    Column("risk_tier", "Risk", "category", tones=RISK_TONES, is_filter=True, width=10),
    Column("churn_probability", "Probability of leaving", "percent", width=12),
    Column("value_tier", "Value", "category", tones=VALUE_TONES, is_filter=True, width=10),
    Column("clv_365d", "Expected in a year", "number", width=11),
    Column("next_action", "Next action", "category", is_filter=True, width=20),
    Column("total_spend", "Net revenue", "number", width=11),
    Column("purchase_count", "Orders", "number", width=8),
    Column("last_order_on", "Last order", "date", width=12),
    Column(
        "at_risk", "At risk of leaving", "category", tones={"yes": "bad", "no": "plain"}, is_filter=True, is_detail=True
    ),
    Column("region", "Region", "category", is_detail=True),
    Column("cluster_name", "Group", "category", is_detail=True),
    Column("persona", "Persona on the web", "category", is_detail=True),
    Column("clv_365d_low", "Expected in a year, low (5%)", "number", is_detail=True),
    Column("clv_365d_high", "Expected in a year, high (95%)", "number", is_detail=True),
    Column("next_order_on", "Next order expected", "date", is_detail=True),
    Column("reason_1", "Why this probability", "category", is_detail=True),
    Column("reason_2", "Second reason", "category", is_detail=True),
    Column("reason_3", "Third reason", "category", is_detail=True),
    Column("open_ticket_count", "Open tickets", "number", is_detail=True),
    Column("contactable", "May be contacted", "category", tones=CONSENT_TONES, is_detail=True),
    Column("next_action_expected_profit", "Expected profit of the action", "number", decimals=2, is_detail=True),
)


def customers_page(
    *, customers: pd.DataFrame, history: pd.DataFrame, migration: pd.DataFrame, cohorts: pd.DataFrame
) -> Page:
    """The page.

    Args:
        customers: The columns of `COLUMNS` but at_risk, and is_at_risk, cluster_id, clv_basis; one row a customer,
            without purchase_count those without an order.
        history: cutoff_date, segment, customers.
        migration: from_date, to_date, from_segment, to_segment, customer_count.
        cohorts: cohort_month, months_since_first, customers, active_customers, retention_rate; complete months only.
    """
    buyers = customers[customers["purchase_count"].notna()]
    at_risk = buyers[buyers["is_at_risk"].fillna(False).astype(bool)]
    # Without probabilities nobody is found at risk, which is not the same as nobody being at risk.
    judged = bool(buyers["churn_probability"].notna().any())
    valued = buyers["clv_365d"].notna()
    basis = "margin" if (buyers.loc[valued, "clv_basis"] == "margin").all() else "revenue"
    contactable = int((customers["contactable"] == "yes").sum())
    again = int((buyers["purchase_count"] > 1).sum())
    tiles = [
        Tile("Have ordered", f"{len(buyers):,}", note=f"of {count(len(customers), 'customer')}"),
        Tile("More than once", f"{again / len(buyers):.0%}" if len(buyers) else "none", note=f"{again:,} of them"),
        Tile(
            "At risk of leaving",
            f"{len(at_risk):,}" if judged else "not known",
            note=f"{amount(at_risk['total_spend'].sum())} spent so far" if judged else "too few for a model",
        ),
        Tile(
            f"Expected {basis}",
            amount(buyers["clv_365d"].sum()) if valued.any() else "not known",
            note="in the coming 365 days",
        ),
        Tile("May be contacted", f"{contactable:,}", note="agreed to marketing"),
    ]
    return Page(
        name="customers",
        heading="Customers",
        lead=_lead(buyers, at_risk),
        sections=[
            Section("", [tiles]),
            Section("Everyone", [_table(customers)]),
            Section("Segments", [segment_sizes(buyers), segment_moves(migration), segment_history(history)]),
            Section("Risk of leaving", [risk_tiers(buyers), churn_distribution(buyers)]),
            Section("Value", [value_tenths(buyers), cluster_scatter(buyers)]),
            Section("Retention", [cohort_retention(cohorts)]),
        ],
        source=(
            "From marts.customer_360, customer_rfm_history, segment_migration and cohort_retention in pulse.duckdb. "
            "Money is in the currency of the sales data."
        ),
    )


def _lead(buyers: pd.DataFrame, at_risk: pd.DataFrame) -> str:
    if buyers.empty:
        return "No customer has ordered yet."
    valuable = int((at_risk["value_tier"] == "High").sum())
    if not valuable:
        return f"{count(len(buyers), 'customer')} with an order, by segment, risk and value."
    verb = "is" if valuable == 1 else "are"
    return (
        f"{count(valuable, 'customer')} of high value {verb} at risk of leaving: filter the table by who is at risk "
        "and by value to see them."
    )


def _table(customers: pd.DataFrame) -> Table:
    return Table(
        name="everyone",
        title=f"{count(len(customers), 'customer')}: search, sort, filter, open",
        note=(
            "Those of most expected value first; expected in a year is margin where unit costs are known, else "
            "revenue. Open a customer to see why; the command pulse customer, with an id, makes a page of one."
            if len(customers)
            else "They come with sales, profiles, tickets or sessions."
        ),
        columns=COLUMNS,
        rows=customers.assign(
            next_action=customers["next_action"].map(in_words, na_action="ignore"),
            at_risk=customers["is_at_risk"].map({True: "yes", False: "no"}),
        ),
        noun="customers",
    )
