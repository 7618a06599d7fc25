"""Telling what is new: the one call that the command line and the sensors share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import duckdb

from orchestration.notify.messages import Message, published_alerts
from orchestration.notify.outbox import Outbox, Report
from orchestration.notify.sinks import build_sinks
from orchestration.resources import now
from orchestration.settings import Settings


def tell(
    settings: Settings,
    log: Callable[[str], None],
    further: Sequence[Message] = (),
    show: Callable[[Message], None] | None = None,
) -> Report:
    """Send the published alerts that were not sent yet, and what happened; never fails a refresh.

    Args:
        settings: The home, and where messages go.
        log: Takes what went wrong.
        further: What happened once and is not in the published file, such as failures.
        show: Takes the messages of the log sink; they are lines of the log by default.
    """
    show = show or (lambda message: log(f"Alert, {message.line}"))
    found = None
    try:
        if settings.published.exists():
            found = published_alerts(settings.published, settings.alert_severity)
    except duckdb.Error as error:
        # A published file that cannot be opened is no reason to keep silent about a failure, and heals nothing.
        log(f"The alerts in {settings.published} cannot be read: {error}")
    try:
        report = Outbox(settings.alerts).deliver(found, build_sinks(settings, log, show), now(), further)
    except OSError as error:
        log(f"The outbox in {settings.alerts} cannot be used, nothing was sent: {error}")
        return Report()
    for name, reason in report.failed.items():
        log(f"Alerts were not sent to {name}: {reason}.")
    return report
