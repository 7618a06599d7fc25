"""Whether what is in the warehouse may be published.

The judgement is made on what the warehouse itself says of its builds and checks, so that it holds for a Dagster run,
for a plain `dbt build`, and for publishing alone, hours later. Nothing is copied here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Build:
    """One row of meta.builds: how a model's build ended, or that a dbt invocation started or finished."""

    invocation_id: str
    resource: str
    status: str
    refresh: int | None
    recorded_at: datetime


@dataclass(frozen=True)
class CheckResult:
    """What the gate needs of one row of meta.check_results."""

    check: str
    status: str
    failures: int | None
    refresh: int | None
    recorded_at: datetime


@dataclass(frozen=True)
class Required:
    """What has to be in order before a publish.

    Args:
        models: Names of the models that the warehouse publishes.
        checks: Blocking checks by name, each with the asset it judges.
    """

    models: frozenset[str]
    checks: Mapping[str, str]


def required_by(manifest: Mapping[str, Any]) -> Required:
    """What a dbt project's manifest asks for: its published models, and its tests of severity error.

    Args:
        manifest: dbt's manifest as a dictionary.
    """
    nodes = manifest["nodes"].values()
    models = {
        node["name"]
        for node in nodes
        if node["resource_type"] == "model" and node["database"] == "warehouse" and node["config"]["enabled"]
    }
    checks = {}
    for node in nodes:
        if node["resource_type"] != "test" or node["config"]["severity"].lower() != "error":
            continue
        checks[node["name"]] = judged_by(node.get("attached_node"), node["depends_on"]["nodes"])
    return Required(frozenset(models), checks)


def judged_by(attached_node: str | None, depends_on: Sequence[str]) -> str:
    """The asset a test judges: the model it is attached to, else the first it reads; as meta.check_results names it.

    Args:
        attached_node: dbt's id of the model it is declared on; None for tests of sources and singular tests.
        depends_on: dbt's ids of what it reads.
    """
    node = attached_node or next(iter(depends_on), "")
    return ".".join(node.split(".")[2:])


def objections(required: Required, builds: Iterable[Build], results: Iterable[CheckResult], refresh: int) -> list[str]:
    """Every reason not to publish; none means go.

    A model must have been built for this refresh, after any build that died; a blocking check must have passed for
    this refresh, and not before its model was last built.

    Args:
        required: What has to be in order.
        builds: Every row of meta.builds.
        results: Every row of meta.check_results.
        refresh: Number of the refresh that raw now holds.

    Returns:
        One sentence a reason, naming model or check.
    """
    built: dict[str, Build] = {}
    started: dict[str, datetime] = {}
    for build in sorted(builds, key=lambda each: each.recorded_at):
        if build.resource != "dbt":
            built[build.resource] = build
        elif build.status == "started":
            started[build.invocation_id] = build.recorded_at
        else:
            started.pop(build.invocation_id, None)
    died_at = max(started.values(), default=None)
    checked = {result.check: result for result in sorted(results, key=lambda each: each.recorded_at)}

    by_model = {model: _of_model(model, built.get(model), died_at, refresh) for model in sorted(required.models)}
    failed, not_run = [], []
    for check, asset in sorted(required.checks.items()):
        result = checked.get(check)
        reason = _of_check(check, asset, result, built.get(asset), refresh)
        if reason and result is not None and result.status in ("fail", "error"):
            failed.append(reason)
        elif reason and not by_model.get(asset):
            # Where the model itself is the reason, its checks that did not run say nothing more.
            not_run.append(reason)
    # What failed comes first: it is why the rest was skipped.
    return [*failed, *(reason for reason in by_model.values() if reason), *not_run]


def _of_model(model: str, build: Build | None, died_at: datetime | None, refresh: int) -> str | None:
    if build is None:
        return f"{model} has never been built."
    if build.status != "success":
        return f"{model} was not built: its last build ended as {build.status}."
    if build.refresh != refresh:
        return f"{model} was built for refresh {build.refresh}, raw is at refresh {refresh}."
    if died_at is not None and build.recorded_at <= died_at:
        return f"{model} may be half built: a later dbt build never finished."
    return None


def _of_check(check: str, asset: str, result: CheckResult | None, build: Build | None, refresh: int) -> str | None:
    if result is None:
        return f"check {check} on {asset} has never run."
    if result.status not in ("pass", "warn"):
        rows = "" if not result.failures else f" ({result.failures} row{'' if result.failures == 1 else 's'})"
        return f"check {check} on {asset} did not pass{rows}: {result.status}."
    if result.refresh != refresh:
        return f"check {check} on {asset} last ran for refresh {result.refresh}, not {refresh}."
    if build is not None and result.recorded_at < build.recorded_at:
        return f"check {check} has not run since {asset} was last built."
    return None
