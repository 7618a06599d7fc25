"""Figures of customers: groups, risk, what they are worth, and who stays; segments have a module of their own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from reports.blocks import Chart, Option
from reports.figures.style import (
    AXIS,
    BLUE,
    COLORBAR,
    GREY,
    GRID_AXIS,
    OCHRE,
    ORANGE,
    PALETTE,
    SHADES,
    blank,
    count,
)

_BINS = 20
_POINTS = 2_500
"""More make a page slow on a telephone and no pattern clearer."""
_COHORTS = 12
_NOBODY = "Everyone with an order is counted; the first order changes this."
TIERS: Mapping[str, str] = {"High": ORANGE, "Medium": OCHRE, "Low": BLUE}
"""Risk and its colours; the word stands beside the colour wherever it is used."""


def cluster_scatter(customers: pd.DataFrame) -> Chart:
    """Spend against purchases, coloured by the groups found in the data.

    Args:
        customers: customer_id, name, cluster_id, cluster_name, purchase_count, total_spend; one row a customer with
            an order.
    """
    grouped = customers[customers["cluster_name"].notna()]
    if grouped.empty:
        return Chart(
            "Groups: too few customers to find any",
            "Groups are found in spend, purchases and recency once there are enough customers.",
        )
    # Both axes are logarithmic.
    positive = grouped[grouped["total_spend"] > 0].sort_values(["total_spend", "customer_id"])
    step = -(-len(positive) // _POINTS) or 1
    points = positive.iloc[::step]
    clusters = grouped.groupby(["cluster_id", "cluster_name"]).agg(
        customers=("customer_id", "size"), spend=("total_spend", "sum"), orders=("purchase_count", "median")
    )
    clusters = clusters.reset_index()
    figure = blank(380)
    for place, cluster in enumerate(clusters.itertuples(index=False)):
        part = points[points["cluster_id"] == cluster.cluster_id]
        figure.add_scatter(
            x=part["purchase_count"].astype(int).tolist(),
            y=part["total_spend"].round(2).tolist(),
            mode="markers",
            name=str(cluster.cluster_name),
            text=part["customer_id"].tolist(),
            marker={"color": PALETTE[place % len(PALETTE)], "size": 6, "opacity": 0.55},
            hovertemplate="%{text}: %{x:,} orders, %{y:,.0f} spent<extra></extra>",
        )
    figure.update_layout(showlegend=True, hovermode="closest")
    ticks = {"type": "log", "dtick": 1, "tickformat": "~s"}
    figure.update_xaxes(AXIS, title_text="orders (logarithmic)", **ticks)
    figure.update_yaxes(AXIS, title_text="net revenue (logarithmic)", **ticks)
    total = clusters["spend"].sum()
    best = clusters.sort_values(["spend", "cluster_id"]).iloc[-1]
    share = f" and {best['spend'] / total:.0%} of revenue" if total > 0 else ""
    drawn = "each is a point" if step == 1 else f"one in {step} is drawn, in order of spend"
    left_out = len(grouped) - len(positive)
    return Chart(
        title=f"{best['cluster_name']}: {best['customers'] / len(grouped):.0%} of customers{share}",
        note=(
            f"{count(len(grouped), 'customer')} with an order in {count(len(clusters), 'group')} found by similarity; "
            f"{drawn}" + (f", {left_out:,} without net revenue left out" if left_out else "") + "."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Group": clusters["cluster_name"],
                "Customers": [f"{value:,}" for value in clusters["customers"]],
                "Net revenue": [f"{value:,.2f}" for value in clusters["spend"]],
                "Median orders": [f"{value:,.0f}" for value in clusters["orders"]],
            }
        ),
    )


def risk_tiers(customers: pd.DataFrame) -> Chart:
    """How many customers are in which tier of risk, of all and of those of each value.

    Args:
        customers: risk_tier, value_tier, churn_probability; one row a customer with an order.
    """
    if customers.empty:
        return Chart("Risk: no customer has ordered yet", _NOBODY, is_half=True)
    groups = {"all": customers}
    for tier in ("High", "Medium", "Low"):
        if (customers["value_tier"] == tier).any():
            groups[f"{tier.lower()} value"] = customers[customers["value_tier"] == tier]
    judged = bool(customers["churn_probability"].notna().any())
    basis = "the churn model's probability" if judged else "days since the last order, as there is no churn model"
    options = []
    for name, group in groups.items():
        sizes = {tier: int((group["risk_tier"] == tier).sum()) for tier in TIERS}
        whose = "customers" if name == "all" else f"customers of {name}"
        options.append(
            Option(
                name=name,
                title=f"{sizes['High'] / len(group):.0%} of {whose} are in the high risk tier",
                note=f"{count(len(group), 'customer')} with an order; tiers go by {basis}.",
                traces=[{"labels": list(sizes), "values": list(sizes.values())}],
                table=pd.DataFrame(
                    {
                        "Risk": list(sizes),
                        "Customers": [f"{value:,}" for value in sizes.values()],
                        "Share": [f"{value / len(group):.1%}" for value in sizes.values()],
                    }
                ),
            )
        )
    figure = blank()
    figure.add_pie(
        **options[0].traces[0],
        hole=0.55,
        sort=False,
        direction="clockwise",
        marker={"colors": list(TIERS.values())},
        textinfo="label+percent",
        textposition="outside",
        automargin=True,
        hovertemplate="%{label}: %{value:,} customers, %{percent}<extra></extra>",
    )
    figure.update_layout(showlegend=False, margin={"l": 20, "r": 20, "t": 20, "b": 20})
    first = options[0]
    return Chart(first.title, first.note, figure, first.table, options, "Customers", is_half=True)


def churn_distribution(customers: pd.DataFrame) -> Chart:
    """How many customers have which probability of leaving.

    Args:
        customers: churn_probability, is_at_risk, total_spend; one row a customer with an order.
    """
    scored = customers[customers["churn_probability"].notna()]
    if scored.empty:
        return Chart(
            "Risk of leaving: too few customers for a probability; their tier goes by recency",
            "A model is fitted once at least 50 customers have left and 50 have stayed.",
            is_half=True,
        )
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
                **{name.capitalize(): [f"{value:,}" for value in counts[name]] for name in counts},
            }
        ),
        is_half=True,
    )


def value_tenths(customers: pd.DataFrame) -> Chart:
    """How the value expected of the coming year is spread over customers.

    Args:
        customers: clv_365d, clv_365d_low, clv_365d_high, clv_basis; one row a customer with an order.
    """
    valued = customers[customers["clv_365d"].notna()].sort_values("clv_365d", ascending=False)
    total = float(valued["clv_365d"].sum())
    if len(valued) < 10 or total <= 0:
        return Chart(
            "Value of the coming year: too few customers to show how it is spread",
            "Needs ten customers with an expected value; it comes from a model of orders and their size.",
        )
    values = valued["clv_365d"].astype(float).to_numpy()
    tenth = (np.arange(len(values)) * 10) // len(values)
    sums = pd.Series(values).groupby(tenth).sum()
    sizes = pd.Series(values).groupby(tenth).size()
    names = [
        f"{place + 1}{'st' if place == 0 else 'nd' if place == 1 else 'rd' if place == 2 else 'th'}"
        for place in range(10)
    ]
    basis = "margin" if (valued["clv_basis"] == "margin").all() else "revenue"
    figure = blank()
    figure.add_bar(
        x=names,
        y=(sums / total).round(6).tolist(),
        marker_color=[BLUE] + [GREY] * 9,
        customdata=sums.round(2).tolist(),
        hovertemplate="%{x} tenth: %{y:.1%}, %{customdata:,.0f} expected<extra></extra>",
    )
    figure.update_xaxes(AXIS, title_text="tenths of customers", showgrid=False, type="category")
    figure.update_yaxes(AXIS, title_text=f"share of expected {basis}", tickformat=".0%", nticks=6, rangemode="tozero")
    return Chart(
        title=f"The most valuable tenth of customers holds {sums[0] / total:.0%} of the {basis} expected in a year",
        note=(
            f"{total:,.0f} expected of {count(len(valued), 'customer')} in the coming 365 days, by a model of how "
            "often they order and for how much; in the currency of the sales data."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Tenth": names,
                "Customers": [f"{value:,}" for value in sizes],
                f"Expected {basis}": [f"{value:,.2f}" for value in sums],
                "Share": [f"{value:.1%}" for value in sums / total],
                "Least in it": [f"{value:,.2f}" for value in pd.Series(values).groupby(tenth).min()],
            }
        ),
    )


def cohort_retention(cohorts: pd.DataFrame) -> Chart:
    """Which share of the customers of a month ordered in each month after it.

    Args:
        cohorts: cohort_month, months_since_first, customers, active_customers, retention_rate; complete months only.
    """
    later = cohorts[cohorts["months_since_first"] > 0]
    later = later.assign(cohort_month=pd.to_datetime(later["cohort_month"]))
    if later.empty:
        return Chart(
            "Retention: no month after a first order is complete yet",
            "A row begins once a calendar month has passed after a customer's first.",
        )
    months = sorted(later["cohort_month"].unique())[-_COHORTS:]
    later = later[later["cohort_month"].isin(months) & (later["months_since_first"] <= _COHORTS)]
    wide = later.pivot_table(index="cohort_month", columns="months_since_first", values="retention_rate")
    names = [f"{month:%b %Y}" for month in wide.index]
    figure = blank(130 + 26 * len(wide))
    figure.add_heatmap(
        x=[int(month) for month in wide.columns],
        y=names,
        z=[[None if pd.isna(value) else round(value, 4) for value in row] for row in wide.to_numpy()],
        colorscale=SHADES,
        zmin=0,
        xgap=1,
        ygap=1,
        colorbar={**COLORBAR, "tickformat": ".0%"},
        hoverongaps=False,
        hovertemplate="%{y}, month %{x}: %{z:.1%} ordered<extra></extra>",
    )
    figure.update_layout(margin_r=8)
    figure.update_xaxes(GRID_AXIS, title_text="months after the first order", dtick=1, side="top")
    figure.update_yaxes(GRID_AXIS, autorange="reversed", ticksuffix=" ", type="category")
    first = later[later["months_since_first"] == later["months_since_first"].min()]
    rate = first["active_customers"].sum() / first["customers"].sum()
    return Chart(
        title=f"{rate:.0%} of new customers order again in the month after their first",
        note=(
            f"Share of the customers of a month who ordered in each later month; {count(len(wide), 'cohort')} of "
            f"{count(int(later.groupby('cohort_month')['customers'].max().sum()), 'customer')}, complete months only."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "First order": names,
                "Customers": [f"{value:,}" for value in later.groupby("cohort_month")["customers"].max()],
                **{
                    f"Month {month}": ["" if pd.isna(value) else f"{value:.1%}" for value in wide[month]]
                    for month in wide.columns
                },
            }
        ),
    )
