"""A run's events as lines on a terminal: one an asset, warnings and failures in plain words."""

from __future__ import annotations

import logging
from typing import Any

import dagster as dg
from rich.console import Console
from rich.text import Text

from orchestration.terminal import shown


class Progress:
    """Prints events as they arrive.

    Args:
        console: Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._assets = 0
        self._checks = 0
        self._warned = 0
        self.failures: list[str] = []
        """Why steps failed, in words."""

    def __call__(self, entry: Any) -> None:
        """Print one event of Dagster's log, if it is of interest."""
        if entry.dagster_event is None:
            if entry.level == logging.WARNING:
                self._line("yellow", "!", entry.user_message)
            return
        event = entry.dagster_event
        kind = event.event_type
        if kind == dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._assets += 1
            metadata = event.materialization.metadata
            rows = metadata.get("dagster/row_count")
            count = f"{rows.value:>12,} row{'' if rows.value == 1 else 's'}" if rows is not None else ""
            self._line("green", "✓", f"{event.asset_key.to_user_string():<48}{count}".rstrip())
        elif kind == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            self._checks += 1
            check = event.asset_check_evaluation_data
            if not check.passed:
                warns = check.severity == dg.AssetCheckSeverity.WARN
                self._warned += warns
                words = check.description or "did not pass"
                self._line(
                    "yellow" if warns else "red",
                    "!" if warns else "✗",
                    f"check {check.check_name} on {check.asset_key.to_user_string()}: {words}",
                )
        elif kind == dg.DagsterEventType.STEP_FAILURE:
            self.failures.append(failure_text(event))
            self._line("red", "✗", self.failures[-1])
        elif kind == dg.DagsterEventType.RUN_FAILURE and not self.failures:
            self.failures.append(event.message or "the run failed")
            self._line("red", "✗", self.failures[-1])

    def finish(self, succeeded: bool) -> None:
        """Print what it came to."""
        verdict = "" if succeeded else " The run failed; nothing was published."
        assets = f"{self._assets} asset{'' if self._assets == 1 else 's'}"
        checks = f", {self._checks} checks" if self._checks else ""
        warned = f" ({self._warned} with a warning)" if self._warned else ""
        self._console.print(f"{assets}{checks}{warned}.{verdict}", highlight=False)

    def _line(self, colour: str, mark: str, text: str) -> None:
        first, *more = text.splitlines() or [""]
        self._console.print(Text.assemble((mark, colour), " ", shown(first)), soft_wrap=True)
        for line in more:
            self._console.print(shown(line), soft_wrap=True)


def failure_text(event: Any) -> str:
    """The user's message of a failed step; for an unexpected error its kind, message and place."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return f"{event.step_key}: {data.user_failure_data.description}"
    error = data.error
    while error.cause is not None:
        error = error.cause
    where = error.stack[-1].strip().splitlines()[0] if error.stack else ""
    return f"{event.step_key}: {error.message.strip()} ({where})"
