"""Alerts reach every sink once, and none is lost: the outbox, and the sinks against real servers on this machine."""

from __future__ import annotations

import json
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.notify import Message, Outbox, SinkError, build_sinks, failure, published_alerts, tell
from orchestration.notify.sinks import FileSink, MailServer, SmtpSink, WebhookSink, headline
from orchestration.resources import META_TABLES
from orchestration.settings import Settings

NOW = datetime(2026, 3, 31, 5, 0)  # noqa: DTZ001 - the outbox's clock has no zone


def alert(number: int, severity: str = "warning", title: str = "Sales fell.") -> Message:
    return Message(f"a{number}", "sales", severity, title, "12 orders, 40 expected", "business", "2026-03-30")


@dataclass
class Recorder:
    """A sink that remembers, or fails.

    Args:
        broken: Why it fails, for as long as it does.
    """

    broken: str | None = None
    got: list[list[str]] = field(default_factory=list)

    def send(self, messages: Sequence[Message]) -> None:
        if self.broken:
            raise SinkError(self.broken)
        self.got.append([message.message_id for message in messages])


def test_each_message_goes_to_each_sink_once(tmp_path: Path) -> None:
    one, two = Recorder(), Recorder()
    sinks = {"one": one, "two": two}
    report = Outbox(tmp_path).deliver([alert(1), alert(2)], sinks, NOW)
    assert (report.sent, report.failed, report.waiting) == ({"one": 2, "two": 2}, {}, 0)
    again = Outbox(tmp_path).deliver([alert(1), alert(2), alert(3)], sinks, NOW)
    assert again.sent == {"one": 1, "two": 1}
    assert one.got == two.got == [["a1", "a2"], ["a3"]]
    assert str(Outbox(tmp_path).deliver([alert(3)], sinks, NOW)) == ""


def test_what_a_failing_sink_missed_is_sent_later_even_if_it_is_no_longer_found(tmp_path: Path) -> None:
    good, bad = Recorder(), Recorder(broken="no route")
    sinks = {"good": good, "bad": bad}
    report = Outbox(tmp_path).deliver([alert(1)], sinks, NOW)
    assert str(report) == "Alerts sent: 1 to good. Not sent to bad: no route. 1 wait to be sent."
    assert Outbox(tmp_path).deliver([alert(2)], sinks, NOW + timedelta(minutes=2)).failed == {"bad": "no route"}
    bad.broken = None
    # it is left in peace for a while: the second failure makes it two minutes
    early = Outbox(tmp_path).deliver([], sinks, NOW + timedelta(minutes=3))
    assert early.failed == {"bad": "no route; tried again from 2026-03-31T05:04 UTC"}
    assert Outbox(tmp_path).deliver([], sinks, NOW + timedelta(minutes=4)).sent == {"bad": 2}
    assert (good.got, bad.got) == ([["a1"], ["a2"]], [["a1", "a2"]])


def test_a_finding_that_heals_and_returns_is_told_again_and_one_that_stays_is_not(tmp_path: Path) -> None:
    good, bad = Recorder(), Recorder(broken="no route")
    sinks = {"good": good, "bad": bad}
    for day, found in enumerate(([1, 2], [1, 2], None, [2], [], [1], [1, 2])):
        messages = None if found is None else [alert(number) for number in found]
        Outbox(tmp_path).deliver(messages, sinks, NOW + timedelta(days=day))
    # it was not to be known on the third day: that heals nothing
    assert good.got == [["a1", "a2"], ["a1"], ["a2"]]
    bad.broken = None
    Outbox(tmp_path).deliver([alert(1), alert(2)], sinks, NOW + timedelta(days=9))
    assert bad.got == [["a1", "a2"]]


def test_an_event_is_told_once_and_does_not_heal(tmp_path: Path) -> None:
    sink = Recorder()
    for events in ([alert(1)], [], [alert(1)]):
        Outbox(tmp_path).deliver([], {"sink": sink}, NOW, events)
    assert sink.got == [["a1"]]


def test_a_sink_that_breaks_unexpectedly_loses_nothing(tmp_path: Path) -> None:
    class Dies(Recorder):
        def send(self, messages: Sequence[Message]) -> None:
            raise KeyboardInterrupt(messages[0].title)

    first = Recorder()
    with pytest.raises(KeyboardInterrupt):
        Outbox(tmp_path).deliver([alert(1)], {"first": first, "second": Dies()}, NOW)
    second = Recorder()
    assert Outbox(tmp_path).deliver([], {"first": first, "second": second}, NOW).sent == {"second": 1}
    assert (first.got, second.got) == ([["a1"]], [["a1"]])


