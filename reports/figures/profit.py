"""Charts of what campaigns earned: by campaign and together, over time, by offer and segment, and what they cost.

Frames in, charts out. Effects were measured upstream against control groups; here they are added up and shown with
their 95 % intervals.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from reports.blocks import Chart
from reports.figures.findings import (
    bars_with_names,
    counted,
    error_bars,
    labels,
    plane,
    share,
    signed,
    switched,
)
from reports.figures.style import BLUE, GREY, ORANGE

NO_CAMPAIGNS = (
    "There are no campaigns: add marketing.campaigns and marketing.contacts (who was written to and who was held back) "
    "to landing/."
)
NOT_JUDGED = "No campaign has a control group and 30 days behind it: what campaigns earned cannot be told yet."
_CAMPAIGNS = 30
_PERIODS = 24
_LABELS = 6


def judged_campaigns(campaigns: pd.DataFrame) -> pd.DataFrame:
    """The campaigns whose profit is known, the earliest first, with half the width of their interval."""
    judged = campaigns[campaigns["net_profit"].notna()]
    half = (judged["net_profit_high"] - judged["net_profit_low"]) / 2
    return judged.assign(
        half=half,
        label=judged["name"].fillna(judged["campaign_id"]).astype(str),
        starts_on=pd.to_datetime(judged["starts_on"]),
    ).sort_values(["starts_on", "campaign_id"], na_position="first")


def together(judged: pd.DataFrame) -> tuple[float, float, float]:
    """Profit of campaigns taken together, and its 95 % interval; their errors are taken to be independent."""
    profit, half = float(judged["net_profit"].sum()), float(np.sqrt(np.sum(judged["half"].to_numpy(float) ** 2)))
    return profit, profit - half, profit + half


def is_clear(low: float, high: float) -> bool:
    """Whether an interval leaves out nought."""
    return low > 0 or high < 0


def by_campaign(campaigns: pd.DataFrame) -> Chart:
    """Incremental net profit of every campaign and of all together.

    Args:
        campaigns: campaign_id, name, starts_on, treated_count, control_count, net_profit, net_profit_low,
            net_profit_high, profit_basis; one row a campaign.
    """
    judged = judged_campaigns(campaigns)
    if judged.empty:
        return Chart("What campaigns earned", NOT_JUDGED if len(campaigns) else NO_CAMPAIGNS)
    profit, low, high = together(judged)
    shown = judged.tail(_CAMPAIGNS).iloc[::-1]
    pooled = pd.DataFrame({"label": ["all together"], "net_profit": profit, "half": (high - low) / 2})
    rows = pd.concat([pooled, shown], ignore_index=True)
    names = labels(rows["label"])
    figure = bars_with_names(names, tickformat="~s", title_text="net profit")
    clear = [is_clear(value - half, value + half) for value, half in zip(rows["net_profit"], rows["half"], strict=True)]
    for name, chosen, colour, symbol in (
        ("clearly not nought", clear, BLUE, "diamond"),
        ("could be chance", [not flag for flag in clear], GREY, "circle"),
    ):
        part = rows[chosen]
        if part.empty:
            continue
        figure.add_scatter(
            y=[label for label, flag in zip(names, chosen, strict=True) if flag],
            x=part["net_profit"].round(2).tolist(),
            mode="markers",
            marker={
                "color": colour,
                "size": [14 if place == 0 else 9 for place in part.index],
                "symbol": symbol,
                # With sizes of their own, markers would be bubbles: see-through and outlined.
                "opacity": 1,
                "line": {"width": 0},
            },
            error_x={
                "type": "data",
                "array": part["half"].fillna(0).round(2).tolist(),
                "color": colour,
                "thickness": 2,
            },
            name=name,
            hovertemplate="%{y}: %{x:,.0f} ± %{error_x.array:,.0f}<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    figure.update_layout(showlegend=True)
    # Categories come in the order of the traces unless told.
    figure.update_yaxes(categoryorder="array", categoryarray=names)
    return Chart(
        title=_together_finding(len(judged), profit, low, high),
        note=_campaign_note(campaigns, judged, len(shown)),
        figure=figure,
        table=pd.DataFrame(
            {
                "Campaign": [*judged["label"].iloc[::-1], "All together"],
                "Start": [*judged["starts_on"].iloc[::-1].map(_day), ""],
                "Contacted": [
                    f"{value:,}" for value in [*judged["treated_count"].iloc[::-1], judged["treated_count"].sum()]
                ],
                "Held back": [
                    f"{value:,}" for value in [*judged["control_count"].iloc[::-1], judged["control_count"].sum()]
                ],
                "Net profit": [signed(value) for value in [*judged["net_profit"].iloc[::-1], profit]],
                "95 % interval": [
                    f"{signed(a)} to {signed(b)}"
                    for a, b in zip(
                        [*judged["net_profit_low"].iloc[::-1], low],
                        [*judged["net_profit_high"].iloc[::-1], high],
                        strict=True,
                    )
                ],
            }
        ),
    )


def interval_in_words(low: float, high: float) -> str:
    """A 95 % interval of an amount; one customer held back lets nobody know the error."""
    return "no interval is known" if np.isnan(low) else f"95 % interval {signed(low)} to {signed(high)}"


def _together_finding(number: int, profit: float, low: float, high: float) -> str:
    who = "The one judged campaign" if number == 1 else f"The {number:,} judged campaigns together"
    interval = f"({interval_in_words(low, high)})"
    if low > 0:
        return f"{who} earned {signed(profit)} more than {'it' if number == 1 else 'they'} cost {interval}"
    if high < 0:
        return f"{who} lost {signed(-profit)} {interval}"
    return f"{who}: a net profit of {signed(profit)} {interval}, which could be chance"


def _campaign_note(campaigns: pd.DataFrame, judged: pd.DataFrame, shown: int) -> str:
    basis = " and ".join(sorted(set(judged["profit_basis"].dropna().astype(str)))) or "margin"
    parts = [
        f"Extra {basis} of {counted(judged['treated_count'].sum(), 'contacted customer')} in 30 days, beyond what "
        f"{judged['control_count'].sum():,} held back let one expect, less what the campaigns cost; in the currency of "
        "the sales data. Together, campaigns are taken to be independent of each other."
    ]
    left = len(campaigns) - len(judged)
    if left:
        parts.append(f"{counted(left, 'campaign')} without control group or with an open window {_is(left)} left out.")
    if shown < len(judged):
        parts.append(f"The last {shown} are drawn, all are among the numbers.")
    return " ".join(parts)


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _day(day: pd.Timestamp) -> str:
    return "not said" if pd.isna(day) else f"{day:%Y-%m-%d}"


def costs(campaigns: pd.DataFrame) -> Chart:
    """What the judged campaigns cost, by kind of cost.

    Args:
        campaigns: As in `by_campaign`, with fixed_cost, contact_cost, total_cost, discount_given.
    """
    judged = judged_campaigns(campaigns)
    if judged.empty:
        return Chart("What campaigns cost", NOT_JUDGED if len(campaigns) else NO_CAMPAIGNS)
    columns = {"fixed_cost": "fixed", "contact_cost": "messages", "discount_given": "discount given"}
    money = judged[list(columns)].astype(float).fillna(0)
    shown = judged.tail(_CAMPAIGNS).iloc[::-1]
    names = labels(shown["label"])
    figure = bars_with_names(names, tickformat="~s", title_text="cost", rangemode="tozero")
    for (column, name), colour in zip(columns.items(), (BLUE, ORANGE, GREY), strict=True):
        figure.add_bar(
            y=names,
            x=money.loc[shown.index, column].round(2).tolist(),
            orientation="h",
            name=name,
            marker_color=colour,
            hovertemplate=f"%{{y}}: %{{x:,.0f}} {name}<extra></extra>",
        )
    figure.update_layout(barmode="stack", showlegend=True, legend_traceorder="normal")
    fixed, messages, discount = (float(money[column].sum()) for column in columns)
    total = fixed + messages
    parts = f": {share(fixed, total)} fixed, {share(messages, total)} for messages" if total > 0 else ""
    given = f"; discounts of {signed(discount)} came on top" if discount > 0 else ""
    return Chart(
        title=f"{counted(len(judged), 'campaign')} cost {signed(total)}{parts}{given}",
        note=(
            "Of the judged campaigns, in the currency of the sales data. Discounts are those on what the contacted "
            "bought in their 30 days: no part of the cost, because revenue and margin are what is left after them."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Campaign": judged["label"],
                **{
                    name.capitalize(): money[column].map("{:,.2f}".format)
                    for column, name in columns.items()
                    if column != "discount_given"
                },
                "Cost": judged["total_cost"].astype(float).map("{:,.2f}".format),
                "Discount given": money["discount_given"].map("{:,.2f}".format),
            }
        ).iloc[::-1],
    )


_BREAKDOWNS = {"month": "Month", "quarter": "Quarter", "year": "Year"}


def over_time(profits: pd.DataFrame, campaigns: pd.DataFrame) -> Chart:
    """Net profit of campaigns by the month, quarter or year they started in.

    Args:
        profits: breakdown, part, campaign_count, net_profit, net_profit_change, roi; as in marts.campaign_profit.
        campaigns: As in `by_campaign`: for the intervals.
    """
    judged = judged_campaigns(campaigns)
    # A campaign without a record has no start: it belongs to no period.
    dated = profits[profits["part"].notna()]
    periods = dated[dated["breakdown"].isin(list(_BREAKDOWNS))]
    if periods.empty:
        return Chart("Profit over time", NOT_JUDGED if len(campaigns) else NO_CAMPAIGNS)
    views = {
        word: _profit_by(periods[periods["breakdown"] == breakdown], judged, breakdown)
        for breakdown, word in _BREAKDOWNS.items()
    }
    return switched(dict(reversed(views.items())), "Period")


def _profit_by(periods: pd.DataFrame, judged: pd.DataFrame, breakdown: str) -> Chart:
    starts = pd.to_datetime(periods["part"])
    periods = periods.assign(label=[_period(start, breakdown) for start in starts], start=starts).sort_values("start")
    of_campaign = judged.dropna(subset=["starts_on"])
    periods_of = of_campaign["starts_on"].map(lambda start: _period(start, breakdown))
    half = (of_campaign["half"] ** 2).groupby(periods_of).sum() ** 0.5
    periods = periods.assign(half=periods["label"].map(half)).tail(_PERIODS)
    figure = plane("", "net profit", tickformat="~s", rangemode="normal")
    figure.add_bar(
        x=periods["label"].tolist(),
        y=periods["net_profit"].round(2).tolist(),
        marker_color=[BLUE if value >= 0 else ORANGE for value in periods["net_profit"]],
        error_y=error_bars(
            periods["net_profit"], periods["net_profit"] - periods["half"], periods["net_profit"] + periods["half"]
        ),
        customdata=periods["campaign_count"].tolist(),
        hovertemplate="%{x}: %{y:,.0f} from %{customdata} campaigns<extra></extra>",
    )
    # As many labels as a telephone has room for.
    told = periods["label"].iloc[:: -(-len(periods) // _LABELS)]
    figure.update_xaxes(
        type="category", tickvals=told.tolist(), ticktext=told.str.replace(" ", "<br>", regex=False).tolist()
    )
    last = periods.iloc[-1]
    change = last["net_profit_change"]
    before = ""
    if pd.notna(change) and len(periods) > 1:
        moved = f"{signed(abs(change))} {'more' if change > 0 else 'less'} than" if round(change) else "as much as"
        before = f", {moved} in {periods.iloc[-2]['label']}"
    low, high = last["net_profit"] - last["half"], last["net_profit"] + last["half"]
    doubt = "" if is_clear(low, high) else "; by itself, it could be chance"
    return Chart(
        title=f"Campaigns of {last['label']} made a net profit of {signed(last['net_profit'])}{before}{doubt}",
        note=(
            f"{counted(periods['campaign_count'].sum(), 'judged campaign')} by the {breakdown} they started in, those "
            "without campaigns left out; lines are 95 % intervals. In the currency of the sales data."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                breakdown.capitalize(): periods["label"],
                "Campaigns": periods["campaign_count"].map("{:,}".format),
                "Cost": periods["total_cost"].astype(float).map("{:,.2f}".format),
                "Net profit": periods["net_profit"].map(signed),
                "Change": periods["net_profit_change"].map(lambda value: "" if pd.isna(value) else signed(value)),
                "Profit per cost": periods["roi"].map(lambda value: "" if pd.isna(value) else f"{value:,.2f}"),
            }
        ).iloc[::-1],
    )


def _period(start: pd.Timestamp, breakdown: str) -> str:
    if breakdown == "year":
        return f"{start:%Y}"
    return f"{start:%Y} Q{start.quarter}" if breakdown == "quarter" else f"{start:%b %Y}"


def by_part(profits: pd.DataFrame, campaigns: pd.DataFrame, column: str, what: str) -> Chart:
    """Net profit by kind of offer or by the segment campaigns were meant for.

    Args:
        profits: part, campaign_count, total_cost, net_profit, roi; one row a part with judged campaigns.
        campaigns: As in `by_campaign`, with `column`: for the intervals.
        column: Of the campaigns: offer_type or target_segment.
        what: The part in a word: offer or segment.
    """
    judged = judged_campaigns(campaigns)
    known = profits[profits["net_profit"].notna()]
    if known.empty:
        return Chart(f"Profit by {what}", NOT_JUDGED if len(campaigns) else NO_CAMPAIGNS)
    half = (judged["half"] ** 2).groupby(judged[column].fillna("unknown")).sum() ** 0.5
    known = known.assign(half=known["part"].map(half), label=[_words(part) for part in known["part"]])
    known = known.sort_values(["net_profit", "part"], ascending=[True, False])
    low, high = known["net_profit"] - known["half"], known["net_profit"] + known["half"]
    names = labels(known["label"])
    figure = bars_with_names(names, tickformat="~s", title_text="net profit")
    figure.add_bar(
        y=names,
        x=known["net_profit"].round(2).tolist(),
        orientation="h",
        marker_color=[BLUE if value >= 0 else ORANGE for value in known["net_profit"]],
        error_x=error_bars(known["net_profit"], low, high),
        customdata=known["campaign_count"].tolist(),
        hovertemplate="%{y}: %{x:,.0f} from %{customdata} campaigns<extra></extra>",
    )
    best = known.iloc[-1]
    title = f"Profit by {what}, highest: {best['label']} with {signed(best['net_profit'])}"
    if not is_clear(best["net_profit"] - best["half"], best["net_profit"] + best["half"]):
        title += ", which could be chance"
    elif best["net_profit"] > 0:
        title += f" from {counted(best['campaign_count'], 'campaign')}"
    return Chart(
        title=title,
        note=(
            f"Incremental net profit of {counted(known['campaign_count'].sum(), 'judged campaign')} by {what}; lines "
            "are 95 % intervals. In the currency of the sales data."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                what.capitalize(): known["label"],
                "Campaigns": known["campaign_count"].map("{:,}".format),
                "Cost": known["total_cost"].astype(float).map("{:,.2f}".format),
                "Net profit": known["net_profit"].map(signed),
                "95 % interval": [f"{signed(a)} to {signed(b)}" for a, b in zip(low, high, strict=True)],
                "Profit per cost": known["roi"].map(lambda value: "" if pd.isna(value) else f"{value:,.2f}"),
            }
        ).iloc[::-1],
    )


def _words(part: str) -> str:
    return str(part).replace("_", " ")
