"""Figures of customers: who they are, how they move between segments, who is leaving, what they are worth."""

from __future__ import annotations

import pandas as pd

from reports.blocks import Chart
from reports.figures.style import AXIS, BLUE, GREY, ORANGE, blank, count

_BINS = 20


def segment_sizes(customers: pd.DataFrame) -> Chart:
    """Share of customers and of revenue by segment.

    Args:
        customers: segment, total_spend; one row a customer with an order.
    """
    if customers.empty:
        return Chart("Segments: no customer has ordered yet")
    sizes = customers.groupby("segment").agg(customers=("segment", "size"), spend=("total_spend", "sum"))
    sizes = sizes.reset_index().sort_values(["spend", "segment"], ascending=[True, False])
    total = sizes["spend"].sum()
    shares = {"share of customers": (sizes["customers"] / sizes["customers"].sum(), GREY)}
    if total > 0:
        shares["share of revenue"] = (sizes["spend"] / total, BLUE)
    figure = blank()
    for name, (share, colour) in shares.items():
        figure.add_bar(
            y=sizes["segment"].tolist(),
            x=share.round(6).tolist(),
            orientation="h",
            name=name,
            marker_color=colour,
            hovertemplate="%{y}: %{x:.1%} " + name.removeprefix("share ") + "<extra></extra>",
        )
    figure.update_layout(
        barmode="group", bargap=0.3, height=110 + 36 * len(sizes), showlegend=True, legend_traceorder="reversed"
    )
    figure.update_xaxes(AXIS, tickformat=".0%", nticks=4)
    figure.update_yaxes(AXIS, ticksuffix=" ")

    largest = sizes.iloc[-1]
    held = f"{largest['customers'] / len(customers):.0%} of customers"
    return Chart(
        title=(
            f"{largest['segment']}: {held}, {largest['spend'] / total:.0%} of revenue"
            if total > 0
            else f"{largest['segment']}: {held}; no revenue is left after returns"
        ),
        note=(
            f"{count(len(customers), 'customer')} with an order, in {count(len(sizes), 'segment')} by recency, "
            "frequency and spend; the segment with most revenue first."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Segment": sizes["segment"],
                "Customers": [f"{value:,}" for value in sizes["customers"]],
                "Net revenue": [f"{value:,.2f}" for value in sizes["spend"]],
                "Share of customers": [f"{value:.1%}" for value in sizes["customers"] / len(customers)],
                "Share of revenue": [f"{value:.1%}" if total > 0 else "" for value in sizes["spend"] / (total or 1)],
            }
        ).iloc[::-1],
    )


def churn_distribution(customers: pd.DataFrame) -> Chart:
    """How many customers have which probability of leaving.

    Args:
        customers: churn_probability, is_at_risk, total_spend; one row a customer with an order.
    """
    scored = customers[customers["churn_probability"].notna()]
    if scored.empty:
        return Chart("Risk of leaving: too few customers for a probability; their tier goes by recency")
    at_risk = scored["is_at_risk"].astype(bool)
    # Counted here: a page that held every customer's probability would grow with their number.
    bins = (scored["churn_probability"].astype(float) * _BINS + 1e-9).astype(int).clip(0, _BINS - 1)
    counts = {
        name: bins[group].value_counts().reindex(range(_BINS), fill_value=0)
        for name, group in (("at risk", at_risk), ("others", ~at_risk))
    }
    figure = blank()
    for name, colour in (("at risk", ORANGE), ("others", GREY)):
        figure.add_bar(
            x=[(2 * number + 1) / (2 * _BINS) for number in range(_BINS)],
            y=counts[name].tolist(),
            width=0.9 / _BINS,
            name=name,
            marker_color=colour,
            hovertemplate=f"%{{y:,}} {name} around %{{x:.0%}}<extra></extra>",
        )
    figure.update_layout(barmode="stack", showlegend=True, legend_traceorder="normal")
    figure.update_xaxes(
        AXIS, title_text="probability of no order", tickformat=".0%", range=[0, 1], dtick=0.25, showgrid=False
    )
    figure.update_yaxes(AXIS, title_text="customers", nticks=6, tickformat="~s", rangemode="tozero")

    risky = int(at_risk.sum())
    spent = scored.loc[at_risk, "total_spend"].sum()
    verb = "is" if risky == 1 else "are"
    return Chart(
        title=(
            f"{risky:,} of {count(len(scored), 'customer')} {verb} at risk of leaving, with {spent:,.0f} spent so far"
            if risky
            else f"None of {count(len(scored), 'customer')} is at risk of leaving"
        ),
        note=(
            "How probable it is that a customer places no order in the coming period. At risk are those with a high "
            "probability whose last order is not long ago; others with a high one have left already."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Probability": [
                    f"{number * 100 // _BINS} to {(number + 1) * 100 // _BINS}%" for number in range(_BINS)
                ],
                **{name.capitalize(): [f"{count:,}" for count in counts[name]] for name in counts},
            }
        ),
    )
