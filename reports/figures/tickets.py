"""Charts of what tickets are about and of the mood in them: by month, by topic and product, and what is on the rise.

Frames in, charts out. What counts as negative was decided upstream.
"""

from __future__ import annotations

import pandas as pd

from reports.blocks import Chart
from reports.figures.findings import (
    RECENT_DAYS,
    add_interval,
    bars_with_names,
    counted,
    counts_differ,
    error_bars,
    labels,
    last_days,
    listed,
    monthly,
    share,
    share_interval,
    shares_differ,
    timeline,
)
from reports.figures.style import BLUE, GREY, ORANGE

NO_TICKETS = "There are no tickets: add helpdesk.tickets (ticket_id, customer_id, opened_at) to landing/."
_MONTHS = 24
_PRODUCTS = 10


def mood(days: pd.DataFrame, as_of: pd.Timestamp) -> Chart:
    """Share of negative tickets by month.

    Args:
        days: opened_on, scored_count, negative_count; any number of rows a day.
        as_of: The day everything was computed for.
    """
    scored = days[days["scored_count"] > 0]
    if scored.empty:
        return Chart("Mood of the tickets", "No ticket has a sentiment_score." if len(days) else NO_TICKETS)
    months, counts = monthly(scored, "opened_on", ["scored_count", "negative_count"], _MONTHS)
    rate = counts["negative_count"] / counts["scored_count"]
    low, high = share_interval(counts["negative_count"], counts["scored_count"])
    starts = months.strftime("%Y-%m-%d").tolist()
    figure = timeline("negative tickets", tickformat=".0%")
    add_interval(figure, starts, low, high)
    figure.add_scatter(
        x=starts,
        y=rate.round(6).tolist(),
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        name="share of negative tickets",
        customdata=counts["scored_count"].tolist(),
        hovertemplate="%{x|%B %Y}: %{y:.0%} of %{customdata:,} tickets<extra></extra>",
    )
    figure.update_layout(showlegend=True)
    recent, before = (_summed(last_days(scored, "opened_on", as_of, RECENT_DAYS, ago)) for ago in (0, RECENT_DAYS))
    return Chart(
        title=_mood_finding(recent, before),
        note=(
            f"Share of negative ones among {counted(counts['scored_count'].sum(), 'ticket')} with a sentiment, by the "
            "month they were opened in; the band is its 95 % interval."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Month": months.strftime("%Y-%m"),
                "Tickets with a sentiment": [f"{value:,}" for value in counts["scored_count"]],
                "Negative": [f"{value:,}" for value in counts["negative_count"]],
                "Share": [f"{value:.1%}" for value in rate],
                "95 % interval": [f"{a:.0%} to {b:.0%}" for a, b in zip(low, high, strict=True)],
            }
        ),
    )


def _summed(days: pd.DataFrame) -> pd.Series:
    return days[["scored_count", "negative_count"]].sum()


def _mood_finding(recent: pd.Series, before: pd.Series) -> str:
    if not recent["scored_count"]:
        return f"Mood of the tickets: none in the last {RECENT_DAYS} days"
    now = f"{share(recent['negative_count'], recent['scored_count'])} of {counted(recent['scored_count'], 'ticket')}"
    finding = f"Mood: {now} of the last {RECENT_DAYS} days {'is' if recent['scored_count'] == 1 else 'are'} negative"
    if not before["scored_count"]:
        return finding
    then = f"{share(before['negative_count'], before['scored_count'])} of the {RECENT_DAYS} days before"
    pairs = (recent["negative_count"], recent["scored_count"], before["negative_count"], before["scored_count"])
    if shares_differ(*pairs):
        change = pairs[0] / pairs[1] - pairs[2] / pairs[3]
        return f"{finding}, clearly {'more' if change > 0 else 'fewer'} than the {then}"
    return f"{finding}, against {then}: no more of a change than chance explains"


