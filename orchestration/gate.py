"""Whether what is in the warehouse may be published.

The judgement is made on what the warehouse itself says of its builds and checks, so that it holds for a Dagster run,
for a plain `dbt build`, and for publishing alone, hours later. Nothing is copied here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from orchestration.checks.declared import BLOCKING


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
class Check:
    """A blocking check: the asset it is shown on, and everything it reads, by the names of meta.builds."""

    asset: str
    reads: tuple[str, ...]
    is_dbt: bool = True
    """Whether a plain `dbt build` runs it; a check that it does not run counts where it has run."""


@dataclass(frozen=True)
class Required:
    """What has to be in order before a publish.

    Args:
        models: Names of the models that the warehouse publishes.
        parents: What each model of the project reads, by the names of meta.builds: models, seeds and ``ml.<table>``.
        checks: Blocking checks by name.
    """

    models: frozenset[str]
    parents: Mapping[str, tuple[str, ...]]
    checks: Mapping[str, Check]


def required_by(manifest: Mapping[str, Any]) -> Required:
    """What a dbt project's manifest asks for: its published models, what they read, and its tests of severity error.

    Args:
        manifest: dbt's manifest as a dictionary.
    """
    nodes = [node for node in manifest["nodes"].values() if node["config"].get("enabled", True)]
    models = [node for node in nodes if node["resource_type"] == "model"]
    tests = [
        node for node in nodes if node["resource_type"] == "test" and node["config"]["severity"].lower() == "error"
    ]
    return Required(
        frozenset(node["name"] for node in models if node["config"]["schema"] == "marts"),
        {node["name"]: tuple(map(_name, node["depends_on"]["nodes"])) for node in models},
        {
            node["name"]: Check(
                judged_by(node.get("attached_node"), node["depends_on"]["nodes"]),
                tuple(map(_name, node["depends_on"]["nodes"])),
            )
            for node in tests
        },
    )


def with_data_checks(required: Required) -> Required:
    """What is required, and the blocking checks of incoming data, where those have run.

    Args:
        required: What dbt's manifest asks for.
    """
    further = {name: Check("data_profile", (), is_dbt=False) for name in BLOCKING}
    return replace(required, checks={**required.checks, **further})


def _name(node: str) -> str:
    """A dbt id as meta.builds and meta.check_results name it: a model's or seed's name, ``source.table``."""
    return ".".join(node.split(".")[2:])


def judged_by(attached_node: str | None, depends_on: Sequence[str]) -> str:
    """The asset a test judges: the model it is attached to, else the first it reads; as meta.check_results names it.

    Args:
        attached_node: dbt's id of the model it is declared on; None for tests of sources and singular tests.
        depends_on: dbt's ids of what it reads.
    """
    return _name(attached_node or next(iter(depends_on), ""))


def objections(
    required: Required, builds: Iterable[Build], results: Iterable[CheckResult], refresh: int, begun: int
) -> list[str]:
    """Every reason not to publish; none means go.

    The last refresh that began must be the one raw holds. A model must have been built for it, not before anything it
    reads, and after any build that died. A blocking check must have passed for it, and not before anything it reads
    was last built.

    Args:
        required: What has to be in order.
        builds: Every row of meta.builds.
        results: Every row of meta.check_results.
        refresh: Number of the refresh that raw now holds.
        begun: Number of the last refresh that began to fill raw.

    Returns:
        One sentence a reason, naming model or check.
    """
    if begun != refresh:
        return [f"refresh {begun} began to read the source and did not complete: run `pulse run` again."]
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

    of_models = [_of_model(model, built.get(model), died_at, refresh) for model in sorted(required.models)]
    # Between two models that are in order, an older reader holds what its parent no longer says.
    stale = [
        f"{model} was last built before {parent}, which it reads."
        for model, parents in sorted(required.parents.items())
        for parent in parents
        if _is_older(built.get(model), built.get(parent))
    ]
    failed, not_run = [], []
    for name, check in sorted(required.checks.items()):
        result = checked.get(name)
        reason = _of_check(name, check, result, built, refresh)
        if reason and result is not None and result.status in ("fail", "error"):
            failed.append(reason)
        elif reason:
            not_run.append(reason)
    # What failed comes first: it is why the rest was skipped.
    return [*failed, *filter(None, of_models), *stale, *not_run]


def _is_older(build: Build | None, parent: Build | None) -> bool:
    return build is not None and parent is not None and build.recorded_at < parent.recorded_at


def _of_model(model: str, build: Build | None, died_at: datetime | None, refresh: int) -> str | None:
    if build is None:
        return f"{model} has never been built."
    if build.status != "success":
        return f"{model} was not built: its last build ended as {build.status}."
    if build.refresh is None:
        return f"{model} was built for another day than raw's: build it without the var as_of."
    if build.refresh != refresh:
        return f"{model} was built for refresh {build.refresh}, raw is at refresh {refresh}."
    if died_at is not None and build.recorded_at <= died_at:
        return f"{model} may be half built: a later dbt build never finished."
    return None


def _of_check(
    name: str, check: Check, result: CheckResult | None, built: Mapping[str, Build], refresh: int
) -> str | None:
    shown = f"check {name} on {check.asset}"
    if not check.is_dbt and (result is None or result.refresh != refresh):
        return None
    if result is None:
        return f"{shown} has never run."
    if result.status not in ("pass", "warn"):
        rows = "" if not result.failures else f" ({result.failures} row{'' if result.failures == 1 else 's'})"
        return f"{shown} did not pass{rows}: {result.status}."
    if result.refresh != refresh:
        return f"{shown} last ran for refresh {result.refresh}, not {refresh}."
    for read in check.reads:
        if read in built and result.recorded_at < built[read].recorded_at:
            return f"{shown} has not run since {read} was last built."
    return None
