"""`.env` files: what they may say, which one wins, and messages that name file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.env_file import EnvFileError, read_env_file
from orchestration.settings import Settings, SettingsError


def write(folder: Path, *lines: str, mode: int = 0o600) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / ".env"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(mode)
    return path


def test_names_values_and_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "# a comment",
        "A=1",
        "",
        "export B = two words # and a comment",
        "C='# no comment' # one",
        'D="it\'s $HOME"',
        "E=a#b",
        "F=",
    )
    found = read_env_file(path)
    assert [(each.name, each.value, each.line) for each in found] == [
        ("A", "1", 2),
        ("B", "two words", 4),
        ("C", "# no comment", 5),
        ("D", "it's $HOME", 6),
        ("E", "a#b", 7),
        ("F", "", 8),
    ]
    assert read_env_file(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hunter2", "expected NAME=value"),
        ("9A=hunter2", "expected NAME=value"),
        ("B='hunter2", "end with the quote it begins with"),
        ("B='hunter2' x", "end with the quote it begins with"),
        ("A=hunter2", "A stands in line 1 already"),
    ],
)
def test_a_line_that_cannot_be_understood_is_named_but_not_shown(tmp_path: Path, line: str, words: str) -> None:
    path = write(tmp_path, "A=1", line)
    with pytest.raises(EnvFileError) as caught:
        read_env_file(path)
    assert f"{path}, line 2: " in str(caught.value)
    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_environment_goes_before_the_homes_file_and_that_before_the_projects(tmp_path: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    write(project, "PULSE_SCALE=1", "PULSE_SEED=1", "PULSE_THREADS=1", "PULSE_DAILY_AT=01:00", "POSTGRES_PASSWORD=x")
    write(home, "PULSE_SCALE=2", "PULSE_SEED=2", "PULSE_THREADS=2")
    settings = Settings.from_environment({"PULSE_SCALE": "3", "PULSE_SEED": "3"}, project=project, home=home, scale=4)
    assert (settings.scale, settings.seed, settings.threads, settings.daily_at) == (4, 3, 2, "01:00")


def test_without_a_project_no_file_is_read(tmp_path: Path) -> None:
    write(tmp_path, "PULSE_SCALE=2")
    assert Settings.from_environment({}, home=tmp_path).scale == 5000


def test_the_projects_file_may_name_the_home_relative_to_itself(tmp_path: Path) -> None:
    write(tmp_path, "PULSE_DATA_DIR=elsewhere", "PULSE_SOURCE=exports/sources.yml")
    write(tmp_path / "elsewhere", "PULSE_SOURCE=synthetic", "PULSE_SCALE=9")
    settings = Settings.from_environment({}, project=tmp_path)
    assert settings.home == tmp_path / "elsewhere"
    assert (settings.source, settings.scale) == ("synthetic", 9)
    assert Settings.from_environment({"PULSE_DATA_DIR": "/x"}, project=tmp_path).source == str(
        tmp_path / "exports" / "sources.yml"
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["", "PULSE_SCALE=many"], "PULSE_SCALE = 'many' ({path}, line 2): Input should be a valid integer"),
        (["PULSE_TIMZONE=UTC"], "PULSE_TIMZONE is not a setting ({path}, line 1)"),
        (["PULSE_DATA_DIR=/x"], "PULSE_DATA_DIR ({path}, line 1) cannot be set in the home's own .env"),
        (["PULSE_ALERT_SINKS"], "{path}, line 1: expected NAME=value"),
    ],
)
def test_messages_name_variable_file_and_line(tmp_path: Path, lines: list[str], words: str) -> None:
    path = write(tmp_path / "home", *lines)
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({}, project=tmp_path, home=tmp_path / "home")
    assert words.format(path=path) in str(caught.value)


def test_a_value_that_is_given_twice_is_judged_where_it_counts(tmp_path: Path) -> None:
    write(tmp_path / "home", "PULSE_SCALE=many")
    home = tmp_path / "home"
    assert Settings.from_environment({"PULSE_SCALE": "5"}, project=tmp_path, home=home).scale == 5
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"PULSE_SCALE": "none"}, project=tmp_path, home=home)
    assert str(caught.value).startswith("PULSE_SCALE = 'none': ")


def test_secrets_are_shown_nowhere(tmp_path: Path) -> None:
    variables = {
        "PULSE_ALERT_SINKS": "webhook,smtp",
        "PULSE_ALERT_WEBHOOK_URL": "https://hooks.example.com/hunter2",
        "PULSE_ALERT_SMTP_HOST": "mail.example.com",
        "PULSE_ALERT_SMTP_USER": "ada",
        "PULSE_ALERT_SMTP_PASSWORD": "hunter2",
        "PULSE_ALERT_MAIL_FROM": "pulse@example.com",
        "PULSE_ALERT_MAIL_TO": "ada@example.com, bob@example.com",
    }
    settings = Settings.from_environment(variables, home=tmp_path)
    assert settings.alert_mail_to == ("ada@example.com", "bob@example.com")
    assert "hunter2" not in repr(settings) + settings.model_dump_json() + str(settings.environment())
    # what is handed to another process can be read there
    assert Settings.from_environment(settings.environment()).home == tmp_path
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({**variables, "PULSE_ALERT_WEBHOOK_URL": "ftp://hunter2"})
    assert str(caught.value) == "PULSE_ALERT_WEBHOOK_URL = '**********': must begin with https:// or http://"


def test_a_secret_in_a_file_that_anybody_may_read_is_refused(tmp_path: Path) -> None:
    lines = ("PULSE_ALERT_SINKS=webhook", "PULSE_ALERT_WEBHOOK_URL=https://hooks.example.com/hunter2")
    path = write(tmp_path / "home", *lines, mode=0o644)
    with pytest.raises(SettingsError, match=rf"PULSE_ALERT_WEBHOOK_URL .*line 2.* is a secret.*chmod 600 {path}"):
        Settings.from_environment({}, project=tmp_path, home=tmp_path / "home")
    path.chmod(0o640)
    assert Settings.from_environment({}, project=tmp_path, home=tmp_path / "home").alert_webhook_url is not None


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"PULSE_ALERT_SINKS": "log,pager"}, "'pager' is none of log, file, webhook, smtp, none"),
        ({"PULSE_ALERT_SINKS": "webhook"}, "PULSE_ALERT_SINKS names webhook, which needs PULSE_ALERT_WEBHOOK_URL"),
        (
            {"PULSE_ALERT_SINKS": "smtp", "PULSE_ALERT_SMTP_HOST": "x"},
            "names smtp, which needs PULSE_ALERT_MAIL_FROM, PULSE_ALERT_MAIL_TO",
        ),
        ({"PULSE_ALERT_MAIL_TO": "ada@example.com, bob"}, "'bob' is no e-mail address"),
        ({"PULSE_ALERT_SMTP_USER": "ada"}, "PULSE_ALERT_SMTP_USER needs PULSE_ALERT_SMTP_PASSWORD"),
        ({"PULSE_PII": "yes"}, "Input should be 'keep', 'mask' or 'hash'"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(variables: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(variables)
    assert words in str(caught.value)


def test_nobody_can_be_told() -> None:
    assert Settings.from_environment({"PULSE_ALERT_SINKS": "none"}).alert_sinks == ()