def unhappy_parts(parts: pd.DataFrame, what: str) -> Chart:
    """Share of negative tickets by topic or product, those with most tickets.

    Args:
        parts: name, scored_count, negative_count; one row a topic or product.
        what: topic or product.
    """
    plural = f"{what}s"
    scored = parts[parts["scored_count"] > 0]
    if scored.empty:
        return Chart(f"Mood by {what}", f"No ticket with a sentiment names a {what}." if len(parts) else NO_TICKETS)
    total = scored[["scored_count", "negative_count"]].sum()
    shown = scored.sort_values(["scored_count", "name"], ascending=[False, True]).head(_PRODUCTS)
    shown = shown.assign(rate=shown["negative_count"] / shown["scored_count"])
    low, high = share_interval(shown["negative_count"], shown["scored_count"])
    shown = shown.assign(low=low, high=high).sort_values(["rate", "name"], ascending=[True, False])
    overall = total["negative_count"] / total["scored_count"]
    worse = shown["low"] > overall
    names = labels(shown["name"])
    figure = bars_with_names(names, tickformat=".0%", rangemode="tozero")
    figure.add_bar(
        y=names,
        x=shown["rate"].round(6).tolist(),
        orientation="h",
        marker_color=[ORANGE if flag else GREY for flag in worse],
        error_x=error_bars(shown["rate"], shown["low"], shown["high"]),
        customdata=shown["scored_count"].tolist(),
        hovertemplate="%{y}: %{x:.0%} of %{customdata:,} tickets<extra></extra>",
    )
    figure.add_vline(x=round(overall, 6), line={"color": BLUE, "dash": "dash", "width": 1.5})
    clear = shown[worse].sort_values(["rate", "name"], ascending=[False, True])
    if clear.empty:
        title = f"Mood by {what}: none is clearly worse than the {overall:.0%} of all tickets"
    else:
        first = clear.iloc[0]
        others = f"; {counted(len(clear) - 1, f'other {what}')} clearly above it too" if len(clear) > 1 else ""
        title = (
            f"Mood by {what}, worst: {first['name']}, {share(first['negative_count'], first['scored_count'])} of "
            f"{counted(first['scored_count'], 'ticket')} negative, against {overall:.0%} of all{others}"
        )
    left = (
        f", the {len(shown)} with most tickets of {counted(len(scored), what, plural)}"
        if len(shown) < len(scored)
        else ""
    )
    return Chart(
        title=title,
        note=(
            f"Share of negative tickets in {counted(shown['scored_count'].sum(), 'ticket')} with a sentiment{left}. "
            f"Lines are 95 % intervals, the dashed one all tickets; orange where the interval lies above it."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                what.capitalize(): shown["name"],
                "Tickets with a sentiment": [f"{value:,}" for value in shown["scored_count"]],
                "Negative": [f"{value:,}" for value in shown["negative_count"]],
                "Share": [f"{value:.1%}" for value in shown["rate"]],
                "95 % interval": [f"{a:.0%} to {b:.0%}" for a, b in zip(shown["low"], shown["high"], strict=True)],
            }
        ).iloc[::-1],
    )


def topic_trends(days: pd.DataFrame, as_of: pd.Timestamp) -> Chart:
    """Tickets a topic in the recent past against as many days before.

    Args:
        days: opened_on, topic, ticket_count.
        as_of: The day everything was computed for.
    """
    if days.empty:
        return Chart("Topics", NO_TICKETS)
    now, before = (
        last_days(days, "opened_on", as_of, RECENT_DAYS, ago).groupby("topic")["ticket_count"].sum()
        for ago in (0, RECENT_DAYS)
    )
    counts = pd.DataFrame({"now": now, "before": before}).fillna(0).astype(int).rename_axis("topic").reset_index()
    if counts.empty:
        return Chart("Topics", f"No ticket was opened in the last {2 * RECENT_DAYS} days.")
    begins = pd.to_datetime(days["opened_on"]).min()
    # Tickets of part of a period are fewer without a reason.
    has_before = (as_of - begins).days >= 2 * RECENT_DAYS - 1
    counts["is_changed"] = counts_differ(counts["now"].tolist(), counts["before"].tolist()) if has_before else False
    counts = counts.sort_values(["now", "topic"], ascending=[True, False])
    names = labels(counts["topic"])
    figure = bars_with_names(names, tickformat="~s")
    periods = [(f"last {RECENT_DAYS} days", "now", BLUE)]
    if has_before:
        periods.insert(0, (f"{RECENT_DAYS} days before", "before", GREY))
    for name, column, colour in periods:
        figure.add_bar(
            y=names,
            x=counts[column].tolist(),
            orientation="h",
            name=name,
            marker_color=colour,
            hovertemplate=f"%{{y}}: %{{x:,}} in the {name}<extra></extra>",
        )
    figure.update_layout(
        barmode="group", showlegend=True, legend_traceorder="reversed", height=110 + 40 * max(len(counts), 2)
    )
    return Chart(
        title=_topic_finding(counts, has_before),
        note=(
            f"{counted(counts['now'].sum(), 'ticket')} of the last {RECENT_DAYS} days"
            + (f" and {counts['before'].sum():,} of the {RECENT_DAYS} before, by topic" if has_before else ", by topic")
            + ". A change counts as clear when chance would bring it in fewer than one of twenty such findings."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Topic": counts["topic"],
                f"Last {RECENT_DAYS} days": counts["now"].map("{:,}".format),
                **({f"{RECENT_DAYS} days before": counts["before"].map("{:,}".format)} if has_before else {}),
                **({"Change": ["clear" if flag else "chance" for flag in counts["is_changed"]]} if has_before else {}),
            }
        ).iloc[::-1],
    )


def _topic_finding(counts: pd.DataFrame, has_before: bool) -> str:
    most = counts.iloc[-1]
    total = int(counts["now"].sum())
    if not has_before:
        return f"Topics: {most['topic']} leads with {most['now']:,} of {counted(total, 'ticket')}"
    changed = counts[counts["is_changed"]]
    if changed.empty:
        return f"Topics: none has clearly more or fewer tickets than in the {RECENT_DAYS} days before"
    changed = changed.assign(moved=(changed["now"] - changed["before"]).abs())
    changed = changed.sort_values(["moved", "topic"], ascending=[False, True])
    said = [
        f"{topic} {'up' if now > before else 'down'} from {before:,} to {now:,}"
        for topic, now, before in zip(changed["topic"], changed["now"], changed["before"], strict=True)
    ]
    return f"Topics with a clear change in {RECENT_DAYS} days: {listed(said)}"
