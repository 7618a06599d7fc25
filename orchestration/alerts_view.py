"""What deserves attention, on a terminal or as JSON: the published alerts, and what the last checks warn of.

Alerts are decided in dbt, checks where they are declared; here they are only read and printed.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import duckdb
from rich.console import Console
from rich.text import Text

from orchestration.terminal import plain, shown

SEVERITIES = ("critical", "warning", "info")
"""From the worst down."""

_STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
_COLUMNS = (
    *("alert_id", "severity", "kind", "subject_type", "subject_id", "title", "evidence", "value", "expected_value"),
    *("first_seen_on", "page"),
)


def read_alerts(connection: duckdb.DuckDBPyConnection, severity: str | None) -> list[dict[str, Any]]:
    """The published alerts, the worst first and of these the newest.

    Args:
        connection: To the published file.
        severity: The least severity to be told; all where None.
    """
    told = SEVERITIES if severity is None else SEVERITIES[: SEVERITIES.index(severity) + 1]
    rows = connection.execute(
        f"""
        select {", ".join(_COLUMNS)}
        from marts.alerts
        where list_contains($told, severity)
        order by display_order
        """,
        {"told": list(told)},
    ).fetchall()
    return [dict(zip(_COLUMNS, row, strict=True)) for row in rows]


def read_warnings(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """The checks of the published refresh that warned, each as it last came out."""
    rows = connection.execute(
        """
        select check_name, asset, status, failures, message
        from meta.check_results
        where refresh = (select max(refresh) from meta.refreshes where status = 'published')
        qualify
            row_number() over (partition by check_name, asset order by recorded_at desc) = 1
            and status <> 'pass'
        order by check_name, asset
        """
    ).fetchall()
    names = ("check", "asset", "status", "failures", "message")
    return [dict(zip(names, row, strict=True)) for row in rows]


def read_refresh(connection: duckdb.DuckDBPyConnection) -> tuple[int, date]:
    """Number and day of the published refresh."""
    ((refresh, as_of),) = connection.execute(
        "select refresh, as_of from meta.refreshes where status = 'published' order by refresh desc limit 1"
    ).fetchall()
    return refresh, as_of


def alerts_as_json(alerts: list[dict[str, Any]], warnings: list[dict[str, Any]], refresh: int, as_of: date) -> str:
    """Alerts and warnings as one JSON document, in ASCII: a terminal shows it as it is."""
    content = {"refresh": refresh, "as_of": as_of, "alerts": alerts, "check_warnings": warnings}
    return json.dumps(content, indent=1, default=_plain_value)


def print_alerts(
    console: Console, alerts: list[dict[str, Any]], warnings: list[dict[str, Any]], refresh: int, as_of: date
) -> None:
    """Print alerts and warnings, one paragraph each."""
    counts = [
        f"{count:,} {severity}"
        for severity in SEVERITIES
        if (count := sum(alert["severity"] == severity for alert in alerts))
    ]
    console.print(f"Refresh {refresh}, as of {as_of}: {', '.join(counts) if counts else 'no alerts'}.", highlight=False)
    for alert in alerts:
        style = _STYLES[alert["severity"]]
        console.print(Text.assemble((f"{alert['severity']:<9}", style), shown(alert["title"], "bold")), soft_wrap=True)
        since = "" if alert["first_seen_on"] is None else f"Since {alert['first_seen_on']}. "
        console.print(shown(f"         {since}{plain(alert['evidence'])}", "dim"), soft_wrap=True)
    if warnings:
        console.print("\nWarnings of the last checks:", highlight=False)
    for warning in warnings:
        console.print(shown(f"  {warning['check']} on {warning['asset']}: {_outcome(warning)}"), soft_wrap=True)


def _outcome(warning: dict[str, Any]) -> str:
    if warning["message"]:
        return str(warning["message"])
    rows = warning["failures"]
    return warning["status"] if rows is None else f"{rows:,} row{'' if rows == 1 else 's'}"


def _plain_value(value: Any) -> Any:
    """Decimals as numbers, days as text."""
    return value.isoformat() if hasattr(value, "isoformat") else float(value)
