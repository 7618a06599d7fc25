"""What a check found, and how a check is declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Verdict:
    """What a check found.

    Args:
        passed: Whether all is well.
        message: What was found, in one or two sentences with figures.
    """

    passed: bool
    message: str


@dataclass(frozen=True)
class Declared:
    """A check: its name, how severe it is, and why.

    Args:
        name: Its name, which says what holds when it passes.
        severity: ``error`` keeps a refresh from being published, ``warn`` does not.
        description: What is compared with what.
        why: Why it blocks, or why it does not.
    """

    name: str
    severity: Literal["error", "warn"]
    description: str
    why: str
