"""A part of the dbt project in a home where not everything has been built yet: what can run, and why the rest cannot.

dbt runs every test that reads a chosen model, whatever else the test reads. In a new home the rest may never have been
built; then such a test says nothing about the data and is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

_BUILT = ("model", "seed", "snapshot")


@dataclass(frozen=True)
class Part:
    """What stands in the way of a part.

    Args:
        unbuilt: What is read and was never built, by the chosen node that reads it; schema and name, with a slash.
        left_out: Tests that read a chosen node and something that was never built.
    """

    unbuilt: Mapping[str, list[str]]
    left_out: list[str]


def part_of(
    manifest: Mapping[str, Any], chosen: Collection[tuple[str, str]], built: Collection[tuple[str, str]]
) -> Part:
    """Judge a part of the project.

    Args:
        manifest: dbt's manifest.
        chosen: Schema and name of what is to be built.
        built: Schema and name of what there is.
    """
    nodes = manifest["nodes"]
    # As the project says it: on Spark the schema itself has a prefix, which no asset's key has.
    names = {
        unique_id: (node["config"]["schema"], node["name"])
        for unique_id, node in nodes.items()
        if node["resource_type"] in _BUILT and node["config"]["materialized"] != "ephemeral"
    }
    there = {*chosen, *built}
    unbuilt, left_out = {}, []
    for unique_id, node in nodes.items():
        read = [names[parent] for parent in node.get("depends_on", {}).get("nodes", []) if parent in names]
        lacking = sorted("/".join(name) for name in read if name not in there)
        if not lacking:
            continue
        if names.get(unique_id) in chosen:
            unbuilt["/".join(names[unique_id])] = lacking
        elif node["resource_type"] == "test" and any(name in chosen for name in read):
            left_out.append(node["name"])
    return Part(unbuilt, sorted(left_out))


def refusal(unbuilt: Mapping[str, list[str]]) -> str:
    """Why nothing can be built, and what to do."""
    (reader, lacking), *more = sorted(unbuilt.items())
    others = f" ({len(more)} more of what was chosen lack something)" if more else ""
    return (
        f"{reader} reads {', '.join(lacking)}, never built in this home{others}. Materialize what is upstream as well "
        f'(in the UI, select +key:"{reader}"), or everything: `pulse run`.'
    )
