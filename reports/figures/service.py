"""Charts of the service itself: promised times, backlog, and what waits in which queue.

Frames in, charts out. Targets and business hours are seeds, applied upstream.
"""

from __future__ import annotations

import pandas as pd

from reports.blocks import Chart
from reports.figures.findings import (
    RECENT_DAYS,
    bars_with_names,
    counted,
    error_bars,
    labels,
    last_days,
    monthly,
    plane,
    share,
    share_interval,
    timeline,
)
from reports.figures.style import BLUE, GREY, ORANGE
from reports.figures.tickets import NO_TICKETS

_MONTHS = 24
_WEEKS = 52
_PRIORITIES = ("urgent", "high", "normal", "low")

_PROMISES = {
    "first answers": ("answered_count", "answered_in_time_count", BLUE),
    "resolutions": ("resolved_count", "resolved_in_time_count", ORANGE),
}


def promises_kept(days: pd.DataFrame, as_of: pd.Timestamp) -> Chart:
    """Share of first answers and of resolutions within their target, by month.

    Args:
        days: opened_on, answered_count, answered_in_time_count, resolved_count, resolved_in_time_count, of tickets
            whose priority has a target.
        as_of: The day everything was computed for.
    """
    if not (days[["answered_count", "resolved_count"]].sum() > 0).any():
        none = "No ticket with a target has been answered or resolved yet."
        return Chart("Promised times", none if len(days) else NO_TICKETS)
    columns = [column for whole, part, _ in _PROMISES.values() for column in (whole, part)]
    months, counts = monthly(days, "opened_on", columns, _MONTHS)
    recent = last_days(days, "opened_on", as_of, RECENT_DAYS)[columns].sum()
    figure = timeline("within target", tickformat=".0%", range=[0, 1.03])
    table = {"Month": months.strftime("%Y-%m").tolist()}
    found = []
    for name, (whole, part, colour) in _PROMISES.items():
        rate = counts[part] / counts[whole].where(counts[whole] > 0)
        figure.add_scatter(
            x=months.strftime("%Y-%m-%d").tolist(),
            y=[None if pd.isna(value) else round(value, 6) for value in rate],
            mode="lines+markers",
            line={"color": colour, "width": 2, "dash": "solid" if colour == BLUE else "dash"},
            name=name,
            customdata=counts[whole].tolist(),
            hovertemplate=f"%{{x|%B %Y}}: %{{y:.0%}} of %{{customdata:,}} {name}<extra></extra>",
        )
        table[name.capitalize()] = [f"{value:,}" for value in counts[whole]]
        table[f"{name.capitalize()} in time"] = ["" if pd.isna(value) else f"{value:.1%}" for value in rate]
        if recent[whole]:
            found.append(f"{share(recent[part], recent[whole])} of {counted(recent[whole], name[:-1], name)}")
    figure.update_layout(showlegend=True)
    said = f"{' and '.join(found)} came in time" if found else "nothing was answered or resolved"
    return Chart(
        title=f"Promised times, tickets of the last {RECENT_DAYS} days: {said}",
        note=(
            "Share within the target of the ticket's priority, in business minutes, by the month the ticket was opened "
            f"in: {counted(counts['answered_count'].sum(), 'answered ticket')} and "
            f"{counted(counts['resolved_count'].sum(), 'resolved one')}. What still waits is in neither, but in the "
            "open queue below."
        ),
        figure=figure,
        table=pd.DataFrame(table),
    )


