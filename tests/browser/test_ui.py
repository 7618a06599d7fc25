"""The Dagster UI as its users meet it: "Materialize all", everything green, a published file, and a clean end."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

from orchestration.instance import open_instance
from orchestration.settings import Settings

TO_START, TO_REFRESH, TO_END = 120, 240, 60
"""Seconds, for busy cores."""

GROUPS = {
    *("raw", "seeds", "staging", "intermediate", "customers", "sales", "rfm", "tickets", "web", "marketing"),
    *("quality", "ml", "insights", "reports", "exports", "published"),
}

ASSETS = """{
  assetNodes {
    assetKey { path }
    groupName
    description
    owners { ... on TeamAssetOwner { team } }
    assetMaterializations(limit: 1) { runId metadataEntries { label } }
    assetChecksOrError { ... on AssetChecks { checks {
      name
      blocking
      executionForLatestMaterialization { status evaluation { severity } }
    } } }
  }
}"""

AUTOMATION = """{
  repositoriesOrError { ... on RepositoryConnection { nodes {
    schedules { name scheduleState { status } }
    sensors { name sensorState { status } }
  } } }
}"""

LOCATIONS = """{
  workspaceOrError { ... on Workspace { locationEntries {
    loadStatus
    locationOrLoadError { __typename ... on PythonError { message } }
  } } }
}"""


@dataclass(frozen=True)
class Ui:
    """A running `pulse ui`.

    Args:
        process: The command.
        address: Where it serves.
        home: Its home.
        output: What it has printed.
    """

    process: subprocess.Popen[bytes]
    address: str
    home: Path
    output: Path

    def ask(self, query: str) -> dict[str, Any]:
        """The data of a GraphQL query."""
        request = urllib.request.Request(  # noqa: S310
            f"{self.address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            answer = json.load(response)
        assert "errors" not in answer, answer
        return answer["data"]

    def loaded(self) -> list[dict[str, str]]:
        """The code locations that have loaded, or failed to."""
        entries = self.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        return [entry["locationOrLoadError"] for entry in entries if entry["loadStatus"] == "LOADED"]

    def runs(self) -> list[dict[str, str]]:
        return self.ask("{ runsOrError { ... on Runs { results { runId status } } } }")["runsOrError"]["results"]


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    home = tmp_path_factory.mktemp("home")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "DAGSTER_"))}
    output = home / "ui.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("pulse")), "ui", "--home", str(home), "--port", str(port)],
            env={**environment, "PULSE_SCALE": "150"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield Ui(process, f"http://127.0.0.1:{port}", home, output)
    if process.poll() is None:
        process.terminate()
        process.wait(TO_END)


def wait(chromium: webdriver.Chrome, seconds: int) -> WebDriverWait[webdriver.Chrome]:
    return WebDriverWait(chromium, seconds, poll_frequency=0.5, ignored_exceptions=(OSError,))


def alive(session: int) -> list[str]:
    """Commands of the processes of a session that have not ended."""
    listing = subprocess.run(["ps", "-eo", "sid,stat,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()[1:]]
    return [command for sid, state, command in rows if int(sid) == session and not state.startswith("Z")]


def test_materialize_all(chromium: webdriver.Chrome, ui: Ui) -> None:
    try:
        wait(chromium, TO_START).until(lambda _: ui.process.poll() is not None or ui.loaded())
    except TimeoutException:
        pytest.fail(f"the UI did not start:\n{ui.output.read_text()[-3000:]}")
    assert ui.process.poll() is None, ui.output.read_text()
    (location,) = ui.loaded()
    assert location["__typename"] == "RepositoryLocation", location.get("message")

    chromium.get(f"{ui.address}/asset-groups/")
    button = (By.XPATH, "//button[contains(., 'Materialize all')]")
    wait(chromium, TO_START).until(expected_conditions.element_to_be_clickable(button)).click()
    wait(chromium, TO_REFRESH).until(lambda _: [run["status"] in ("SUCCESS", "FAILURE") for run in ui.runs()] == [True])
    run = ui.runs()[0]
    assert run["status"] == "SUCCESS", ui.output.read_text()[-3000:]
    chromium.get(f"{ui.address}/runs/{run['runId']}")
    wait(chromium, TO_START).until(
        expected_conditions.text_to_be_present_in_element((By.TAG_NAME, "body"), "RUN_SUCCESS")
    )

    nodes = ui.ask(ASSETS)["assetNodes"]
    assert len(nodes) > 40
    for node in nodes:
        name = "/".join(node["assetKey"]["path"])
        assert [each["runId"] for each in node["assetMaterializations"]] == [run["runId"]], name
        # dbt's stand-in for a missing one.
        assert not node["description"].startswith("dbt model "), f"{name} has no description"
        for check in node["assetChecksOrError"]["checks"]:
            execution = check["executionForLatestMaterialization"]
            assert execution is not None, f"{check['name']} on {name} did not run"
            warned = execution["evaluation"]["severity"] == "WARN" and not check["blocking"]
            assert execution["status"] == "SUCCEEDED" or warned, f"{check['name']} on {name}"


def test_every_asset_says_what_it_is_and_what_came_of_it(ui: Ui) -> None:
    nodes = ui.ask(ASSETS)["assetNodes"]
    assert {node["groupName"] for node in nodes} == GROUPS
    for node in nodes:
        name = "/".join(node["assetKey"]["path"])
        (materialization,) = node["assetMaterializations"]
        labels = {entry["label"] for entry in materialization["metadataEntries"]}
        assert labels & {"dagster/row_count", "size_bytes", "drafts"}, f"{name} says nothing of its size: {labels}"
        assert node["owners"], f"{name} has no owner"


def test_the_lineage_shows_the_groups(chromium: webdriver.Chrome, ui: Ui) -> None:
    chromium.get(f"{ui.address}/asset-groups/")
    for group in sorted(GROUPS):
        wait(chromium, TO_START).until(expected_conditions.text_to_be_present_in_element((By.TAG_NAME, "body"), group))


def test_schedule_and_sensors_are_on(chromium: webdriver.Chrome, ui: Ui) -> None:
    (repository,) = ui.ask(AUTOMATION)["repositoriesOrError"]["nodes"]
    states = {each["name"]: each["scheduleState"]["status"] for each in repository["schedules"]}
    states |= {each["name"]: each["sensorState"]["status"] for each in repository["sensors"]}
    assert states == dict.fromkeys(("daily_refresh", "landing", "failures", "alerts"), "RUNNING")
    chromium.get(f"{ui.address}/automation")
    for name in states:
        wait(chromium, TO_START).until(expected_conditions.text_to_be_present_in_element((By.TAG_NAME, "body"), name))


def test_a_failing_check_is_seen_where_one_looks(
    chromium: webdriver.Chrome, ui: Ui, monkeypatch: pytest.MonkeyPatch
) -> None:
    (node,) = [each for each in ui.ask(ASSETS)["assetNodes"] if each["assetKey"]["path"] == ["marts", "customer_360"]]
    checks = sorted(each["name"] for each in node["assetChecksOrError"]["checks"])

    def body_has(view: str, text: str) -> None:
        chromium.get(f"{ui.address}/assets/marts/customer_360?view={view}")
        wait(chromium, TO_START).until(expected_conditions.text_to_be_present_in_element((By.TAG_NAME, "body"), text))

    body_has("overview", f"Latest check results\n{len(checks)}\n")
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(Settings.from_environment({}, home=ui.home), ui_is_open=True) as instance:
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(["marts", "customer_360"]),
                check_name=checks[0],
                passed=False,
                severity=dg.AssetCheckSeverity.ERROR,
                description="7 rows are wrong",
            )
        )
    # A red 1 beside the green rest, and on the checks' own page what is wrong.
    body_has("overview", f"Latest check results\n1\n{len(checks) - 1}\n")
    body_has("checks", f"{checks[0]}\nFailed")
    body_has("checks", "7 rows are wrong")


def test_the_refresh_is_published(ui: Ui) -> None:
    assert (ui.home / "reports" / "index.html").exists()
    with duckdb.connect(str(ui.home / "pulse.duckdb"), read_only=True) as published:
        # Customers arrive at random, about as many as the scale says; each of them is published.
        (customers,) = published.execute("select count(*) from marts.customer_360").fetchall()[0]
        raw = ui.home / "raw" / "shop" / "customers" / "*.parquet"
        assert (customers,) == published.execute(f"select count(*) from read_parquet('{raw}')").fetchall()[0]
        assert 100 < customers < 200
        assert published.execute("select refresh, status from meta.refreshes").fetchall() == [(1, "published")]


def test_one_home_has_one_ui(ui: Ui) -> None:
    second = subprocess.run(
        [str(Path(sys.executable).with_name("pulse")), "ui", "--home", str(ui.home), "--port", "1"],
        capture_output=True,
        text=True,
        timeout=TO_START,
        check=False,
    )
    assert second.returncode == 2
    assert "has a UI already" in second.stderr


def test_it_leaves_no_process_behind(ui: Ui) -> None:
    children = subprocess.run(
        ["pgrep", "--parent", str(ui.process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    session = int(children[0])
    assert alive(session)
    ui.process.terminate()
    assert ui.process.wait(TO_END) == 0
    assert alive(session) == []
