"""The arithmetic of the benchmark of the whole product: growth, order of models, what counts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from benchmarks.product import exponent, markdown
from benchmarks.stages import UNCOUNTED, in_order
from benchmarks.usage import Session


def test_growth_is_the_slope_on_logarithmic_axes() -> None:
    assert exponent([10, 100, 1000], [3, 30, 300]) == pytest.approx(1)
    assert exponent([10, 100, 1000], [2, 2, 2]) == pytest.approx(0)
    assert exponent([1, 2, 4], [5, 20, 80]) == pytest.approx(2)
    assert exponent([1e6], [5]) is None
    # What takes no time has no logarithm, and is left out.
    assert exponent([1, 10, 100], [0, 1, 10]) == pytest.approx(1)


def node(name: str, *reads: str, materialized: str = "table", tags: tuple[str, ...] = ()) -> tuple[str, dict[str, Any]]:
    depends_on = {"nodes": [f"model.{each}" for each in reads]}
    config = {"materialized": materialized}
    return f"model.{name}", {
        **{"name": name, "resource_type": "model", "depends_on": depends_on, "config": config, "tags": list(tags)}
    }


def test_models_come_after_what_they_read_and_nothing_is_run_for_ephemeral_ones() -> None:
    nodes = dict(
        [
            node("late", "middle", tags=("insights",)),
            node("middle", "between", "first"),
            node("between", "first", materialized="ephemeral"),
            node("first"),
        ]
    )
    manifest = {"nodes": nodes}
    assert [each["name"] for each in in_order(manifest, lambda each: "insights" not in each["tags"])] == [
        "first",
        "middle",
    ]
    assert [each["name"] for each in in_order(manifest, lambda each: "insights" in each["tags"])] == ["late"]


def used(cpu: float) -> dict[str, float]:
    return {"cpu": cpu, "wall": 2 * cpu, "peak": 100.0}


def result(sales: int, refresh: float, bare: float) -> dict[str, Any]:
    return {
        **{"sales": sales, "tables": "shop", "engine": "duckdb", "measured_at": "2026-01-01", "machine": "2 cores"},
        "steps": {
            "generate": {"total": used(1), "stages": {}, "rows": {"history shop.sales": sales}, "processes": 1},
            "refresh": {
                **{"total": used(refresh), "stages": {"marts": used(refresh - 1), "ml": used(1)}, "processes": 3},
                "bytes": {"raw": 2_000_000},
            },
            "bare": {"total": used(bare + 4), "stages": {"marts": used(bare), UNCOUNTED: used(4)}, "processes": 1},
        },
    }


def test_the_table_says_what_was_measured_and_counts_no_import_of_dagster_to_bare() -> None:
    text = markdown([result(1000, 40, 10), result(10_000, 400, 100)])
    refresh = "| **everything else, from raw to the published file** | 40.0 | 80 | 100 | 400.0 | 800 | 100 | 1.00 |"
    assert refresh in text
    assert "| **the same SQL, models and pages, bare** | 10.0 | 20 | 100 | 100.0 | 200 | 100 | 1.00 |" in text
    assert "a refresh from raw costs 4.00 x the same bare" in text
    assert "dearest: marts (98%) and ml (2%)" in text
    assert "on disk: raw 2 MB" in text


def test_what_spark_used_is_counted_and_told() -> None:
    measured = result(1000, 40, 10)
    refresh = measured["steps"]["refresh"]
    for figures in (refresh["total"], refresh["stages"]["marts"]):
        figures |= {"spark_cpu": 160.0, "spark_peak": 900.0}
    text = markdown([{**measured, "engine": "spark", "steps": {"refresh": refresh}}])
    assert "1,000 sales: CPU-s (of it Spark) | s | peak MB |" in text
    assert "| **everything else, from raw to the published file** | 200.0 (160.0) | 80 | 1,000 |" in text
    assert "dearest: marts (100%) and ml (0%)" in text


def test_what_ran_on_both_engines_is_set_side_by_side() -> None:
    here, there = result(1000, 40, 10), {**result(1000, 50, 10), "engine": "spark"}
    there["steps"]["refresh"]["total"] |= {"spark_cpu": 150.0, "spark_peak": 900.0}
    only_here = result(10_000, 400, 100)
    text = markdown([here, only_here, there])
    assert "|  | 1,000 sales: DuckDB | peak MB | Spark (of it its server) | peak MB | times |\n" in text
    assert (
        "everything else, from raw to the published file** | 40.0 | 100 | 200.0 (150.0) | 100 + 900 | 5.0 |\n" in text
    )
    assert "of it marts | 39.0 | 100 | 49.0 (0.0) | 100 + 0 | 1.3 |\n" in text
    assert "times" not in markdown([here, only_here])


def test_a_session_is_what_was_started_together_and_may_have_ended() -> None:
    """The child works, sleeps long enough to be seen, and ends; its parent, as PySpark's daemon, ignores that."""
    child = "import time; x = bytes(60_000_000); sum(range(20_000_000)); time.sleep(1.5)"
    parent = (
        "import os, signal, subprocess, sys, time; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "while os.path.exists(f'/proc/{child.pid}'): time.sleep(0.05)\n"
        "print(time.process_time(), flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        session = Session(process.pid)
        assert process.stdout is not None
        own = float(process.stdout.readline())
        assert session.cpu() - own > 0.15
        # The child has ended: its seconds count, its memory does not.
        assert 5 < session.peak() < 60
        process.communicate(b"\n")
    assert session.cpu() - own > 0.15
    assert session.peak() == 0


def test_with_nothing_measured_it_says_so() -> None:
    assert markdown([]) == "Nothing has been measured yet."
