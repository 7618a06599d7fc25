"""A run's events as lines on a terminal: one a stage, warnings and failures in plain words; one an asset if wanted.

A refresh has a hundred and more assets. Named one by one they would bury what is to be read: the warnings.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from rich.console import Console
from rich.status import Status
from rich.text import Text

from orchestration.terminal import shown

_OF_STEPS = {"marts": "marts", "insights": "insights"}
"""Stages of the steps that build tables of many kinds, by the step."""
_OF_KEYS = {
    "ml": "models",
    "meta": "incoming data",
    "reports": "pages",
    "exports": "exports",
    "published": "publish",
}
"""Stages of the other steps, by the first part of what they make."""
_RAW = "raw"
"""The stage of what is left."""
_INTERRUPTIONS = ("KeyboardInterrupt", "DagsterExecutionInterruptedError")


@dataclass
class _Stage:
    """What has become of a stage.

    Args:
        steps: Steps that are still to end.
        assets: Assets made.
        planned: Assets to be made.
        rows: Rows in them.
        checks: Checks that ran.
        warned: Those that warn.
        failed: Whether a step failed, or a check that blocks.
        begun: When the first step began, on a clock that only goes forward; None before that.
        ended: Whether its line has been printed.
    """

    steps: set[str] = field(default_factory=set)
    assets: int = 0
    planned: int = 0
    rows: int = 0
    checks: int = 0
    warned: int = 0
    failed: bool = False
    begun: float | None = None
    ended: bool = False


class Progress:
    """Prints events as they arrive.

    Args:
        console: Where to.
        verbose: A line an asset as well.
        clock: Seconds that only go forward.
    """

    def __init__(self, console: Console, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._verbose = verbose
        self._clock = clock
        self._began = clock()
        self._stages: dict[str, _Stage] = {}
        self._stage_of: dict[str, str] = {}
        self._status: Status | None = None
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
        if kind == dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            self._plan(event)
        elif kind == dg.DagsterEventType.STEP_START:
            self._begin(event.step_key)
        elif kind == dg.DagsterEventType.ASSET_MATERIALIZATION:
            self._made(event)
        elif kind == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            self._checked(event)
        elif kind == dg.DagsterEventType.STEP_FAILURE:
            self._failed(event)
        elif kind == dg.DagsterEventType.STEP_SUCCESS:
            self._end(event.step_key)
        elif kind == dg.DagsterEventType.RUN_FAILURE and not self.failures:
            self.failures.append(event.message or "the run failed")
            self._line("red", "✗", self.failures[-1])

    def finish(self, succeeded: bool, *, has_published: bool = False) -> None:
        """Print what it came to.

        Args:
            succeeded: Whether the run did.
            has_published: Whether it put a new published file in place, which it may have before it failed.
        """
        self.stop()
        for name, stage in self._stages.items():
            if stage.begun is not None and not stage.ended:
                self._end_stage(name, stage)
        if not succeeded and (left := [name for name, stage in self._stages.items() if stage.begun is None]):
            self._console.print(f"Not begun: {', '.join(left)}.", highlight=False)
        failed = (
            " The run failed after it had published." if has_published else " The run failed; nothing was published."
        )
        verdict = "" if succeeded else failed
        stages = self._stages.values()
        made = [_counted(sum(stage.assets for stage in stages), "asset"), *_judged(list(stages))]
        seconds = self._clock() - self._began
        self._console.print(f"{', '.join(made)} in {seconds:,.0f} s.{verdict}", highlight=False)

    def stop(self) -> None:
        """Take down what moves on the terminal."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _plan(self, event: Any) -> None:
        """Note which steps a stage has: Dagster tells before it begins."""
        name = _OF_STEPS.get(event.step_key) or _OF_KEYS.get(event.asset_key.path[0], _RAW)
        stage = self._stages.setdefault(name, _Stage())
        stage.steps.add(event.step_key)
        stage.planned += 1
        self._stage_of[event.step_key] = name

    def _begin(self, step: str) -> None:
        stage = self._of(step)
        if stage.begun is None:
            stage.begun = self._clock()
        self._move(step)

    def _made(self, event: Any) -> None:
        stage = self._of(event.step_key)
        stage.assets += 1
        rows = event.materialization.metadata.get("dagster/row_count")
        # The clock's one row was not delivered.
        if rows is not None and event.asset_key.path[0] != "pulse":
            stage.rows += rows.value
        if self._verbose:
            count = f"{rows.value:>12,} row{'' if rows.value == 1 else 's'}" if rows is not None else ""
            self._line("green", "✓", f"{event.asset_key.to_user_string():<48}{count}".rstrip())
        self._move(event.step_key)

    def _checked(self, event: Any) -> None:
        stage = self._of(event.step_key)
        stage.checks += 1
        check = event.asset_check_evaluation_data
        if check.passed:
            return
        warns = check.severity == dg.AssetCheckSeverity.WARN
        stage.warned += warns
        stage.failed = stage.failed or not warns
        words = check.description or "did not pass"
        self._line(
            "yellow" if warns else "red",
            "!" if warns else "✗",
            f"check {check.check_name} on {check.asset_key.to_user_string()}: {words}",
        )

    def _failed(self, event: Any) -> None:
        error = event.step_failure_data.error
        if error is not None and error.cls_name in _INTERRUPTIONS:
            # Who interrupts a run need not be told why it ended.
            return
        self._of(event.step_key).failed = True
        self.failures.append(failure_text(event))
        self._line("red", "✗", self.failures[-1])
        self._end(event.step_key)

    def _end(self, step: str) -> None:
        stage = self._of(step)
        stage.steps.discard(step)
        if not stage.steps:
            self._end_stage(self._stage_of[step], stage)

    def _end_stage(self, name: str, stage: _Stage) -> None:
        stage.ended = True
        is_whole = not stage.failed and not stage.steps
        told = [_counted(stage.assets, "asset")] if stage.planned else []
        if not is_whole:
            told = [f"{stage.assets:,} of {_counted(stage.planned, 'asset')}"]
        # Rows of tables that are made of each other add up to nothing.
        told += [_counted(stage.rows, "row")] if name == _RAW else []
        told += _judged([stage])
        seconds = self._clock() - (stage.begun if stage.begun is not None else self._clock())
        colour, mark = ("green", "✓") if is_whole else ("red", "✗")
        self._line(colour, mark, f"{name:<15}{', '.join([*told, f'{seconds:,.1f} s'])}")

    def _of(self, step: str) -> _Stage:
        name = self._stage_of.setdefault(step, step)
        return self._stages.setdefault(name, _Stage({step}))

    def _move(self, step: str) -> None:
        """On a terminal, show how far the stage has come."""
        if not self._console.is_terminal:
            return
        stage = self._of(step)
        text = f"{self._stage_of[step]}: {stage.assets} of {_counted(stage.planned, 'asset')}"
        if self._status is None:
            self._status = self._console.status(text)
            self._status.start()
        else:
            self._status.update(text)

    def _line(self, colour: str, mark: str, text: str) -> None:
        first, *more = text.splitlines() or [""]
        self._console.print(Text.assemble((mark, colour), " ", shown(first)), soft_wrap=True)
        for line in more:
            self._console.print(shown(line), soft_wrap=True)


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _judged(stages: list[_Stage]) -> list[str]:
    """The checks of stages, if there are any."""
    checks, warned = sum(stage.checks for stage in stages), sum(stage.warned for stage in stages)
    return [_counted(checks, "check") + (f" ({warned} with a warning)" if warned else "")] if checks else []


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
