"""What is told: the alerts of the published file, warnings about incoming data, and refreshes that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from orchestration.published import open_published

SEVERITIES = ("info", "warning", "critical")
"""From the least to the most severe."""


_ALERTS = """
    select
        alert_id, kind, severity, title, evidence, subject_type, subject_id,
        cast(first_seen_on as varchar) as first_seen_on, page
    from marts.alerts
    order by display_order
"""
_WARNINGS = """
    select check_name, message, cast(as_of as varchar)
    from meta.check_results
    join (select refresh, as_of from meta.refreshes where status = 'published' order by refresh desc limit 1)
        using (refresh)
    where asset = 'data_profile' and status = 'warn'
    order by check_name
"""


@dataclass(frozen=True)
class Message:
    """Something to tell, once.

    Args:
        message_id: The same for the same finding, however often it is found.
        kind: What sort of finding, as in `marts.alerts`; refresh_failed for a failure.
        severity: info, warning or critical.
        title: The finding in one sentence.
        evidence: The figures behind it.
        subject: What it is about, such as ``customer C12``; empty for the business.
        first_seen_on: Day of the finding, YYYY-MM-DD, where there is one.
        page: File name of the page about it, where there is one.
    """

    message_id: str
    kind: str
    severity: str
    title: str
    evidence: str
    subject: str = ""
    first_seen_on: str | None = None
    page: str | None = None

    @property
    def line(self) -> str:
        """The message in one line."""
        title = " ".join(self.title.split())
        stop = "." if self.evidence and not title.endswith((".", "?", "!")) else ""
        return " ".join(f"{self.severity}: {title}{stop} {self.evidence}".split())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def published_alerts(published: Path, least: str) -> list[Message]:
    """The alerts that readers see now, and warnings about the data behind them, most severe first.

    Args:
        published: The published file; where there is none yet there is nothing to tell.
        least: The least severity that counts.
    """
    if not published.exists():
        return []
    with open_published(published) as connection:
        tables = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
        rows = connection.execute(_ALERTS).fetchall() if "alerts" in tables else []
        warnings = connection.execute(_WARNINGS).fetchall() if "check_results" in tables else []
    found = [
        Message(
            # The same words are the same finding; tomorrow's are another one.
            message_id=f"check:{sha256(f'{name}: {message}'.encode()).hexdigest()[:16]}",
            kind="data_check",
            severity="warning",
            title=f"Incoming data: {name.replace('_', ' ')}? No.",
            evidence=message,
            first_seen_on=as_of,
            page="quality.html",
        )
        for name, message, as_of in warnings
    ] + [
        Message(
            message_id=alert_id,
            kind=kind,
            severity=severity,
            title=title or "",
            evidence=evidence or "",
            subject=" ".join(filter(None, (subject_type, subject_id))),
            first_seen_on=first_seen_on,
            page=page,
        )
        for alert_id, kind, severity, title, evidence, subject_type, subject_id, first_seen_on, page in rows
    ]
    counting = [message for message in found if SEVERITIES.index(message.severity) >= SEVERITIES.index(least)]
    return sorted(counting, key=lambda message: -SEVERITIES.index(message.severity))


def failure(run_id: str, what: str, reasons: Sequence[str], at: datetime, state: str) -> Message:
    """The message that a run has failed.

    Args:
        run_id: The run.
        what: What it was to do, such as ``refresh``.
        reasons: Why it failed, a few sentences.
        at: When it failed.
        state: What that means for readers, in a sentence.
    """
    return Message(
        message_id=f"failed:{run_id}",
        kind="refresh_failed",
        severity="critical",
        title=f"The {what} of {at:%Y-%m-%d %H:%M} UTC failed.",
        evidence=" ".join([*reasons, state]),
        first_seen_on=f"{at:%Y-%m-%d}",
    )
