"""Figures of customers: segments and how people move between them, groups, risk, and what they are worth."""

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
    TIME_AXIS,
    blank,
    compared,
    count,
)

_BINS = 20
_POINTS = 5_000
_COHORTS = 12
_NOBODY = "Everyone with an order is counted; the first order changes this."
NEWCOMERS = "No order yet"
"""As segment_migration calls where new customers come from."""
TIERS: Mapping[str, str] = {"High": ORANGE, "Medium": OCHRE, "Low": BLUE}
"""Risk and its colours; the word stands beside the colour wherever it is used."""


def segment_sizes(customers: pd.DataFrame) -> Chart:
    """Share of customers and of revenue by segment.

    Args:
        customers: segment, total_spend; one row a customer with an order.
    """
    if customers.empty:
        return Chart("Segments: no customer has ordered yet", _NOBODY)
    sizes = customers.groupby("segment").agg(customers=("segment", "size"), spend=("total_spend", "sum"))
    sizes = sizes.reset_index().sort_values(["spend", "segment"], ascending=[True, False])
    total = sizes["spend"].sum()
    shares = {"share of customers": (sizes["customers"] / sizes["customers"].sum(), GREY)}
    if total > 0:
        shares["share of revenue"] = (sizes["spend"] / total, BLUE)
    figure = blank(110 + 36 * len(sizes))
    for name, (share, colour) in shares.items():
        figure.add_bar(
            y=sizes["segment"].tolist(),
            x=share.round(6).tolist(),
            orientation="h",
            name=name,
            marker_color=colour,
            hovertemplate="%{y}: %{x:.1%} " + name.removeprefix("share ") + "<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.3, showlegend=True, legend_traceorder="reversed")
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


def segment_history(history: pd.DataFrame) -> Chart:
    """How many customers a segment had at each month end, a segment at a time.

    Args:
        history: cutoff_date, segment, customers; a missing pair is nobody.
    """
    dates = sorted(pd.to_datetime(history["cutoff_date"]).unique())
    if len(dates) < 2:
        return Chart(
            "Segments over time: no earlier month end to compare with",
            "A line begins with the second month end after the first order.",
        )
    wide = history.assign(cutoff_date=pd.to_datetime(history["cutoff_date"])).pivot_table(
        index="cutoff_date", columns="segment", values="customers", aggfunc="sum", fill_value=0
    )
    days = [f"{day:%Y-%m-%d}" for day in wide.index]
    options = []
    for segment in wide.iloc[-1].sort_values(ascending=False, kind="stable").index:
        values = [int(value) for value in wide[segment]]
        before, now = values[0], values[-1]
        title = f"{segment}: {count(now, 'customer')}"
        if before > 0:
            title += f", {compared(now / before - 1)} on {wide.index[0]:%-d %B %Y}"
        options.append(
            Option(
                name=str(segment),
                title=title,
                note=f"Customers in this segment at {len(days)} days: month ends, and the last day of the data.",
                traces=[{"y": values}],
                table=pd.DataFrame({"Day": days, "Customers": [f"{value:,}" for value in values]}),
            )
        )
    figure = blank()
    figure.add_scatter(
        x=days,
        y=list(options[0].traces[0]["y"]),  # type: ignore[call-overload]
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        hovertemplate="%{x|%-d %b %Y}: %{y:,} customers<extra></extra>",
    )
    figure.update_xaxes(TIME_AXIS)
    figure.update_yaxes(AXIS, title_text="customers", rangemode="tozero", nticks=6, tickformat="~s")
    first = options[0]
    return Chart(first.title, first.note, figure, first.table, options, "Segment", is_half=True)


def segment_moves(migration: pd.DataFrame) -> Chart:
    """Who came to each segment and who left it between two month ends.

    Args:
        migration: from_date, to_date, from_segment, to_segment, customer_count; from_segment is `NEWCOMERS` for those
            whose first order lies between.
    """
    moved = migration[migration["from_segment"] != migration["to_segment"]]
    if moved.empty:
        return Chart(
            "Migration: nobody has changed segments yet",
            "Movements show once there are two month ends with customers.",
        )
    periods = sorted(zip(migration["from_date"], migration["to_date"], strict=True), reverse=True)
    options = [_moves(migration, moved, start, end) for start, end in dict.fromkeys(periods)]
    figure = blank(110 + 30 * max(len(option.traces[0]["y"]) for option in options))  # type: ignore[arg-type]
    for name, colour, trace in (("came", BLUE, 0), ("left", ORANGE, 1)):
        figure.add_bar(
            **options[0].traces[trace],
            orientation="h",
            name=name,
            marker_color=colour,
            customdata=options[0].traces[trace]["x"],
            hovertemplate="%{y}: %{x:,} " + name + "<extra></extra>",
        )
    figure.update_layout(barmode="relative", bargap=0.25, showlegend=True)
    figure.update_xaxes(AXIS, nticks=5, title_text="customers who left | who came", tickformat="~s")
    figure.update_yaxes(AXIS, ticksuffix=" ")
    first = options[0]
    return Chart(first.title, first.note, figure, first.table, options, "Period", is_half=True)


def _moves(migration: pd.DataFrame, moved: pd.DataFrame, start: object, end: object) -> Option:
    within = moved[(moved["from_date"] == start) & (moved["to_date"] == end)]
    period = migration[(migration["from_date"] == start) & (migration["to_date"] == end)]
    segments = sorted({*period["from_segment"], *period["to_segment"]} - {NEWCOMERS}, reverse=True)
    came = within.groupby("to_segment")["customer_count"].sum().reindex(segments, fill_value=0).astype(int)
    left = within.groupby("from_segment")["customer_count"].sum().reindex(segments, fill_value=0).astype(int)
    flows = within.sort_values(["customer_count", "from_segment", "to_segment"], ascending=[False, True, True])
    changed, there = flows[flows["from_segment"] != NEWCOMERS], period[period["from_segment"] != NEWCOMERS]
    total = int(changed["customer_count"].sum())
    words = f"{pd.Timestamp(start):%-d %B} to {pd.Timestamp(end):%-d %B %Y}"  # type: ignore[arg-type]
    title = f"{words}: nobody changed segments"
    if total:
        most = changed.iloc[0]
        title = (
            f"{words}: {total:,} of {count(int(there['customer_count'].sum()), 'customer')} changed segments, "
            f"most from {most['from_segment']} to {most['to_segment']}"
        )
    return Option(
        name=words,
        title=title,
        note=(
            "Customers by the segment they came to and the one they left; who stayed is not drawn. "
            f"{count(int(within['customer_count'].sum()) - total, 'of those who came has', 'of those who came have')} "
            "placed a first order."
        ),
        traces=[{"y": segments, "x": came.tolist()}, {"y": segments, "x": (-left).tolist()}],
        table=pd.DataFrame(
            {
                "From": flows["from_segment"],
                "To": flows["to_segment"],
                "Customers": [f"{value:,}" for value in flows["customer_count"]],
            }
        ),
    )


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
    figure.update_xaxes(AXIS, title_text="tenths of customers, most valuable first", showgrid=False, type="category")
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