def test_a_new_sink_gets_what_is_found_from_now_on_and_nobody_waits_for_one_that_is_gone(tmp_path: Path) -> None:
    Outbox(tmp_path).deliver([alert(1)], {"old": Recorder(broken="down")}, NOW)
    new = Recorder()
    report = Outbox(tmp_path).deliver([alert(1), alert(2)], {"new": new}, NOW)
    assert (new.got, report.waiting) == ([["a2"]], 0)


def test_the_outbox_is_private_small_and_survives_damage(tmp_path: Path) -> None:
    folder, sink = tmp_path / "alerts", Recorder()
    Outbox(folder).deliver([alert(1)], {"sink": sink}, NOW)
    file = folder / "outbox.json"
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    assert "Sales fell." not in file.read_text()
    Outbox(folder).deliver([], {"sink": sink}, NOW, [alert(9)])
    assert json.loads(file.read_text())["messages"].keys() == {"a9"}
    Outbox(folder).deliver([], {"sink": sink}, NOW + timedelta(days=401))
    assert json.loads(file.read_text())["messages"] == {}
    file.write_text('{"messages": {"a1"')
    Outbox(folder).deliver([alert(1)], {"sink": sink}, NOW)
    assert sink.got == [["a1"], ["a9"], ["a1"]]


def test_a_batch_in_a_few_words() -> None:
    assert headline([alert(1)]) == "1 alert (1 warning)"
    assert headline([alert(1), alert(2, "critical"), alert(3)]) == "3 alerts (1 critical, 2 warning)"
    assert alert(1, title="two\nlines\x0b").line == "warning: two lines. 12 orders, 40 expected"


def test_a_failure_says_what_when_and_that_readers_are_safe() -> None:
    message = failure("r1", "refresh", ["marts: check failed."], NOW, "The published file is as it was before.")
    assert message.message_id == "failed:r1"
    assert message.line == (
        "critical: The refresh of 2026-03-31 05:00 UTC failed. marts: check failed. The published file is as it was "
        "before."
    )


def test_json_lines_are_appended_and_begin_anew_when_the_file_is_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "alerts" / "alerts.jsonl"
    FileSink(path).send([alert(1), alert(2, title="zoë")])
    FileSink(path).send([alert(3)])
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["message_id"] for line in lines] == ["a1", "a2", "a3"]
    assert lines[1]["title"] == "zoë"
    assert path.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr("orchestration.notify.sinks._MOST_BYTES", 10)
    FileSink(path).send([alert(4)])
    assert len(path.read_text().splitlines()) == 1
    assert len(path.with_name("alerts.jsonl.1").read_text().splitlines()) == 3
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="File exists"):
        FileSink(tmp_path / "file" / "alerts.jsonl").send([alert(1)])


