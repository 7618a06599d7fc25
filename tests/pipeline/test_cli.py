"""`pulse` as people type it, in processes of its own: the summary, plain mistakes, killed and concurrent runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.conftest import pulse


def test_a_run_prints_assets_and_a_summary_that_agrees_with_the_file(
    tmp_path: Path, sales_file: Callable[..., Path]
) -> None:
    rows = [f"customer {n % 7},2024-{1 + n % 6:02d}-{1 + n % 28:02d},{n}.5" for n in range(60)]
    # 3 of 63 rows are bad: fewer than 5 % of them, so they go to quarantine and the rest is loaded
    source = sales_file(*rows, "zoë,2024-05-01,ten", "ann,someday,1", ",2024-06-30,9.75")
    home = tmp_path / "home"
    result = pulse("run", "--source", str(source), "--home", str(home), "--verbose")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "✓ marts/customer_rfm" in result.stdout
    assert re.search(r"^✓ raw +11 assets, 61 rows, \d+\.\d s$", result.stdout, re.MULTILINE)
    assert re.search(r"^✓ publish +1 asset, \d+\.\d s$", result.stdout, re.MULTILINE)
    assert "7 customers, 7 with an order. 61 sale lines" in result.stdout
    assert "Net revenue 1,809.75, 9.75 of it from guests." in result.stdout
    assert "Rows received: 63 = 61 new + 0 restated + 0 known already + 2 in quarantine." in result.stdout
    assert "sales.csv: 2 of 63 rows went to quarantine." in result.stdout
    assert "line 62" in result.stdout
    assert (home / "reports" / "index.html").exists()
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*), sum(net_revenue)::double from marts.fct_sales").fetchone() == (
            61,
            1809.75,
        )
    with duckdb.connect() as connection:
        bad = connection.execute(f"select line, reason from '{home}/quarantine/**/*.parquet' order by line").fetchall()
    assert [line for line, _ in bad] == [62, 63]

    query = pulse("query", "select count(*) as customers from marts.dim_customers", "--home", str(home))
    assert query.returncode == 0
    assert "customers" in query.stdout
    assert "7" in query.stdout


def test_a_file_with_many_bad_rows_is_set_aside_and_the_next_run_goes_on_with_one_sale(tmp_path: Path) -> None:
    home = tmp_path / "home"
    landing = home / "landing"
    landing.mkdir(parents=True)
    good = landing / "good.csv"
    good.write_text("customer_id,sold_at,amount\n李雷,2024-01-05,10\n", encoding="utf-8")
    bad = landing / "bad.csv"
    bad.write_text("customer_id,sold_at,amount\n" + "ann,2024-01-05,much\n" * 6 + "bob,2024-01-05,3\n", "utf-8")
    first = pulse("run", "--home", str(home))
    assert first.returncode == 1
    assert "bad.csv was set aside: 6 of 7 rows" in first.stdout
    assert "Traceback" not in first.stdout + first.stderr
    assert not (home / "pulse.duckdb").exists()
    second = pulse("run", "--home", str(home))
    assert second.returncode == 0, second.stdout + second.stderr
    assert "bad.csv stays set aside" in second.stdout
    assert "Rows received: 8 = 0 new + 0 restated + 1 known already + 7 in quarantine." in second.stdout
    assert "1 customer, 1 with an order" in second.stdout
    assert "too few have left or stayed" in second.stdout
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        row = connection.execute(
            "select customer_id, segment, risk_tier, churn_probability, churn_source from marts.customer_360"
        ).fetchone()
        notes = connection.execute("select metrics from ml.model_runs where model = 'churn'").fetchall()
    assert row == ("李雷", row[1], "Low", None, "rule")
    assert all(json.loads(metrics)["features"] is not None for (metrics,) in notes)


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "words"),
    [
        (["--source", "no/such/file.csv"], {}, 2, "no/such/file.csv does not exist"),
        (["--as-of", "31.12.2024"], {}, 2, "valid date"),
        (["--as-of", "1996-12-31", "--source", "data/samples/cdnow/sources.yml"], {}, 1, "is of 1997-01-01"),
        ([], {"PULSE_SCALE": "none"}, 2, "PULSE_SCALE = 'none'"),
        ([], {"PULSE_TIMZONE": "UTC"}, 2, "PULSE_TIMZONE is not a setting"),
    ],
)
def test_mistakes_are_told_plainly(
    tmp_path: Path, arguments: list[str], variables: dict[str, str], status: int, words: str
) -> None:
    result = pulse("run", "--home", str(tmp_path / "home"), *arguments, **variables)
    assert result.returncode == status
    assert words in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_querying_before_anything_is_published_says_so(tmp_path: Path) -> None:
    result = pulse("query", "select 1", "--home", str(tmp_path))
    assert result.returncode == 1
    assert "nothing has been published yet" in result.stderr
