"""The gate: each way in which the warehouse may not be published, and the one in which it may."""

from __future__ import annotations

from datetime import datetime

import pytest

from orchestration.gate import Build, Check, CheckResult, Required, objections, required_by, with_data_checks

REQUIRED = Required(
    frozenset({"sales"}),
    {"sales": ("seed", "ml.scores")},
    {"sales_unique": Check("sales", ("sales", "seed")), "raw_unique": Check("shop.sales", ("shop.sales",))},
)


def at(minute: int) -> datetime:
    return datetime(2024, 1, 1, 0, minute)  # noqa: DTZ001


def invocation(name: str, started: int, finished: int | None) -> list[Build]:
    builds = [Build(name, "dbt", "started", None, at(started))]
    return builds if finished is None else [*builds, Build(name, "dbt", "finished", 5, at(finished))]


GOOD_BUILDS = [*invocation("a", 1, 3), Build("a", "sales", "success", 5, at(3))]
GOOD_RESULTS = [CheckResult("sales_unique", "pass", 0, 5, at(3)), CheckResult("raw_unique", "pass", 0, 5, at(3))]


def test_all_in_order() -> None:
    assert objections(REQUIRED, GOOD_BUILDS, GOOD_RESULTS, 5, 5) == []


def test_a_warning_does_not_block() -> None:
    results = [CheckResult("sales_unique", "warn", 3, 5, at(3)), GOOD_RESULTS[1]]
    assert objections(REQUIRED, GOOD_BUILDS, results, 5, 5) == []


@pytest.mark.parametrize(
    ("builds", "results", "refresh", "expected"),
    [
        ([], GOOD_RESULTS, 5, "sales has never been built."),
        (
            [*GOOD_BUILDS, Build("b", "sales", "error", 5, at(9))],
            GOOD_RESULTS,
            5,
            "sales was not built: its last build ended as error.",
        ),
        (GOOD_BUILDS, GOOD_RESULTS, 6, "sales was built for refresh 5, raw is at refresh 6."),
        (
            [*GOOD_BUILDS, *invocation("killed", 8, None)],
            GOOD_RESULTS,
            5,
            "sales may be half built: a later dbt build never finished.",
        ),
        # a good test run after the killed build says nothing of what the killed build left behind
        (
            [*GOOD_BUILDS, *invocation("killed", 8, None), *invocation("later", 9, 10)],
            GOOD_RESULTS,
            5,
            "sales may be half built: a later dbt build never finished.",
        ),
        (GOOD_BUILDS, GOOD_RESULTS[1:], 5, "check sales_unique on sales has never run."),
        (
            GOOD_BUILDS,
            [CheckResult("sales_unique", "fail", 2, 5, at(3)), GOOD_RESULTS[1]],
            5,
            "check sales_unique on sales did not pass (2 rows): fail.",
        ),
        (
            GOOD_BUILDS,
            [CheckResult("sales_unique", "skipped", None, 5, at(3)), GOOD_RESULTS[1]],
            5,
            "check sales_unique on sales did not pass: skipped.",
        ),
        (
            GOOD_BUILDS,
            [GOOD_RESULTS[0], CheckResult("raw_unique", "pass", 0, 4, at(2))],
            5,
            "check raw_unique on shop.sales last ran for refresh 4, not 5.",
        ),
        (
            [*GOOD_BUILDS, Build("b", "sales", "success", 5, at(9))],
            GOOD_RESULTS,
            5,
            "check sales_unique on sales has not run since sales was last built.",
        ),
        # built for a day of its own with the var as_of
        (
            [*GOOD_BUILDS, Build("b", "sales", "success", None, at(9))],
            GOOD_RESULTS,
            5,
            "sales was built for another day than raw's: build it without the var as_of.",
        ),
        # what it reads was rebuilt alone, in dbt or in Python
        (
            [*GOOD_BUILDS, Build("b", "seed", "success", 5, at(9))],
            GOOD_RESULTS,
            5,
            "sales was last built before seed, which it reads.",
        ),
        (
            [*GOOD_BUILDS, Build("python", "ml.scores", "success", 5, at(9))],
            GOOD_RESULTS,
            5,
            "sales was last built before ml.scores, which it reads.",
        ),
        # a check over two relations is stale when either was rebuilt
        (
            [*GOOD_BUILDS, Build("b", "seed", "success", 5, at(9)), Build("b", "sales", "success", 5, at(9))],
            GOOD_RESULTS,
            5,
            "check sales_unique on sales has not run since sales was last built.",
        ),
    ],
)
def test_reasons_not_to_publish(builds: list[Build], results: list[CheckResult], refresh: int, expected: str) -> None:
    assert expected in objections(REQUIRED, builds, results, refresh, refresh)


def test_a_refresh_that_did_not_complete_raw_closes_the_gate() -> None:
    reasons = objections(REQUIRED, GOOD_BUILDS, GOOD_RESULTS, refresh=5, begun=6)
    assert reasons == ["refresh 6 began to read the source and did not complete: run `pulse run` again."]


def test_a_rebuild_after_a_killed_build_opens_the_gate() -> None:
    builds = [*invocation("killed", 1, None), *invocation("good", 2, 4), Build("good", "sales", "success", 5, at(4))]
    results = [CheckResult(each.check, "pass", 0, 5, at(4)) for each in GOOD_RESULTS]
    assert objections(REQUIRED, builds, results, 5, 5) == []


def test_the_manifest_says_what_is_required() -> None:
    def model(name: str, schema: str, reads: list[str]) -> dict:
        return {
            "resource_type": "model",
            "name": name,
            "config": {"enabled": True, "schema": schema},
            "depends_on": {"nodes": reads},
        }

    def check(name: str, severity: str, attached: str | None, nodes: list[str]) -> dict:
        return {
            "resource_type": "test",
            "name": name,
            "config": {"severity": severity},
            "attached_node": attached,
            "depends_on": {"nodes": nodes},
        }

    sales = "model.customer_pulse.fct_sales"
    manifest = {
        "nodes": {
            "1": model("fct_sales", "marts", ["model.customer_pulse.stg_sales", "seed.customer_pulse.rates"]),
            "2": model("stg_sales", "staging", ["source.customer_pulse.ml.scores"]),
            "3": check("sales_total", "ERROR", sales, ["model.customer_pulse.stg_sales", sales]),
            "4": check("source_key", "error", None, ["source.customer_pulse.shop.sales"]),
            "5": check("soft", "warn", sales, [sales]),
        }
    }
    assert required_by(manifest) == Required(
        frozenset({"fct_sales"}),
        {"fct_sales": ("stg_sales", "rates"), "stg_sales": ("ml.scores",)},
        {
            "sales_total": Check("fct_sales", ("stg_sales", "fct_sales")),
            "source_key": Check("shop.sales", ("shop.sales",)),
        },
    )


def test_a_check_that_dbt_does_not_run_counts_where_it_has_run() -> None:
    """So that a plain `dbt build` can be published, but not after a refresh whose rows did not add up."""
    required = with_data_checks(REQUIRED)
    name = "every_row_of_the_files_is_in_raw"
    assert objections(required, GOOD_BUILDS, GOOD_RESULTS, 5, 5) == []
    earlier = [*GOOD_RESULTS, CheckResult(name, "fail", 1, 4, at(3))]
    assert objections(required, GOOD_BUILDS, earlier, 5, 5) == []
    failed = [*GOOD_RESULTS, CheckResult(name, "fail", 1, 5, at(3))]
    assert objections(required, GOOD_BUILDS, failed, 5, 5) == [
        "check every_row_of_the_files_is_in_raw on data_profile did not pass (1 row): fail."
    ]
