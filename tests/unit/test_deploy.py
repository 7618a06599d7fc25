"""The files of `deploy/`: well-formed, and every name in them exists. Whether Docker builds them is not tested here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import yaml

from orchestration.settings import PROJECT_ROOT, Settings

DEPLOY = PROJECT_ROOT / "deploy"


def load(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


def test_compose_names_what_there_is() -> None:
    compose = load("compose.yaml")
    services = compose["services"]
    assert set(services) == {"postgres", "code", "webserver", "daemon"}
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        named = [str(volume).partition(":")[0] for volume in service.get("volumes", [])]
        assert {volume for volume in named if not volume.startswith(("$", ".", "/"))} <= set(compose["volumes"])
    build = services["code"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    # Only the code location sees settings and data, and nobody outside the machine sees the UI.
    assert [name for name, service in services.items() if "env_file" in service] == ["code"]
    assert services["webserver"]["ports"] == ["127.0.0.1:3000:3000"]
    (location,) = [entry["grpc_server"] for entry in load("workspace.yaml")["load_from"]]
    assert location["host"] in services


def test_the_containers_get_every_variable_that_dagster_reads() -> None:
    text = (DEPLOY / "dagster.yaml").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\{env: (\w+)\}", text))
    for name in ("code", "webserver", "daemon"):
        assert wanted <= set(load("compose.yaml")["services"][name]["environment"])
    assert load("dagster.yaml")["concurrency"] == {"runs": {"max_concurrent_runs": 1}}


def test_the_image_copies_what_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY ")]
    sources = [source for line in copied for source in line]
    assert sources
    assert [source for source in sources if not (PROJECT_ROOT / source).exists()] == []
    # What the build may see is what it copies, and no more.
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[1] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == set(sources)
    packages = {path.parent.name for path in PROJECT_ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages <= set(sources)
    variables = re.findall(r"\bPULSE_\w+", text)
    assert set(variables) <= {field.alias for field in Settings.model_fields.values()}


def test_the_commands_of_the_containers_exist_with_their_options() -> None:
    from dagster._cli import create_dagster_cli
    from dagster._daemon.cli import create_dagster_daemon_cli
    from dagster_webserver.cli import dagster_webserver

    roots = {
        "dagster": create_dagster_cli(),
        "dagster-daemon": create_dagster_daemon_cli(),
        "dagster-webserver": dagster_webserver,
    }
    services = load("compose.yaml")["services"]
    image = re.search(r"^CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert image
    commands = [services["webserver"]["command"], services["daemon"]["command"], yaml.safe_load(image[1])]
    commands.append(services["code"]["healthcheck"]["test"][1:])
    for command in commands:
        found: click.Command = roots[command[0]]
        words = [word for word in command[1:] if not word.startswith("-")]
        while isinstance(found, click.Group):
            child = found.get_command(click.Context(found), words.pop(0))
            assert child is not None, command
            found = child
        options = {option for parameter in found.params for option in parameter.opts}
        assert {word for word in command if word.startswith("--")} <= options, command


def test_the_page_names_settings_that_exist() -> None:
    text = (DEPLOY / "README.md").read_text(encoding="utf-8")
    aliases = {str(field.alias) for field in Settings.model_fields.values()}
    named = set(re.findall(r"PULSE_[A-Z_]+[A-Z]", text)) - {"PULSE_HOME"}
    assert named <= aliases
    assert Path(DEPLOY / "compose.yaml").read_text().count("PULSE_HOME")
