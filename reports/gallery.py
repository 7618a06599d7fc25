"""The gallery of a simulated business: what it sells, to whom, how they feel, and what was planted in it.

Frames in, HTML out; no file is read or written. Real purchases (CDNOW) stand beside the simulated ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import pandas as pd
import plotly.graph_objects as go

from reports.blocks import Block, Chart, Page, Section
from reports.figures.style import AXIS, BLUE, GREY, ORANGE, blank
from reports.page import render

_SHADES = ("#16537e", BLUE, "#7fbfe8", GREY, "#c9a227", ORANGE, "#7a3b00", "#444b54")
"""For up to eight lines, from the coolest to the warmest."""


def gallery_page(frames: Mapping[str, pd.DataFrame], business: str, as_of: date) -> dict[str, str]:
    """The page as text by file name.

    Args:
        frames: As `sources.synthetic.portrait.portrait` returns them.
        business: The business in a few words.
        as_of: Its last day.
    """
    charts: list[Block] = [
        _revenue(frames["daily_revenue"], frames["spikes"]),
        _compared(
            frames["buying"],
            "bought_again",
            "customers who have bought again",
            "Customers observed for a year or more from their first order. CDNOW is a shop for music of 1997.",
        ),
        _compared(
            frames["buying"],
            "gap_share",
            "gaps between two orders that are no longer",
            "Days between consecutive order days of a customer, of those that began a year or more before the end.",
        ),
        _cohorts(frames["cohorts"]),
        _basket_lines(frames["basket_lines"]),
        _basket_values(frames["basket_values"]),
        _funnel(frames["funnel"]),
        _sentiment(frames["sentiment"]),
        _topics(frames["tickets"]),
        _response(frames["response"]),
        _pairs(frames["product_pairs"]),
        _trends(frames["product_trends"]),
    ]
    return render(
        Page(
            name="gallery",
            heading="A simulated business",
            lead="What it sells, to whom, how they feel, and what was planted in it.",
            sections=[Section("", charts)],
            source="Simulated, but for CDNOW: purchases published by Fader and Hardie, here the 1/10 sample.",
        ),
        f"{business[:1].upper()}{business[1:]}, to {as_of:%-d %B %Y}",
        in_site=False,
    )


def _figure(x_title: str, y_title: str, **y_axis: object) -> go.Figure:
    figure = blank()
    figure.update_xaxes(AXIS, title_text=x_title, showgrid=False)
    figure.update_yaxes(AXIS, title_text=y_title, rangemode="tozero", nticks=6, **y_axis)
    return figure


def _percent(share: pd.Series) -> list[str]:
    return [f"{value:.1%}" for value in share]


def _revenue(daily: pd.DataFrame, spikes: pd.DataFrame) -> Chart:
    days = pd.to_datetime(daily["day"])
    figure = _figure("", "revenue a day", tickformat="~s")
    figure.add_scatter(
        x=days.dt.strftime("%Y-%m-%d").tolist(), y=daily["revenue"].tolist(), line={"color": BLUE, "width": 1}
    )
    top = float(daily["revenue"].max()) * 1.05
    for kind, colour in (("spike", ORANGE), ("lull", GREY)):
        planted = spikes[spikes["kind"] == kind]
        middle = planted["starts_on"] + (planted["ends_on"] - planted["starts_on"]) / 2
        figure.add_bar(
            x=middle.dt.strftime("%Y-%m-%d %H:%M").tolist(),
            y=[top] * len(planted),
            width=[(days + 1) * 86_400_000 for days in (planted["ends_on"] - planted["starts_on"]).dt.days],
            name=f"planted {kind}",
            marker={"color": colour, "opacity": 0.35, "line": {"width": 0}},
            customdata=planted["factor"].round(2).tolist(),
            hovertemplate=f"{kind}, factor %{{customdata}}<extra></extra>",
        )
    figure.data[0].showlegend = False
    figure.update_layout(showlegend=True)
    figure.update_yaxes(range=[0, top])
    return Chart(
        title=f"Revenue by day, {len(spikes)} spikes and lulls planted in it, factors "
        f"{spikes['factor'].min():.2f} to {spikes['factor'].max():.2f}",
        note="Every line sold, before returns. Weeks, the year, holidays, promotions and growth are not marked.",
        figure=figure,
        table=pd.DataFrame(
            {
                "From": spikes["starts_on"].dt.strftime("%Y-%m-%d"),
                "To": spikes["ends_on"].dt.strftime("%Y-%m-%d"),
                "Kind": spikes["kind"],
                "Factor": [f"{factor:.2f}" for factor in spikes["factor"]],
            }
        ),
    )


def _compared(buying: pd.DataFrame, column: str, what: str, note: str) -> Chart:
    figure = _figure("weeks", "share", tickformat=".0%")
    real = f"{column}_cdnow"
    for name, values, colour in (("simulated", buying[column], BLUE), ("CDNOW", buying[real], ORANGE)):
        figure.add_scatter(x=buying["week"].tolist(), y=values.round(4).tolist(), name=name, line={"color": colour})
    figure.update_layout(showlegend=True)
    figure.update_yaxes(range=[0, 1])
    half = buying[buying["week"] == 26].iloc[0]
    return Chart(
        title=f"Share of {what}: after 26 weeks {half[column]:.0%}, at CDNOW {half[real]:.0%}",
        note=note,
        figure=figure,
        table=pd.DataFrame(
            {
                "Weeks": buying["week"].astype(str),
                "Simulated": _percent(buying[column]),
                "CDNOW": _percent(buying[real]),
            }
        ),
    )


def _cohorts(cohorts: pd.DataFrame) -> Chart:
    figure = _figure("months since the first order", "share active", tickformat=".0%")
    names = sorted(cohorts["cohort"].unique())
    for name, colour in zip(names, _SHADES, strict=False):
        curve = cohorts[(cohorts["cohort"] == name) & (cohorts["months"] > 0)]
        figure.add_scatter(
            x=curve["months"].tolist(), y=curve["active_share"].round(4).tolist(), name=name, line={"color": colour}
        )
    figure.update_layout(showlegend=True)
    table = cohorts.pivot_table(index="months", columns="cohort", values="active_share").reset_index()
    return Chart(
        title=f"{len(names)} quarterly cohorts: who ordered again in which month",
        note="New customers by the quarter of their first order; months that all of the quarter have lived to see.",
        figure=figure,
        table=table.astype({"months": int}).astype({"months": str}).map(_cell),
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.1%}"
    return str(value)


def _basket_lines(baskets: pd.DataFrame) -> Chart:
    share = baskets["orders"] / baskets["orders"].sum()
    figure = _figure("lines in the order", "share of orders", tickformat=".0%")
    figure.add_bar(x=baskets["lines"].tolist(), y=share.round(4).tolist(), marker_color=BLUE)
    mean = float((baskets["lines"] * share).sum())
    return Chart(
        title=f"{mean:.2f} lines an order",
        note=f"{int(baskets['orders'].sum()):,} orders.",
        figure=figure,
        table=pd.DataFrame({"Lines": baskets["lines"].astype(str), "Share of orders": _percent(share)}),
    )


def _basket_values(values: pd.DataFrame) -> Chart:
    share = values["orders"] / values["orders"].sum()
    figure = _figure("value of the order (logarithmic)", "share of orders", tickformat=".0%")
    figure.add_scatter(
        x=values["value_from"].round(2).tolist(),
        y=share.round(4).tolist(),
        line={"color": BLUE, "shape": "hv"},
        fill="tozeroy",
        mode="lines",
    )
    figure.update_xaxes(type="log", dtick=1)
    usual = values["value_from"].between(10, 999)
    return Chart(
        title=f"{share[usual].sum():.0%} of orders are worth 10 to 1,000",
        note="In eight steps for every factor of ten.",
        figure=figure,
        table=pd.DataFrame(
            {"Value from": [f"{value:,.2f}" for value in values["value_from"]], "Share of orders": _percent(share)}
        ),
    )


def _funnel(funnel: pd.DataFrame) -> Chart:
    steps = {"more_than_one_page": "looked further", "cart": "put into the cart", "purchase": "bought"}
    figure = _figure("", "share of sessions", tickformat=".0%")
    for row, colour in zip(funnel.to_dict("records"), (BLUE, ORANGE, GREY), strict=False):
        figure.add_bar(
            x=list(steps.values()),
            y=[round(row[step] / row["sessions"], 4) for step in steps],
            name=str(row["device"]),
            marker_color=colour,
        )
    figure.update_layout(barmode="group", showlegend=True)
    sessions, bought = int(funnel["sessions"].sum()), int(funnel["purchase"].sum())
    return Chart(
        title=f"{bought / sessions:.1%} of sessions end in an order",
        note=f"{sessions:,} sessions by device.",
        figure=figure,
        table=pd.DataFrame(
            {
                "Device": funnel["device"],
                "Sessions": [f"{count:,}" for count in funnel["sessions"]],
                **{words: _percent(funnel[step] / funnel["sessions"]) for step, words in steps.items()},
            }
        ),
    )


def _sentiment(sentiment: pd.DataFrame) -> Chart:
    figure = _figure("sentiment of the ticket", "share of tickets", tickformat=".0%")
    for name, colour in (("others", BLUE), ("planted as anomalous", ORANGE)):
        part = sentiment[sentiment["who"] == name]
        figure.add_scatter(
            x=(part["score_from"] + 0.05).round(2).tolist(),
            y=part["share"].round(4).tolist(),
            name=name,
            mode="lines+markers",
            line={"color": colour},
        )
    figure.update_layout(showlegend=True)
    table = sentiment.pivot_table(index="score_from", columns="who", values="share", fill_value=0.0).reset_index()
    return Chart(
        title="Tickets are calm or upset, and those of the planted customers more often upset",
        note="Mood of the text from -1 to 1, in steps of a tenth.",
        figure=figure,
        table=table.assign(score_from=[f"{value:.1f}" for value in table["score_from"]]).map(_cell),
    )


def _topics(tickets: pd.DataFrame) -> Chart:
    figure = _figure("", "tickets a month", tickformat="~s")
    totals = tickets.groupby("topic")["tickets"].sum().sort_values(ascending=False)
    for name, colour in zip(totals.index, _SHADES, strict=False):
        part = tickets[tickets["topic"] == name]
        figure.add_bar(
            x=pd.to_datetime(part["month"]).dt.strftime("%Y-%m").tolist(),
            y=part["tickets"].tolist(),
            name=str(name),
            marker_color=colour,
        )
    figure.update_layout(barmode="stack", showlegend=True, height=360)
    return Chart(
        title=f"{int(totals.sum()):,} tickets, most on {totals.index[0]}",
        note="By month in which they were opened; the last one may be incomplete.",
        figure=figure,
        table=pd.DataFrame({"Topic": totals.index, "Tickets": [f"{count:,}" for count in totals]}),
    )


def _response(response: pd.DataFrame) -> Chart:
    figure = _figure("minutes to the first response (logarithmic)", "share of tickets", tickformat=".0%")
    for name, colour in (("urgent", ORANGE), ("high", "#c9a227"), ("normal", BLUE), ("low", GREY)):
        part = response[response["priority"] == name]
        figure.add_scatter(
            x=(2 ** part["log2_minutes"]).round(2).tolist(),
            y=part["share"].round(4).tolist(),
            name=name,
            line={"color": colour},
        )
    figure.update_xaxes(type="log", dtick=1)
    figure.update_layout(showlegend=True)
    return Chart(title="The more urgent, the sooner answered", note="By the ticket's priority.", figure=figure)


def _pairs(pairs: pd.DataFrame) -> Chart:
    ordered = pairs.sort_values("pull_probability")
    names = [f"{a} + {b}" for a, b in zip(ordered["product_id_a"], ordered["product_id_b"], strict=True)]
    figure = _figure("", "lift")
    for label, column, colour in (
        ("without the planted pull", "natural_lift", GREY),
        ("planted", "planted_lift", ORANGE),
    ):
        figure.add_bar(x=names, y=ordered[column].round(3).tolist(), name=label, marker_color=colour)
    figure.update_layout(barmode="group", showlegend=True)
    return Chart(
        title=f"{len(pairs)} product pairs planted, from what nobody can see to the obvious",
        note="How much more often than by chance two products are in one order; tastes alone make some lift.",
        figure=figure,
        table=pd.DataFrame(
            {
                "Pair": names,
                "Planted lift": [f"{lift:.2f}" for lift in ordered["planted_lift"]],
                "Lift without it": [f"{lift:.2f}" for lift in ordered["natural_lift"]],
                "Probability of the pull": _percent(ordered["pull_probability"]),
            }
        ),
    )


def _trends(trends: pd.DataFrame) -> Chart:
    ordered = trends.sort_values("factor")
    figure = _figure("", "factor (logarithmic)")
    figure.add_bar(
        x=ordered["product_id"].tolist(),
        y=(ordered["factor"] - 1).round(3).tolist(),
        marker_color=[BLUE if factor > 1 else ORANGE for factor in ordered["factor"]],
        base=1,
        customdata=ordered["factor"].round(2).tolist(),
        hovertemplate="%{x}: factor %{customdata}<extra></extra>",
    )
    figure.update_yaxes(type="log", rangemode="normal")
    return Chart(
        title=f"{len(trends)} products gain or lose popularity over half a year",
        note="What a product's popularity in its category is multiplied by in the end; no trend would be 1.",
        figure=figure,
        table=pd.DataFrame(
            {
                "Product": ordered["product_id"],
                "From": ordered["starts_on"].dt.strftime("%Y-%m-%d"),
                "To": ordered["ends_on"].dt.strftime("%Y-%m-%d"),
                "Factor": [f"{factor:.2f}" for factor in ordered["factor"]],
            }
        ),
    )
