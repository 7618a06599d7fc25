"""What is told: the alerts of the published file, and refreshes that failed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestration.published import open_published

SEVERITIES = ("info", "warning", "critical")
"""From the least to the most severe."""


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
        return " ".join(f"{self.severity}: {self.title} {self.evidence}".split())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def published_alerts(published: Path, least: str) -> list[Message]:
    """The alerts that readers see now, most severe first; none where nothing has been published.

    Args:
        published: The published file.
        least: The least severity that counts.
    """
    if not published.exists():
        return []
    with open_published(published) as connection:
        exists = connection.execute(
            "select 1 from information_schema.tables where table_schema = 'marts' and table_name = 'alerts'"
        ).fetchall()
        if not exists:
            return []
        rows = connection.execute(
            """
            select
                alert_id, kind, severity, title, evidence, subject_type, subject_id,
                cast(first_seen_on as varchar) as first_seen_on, page
            from marts.alerts
            order by first_seen_on desc nulls last, alert_id
            """
        ).fetchall()
    found = [
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


def failure(run_id: str, what: str, reasons: Sequence[str], at: datetime, *, has_published: bool) -> Message:
    """The message that a run has failed.

    Args:
        run_id: The run.
        what: What it was to do, such as ``refresh``.
        reasons: Why it failed, a few sentences.
        at: When it failed.
        has_published: Whether there is an earlier published file, which stays.
    """
    stays = "The published file is as it was before." if has_published else "Nothing has been published yet."
    return Message(
        message_id=f"failed:{run_id}",
        kind="refresh_failed",
        severity="critical",
        title=f"The {what} of {at:%Y-%m-%d %H:%M} UTC failed.",
        evidence=" ".join([*reasons, stays]),
        first_seen_on=f"{at:%Y-%m-%d}",
    )
