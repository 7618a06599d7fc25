"""Figures of what to do next: actions by what they are expected to earn."""

from __future__ import annotations

import pandas as pd

from reports.blocks import Chart
from reports.figures.style import AXIS, BLUE, amount, blank, count


def in_words(code: str) -> str:
    """An action, channel or kind as people read it: "win_back" is "Win back"."""
    return code.replace("_", " ").capitalize()


def action_profits(actions: pd.DataFrame) -> Chart:
    """What contacting the selected customers is expected to earn, by action.

    Args:
        actions: action, customers, contactable, selected, expected_profit (of those selected, null where it is not a
            matter of profit); one row an action.
    """
    chosen = actions[actions["selected"] > 0]
    everyone = int(actions["customers"].sum())
    if everyone and not actions["contactable"].sum():
        return Chart(
            "Nobody is to be contacted: no customer is known to have agreed to marketing",
            "Consent comes with the customers, in the column marketing_consent. What would suit each of the "
            f"{count(everyone, 'customer')} stands in marts.next_best_actions all the same.",
        )
    if chosen.empty:
        return Chart(
            "Nobody is to be contacted now",
            f"Of {count(everyone, 'customer')} none is worth contacting within the budget, agreed to marketing, and "
            "was left in peace long enough."
            if everyone
            else "Actions come with customers; selected are those who agreed to marketing and are worth contacting.",
        )
    rows = chosen.assign(expected_profit=chosen["expected_profit"].astype(float))
    rows = rows.sort_values(["expected_profit", "action"], ascending=[True, False], na_position="first")
    profit, people = float(rows["expected_profit"].sum()), int(rows["selected"].sum())
    figure = blank(100 + 34 * len(rows))
    figure.add_bar(
        y=[in_words(action) for action in rows["action"]],
        x=[None if pd.isna(value) else round(value, 2) for value in rows["expected_profit"]],
        orientation="h",
        marker_color=BLUE,
        customdata=rows["selected"].astype(int).tolist(),
        hovertemplate="%{y}: %{x:,.0f} expected of %{customdata:,} customers<extra></extra>",
    )
    figure.update_xaxes(AXIS, title_text="expected profit", nticks=5, tickformat="~s")
    figure.update_yaxes(AXIS, ticksuffix=" ")
    return Chart(
        title=f"{count(people, 'customer')} to contact now, expected to bring {amount(profit)} more than if left alone",
        note=(
            f"Expected incremental profit, costs taken off, of those selected among {count(everyone, 'customer')}: "
            "they agreed to marketing, are not held back as a control group, and fit the budget. In the currency of "
            "the sales."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Action": [in_words(action) for action in rows["action"]],
                "To contact": [f"{value:,}" for value in rows["selected"]],
                "Customers it suits": [f"{value:,}" for value in rows["customers"]],
                "Agreed to marketing": [f"{value:,}" for value in rows["contactable"]],
                "Expected profit": ["" if pd.isna(value) else f"{value:,.2f}" for value in rows["expected_profit"]],
            }
        ).iloc[::-1],
    )