def promises_by_priority(days: pd.DataFrame, targets: pd.DataFrame, as_of: pd.Timestamp) -> Chart:
    """The same of the recent past, by priority, with the targets.

    Args:
        days: As in `promises_kept`, with priority.
        targets: priority, first_response_minutes, resolution_minutes.
        as_of: The day everything was computed for.
    """
    recent = last_days(days, "opened_on", as_of, RECENT_DAYS)
    columns = [column for whole, part, _ in _PROMISES.values() for column in (whole, part)]
    by_priority = recent.groupby("priority")[columns].sum()
    by_priority = by_priority[(by_priority > 0).any(axis=1)]
    if by_priority.empty:
        none = f"No ticket of the last {RECENT_DAYS} days was answered or resolved."
        return Chart("Promised times by priority", none if len(days) else NO_TICKETS)
    known = [name for name in _PRIORITIES if name in by_priority.index]
    by_priority = by_priority.loc[[*known, *sorted(set(by_priority.index) - set(known))]]
    figure = plane("", "within target", tickformat=".0%", range=[0, 1.03])
    rows = {"Priority": by_priority.index.to_series(), **_promised(by_priority, targets)}
    kept: list[tuple[float, str]] = []
    for name, (whole, part, colour) in _PROMISES.items():
        rate = by_priority[part] / by_priority[whole].where(by_priority[whole] > 0)
        low, high = share_interval(by_priority[part], by_priority[whole])
        figure.add_bar(
            x=by_priority.index.tolist(),
            y=[None if pd.isna(value) else round(value, 6) for value in rate],
            name=name,
            marker_color=colour,
            error_y=error_bars(
                rate, pd.Series(low, by_priority.index).where(rate.notna()), pd.Series(high, by_priority.index)
            ),
            customdata=by_priority[whole].tolist(),
            hovertemplate=f"%{{x}}: %{{y:.0%}} of %{{customdata:,}} {name}<extra></extra>",
        )
        rows[name.capitalize()] = by_priority[whole].map("{:,}".format)
        rows[f"{name.capitalize()} in time"] = rate.map(lambda value: "" if pd.isna(value) else f"{value:.1%}")
        if rate.notna().any():
            lowest = by_priority.loc[rate.idxmin()]
            kept.append((float(rate.min()), f"{share(lowest[part], lowest[whole])} of {lowest.name} {name} in time"))
    figure.update_layout(barmode="group", showlegend=True)
    lowest_rate, said = min(kept)
    return Chart(
        title=(
            "Promised times by priority: every answer and resolution was in time"
            if lowest_rate == 1
            else f"Promised times by priority, lowest: {said}"
        ),
        note=(
            f"Tickets opened in the last {RECENT_DAYS} days and answered or resolved by now, in business minutes "
            "against the target of their priority. Lines are 95 % intervals."
        ),
        figure=figure,
        table=pd.DataFrame(rows),
    )


def _promised(by_priority: pd.DataFrame, targets: pd.DataFrame) -> dict[str, pd.Series]:
    """The targets in business hours, beside the priorities."""
    hours = targets.set_index("priority").reindex(by_priority.index) / 60
    titles = {"first_response_minutes": "Answer within hours", "resolution_minutes": "Resolve within hours"}
    return {
        title: hours[column].map(lambda value: "none" if pd.isna(value) else f"{value:g}")
        for column, title in titles.items()
    }


