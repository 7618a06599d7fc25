"""Who is told what, and how: alerts and failures as messages, an outbox that loses none, and the sinks they go to."""

from orchestration.notify.messages import Message, failure, published_alerts
from orchestration.notify.outbox import Outbox, Report
from orchestration.notify.sinks import Sink, SinkError, build_sinks
from orchestration.notify.telling import tell

__all__ = [
    "Message",
    "Outbox",
    "Report",
    "Sink",
    "SinkError",
    "build_sinks",
    "failure",
    "published_alerts",
    "tell",
]
