"""Messages that were sent or wait to be, in one file of a home: each goes to each sink once, and none is lost.

A message waits from the moment it is found until every sink has it, even if the finding is gone by then. A finding that
was gone and is there again is told again. A sink that fails is tried again, at growing intervals. A process that dies
between sending and noting so sends again: at least once, hardly ever twice.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from orchestration.notify.messages import Message
from orchestration.notify.sinks import Sink, SinkError

_DAYS_REMEMBERED = 400
"""After so long an event is forgotten."""
_LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class Report:
    """What became of messages.

    Args:
        sent: Messages sent, by sink.
        failed: Why a sink failed, by sink.
        waiting: Messages that wait for at least one sink.
    """

    sent: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    waiting: int = 0

    def __str__(self) -> str:
        """The report in one line; empty where nothing happened."""
        told = [f"{count} to {sink}" for sink, count in self.sent.items() if count]
        parts = [f"Alerts sent: {', '.join(told)}."] if told else []
        parts += [f"Not sent to {sink}: {reason}." for sink, reason in self.failed.items()]
        if self.waiting:
            parts.append(f"{self.waiting} wait to be sent.")
        return " ".join(parts)


class Outbox:
    """The outbox of a home.

    Args:
        folder: Where it is kept; made private on first use.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def deliver(
        self,
        found: Sequence[Message] | None,
        sinks: Mapping[str, Sink],
        now: datetime,
        events: Sequence[Message] = (),
    ) -> Report:
        """Take in what was found, and send what waits.

        Args:
            found: Every finding there is now, or None where that cannot be told. Those that were taken in before are
                left as they are; one that is not among them has healed, and is told again should it come back.
            sinks: Where messages go. A sink that is new gets what is found from now on.
            now: This moment, in UTC and without zone.
            events: What happened once, such as a failed refresh; it cannot heal.

        Returns:
            What was sent, what failed and what waits. A sink's failure is no exception.
        """
        with self._locked() as state:
            messages = state["messages"]
            for message in found or ():
                known = messages.get(message.message_id)
                if known is None or known.get("healed"):
                    known = messages[message.message_id] = {"waiting": sorted(sinks), "message": message.as_dict()}
                known["found_at"] = now.isoformat()
            if found is not None:
                present = {message.message_id for message in found}
                for message_id, known in messages.items():
                    known["healed"] = message_id not in present and not known.get("event", False)
            for message in events:
                messages.setdefault(
                    message.message_id,
                    {
                        "waiting": sorted(sinks),
                        "message": message.as_dict(),
                        "event": True,
                        "found_at": now.isoformat(),
                    },
                )
            for known in messages.values():
                # Of a sink that is no longer wanted nobody waits for anything.
                known["waiting"] = [name for name in known["waiting"] if name in sinks]
            # Kept before anything is sent: what is found and gone with the next refresh is told all the same.
            self._save(state)
            sent, failed = {}, {}
            for name, sink in sinks.items():
                waiting = [known for known in messages.values() if name in known["waiting"]]
                trouble = state["troubles"].get(name)
                if not waiting or (trouble and now.isoformat() < trouble["again_at"]):
                    if waiting and trouble:
                        failed[name] = f"{trouble['reason']}; tried again from {trouble['again_at'][:16]} UTC"
                    continue
                try:
                    sink.send([Message(**known["message"]) for known in waiting])
                except SinkError as error:
                    attempts = (trouble["attempts"] if trouble else 0) + 1
                    pause = min(_LONGEST_WAIT, timedelta(minutes=2 ** min(attempts - 1, 10)))
                    again_at = (now + pause).isoformat()
                    state["troubles"][name] = {"reason": str(error), "attempts": attempts, "again_at": again_at}
                    failed[name] = str(error)
                else:
                    state["troubles"].pop(name, None)
                    sent[name] = len(waiting)
                    for known in waiting:
                        known["waiting"].remove(name)
                self._save(state)
            self._tidy(messages, now)
            self._save(state)
            return Report(sent, failed, sum(bool(known["waiting"]) for known in messages.values()))

    @staticmethod
    def _tidy(messages: dict[str, Any], now: datetime) -> None:
        """Of what everyone has been told only the id stays: of a finding until it has healed, of an event for long."""
        oldest = (now - timedelta(days=_DAYS_REMEMBERED)).isoformat()
        for message_id, known in list(messages.items()):
            if known["waiting"]:
                continue
            known.pop("message", None)
            if known.get("healed") or known["found_at"] < oldest:
                del messages[message_id]

    @contextmanager
    def _locked(self) -> Iterator[dict[str, Any]]:
        """The state, while no other process has it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._folder / ".lock").open("a") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield self._load()

    def _load(self) -> dict[str, Any]:
        file = self._folder / _STATE
        if file.exists():
            try:
                return json.loads(file.read_text(encoding="utf-8"))
            except ValueError:
                # Told twice is better than not told: what is found now is sent again.
                file.replace(self._folder / f"damaged-{_STATE}")
        return {"messages": {}, "troubles": {}}

    def _save(self, state: Mapping[str, Any]) -> None:
        temporary = self._folder / f".{_STATE}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(state, file, ensure_ascii=False, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._folder / _STATE)


_STATE = "outbox.json"
