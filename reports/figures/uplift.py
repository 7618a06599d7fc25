"""Charts of whom to write to: what a message changes, for whom more, and whether the ranking holds.

Frames and figures of `ml.model_runs` in, charts out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from reports.blocks import Chart
from reports.figures.findings import counted, error_bars, plane
from reports.figures.style import BLUE, GREY

NO_UPLIFT = (
    "Whom a message moves is learned from campaigns that held some customers back: add marketing.contacts with "
    "is_control to landing/."
)


def message_effect(deciles: pd.DataFrame, metrics: Mapping[str, Any], notes: str) -> Chart:
    """Extra orders that a message is expected to bring, by tenths of the customers.

    Args:
        deciles: uplift_decile (missing where everyone has the average effect), customer_count, contactable_count,
            uplift, uplift_low, uplift_high, uplift_value (means of the customers); one row a tenth.
        metrics: Of the model customer_uplift.
        notes: What the model says of itself.
    """
    effect = metrics.get("average_effect")
    if deciles.empty or not effect:
        return Chart("What a message changes", notes or NO_UPLIFT)
    known = deciles.sort_values("uplift_decile", na_position="first")
    names = ["everyone" if pd.isna(tenth) else str(int(tenth)) for tenth in known["uplift_decile"]]
    figure = plane("tenth of the customers, best first", "extra orders a message", rangemode="tozero")
    figure.add_bar(
        x=names,
        y=known["uplift"].round(6).tolist(),
        marker_color=BLUE,
        error_y=error_bars(known["uplift"], known["uplift_low"], known["uplift_high"]),
        customdata=known["uplift_value"].round(2).tolist(),
        hovertemplate="tenth %{x}: %{y:.3f} extra orders, worth %{customdata:,.2f}, a message<extra></extra>",
    )
    figure.update_xaxes(type="category")
    low, high = effect["low"], effect["high"]
    interval = f"(95 % interval {low:.3f} to {high:.3f})"
    if low > 0:
        title = f"A message brings {effect['estimate']:.3f} extra orders on average {interval}"
    elif high < 0:
        title = f"A message costs {-effect['estimate']:.3f} orders on average {interval}"
    else:
        title = f"Messages: {effect['estimate']:.3f} extra orders on average {interval}, which could be chance"
    return Chart(
        title=title,
        note=(
            f"Learned from {counted(metrics['treated'], 'customer contact')} and {metrics['control']:,} held back in "
            f"{counted(metrics['campaigns'], 'campaign')}; orders within 30 days of a message, expected for "
            f"{counted(known['customer_count'].sum(), 'customer')} today, lines from the mean of the lower to the mean "
            f"of the upper ends of their intervals.{f' {notes}' if notes else ''}"
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Tenth": names,
                "Customers": known["customer_count"].map("{:,}".format),
                "Of these with consent": known["contactable_count"].map("{:,}".format),
                "Extra orders a message": known["uplift"].map("{:.4f}".format),
                "Mean interval": [
                    f"{a:.3f} to {b:.3f}" for a, b in zip(known["uplift_low"], known["uplift_high"], strict=True)
                ],
                "Worth a message": known["uplift_value"].map("{:,.2f}".format),
            }
        ),
    )


def ranking(metrics: Mapping[str, Any], notes: str) -> Chart:
    """What messages brought the best-ranked customers, measured on customers the model had not seen.

    Args:
        metrics: Of the model customer_uplift.
        notes: What the model says of itself.
    """
    tops = sorted(int(name.removeprefix("top_")) for name in metrics if name.startswith("top_"))
    if not tops:
        return Chart("Does the ranking hold?", notes or NO_UPLIFT)
    steps = [(f"{share}%", metrics[f"top_{share}"]) for share in tops]
    steps.append(("all", metrics["average_effect"]))
    rows = pd.DataFrame([{"who": who, **figures} for who, figures in steps])
    figure = plane("contacted, best-ranked first", "extra orders a message", rangemode="normal")
    figure.add_scatter(
        x=rows["who"].tolist(),
        y=rows["estimate"].round(6).tolist(),
        mode="markers",
        marker={"color": BLUE, "size": 10},
        error_y=error_bars(rows["estimate"], rows["low"], rows["high"]),
        hovertemplate="%{x} contacted: %{y:.3f} extra orders a message<extra></extra>",
    )
    figure.update_xaxes(type="category")
    figure.add_hline(y=round(float(metrics["average_effect"]["estimate"]), 6), line={"color": GREY, "dash": "dash"})
    figure.add_hline(y=0, line={"color": GREY, "width": 1})
    qini, above = metrics["qini"], metrics["qini_above_churn"]
    interval = f"Qini {qini['estimate']:.4f}, 95 % interval {qini['low']:.4f} to {qini['high']:.4f}"
    if qini["low"] > 0:
        title = f"Writing to the best-ranked first pays: {interval}"
    elif qini["high"] < 0:
        title = f"Writing to the best-ranked first is worse than by lot: {interval}"
    else:
        title = f"Whether writing to the best-ranked first pays cannot be told yet: {interval}"
    return Chart(
        title=title,
        note=(
            f"Measured on customers left out of the learning, {counted(metrics['contacts'], 'contact')}; lines are 95 "
            "% intervals, the dashed one is the average effect. Qini: extra orders a customer gained by this order of "
            f"contacts over one by lot; over one by churn risk it is {above['estimate']:.4f} more "
            f"({above['low']:.4f} to {above['high']:.4f})."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Contacted, best-ranked first": rows["who"],
                "Extra orders a message": rows["estimate"].map("{:.4f}".format),
                "95 % interval": [f"{a:.4f} to {b:.4f}" for a, b in zip(rows["low"], rows["high"], strict=True)],
            }
        ),
    )