class _Hook(BaseHTTPRequestHandler):
    """Answers as its server is told to, and keeps what was posted."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server: Any = self.server
        server.posted.append((self.path, self.headers["Content-Type"], json.loads(body)))
        self.send_response(server.answer)
        if server.answer == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def serving(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hook() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    server.posted, server.answer = [], 200
    with serving(server):
        yield server


def test_a_webhook_is_posted_to(hook: Any) -> None:
    sink = WebhookSink(f"http://127.0.0.1:{hook.server_port}/services/hunter2")
    sink.send([alert(1, "critical", "Größter Einbruch"), alert(2)])
    sink.send([alert(2), alert(1, "critical")])
    (path, kind, document), (_, _, again) = hook.posted
    assert (path, kind) == ("/services/hunter2", "application/json; charset=utf-8")
    assert document["text"] == (
        "2 alerts (1 critical, 1 warning)\n"
        "critical: Größter Einbruch. 12 orders, 40 expected\n"
        "warning: Sales fell. 12 orders, 40 expected"
    )
    assert [each["message_id"] for each in document["alerts"]] == ["a1", "a2"]
    assert document["id"] == again["id"]


def test_a_webhook_that_fails_is_told_without_its_address(hook: Any) -> None:
    sink = WebhookSink(f"http://127.0.0.1:{hook.server_port}/services/hunter2")
    for answer, words in ((500, "127.0.0.1 answered 500"), (404, "answered 404"), (302, "answered 302")):
        hook.answer = answer
        with pytest.raises(SinkError, match=words) as caught:
            sink.send([alert(1)])
        assert "hunter2" not in str(caught.value)
    assert [path for path, _, _ in hook.posted] == ["/services/hunter2"] * 3
    with pytest.raises(SinkError, match=r"127\.0\.0\.1 cannot be reached") as caught:
        WebhookSink("http://127.0.0.1:1/services/hunter2").send([alert(1)])
    assert "hunter2" not in str(caught.value)


class _Smtp(socketserver.StreamRequestHandler):
    """As much of an SMTP server as a client needs, with STARTTLS and AUTH PLAIN."""

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self) -> None:
        server: Any = self.server
        self.say("220 here")
        while line := self.rfile.readline().decode().strip():
            word = line.split(" ")[0].upper()
            if word == "EHLO":
                self.say("250-here")
                self.say("250-STARTTLS" if server.context and not self.encrypted else "250-AUTH PLAIN")
                self.say("250 OK")
            elif word == "STARTTLS":
                self.say("220 go ahead")
                self.request = server.context.wrap_socket(self.request, server_side=True)
                self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", buffering=0)
            elif word == "AUTH":
                server.logins.append((self.encrypted, line))
                self.say(server.auth)
            elif word == "RCPT":
                self.say("550 nobody here" if "nobody" in line else "250 OK")
            elif word == "DATA":
                self.say("354 go on")
                content = b""
                while (data := self.rfile.readline()) != b".\r\n":
                    content += data
                server.mails.append(message_from_bytes(content, policy=policy.default))
                self.say("250 taken")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 OK")

    @property
    def encrypted(self) -> bool:
        return isinstance(self.request, ssl.SSLSocket)


@contextmanager
def mail_server(context: ssl.SSLContext | None = None, auth: str = "235 welcome") -> Iterator[Any]:
    server: Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Smtp)
    server.daemon_threads = True
    server.context, server.auth, server.mails, server.logins = context, auth, [], []
    with serving(server):
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for localhost, that nobody but the test trusts."""
    folder = tmp_path_factory.mktemp("certificate")
    key, chain = folder / "key.pem", folder / "chain.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    name = ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(key), "-out", str(chain)]
    subprocess.run([*command, *name, *files], check=True, capture_output=True)
    return key, chain


def smtp(port: int, security: str = "none", **more: Any) -> MailServer:
    return MailServer("localhost", port, security, **more)


def test_an_e_mail_is_sent() -> None:
    with mail_server() as server:
        sink = SmtpSink(smtp(server.server_address[1]), "pulse@example.com", ["ada@example.com"], print)
        sink.send([alert(1, "critical", "Umsätze:\r\nBcc: all@example.com"), alert(2)])
    (mail,) = server.mails
    assert mail["Subject"] == "Customer Pulse: 2 alerts (1 critical, 1 warning)"
    assert (mail["From"], mail["To"], mail["Bcc"]) == ("pulse@example.com", "ada@example.com", None)
    assert mail.get_content().splitlines()[0] == "critical: Umsätze: Bcc: all@example.com. 12 orders, 40 expected"


def test_a_password_is_sent_encrypted_only_to_a_server_that_is_trusted(certificate: tuple[Path, Path]) -> None:
    key, chain = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    trusting = ssl.create_default_context(cafile=str(chain))
    with mail_server(context) as server:
        port = server.server_address[1]
        for told, trust in (([alert(1)], trusting), ([alert(2)], None)):
            mail = smtp(port, "starttls", login=("ada", "hunter2"), context=trust)
            sink = SmtpSink(mail, "pulse@example.com", ["ada@example.com"], print)
            if trust is not None:
                sink.send(told)
                continue
            with pytest.raises(SinkError, match=r"did not take the e-mail.*certificate"):
                sink.send(told)
        assert [encrypted for encrypted, _ in server.logins] == [True]
        assert len(server.mails) == 1


def test_a_mail_server_that_refuses_is_told_without_the_password() -> None:
    said: list[str] = []
    with mail_server(auth="535 wrong: hunter2") as server:
        port = server.server_address[1]
        mail = smtp(port, login=("ada", "hunter2"))
        assert "hunter2" not in repr(mail)
        with pytest.raises(SinkError, match="user or password refused, 535") as caught:
            SmtpSink(mail, "pulse@example.com", ["ada@example.com"], said.append).send([alert(1)])
        assert "hunter2" not in str(caught.value)
        with pytest.raises(SinkError, match="all receivers refused"):
            SmtpSink(smtp(port), "pulse@example.com", ["nobody@example.com"], said.append).send([alert(1)])
        receivers = ["nobody@example.com", "ada@example.com"]
        SmtpSink(smtp(port), "pulse@example.com", receivers, said.append).send([alert(1)])
        assert len(server.mails) == 1
        assert said == [f"smtp: localhost:{port} refused the receiver nobody@example.com; the others were sent to."]
    with pytest.raises(SinkError, match=f"localhost:{port} did not take the e-mail"):
        SmtpSink(smtp(port), "pulse@example.com", ["ada@example.com"], said.append).send([alert(1)])


