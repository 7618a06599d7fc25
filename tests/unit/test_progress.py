"""What a run shows: a line a stage, every warning, an asset a line when asked, and what it came to in the end."""

import io
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from rich.console import Console

from orchestration.instance import run_job
from orchestration.progress import Progress


@dg.multi_asset(name="raw_tables", specs=[dg.AssetSpec(["shop", "sales"]), dg.AssetSpec(["shop", "customers"])])
def raw_tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
    context.log.warning("sales.csv: 2 of 63 rows went to quarantine.\n    line 62")
    context.log.info("nobody needs to know")
    for table, rows in (("sales", 1200), ("customers", 34)):
        yield dg.MaterializeResult(asset_key=["shop", table], metadata={"dagster/row_count": rows})


@dg.asset(
    key=["ml", "churn_scores"],
    deps=[["shop", "sales"]],
    check_specs=[dg.AssetCheckSpec(name, asset=["ml", "churn_scores"]) for name in ("is_good", "is_calibrated")],
)
def churn_scores() -> dg.MaterializeResult:
    severity = dg.AssetCheckSeverity.WARN
    return dg.MaterializeResult(
        check_results=[
            dg.AssetCheckResult(check_name="is_good", passed=True),
            dg.AssetCheckResult(check_name="is_calibrated", passed=False, severity=severity, description="off by .2"),
        ]
    )


@dg.asset(key=["ml", "clusters"], deps=[["ml", "churn_scores"]])
def clusters() -> None:
    pass


@dg.asset(key=["ml", "clusters"], deps=[["ml", "churn_scores"]])
def broken_clusters() -> None:
    raise dg.Failure(description="no customers at all", allow_retries=False)


@dg.asset(key=["reports", "overview"], deps=[["ml", "clusters"]])
def overview() -> None:
    pass


@dg.asset(key=["ml", "clusters"], deps=[["ml", "churn_scores"]])
def stopped_clusters() -> None:
    raise KeyboardInterrupt


Events = tuple[bool, list[Any]]


def run(*assets: dg.AssetsDefinition) -> Events:
    """Whether a run of some assets succeeded, and its events."""
    events: list[Any] = []
    definitions = dg.Definitions(assets=assets, jobs=[dg.define_asset_job("refresh", dg.AssetSelection.all())])
    with dg.DagsterInstance.ephemeral() as instance:
        try:
            succeeded = run_job(definitions, "refresh", instance, events.append)
        except KeyboardInterrupt:
            succeeded = False
    return succeeded, events


@pytest.fixture(scope="module")
def good() -> Events:
    return run(raw_tables, churn_scores, clusters, overview)


@pytest.fixture(scope="module")
def broken() -> Events:
    return run(raw_tables, churn_scores, broken_clusters, overview)


def told(events: Events, *, verbose: bool = False, has_published: bool = False) -> list[str]:
    """What a run prints, with a second between two looks at the clock."""
    output = io.StringIO()
    seconds = iter(range(1000))
    progress = Progress(Console(file=output, width=200), verbose=verbose, clock=lambda: float(next(seconds)))
    for event in events[1]:
        progress(event)
    progress.finish(events[0], has_published=has_published)
    return output.getvalue().splitlines()


def test_a_line_a_stage_and_every_warning(good: Events) -> None:
    assert told(good) == [
        "! sales.csv: 2 of 63 rows went to quarantine.",
        "    line 62",
        "✓ raw            2 assets, 1,234 rows, 1.0 s",
        "! check is_calibrated on ml/churn_scores: off by .2",
        "✓ models         2 assets, 2 checks (1 with a warning), 1.0 s",
        "✓ pages          1 asset, 1.0 s",
        "5 assets, 2 checks (1 with a warning) in 7 s.",
    ]


def test_every_asset_when_asked(good: Events) -> None:
    lines = told(good, verbose=True)
    assert [line.split() for line in lines if "/" in line and line.startswith("✓")] == [
        ["✓", "shop/sales", "1,200", "rows"],
        ["✓", "shop/customers", "34", "rows"],
        ["✓", "ml/churn_scores"],
        ["✓", "ml/clusters"],
        ["✓", "reports/overview"],
    ]


def test_a_failure_says_how_far_it_came_and_what_was_not_begun(broken: Events) -> None:
    assert told(broken)[-4:] == [
        "✗ ml__clusters: no customers at all",
        "✗ models         1 of 2 assets, 2 checks (1 with a warning), 1.0 s",
        "Not begun: pages.",
        "3 assets, 2 checks (1 with a warning) in 5 s. The run failed; nothing was published.",
    ]


def test_a_failure_after_publishing_does_not_deny_it(broken: Events) -> None:
    (line,) = [line for line in told(broken, has_published=True) if "The run failed" in line]
    assert line.endswith("The run failed after it had published.")
    assert "nothing" not in line


def test_who_interrupts_a_run_is_not_told_why_it_ended() -> None:
    lines = told(run(raw_tables, churn_scores, stopped_clusters))
    assert not [line for line in lines if "Interrupt" in line]
    assert "✗ models         1 of 2 assets, 2 checks (1 with a warning), 1.0 s" in lines
