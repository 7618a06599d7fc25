"""Charts of how far the data can be trusted: rows received and refused, checks, freshness and volume.

Frames in, charts out: what meta.refreshes, meta.check_results and the quarantine hold.
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from reports.blocks import Chart
from reports.figures.findings import bars_with_names, counted, labels, listed, share, switched, timeline
from reports.figures.style import AXIS, BLUE, GREEN, GREY, LAYOUT, OCHRE, ORANGE, TIME_AXIS, blank, compared

_OUTCOMES = {"inserted": BLUE, "restated": GREEN, "duplicate": GREY, "quarantined": ORANGE}
_STATUSES = {"pass": ("passed", BLUE), "warn": ("warned", OCHRE), "fail": ("failed", ORANGE)}
_NOT_PASSED = {status: shown for status, shown in _STATUSES.items() if status != "pass"}
_REASONS = 12
_WEEKS = 52


def rows_received(received: pd.DataFrame) -> Chart:
    """What became of the rows of every refresh: rows = inserted + restated + duplicate + quarantined.

    Args:
        received: refresh, table, file, rows, inserted, restated, duplicate, quarantined; one row a refresh, table and
            file.
    """
    if received.empty:
        return Chart("Rows received", "No refresh has noted yet what it received.")
    by_refresh = received.groupby("refresh")[["rows", *_OUTCOMES]].sum()
    title, total = _received_finding(received, by_refresh), by_refresh.sum()
    note = (
        "Rows in = inserted + restated + duplicate + quarantined, for each file of each table. In "
        f"{counted(len(by_refresh), 'refresh', 'refreshes')}: {total['rows']:,} in, {total['inserted']:,} inserted, "
        f"{total['restated']:,} restated, {total['duplicate']:,} duplicate, {total['quarantined']:,} quarantined."
    )
    by_table = received.groupby("table")[["rows", *_OUTCOMES]].sum().sort_index(ascending=False)
    views = {"refresh": by_refresh, "table": by_table} if len(by_refresh) > 1 else {"table": by_table}
    return switched(
        {
            f"by {what}": Chart(
                title=f"{title}, by {what}" if len(views) > 1 else title,
                note=note,
                figure=_received_figure(counts, what),
                table=pd.DataFrame(
                    {
                        what.capitalize(): counts.index.astype(str),
                        "Rows in": counts["rows"].map("{:,}".format).to_list(),
                        **{name.capitalize(): counts[name].map("{:,}".format).to_list() for name in _OUTCOMES},
                    }
                ).iloc[::-1],
            )
            for what, counts in views.items()
        },
        "Rows",
    )


def _received_finding(received: pd.DataFrame, by_refresh: pd.DataFrame) -> str:
    off = received[received["rows"] != received[list(_OUTCOMES)].sum(axis=1)]
    if len(off):
        first = off.iloc[0]
        return (
            f"Rows do not add up in {counted(len(off), 'file')}, first {first['file']} ({first['table']}), refresh "
            f"{first['refresh']}"
        )
    last = by_refresh.iloc[-1]
    if not last["rows"]:
        return f"Every row is accounted for; refresh {by_refresh.index[-1]} brought none"
    return (
        f"Every row is accounted for: {counted(last['rows'], 'row')} in refresh {by_refresh.index[-1]}, "
        f"{last['inserted']:,} of them new, {last['quarantined']:,} refused"
    )


def _received_figure(counts: pd.DataFrame, what: str) -> go.Figure:
    is_by_table = what == "table"
    figure = blank()
    names, rows = ("yaxis", "xaxis") if is_by_table else ("xaxis", "yaxis")
    figure.update_layout(
        {
            names: {**AXIS, "type": "category", "showgrid": False, "title": {"text": "" if is_by_table else what}},
            rows: {**AXIS, "title": {"text": "rows"}, "nticks": 6, "tickformat": "~s", "rangemode": "tozero"},
            "barmode": "stack",
            "showlegend": True,
            "legend": {**LAYOUT["legend"], "traceorder": "normal"},
        }
    )
    keys = counts.index.astype(str).tolist()
    for name, colour in _OUTCOMES.items():
        values = counts[name].tolist()
        figure.add_bar(
            x=values if is_by_table else keys,
            y=keys if is_by_table else values,
            orientation="h" if is_by_table else "v",
            name=name,
            marker_color=colour,
            hovertemplate=f"%{{{'x' if is_by_table else 'y'}:,}} {name}<extra></extra>",
        )
    return figure


def quarantine(refused: pd.DataFrame) -> Chart:
    """Why rows were refused.

    Args:
        refused: table, file, column (missing where the whole line is bad), reason, row_count; one row each.
    """
    if refused.empty:
        return Chart(
            "Quarantine: no row has been refused", "Rows that cannot be read would stand here with their reason."
        )
    reasons = refused.groupby(["table", "reason"])["row_count"].sum().reset_index()
    reasons = reasons.sort_values(["row_count", "table", "reason"], ascending=[False, True, True])
    shown = reasons.head(_REASONS).iloc[::-1]
    names = labels(f"{table}: {reason}" for table, reason in zip(shown["table"], shown["reason"], strict=True))
    figure = bars_with_names(names, tickformat="~s", title_text="rows", rangemode="tozero")
    figure.add_bar(
        y=names,
        x=shown["row_count"].tolist(),
        orientation="h",
        marker_color=ORANGE,
        hovertemplate="%{y}: %{x:,} rows<extra></extra>",
    )
    total, first = int(refused["row_count"].sum()), reasons.iloc[0]
    told = "all of them" if len(reasons) == 1 else f"{first['row_count']:,} of them"
    return Chart(
        title=f"Quarantine: {counted(total, 'row')} refused, {told} in {first['table']}: {first['reason']}",
        note=(
            f"{counted(len(reasons), 'reason')} in {counted(refused['file'].nunique(), 'file')}"
            + (f"; the {len(shown)} most frequent are drawn" if len(shown) < len(reasons) else "")
            + ". `pulse quarantine` shows the rows and hands them back for mending."
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Reason": refused["reason"].astype(str),
                "Table": refused["table"],
                "File": refused["file"].astype(str),
                "Column": refused["column"].fillna("").astype(str),
                "Rows": refused["row_count"].map("{:,}".format),
            }
        ),
    )


def check_outcomes(history: pd.DataFrame, checks: pd.DataFrame) -> Chart:
    """How the checks went, refresh by refresh.

    Args:
        history: refresh, status, check_count.
        checks: check_name, severity, status of the last refresh; one row a check.
    """
    if history.empty or checks.empty:
        return Chart("Checks", "No check has run yet.")
    counts = history.groupby(["refresh", history["status"].map(_outcome)])["check_count"].sum().unstack(fill_value=0)
    counts = counts.reindex(columns=list(_STATUSES), fill_value=0)
    names = [str(number) for number in counts.index]
    figure = blank()
    figure.update_xaxes({**TIME_AXIS, "tickformat": ""}, title_text="refresh", type="category")
    most = int(counts[list(_NOT_PASSED)].sum(axis=1).max())
    # Checks are whole.
    ticks = {"dtick": 1} if most <= 5 else {"nticks": 6}
    figure.update_yaxes(AXIS, title_text="did not pass", rangemode="tozero", **ticks)
    # Those that pass are many, and would hide the few that do not.
    for status, (word, colour) in _NOT_PASSED.items():
        figure.add_bar(
            x=names,
            y=counts[status].tolist(),
            name=word,
            marker_color=colour,
            hovertemplate=f"refresh %{{x}}: %{{y:,}} {word}<extra></extra>",
        )
    figure.update_layout(barmode="stack", showlegend=True, legend_traceorder="normal")
    outcomes = checks["status"].map(_outcome)
    passed = int((outcomes == "pass").sum())
    title = (
        f"All {len(checks):,} checks passed"
        if passed == len(checks)
        else f"{passed:,} of {counted(len(checks), 'check')} passed"
    )
    for status, (word, _) in _NOT_PASSED.items():
        named = sorted(checks.loc[outcomes == status, "check_name"].astype(str).str.replace("_", " "))
        if named:
            title += f"; {len(named):,} {word}: {listed(named)}"
    return Chart(
        title=title,
        note=(
            f"The last result of every check, {(checks['severity'] == 'error').sum():,} of which stop a refresh from "
            "being published; the others warn. Drawn are those that did not pass, by refresh."
        ),
        # With nothing to draw, the numbers below are all there is to say.
        figure=figure if counts[list(_NOT_PASSED)].to_numpy().any() else None,
        table=pd.DataFrame(
            {
                "Refresh": names,
                **{
                    word.capitalize(): counts[status].map("{:,}".format).to_list()
                    for status, (word, _) in _STATUSES.items()
                },
            }
        ).iloc[::-1],
    )


def _outcome(status: str) -> str:
    return status if status in ("pass", "warn") else "fail"


def freshness(tables: pd.DataFrame, as_of: pd.Timestamp) -> Chart:
    """How many days before as_of each table's last event lies.

    Args:
        tables: table, row_count, last_event_on (missing for what has no date, or no row); one row a table.
        as_of: The day everything was computed for.
    """
    dated = tables[tables["last_event_on"].notna()]
    if dated.empty:
        return Chart("Freshness", "No table with dates has a row.")
    dated = dated.assign(age=(as_of - pd.to_datetime(dated["last_event_on"])).dt.days.clip(lower=0))
    dated = dated.sort_values(["age", "table"], ascending=[True, False])
    figure = bars_with_names(dated["table"].tolist(), title_text="days since the last event", rangemode="tozero")
    figure.add_bar(
        y=dated["table"].tolist(),
        x=dated["age"].tolist(),
        orientation="h",
        marker_color=BLUE,
        customdata=pd.to_datetime(dated["last_event_on"]).dt.strftime("%-d %b %Y").tolist(),
        hovertemplate="%{y}: %{x} days, last %{customdata}<extra></extra>",
    )
    # One day at least, or nothing but noughts would be drawn on an axis of fractions.
    figure.update_xaxes(range=[0, max(int(dated["age"].max()), 1) * 1.05])
    oldest = dated["age"].max()
    stale = sorted(dated.loc[dated["age"] == oldest, "table"])
    title = (
        f"Every table is up to date: the last event of {counted(len(dated), 'table')} is of {as_of:%-d %B %Y}"
        if oldest == 0
        else f"Oldest: {listed(stale)}, whose last event is {counted(oldest, 'day')} before {as_of:%-d %B %Y}"
    )
    empty = sorted(tables.loc[tables["row_count"] == 0, "table"])
    return Chart(
        title=title,
        note=(
            f"Days between the last event of each table and {as_of:%-d %B %Y}, the day everything is computed for."
            + (f" Not delivered: {', '.join(empty)}." if empty else "")
        ),
        figure=figure,
        table=pd.DataFrame(
            {
                "Table": dated["table"],
                "Rows": dated["row_count"].map("{:,}".format),
                "Last event": pd.to_datetime(dated["last_event_on"]).dt.strftime("%Y-%m-%d"),
                "Days ago": dated["age"].map(str),
            }
        ).iloc[::-1],
    )


def volume(weeks: pd.DataFrame, as_of: pd.Timestamp) -> Chart:
    """Rows a week of each table with dates.

    Args:
        weeks: table, weeks_ago (0 is the week that ends on as_of), row_count; no row for weeks without rows.
        as_of: The day everything was computed for.
    """
    if weeks.empty:
        return Chart("Volume", "No table with dates has a row.")
    sizes = weeks.groupby("table")["row_count"].sum().sort_values(ascending=False, kind="stable")
    return switched(
        {str(table): _volume(weeks[weeks["table"] == table], str(table), as_of) for table in sizes.index}, "Table"
    )


def _volume(weeks: pd.DataFrame, table: str, as_of: pd.Timestamp) -> Chart:
    counts = weeks.groupby("weeks_ago")["row_count"].sum()
    counts = counts.reindex(range(min(int(counts.index.max()) + 1, _WEEKS)), fill_value=0).sort_index(ascending=False)
    ends = [as_of - pd.Timedelta(weeks=int(week)) for week in counts.index]
    figure = timeline("rows a week", tickformat="~s")
    figure.add_bar(
        x=[f"{day:%Y-%m-%d}" for day in ends],
        y=counts.tolist(),
        marker_color=BLUE,
        hovertemplate="week to %{x|%-d %b %Y}: %{y:,} rows<extra></extra>",
    )
    now, before = (int(counts[(counts.index >= first) & (counts.index < first + 4)].sum()) for first in (0, 4))
    title = f"{table}: {counted(now, 'row')} in the last four weeks"
    # A week that the data only began in would make the weeks before look small.
    if before and int(counts.index.max()) >= 8:
        title += f", {compared(now / before - 1)} in the four before"
    return Chart(
        title=title,
        note=(
            f"{counted(counts.sum(), 'row')} by the week of their event, {counted(len(counts), 'week')} to "
            f"{as_of:%-d %B %Y}."
        ),
        figure=figure,
        table=pd.DataFrame(
            {"Week to": [f"{day:%Y-%m-%d}" for day in ends], "Rows": counts.map("{:,}".format).to_list()}
        ).iloc[::-1],
    )


def check_share(checks: pd.DataFrame) -> str:
    """How many of the checks passed, for a tile."""
    if checks.empty:
        return "none has run"
    return share(float((checks["status"] == "pass").sum()), len(checks))