def backlog_weeks(daily: pd.DataFrame) -> Chart:
    """Unresolved tickets, with those opened and resolved a week.

    Args:
        daily: backlog_date, opened_count, resolved_count, backlog_count; every day from the first ticket.
    """
    if daily.empty:
        return Chart("Backlog", NO_TICKETS)
    days = daily.assign(backlog_date=pd.to_datetime(daily["backlog_date"])).sort_values("backlog_date")
    last = days.iloc[-1]
    # Weeks end on the last day known, so that the last one is whole.
    age = (last["backlog_date"] - days["backlog_date"]).dt.days // 7
    weekly = days.groupby(-age).agg(
        ends_on=("backlog_date", "last"),
        opened=("opened_count", "sum"),
        resolved=("resolved_count", "sum"),
        backlog=("backlog_count", "last"),
    )
    weekly = weekly.tail(_WEEKS)
    ends = weekly["ends_on"].dt.strftime("%Y-%m-%d").tolist()
    figure = timeline("tickets", tickformat="~s")
    for name, colour in (("opened", GREY), ("resolved", BLUE)):
        figure.add_bar(
            x=ends,
            y=weekly[name].tolist(),
            name=f"{name} in the week",
            marker_color=colour,
            hovertemplate=f"week to %{{x|%-d %b %Y}}: %{{y:,}} {name}<extra></extra>",
        )
    figure.add_scatter(
        x=ends,
        y=weekly["backlog"].tolist(),
        name="unresolved at its end",
        mode="lines" if len(weekly) > 1 else "markers",
        line={"color": ORANGE, "width": 2.5},
        hovertemplate="%{x|%-d %b %Y}: %{y:,} unresolved<extra></extra>",
    )
    figure.update_layout(barmode="group", showlegend=True)
    now = int(last["backlog_count"])
    finding = f"Backlog: {counted(now, 'ticket')} unresolved" if now else "Backlog: every ticket is resolved"
    earlier = days[days["backlog_date"] == last["backlog_date"] - pd.Timedelta(days=28)]
    if len(earlier):
        change = now - int(earlier["backlog_count"].iloc[0])
        moved = f"{abs(change):,} {'more' if change > 0 else 'fewer'} than" if change else "as many as"
        finding += f", {moved} four weeks before"
    return Chart(
        title=finding,
        note=(
            f"{counted(weekly['opened'].sum(), 'ticket')} opened and {weekly['resolved'].sum():,} resolved in "
            f"{counted(len(weekly), 'week')} to {last['backlog_date']:%-d %B %Y}."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Week to": ends,
                "Opened": weekly["opened"].map("{:,}".format),
                "Resolved": weekly["resolved"].map("{:,}".format),
                "Unresolved": weekly["backlog"].map("{:,}".format),
            }
        ).iloc[::-1],
    )


def waiting(tickets: pd.DataFrame, as_of: pd.Timestamp) -> Chart:
    """What waits for an answer or a solution, by queue, and what of it is past its promised time.

    Args:
        tickets: queue, opened_on, is_overdue, ticket_count; unresolved tickets, a row each of the first three.
        as_of: The day everything was computed for.
    """
    if tickets.empty:
        return Chart("Open queue", "No ticket waits.")
    overdue = tickets["is_overdue"].astype(bool)
    by_queue = pd.DataFrame(
        {
            "all": tickets.groupby("queue")["ticket_count"].sum(),
            "overdue": tickets[overdue].groupby("queue")["ticket_count"].sum(),
            "first": pd.to_datetime(tickets["opened_on"]).groupby(tickets["queue"]).min(),
        }
    ).fillna({"overdue": 0})
    by_queue = by_queue.astype({"overdue": int}).rename_axis("queue").reset_index()
    by_queue = by_queue.sort_values(["all", "queue"], ascending=[True, False])
    names = labels(by_queue["queue"])
    figure = bars_with_names(names, tickformat="~s", rangemode="tozero")
    for name, values, colour in (
        ("overdue", by_queue["overdue"], ORANGE),
        ("still in time", by_queue["all"] - by_queue["overdue"], BLUE),
    ):
        figure.add_bar(
            y=names,
            x=values.tolist(),
            orientation="h",
            name=name,
            marker_color=colour,
            hovertemplate=f"%{{y}}: %{{x:,}} {name}<extra></extra>",
        )
    figure.update_layout(barmode="stack", showlegend=True)
    total, late = int(by_queue["all"].sum()), int(by_queue["overdue"].sum())
    age = (as_of - by_queue["first"]).dt.days
    wait = "waits" if total == 1 else "wait"
    return Chart(
        title=f"Open queue: {counted(total, 'ticket')} {wait}, {late:,} past what was promised",
        note=(
            "Unresolved tickets by queue. Overdue, around the clock: without an answer past the target of the answer, "
            f"or without a solution past that of the solution. The oldest waits for {counted(age.max(), 'day')}."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Queue": by_queue["queue"],
                "Tickets": by_queue["all"].map("{:,}".format),
                "Overdue": by_queue["overdue"].map("{:,}".format),
                "Oldest, days": age.map("{:,}".format),
            }
        ).iloc[::-1],
    )
