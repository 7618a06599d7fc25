"""A part of the dbt project in a new home: tests that can say nothing are left out, models that cannot run refused."""

from __future__ import annotations

from typing import Any

from orchestration.partial import part_of, refusal


def node(kind: str, schema: str, name: str, *read: str, materialized: str = "table") -> dict[str, Any]:
    return {
        "resource_type": kind,
        "schema": f"prefix_{schema}",
        "name": name,
        "config": {"materialized": materialized, "schema": schema},
        "depends_on": {"nodes": list(read)},
    }


MANIFEST = {
    "nodes": {
        "seed.days": {**node("seed", "seeds", "days"), "depends_on": {}},
        "model.stg": node("model", "staging", "stg", "source.shop.sales"),
        "model.fct": node("model", "marts", "fct", "model.stg", "seed.days"),
        "model.dim": node("model", "marts", "dim", "model.stg"),
        "test.fct_is_unique": node("test", "checks", "fct_is_unique", "model.fct"),
        "test.fct_agrees": node("test", "checks", "fct_agrees", "model.fct", "model.dim"),
        "test.dim_is_unique": node("test", "checks", "dim_is_unique", "model.dim"),
        "test.source": node("test", "checks", "source", "source.shop.sales"),
    }
}
STG, FCT, DIM, DAYS = ("staging", "stg"), ("marts", "fct"), ("marts", "dim"), ("seeds", "days")


def test_all_of_it_lacks_nothing() -> None:
    part = part_of(MANIFEST, {STG, FCT, DIM, DAYS}, set())
    assert (part.unbuilt, part.left_out) == ({}, [])


def test_a_test_that_also_reads_what_was_never_built_is_left_out() -> None:
    part = part_of(MANIFEST, {STG, FCT, DAYS}, set())
    assert (part.unbuilt, part.left_out) == ({}, ["fct_agrees"])


def test_what_was_built_before_counts() -> None:
    part = part_of(MANIFEST, {FCT}, {STG, DIM, DAYS})
    assert (part.unbuilt, part.left_out) == ({}, [])


def test_a_model_that_reads_what_was_never_built_is_refused_with_a_way_out() -> None:
    part = part_of(MANIFEST, {FCT, DIM}, {DAYS})
    assert part.unbuilt == {"marts/fct": ["staging/stg"], "marts/dim": ["staging/stg"]}
    assert refusal(part.unbuilt) == (
        "marts/dim reads staging/stg, never built in this home (1 more of what was chosen lack something). Materialize "
        'what is upstream as well (in the UI, select +key:"marts/dim"), or everything: `pulse run`.'
    )


def test_sources_alone_lack_nothing() -> None:
    part = part_of(MANIFEST, set(), set())
    assert (part.unbuilt, part.left_out) == ({}, [])
