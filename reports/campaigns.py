"""The page of campaigns and what they earned. Frames in, a page out; what is not measured is called so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reports.blocks import Column, Page, Section, Table, Tile
from reports.figures.findings import beside, counted, share, signed
from reports.figures.profit import (
    NO_CAMPAIGNS,
    NOT_JUDGED,
    by_campaign,
    by_part,
    costs,
    interval_in_words,
    is_clear,
    judged_campaigns,
    over_time,
    together,
)
from reports.figures.style import amount
from reports.figures.uplift import message_effect, ranking
from reports.missing import missing


def campaigns_page(
    *,
    campaigns: pd.DataFrame,
    messages: pd.DataFrame,
    profits: pd.DataFrame,
    incentives: pd.DataFrame,
    deciles: pd.DataFrame,
    uplift: Mapping[str, Any],
    simple: pd.DataFrame,
) -> Page:
    """The page.

    Args:
        campaigns: As marts.campaign_roi, money as floats.
        messages: As marts.campaign_performance.
        profits: As marts.campaign_profit, money as floats.
        incentives: As marts.incentive_performance, money as floats.
        deciles: As `reports.figures.uplift.message_effect` takes them.
        uplift: The run of the model customer_uplift: metrics, notes; both empty without one.
        simple: As marts.simple_retention_roi: one row.
    """
    metrics, notes = uplift["metrics"], uplift["notes"]
    offers = incentives.rename(columns={"offer_type": "part"}).assign(
        campaign_count=incentives["judged_campaign_count"]
    )
    segments = profits[profits["breakdown"] == "segment"]
    formula = Section("A simple formula, not a measurement", [_formula(simple)], _FORMULA)
    return Page(
        name="campaigns",
        heading="Campaigns and what they earned",
        lead=_lead(campaigns),
        sections=[_MISSING, formula]
        if campaigns.empty
        else [
            Section("", [_tiles(campaigns, messages)]),
            Section("What campaigns earned", [by_campaign(campaigns), over_time(profits, campaigns)]),
            Section(
                "By offer and segment",
                beside(
                    by_part(offers, campaigns, "offer_type", "offer"),
                    by_part(segments, campaigns, "target_segment", "segment"),
                ),
            ),
            Section("What they cost", [costs(campaigns)]),
            Section("Whom to write to", beside(message_effect(deciles, metrics, notes), ranking(metrics, notes))),
            Section("Messages", [_messages(messages, campaigns)]),
            formula,
        ],
        source=(
            "From marts.campaign_roi, campaign_performance, campaign_profit, incentive_performance, "
            "simple_retention_roi and ml.customer_uplift in pulse.duckdb. Money is in the currency of the sales data."
        ),
    )


_FORMULA = (
    "Many dashboards show it: the spend so far of the best tenth of customers whose churn probability is above 80 %, "
    "as if all of it were saved, at a cost of a tenth of it. Its return is 900 % for any data, because the cost is "
    "defined as a tenth of the value. It measures nothing: what a campaign earns shows against customers held back."
)


_MISSING = missing(
    "campaigns",
    {
        "marketing.campaigns": "campaign_id",
        "marketing.contacts": "contact_id, campaign_id, customer_id, is_control (who was held back) and assigned_at",
    },
    "what each campaign and all together earned, what they cost, and whom to write to",
)


def _lead(campaigns: pd.DataFrame) -> str:
    if campaigns.empty:
        return "No campaign has been delivered."
    judged = judged_campaigns(campaigns)
    if judged.empty:
        return NOT_JUDGED
    return (
        f"{len(judged):,} of {counted(len(campaigns), 'campaign')} can be judged: customers held back show what would "
        "have been bought anyway."
    )


def _tiles(campaigns: pd.DataFrame, messages: pd.DataFrame) -> list[Tile]:
    judged = judged_campaigns(campaigns)
    profit, low, high = together(judged)
    cost = float(judged["total_cost"].sum())
    retained = judged["incremental_retained"].dropna()
    sent, converted = int(messages["sent_count"].sum()), int(messages["converted_count"].sum())
    return [
        Tile(
            "Net profit",
            signed(profit) if len(judged) else "not known",
            note=interval_in_words(low, high) if len(judged) else "no campaign can be judged",
        ),
        Tile(
            "Profit per cost",
            f"{profit / cost:,.1f}" if cost > 0 else "not known",
            note="" if is_clear(low, high) or not len(judged) else "could be chance",
        ),
        Tile("Cost", amount(cost) if len(judged) else "none", note=f"of {counted(len(judged), 'judged campaign')}"),
        Tile(
            "Customers retained",
            f"{retained.sum():,.0f}" if len(retained) else "not known",
            note=f"beyond the held back, {counted(len(retained), 'campaign')} 90 days old",
        ),
        Tile("Messages sent", f"{sent:,}", note=f"in {counted(len(messages), 'campaign')}"),
        Tile("Messages with an order", share(converted, sent), note="with or without the message's doing"),
    ]


def _messages(messages: pd.DataFrame, campaigns: pd.DataFrame) -> Table:
    earned = campaigns[["campaign_id", "incremental_orders", "net_profit"]]
    rows = messages.merge(earned, on="campaign_id", how="left")
    rows = rows.assign(
        name=rows["name"].fillna(rows["campaign_id"]),
        offer_type=rows["offer_type"].astype("string").str.replace("_", " "),
    )
    rows = rows.sort_values(["starts_on", "campaign_id"], ascending=[False, True], na_position="last")
    return Table(
        "messages",
        f"{counted(len(rows), 'campaign')}, the latest first" if len(rows) else "Campaigns",
        "Opened, clicked and ordered are shares of the messages sent. Extra orders and net profit are those beyond "
        "what customers held back let one expect; empty where nobody was, or their 30 days are not over."
        if len(rows)
        else NO_CAMPAIGNS,
        [
            Column("name", "Campaign", is_searched=True, width=22),
            Column("starts_on", "Start", "date", width=12),
            Column("offer_type", "Offer", "category", is_filter=True, width=15),
            Column("target_segment", "For", "category", is_filter=True, width=16),
            Column("discount_rate", "Discount", "percent", is_detail=True),
            Column("sent_count", "Sent", "number", width=9),
            Column("control_count", "Held back", "number", width=9),
            Column("open_rate", "Opened", "percent", decimals=1, width=10),
            Column("click_rate", "Clicked", "percent", decimals=1, is_detail=True),
            Column("conversion_rate", "Ordered", "percent", decimals=1, width=10),
            Column("incremental_orders", "Extra orders", "number", decimals=1, width=9),
            Column("net_profit", "Net profit", "number", width=10),
        ],
        rows,
        "campaigns",
    )


def _formula(simple: pd.DataFrame) -> list[Tile]:
    if simple.empty:
        return [Tile("Not measured", "nothing")]
    row = simple.iloc[0]
    return [
        Tile("Customers", f"{row['customer_count']:,.0f}", note="best tenth by spend, probability above 80 %"),
        Tile("Not measured: value", amount(row["spend"]), note="all they ever spent"),
        Tile("Not measured: cost", amount(row["cost"]), note="defined as a tenth of it"),
        Tile(
            "Not measured: return",
            "none" if pd.isna(row["roi"]) else f"{row['roi']:.0%}",
            note="900 % for any data",
        ),
    ]
