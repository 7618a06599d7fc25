"""Whether what is in the warehouse may be published.

The judgement is made on what the warehouse itself says of its builds and checks, so that it holds for a Dagster run,
for a plain `dbt build`, and for publishing alone, hours later. Nothing is copied here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd


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
        judged = node.get("attached_node") or next(iter(node["depends_on"]["nodes"]), "")
        checks[node["name"]] = ".".join(judged.split(".")[2:])
    return Required(frozenset(models), checks)


def objections(required: Required, builds: pd.DataFrame, results: pd.DataFrame, refresh: int) -> list[str]:
    """Every reason not to publish; none means go.

    A model must have been built for this refresh, after any build that died; a blocking check must have passed for
    this refresh, and not before its model was last built.

    Args:
        required: What has to be in order.
        builds: meta.builds: invocation_id, resource, status, refresh, recorded_at.
        results: meta.check_results: check_name, asset, status, failures, refresh, recorded_at.
        refresh: Number of the refresh that raw now holds.

    Returns:
        One sentence a reason, naming model or check.
    """
    invocations = builds[builds["resource"] == "dbt"]
    finished = set(invocations.loc[invocations["status"] == "finished", "invocation_id"])
    died = invocations[(invocations["status"] == "started") & ~invocations["invocation_id"].isin(finished)]
    died_at = died["recorded_at"].max() if len(died) else None

    last_build = builds[builds["resource"] != "dbt"].sort_values("recorded_at").groupby("resource").tail(1)
    built = {row.resource: row for row in last_build.itertuples(index=False)}
    last_result = results.sort_values("recorded_at").groupby("check_name").tail(1)
    checked = {row.check_name: row for row in last_result.itertuples(index=False)}

    reasons = []
    for model in sorted(required.models):
        build = built.get(model)
        if build is None:
            reasons.append(f"{model} has never been built.")
        elif build.status != "success":
            reasons.append(f"{model} was not built: its last build ended as {build.status}.")
        elif build.refresh != refresh:
            reasons.append(f"{model} was built for refresh {build.refresh}, raw is at refresh {refresh}.")
        elif died_at is not None and build.recorded_at <= died_at:
            reasons.append(f"{model} may be half built: a later dbt build never finished.")
    for check, asset in sorted(required.checks.items()):
        result = checked.get(check)
        build = built.get(asset)
        if result is None:
            reasons.append(f"check {check} on {asset} has never run.")
        elif result.status not in ("pass", "warn"):
            rows = "" if pd.isna(result.failures) else f" ({int(result.failures)} rows)"
            reasons.append(f"check {check} on {asset} did not pass{rows}: {result.status}.")
        elif result.refresh != refresh:
            reasons.append(f"check {check} on {asset} last ran for refresh {result.refresh}, not {refresh}.")
        elif build is not None and result.recorded_at < build.recorded_at:
            reasons.append(f"check {check} has not run since {asset} was last built.")
    return reasons
