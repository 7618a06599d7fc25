"""Where messages go: a log, a file of JSON lines, a webhook, e-mail. Each sends a batch, or says why it could not.

Which messages a sink still has to send is the outbox's business. No secret is part of any error.
"""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import make_msgid
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from orchestration.notify.messages import SEVERITIES, Message
from orchestration.settings import Settings

_SECONDS = 10
_MOST_LISTED = 20
_MOST_BYTES = 5_000_000
"""Size from which the file of alerts begins anew; the one before is kept beside it."""


class SinkError(Exception):
    """Messages could not be sent; the message says why."""


class Sink(Protocol):
    """Sends messages somewhere."""

    def send(self, messages: Sequence[Message]) -> None:
        """Send a batch, whole or not at all.

        Raises:
            SinkError: It was not sent.
        """
        ...


class LogSink:
    """Messages shown where whoever runs this looks: in a log, or on a terminal.

    Args:
        show: Takes a message.
    """

    def __init__(self, show: Callable[[Message], None]) -> None:
        self._show = show

    def send(self, messages: Sequence[Message]) -> None:
        """Show every message."""
        for message in messages:
            self._show(message)


class FileSink:
    """Messages as JSON lines of a file that only its owner reads.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, messages: Sequence[Message]) -> None:
        """Append a line a message, and see to it that they are on the disk."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [json.dumps({"sent_at": at, **message.as_dict()}, ensure_ascii=False) for message in messages]
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size > _MOST_BYTES:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write("".join(f"{line}\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SinkError(f"{self._path}: {error.strerror}") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A post that is sent elsewhere arrives without its content: an error, not an answer."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""
        return


class WebhookSink:
    """Messages as one JSON document, posted to an address.

    The document holds ``text``, which chat programs show, and ``alerts``, a list. ``id`` stays the same when a batch is
    posted again, because its answer was lost.

    Args:
        url: The address. It is a secret and appears nowhere.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, messages: Sequence[Message]) -> None:
        """Post the messages; any answer but 2xx is a failure."""
        document = {
            "id": _batch_id(messages),
            "text": "\n".join([headline(messages), *_listed(messages)]),
            "alerts": [message.as_dict() for message in messages],
        }
        request = urllib.request.Request(  # noqa: S310 - settings allow http and https only
            self._url,
            json.dumps(document, ensure_ascii=False).encode(),
            {"Content-Type": "application/json; charset=utf-8", "User-Agent": "customer-pulse"},
        )
        where = urlsplit(self._url).hostname
        try:
            with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS) as response:
                response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise SinkError(f"{where} answered {error.code} {error.reason}") from None
        except urllib.error.URLError as error:
            raise SinkError(f"{where} cannot be reached ({error.reason})") from None
        except (OSError, HTTPException, ValueError) as error:
            raise SinkError(f"{where} did not answer ({type(error).__name__})") from None


@dataclass(frozen=True)
class MailServer:
    """A mail server, and how to talk to it.

    Args:
        host: Its name.
        port: Its port.
        security: starttls, tls or none.
        login: User and password; None to send without.
        context: How certificates are checked; by default against those the system trusts.
    """

    host: str
    port: int
    security: str
    login: tuple[str, str] | None = field(default=None, repr=False)
    context: ssl.SSLContext | None = None

    def connect(self) -> smtplib.SMTP:
        """An open connection, encrypted and logged in as asked for."""
        context = self.context or ssl.create_default_context()
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=_SECONDS, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=_SECONDS)
        try:
            if self.security == "starttls":
                server.starttls(context=context)
            if self.login:
                server.login(*self.login)
        except BaseException:
            server.close()
            raise
        return server


class SmtpSink:
    """Messages as one e-mail.

    Args:
        server: Where it is handed in.
        sender: Address of the sender.
        receivers: Addresses of the receivers.
        log: Is told of single receivers that were refused.
    """

    def __init__(self, server: MailServer, sender: str, receivers: Sequence[str], log: Callable[[str], None]) -> None:
        self._server = server
        self._sender = sender
        self._receivers = receivers
        self._log = log

    def send(self, messages: Sequence[Message]) -> None:
        """Send the e-mail; a failure unless at least one receiver was accepted."""
        mail = EmailMessage()
        mail["Subject"] = f"Customer Pulse: {headline(messages)}"
        mail["From"] = self._sender
        mail["To"] = ", ".join(self._receivers)
        mail["Message-ID"] = make_msgid(_batch_id(messages), domain=self._sender.rpartition("@")[2])
        mail.set_content("\n\n".join([*_listed(messages), "Sent by Customer Pulse."]))
        where = f"{self._server.host}:{self._server.port}"
        try:
            with self._server.connect() as server:
                refused = server.send_message(mail)
        except (smtplib.SMTPException, OSError) as error:
            raise SinkError(f"{where} did not take the e-mail ({_told(error)})") from None
        for receiver in refused:
            self._log(f"smtp: {where} refused the receiver {receiver}; the others were sent to.")


def build_sinks(settings: Settings, log: Callable[[str], None], show: Callable[[Message], None]) -> dict[str, Sink]:
    """The sinks that the settings name, by their names.

    Args:
        settings: The settings.
        log: Takes what a sink has to say though it sent.
        show: Takes the messages of the log sink.
    """
    sinks: dict[str, Sink] = {}
    if "log" in settings.alert_sinks:
        sinks["log"] = LogSink(show)
    if "file" in settings.alert_sinks:
        sinks["file"] = FileSink(settings.alerts / "alerts.jsonl")
    if "webhook" in settings.alert_sinks and settings.alert_webhook_url:
        sinks["webhook"] = WebhookSink(settings.alert_webhook_url.get_secret_value())
    if "smtp" in settings.alert_sinks and settings.alert_smtp_host and settings.alert_mail_from:
        password = settings.alert_smtp_password
        user = settings.alert_smtp_user
        sinks["smtp"] = SmtpSink(
            MailServer(
                settings.alert_smtp_host,
                settings.alert_smtp_port,
                settings.alert_smtp_security,
                (user, password.get_secret_value()) if user and password else None,
            ),
            settings.alert_mail_from,
            settings.alert_mail_to,
            log,
        )
    return sinks


def headline(messages: Sequence[Message]) -> str:
    """A batch in a few words: how many, and how severe."""
    counts: Mapping[str, int] = {
        severity: sum(message.severity == severity for message in messages) for severity in reversed(SEVERITIES)
    }
    told = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    return f"{len(messages)} alert{'' if len(messages) == 1 else 's'} ({told})"


def _listed(messages: Sequence[Message]) -> list[str]:
    more = len(messages) - _MOST_LISTED
    lines = [message.line for message in messages[:_MOST_LISTED]]
    return [*lines, f"and {more} more, in marts.alerts"] if more > 0 else lines


def _batch_id(messages: Sequence[Message]) -> str:
    return sha256("\n".join(sorted(message.message_id for message in messages)).encode()).hexdigest()[:16]


def _told(error: Exception) -> str:
    """An error in words; what a server answered to a password is left out."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"user or password refused, {error.smtp_code}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "all receivers refused"
    if isinstance(error, smtplib.SMTPResponseException):
        answer = error.smtp_error
        text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
        return f"{error.smtp_code} {' '.join(text.split())}"
    return " ".join(str(error).split()) or type(error).__name__