def publish(home: Path, *rows: tuple[str, str, str]) -> None:
    """A published file that holds alerts: id, severity, title."""
    (home / "pulse.duckdb").unlink(missing_ok=True)
    with duckdb.connect(str(home / "pulse.duckdb")) as connection:
        connection.execute("create schema marts")
        connection.execute(
            """
            create table marts.alerts (
                alert_id varchar, kind varchar, severity varchar, subject_type varchar, subject_id varchar,
                title varchar, evidence varchar, value double, expected_value double, first_seen_on date, page varchar,
                display_order bigint
            )
            """
        )
        for place, (alert_id, severity, title) in enumerate(rows):
            connection.execute(
                "insert into marts.alerts values (?, 'churn', ?, 'product', 'P', ?, 'p .9', 0, 0, '2026-03-30', '', ?)",
                [alert_id, severity, title, place],
            )


def test_published_alerts_are_told_once_by_every_sink_that_is_set(tmp_path: Path, hook: Any) -> None:
    settings = Settings.from_environment(
        {
            "PULSE_ALERT_SINKS": "log,file,webhook",
            "PULSE_ALERT_WEBHOOK_URL": f"http://127.0.0.1:{hook.server_port}/hunter2",
        },
        home=tmp_path,
    )
    assert published_alerts(settings.published, "info") == []
    publish(tmp_path, ("a1", "info", "small"), ("a2", "warning", "middling"), ("a3", "critical", "large"))
    said: list[str] = []
    hook.answer = 503
    report = tell(settings, said.append)
    assert (report.sent, report.waiting) == ({"log": 2, "file": 2}, 2)
    assert said == [
        "Alert, critical: large. p .9",
        "Alert, warning: middling. p .9",
        "Alerts were not sent to webhook: 127.0.0.1 answered 503 Service Unavailable.",
    ]
    # the finding is gone with the next refresh; it is told all the same once the server is back
    publish(tmp_path)
    outbox = json.loads((settings.alerts / "outbox.json").read_text())
    assert "hunter2" not in json.dumps(outbox)
    hook.answer, outbox["troubles"]["webhook"]["again_at"] = 200, "2000-01-01T00:00:00"
    (settings.alerts / "outbox.json").write_text(json.dumps(outbox))
    assert str(tell(settings, said.append)) == "Alerts sent: 2 to webhook."
    assert [each["message_id"] for each in hook.posted[-1][2]["alerts"]] == ["a2", "a3"]


def test_warnings_about_incoming_data_are_told_while_they_say_something_new(tmp_path: Path) -> None:
    publish(tmp_path)
    checks = "meta.check_results (check_name, asset, status, message, refresh)"
    with duckdb.connect(str(tmp_path / "pulse.duckdb")) as connection:
        connection.execute(META_TABLES)
        for refresh in (1, 2):
            connection.execute(
                "insert into meta.refreshes (refresh, as_of, status) values (?, '2026-03-31', 'published')", [refresh]
            )
        connection.execute(
            f"""
            insert into {checks} values
                ('no_day_is_without_data', 'data_profile', 'warn', 'no row on Sat 21 Mar', 1),
                ('no_day_is_without_data', 'data_profile', 'warn', 'no row on Sat 28 Mar', 2),
                ('columns_are_as_before', 'data_profile', 'pass', 'fine', 2),
                ('churn_model_beats_its_baselines', 'churn_scores', 'warn', 'AUC .6', 2)
            """
        )
    (message,) = published_alerts(tmp_path / "pulse.duckdb", "warning")
    assert message.line == "warning: Incoming data: no day is without data? No. no row on Sat 28 Mar"
    assert message.first_seen_on == "2026-03-31"
    assert published_alerts(tmp_path / "pulse.duckdb", "warning") == [message]
    assert published_alerts(tmp_path / "pulse.duckdb", "critical") == []


def test_a_published_file_that_cannot_be_read_does_not_silence_a_failure(tmp_path: Path) -> None:
    settings = Settings.from_environment({"PULSE_ALERT_SINKS": "file"}, home=tmp_path)
    settings.published.write_text("no database")
    said: list[str] = []
    report = tell(settings, said.append, [failure("r1", "refresh", [], NOW, "")])
    assert report.sent == {"file": 1}
    assert "cannot be read" in said[0]
    assert build_sinks(settings, said.append, print).keys() == {"file"}
