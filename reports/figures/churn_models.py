"""Charts of how good the churn model is: calibration, gains, profit and backtests, each by horizon.

Frames in, charts out: ml.churn_curves and ml.churn_backtest as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from reports.blocks import Chart
from reports.figures.findings import (
    counted,
    error_bars,
    plane,
    share,
    signed,
    span,
    switched,
    timeline,
)
from reports.figures.style import BLUE, GREEN, GREY, ORANGE

NO_MODEL = "There is no churn model to judge: it needs 50 customers who left and 50 who stayed."
_HORIZON = 90


def by_horizon(frame: pd.DataFrame, draw: Callable[[pd.DataFrame, str], Chart], empty: str) -> Chart:
    """A chart that switches between the horizons, 90 days first.

    Args:
        frame: With horizon_days.
        draw: Draws the rows of one horizon, which it gets with the horizon in words.
        empty: The question, where there is nothing to draw.
    """
    horizons = sorted({int(days) for days in frame["horizon_days"]}, key=lambda days: (days != _HORIZON, days))
    if not horizons:
        return Chart(empty, NO_MODEL)
    views = {f"{days} days": draw(frame[frame["horizon_days"] == days], f"{days} days") for days in horizons}
    return switched(views, "Horizon")


def calibration(curves: pd.DataFrame) -> Chart:
    """Whether of a hundred customers with 30 percent thirty leave.

    Args:
        curves: horizon_days, test_cutoff, curve, bin, customers, churned, mean_probability, churn_rate,
            churn_rate_low, churn_rate_high.
    """
    return by_horizon(curves[curves["curve"] == "calibration"], _calibration, "Calibration")


def _calibration(bins: pd.DataFrame, horizon: str) -> Chart:
    bins = bins.sort_values("bin")
    figure = plane("probability of no order", "share without an order", tickformat=".0%", range=[0, 1.02])
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "dash": "dash"}, name="as predicted", hoverinfo="skip"
    )
    figure.add_scatter(
        x=bins["mean_probability"].round(6).tolist(),
        y=bins["churn_rate"].round(6).tolist(),
        mode="markers",
        marker={"color": BLUE, "size": 9},
        error_y=error_bars(bins["churn_rate"], bins["churn_rate_low"], bins["churn_rate_high"]),
        name="what came",
        customdata=bins["customers"].tolist(),
        hovertemplate="predicted %{x:.0%}, came %{y:.0%} of %{customdata:,} customers<extra></extra>",
    )
    figure.update_layout(showlegend=True)
    figure.update_xaxes(tickformat=".0%", range=[0, 1.02], dtick=0.25)
    customers = bins["customers"].sum()
    off = float((bins["customers"] * (bins["mean_probability"] - bins["churn_rate"]).abs()).sum() / customers)
    agree = int(bins["mean_probability"].between(bins["churn_rate_low"], bins["churn_rate_high"]).sum())
    return Chart(
        title=(
            f"{horizon}: probabilities are off by {100 * off:.1f} points on average; {agree} of "
            f"{counted(len(bins), 'bin')} {'agrees' if len(bins) == 1 else 'agree'} with what came"
        ),
        note=(
            f"{counted(customers, 'customer')} of {_cutoff(bins)}, judged on the {horizon} after it, in equal-width "
            "bins of their probability. Lines are 95 % intervals of the share that placed no order."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Predicted": bins["mean_probability"].map("{:.1%}".format),
                "Came": bins["churn_rate"].map("{:.1%}".format),
                "95 % interval": [
                    f"{low:.1%} to {high:.1%}"
                    for low, high in zip(bins["churn_rate_low"], bins["churn_rate_high"], strict=True)
                ],
                "Customers": bins["customers"].map("{:,}".format),
            }
        ),
    )


def _cutoff(rows: pd.DataFrame) -> str:
    return f"{pd.Timestamp(rows['test_cutoff'].iloc[0]):%-d %B %Y}"


def gains(curves: pd.DataFrame) -> Chart:
    """How many of those who leave are among the likeliest.

    Args:
        curves: horizon_days, test_cutoff, curve, bin, customers, churned, captured_rate, lift.
    """
    return by_horizon(curves[curves["curve"] == "gains"], _gains, "Gains")


def _gains(tenths: pd.DataFrame, horizon: str) -> Chart:
    tenths = tenths.sort_values("bin")
    contacted = (tenths["customers"].cumsum() / tenths["customers"].sum()).tolist()
    total, left = float(tenths["customers"].sum()), float(tenths["churned"].sum())
    if not left:
        return Chart(f"{horizon}: nobody left, so nobody could be found", NO_MODEL)
    figure = plane("customers, likeliest first", "share of the leavers", tickformat=".0%", range=[0, 1.02])
    figure.add_scatter(
        x=[0, *np.round(contacted, 6).tolist()],
        y=[0, *tenths["captured_rate"].round(6).tolist()],
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        name="model",
        hovertemplate="%{x:.0%} of the customers hold %{y:.1%} of the leavers<extra></extra>",
    )
    figure.add_scatter(
        x=[0, round(left / total, 6), 1],
        y=[0, 1, 1],
        mode="lines",
        line={"color": GREEN, "dash": "dot"},
        name="best possible",
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "dash": "dash"}, name="by lot", hoverinfo="skip"
    )
    figure.update_layout(showlegend=True)
    figure.update_xaxes(tickformat=".0%", range=[0, 1.02], dtick=0.25)
    third = tenths.iloc[min(2, len(tenths) - 1)]
    return Chart(
        title=(
            f"{horizon}: the likeliest {contacted[min(2, len(tenths) - 1)]:.0%} hold "
            f"{share(third['captured_rate'], 1)} of those who left, {third['lift']:.2f} times as many as by lot"
        ),
        note=(
            f"{counted(total, 'customer')} of {_cutoff(tenths)}, {left:,.0f} of whom placed no order in the {horizon} "
            f"after it. As {share(left, total)} leave, no ranking can do better than the dotted line."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Tenth": tenths["bin"].map(str),
                "Customers": tenths["customers"].map("{:,}".format),
                "Left": tenths["churned"].map("{:,.0f}".format),
                "Of all who left": tenths["captured_rate"].map("{:.1%}".format),
                "Lift": tenths["lift"].map("{:.2f}".format),
            }
        ),
    )


def contact_profit(curves: pd.DataFrame, contacts: pd.DataFrame) -> Chart:
    """What contacting the likeliest to leave would have brought, under stated assumptions.

    Args:
        curves: horizon_days, test_cutoff, curve, bin, customers, profit, expected_profit.
        contacts: horizon_days, value, cost, success_rate: what is assumed.
    """

    def draw(steps: pd.DataFrame, horizon: str) -> Chart:
        assumed = contacts[contacts["horizon_days"] == steps["horizon_days"].iloc[0]]
        return _contact_profit(steps, horizon, assumed)

    return by_horizon(curves[curves["curve"] == "profit"], draw, "Profit of contacting")


def _contact_profit(steps: pd.DataFrame, horizon: str, assumed: pd.DataFrame) -> Chart:
    steps = steps.sort_values("bin")
    total = steps["customers"].iloc[-1]
    reached = (steps["customers"] / total).round(6).tolist()
    figure = plane("contacted, likeliest first", "profit", tickformat="~s", rangemode="normal")
    for name, column, colour, dash in (
        ("what it would have brought", "profit", BLUE, "solid"),
        ("what the probabilities promised", "expected_profit", ORANGE, "dash"),
    ):
        figure.add_scatter(
            x=[0, *reached],
            y=[0, *steps[column].round(2).tolist()],
            mode="lines",
            line={"color": colour, "width": 2, "dash": dash},
            name=name,
            hovertemplate=f"%{{x:.0%}} contacted: %{{y:,.0f}}, {name}<extra></extra>",
        )
    figure.update_layout(showlegend=True)
    figure.update_xaxes(tickformat=".0%", range=[0, 1.02], dtick=0.25)
    best, everyone = steps.iloc[int(steps["profit"].argmax())], steps["profit"].iloc[-1]
    if best["profit"] <= 0:
        title = f"{horizon}: contacting nobody would have been best"
    elif best["customers"] == total:
        title = f"{horizon}: contacting everyone would have been best and brought {signed(everyone)}"
    else:
        title = (
            f"{horizon}: contacting the likeliest {share(best['customers'], total)} would have brought most, "
            f"{signed(best['profit'])} against {signed(everyone)} from everyone"
        )
    told = ""
    if len(assumed):
        row = assumed.iloc[0]
        told = (
            f" Assumed, not measured: a contact costs {row['cost']:,.2f} and keeps {row['success_rate']:.0%} of those "
            f"who would leave, each worth {row['value']:,.2f}."
        )
    shown = steps[(steps["bin"] % 10 == 0) | (steps.index == steps.index[-1])]
    return Chart(
        title=title,
        note=f"{counted(total, 'customer')} of {_cutoff(steps)}, in the currency of the sales data.{told}",
        figure=figure,
        table=pd.DataFrame(
            {
                "Contacted": shown["customers"].map("{:,}".format),
                "Profit": shown["profit"].map(signed),
                "Promised": shown["expected_profit"].map(signed),
            }
        ),
    )


_RIVALS = {"auc": ("model", BLUE, "solid"), "recency_frequency_auc": ("recency and frequency", ORANGE, "dash")}


def backtest(tests: pd.DataFrame) -> Chart:
    """How the model would have done at earlier cutoffs, against recency and frequency alone.

    Args:
        tests: horizon_days, test_cutoff, customers, base_rate, auc, brier, ece, base_rate_brier,
            recency_frequency_auc, recency_frequency_brier.
    """
    return by_horizon(tests[tests["auc"].notna()], _backtest, "Backtests")


def _backtest(tests: pd.DataFrame, horizon: str) -> Chart:
    tests = tests.assign(test_cutoff=pd.to_datetime(tests["test_cutoff"])).sort_values("test_cutoff")
    days = tests["test_cutoff"].dt.strftime("%Y-%m-%d").tolist()
    figure = timeline("AUC", rangemode="normal", tickformat=".2f")
    for column, (name, colour, dash) in _RIVALS.items():
        figure.add_scatter(
            x=days,
            y=[None if pd.isna(value) else round(value, 6) for value in tests[column]],
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": dash},
            name=name,
            hovertemplate=f"%{{x|%-d %b %Y}}: AUC %{{y:.3f}}, {name}<extra></extra>",
        )
    figure.update_layout(showlegend=True)
    better = int((tests["auc"] > tests["recency_frequency_auc"]).sum())
    low, high = tests["auc"].min(), tests["auc"].max()
    aucs = f"{low:.3f}" if f"{low:.3f}" == f"{high:.3f}" else f"{low:.3f} to {high:.3f}"
    return Chart(
        title=(
            f"{horizon}: AUC {aucs}, better than recency and frequency at {better} of {counted(len(tests), 'cutoff')}"
        ),
        note=(
            "Each time trained on what was known by then and judged on what came after. AUC: how often one who left "
            "had the higher probability than one who stayed; .5 is by lot. "
            f"{span(tests['customers'].min(), tests['customers'].max())} customers a cutoff."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Cutoff": days,
                "Customers": tests["customers"].map("{:,}".format),
                "Left": tests["base_rate"].map("{:.1%}".format),
                "AUC": tests["auc"].map("{:.4f}".format),
                "Recency and frequency": tests["recency_frequency_auc"].map("{:.4f}".format),
                "Brier": tests["brier"].map("{:.4f}".format),
                "Base rate": tests["base_rate_brier"].map("{:.4f}".format),
                "Off by": tests["ece"].map("{:.3f}".format),
            }
        ).iloc[::-1],
    )
