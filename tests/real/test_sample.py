"""The CDNOW sample through the whole pipeline, against published figures (Fader and Hardie's data)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.conftest import ROOT, Refresh, run_pipeline


def revenue(refresh: Refresh) -> set[Decimal]:
    """Net revenue as three tables have it."""
    ((facts, days, customers),) = refresh.query(
        """
        select
            (select sum(net_revenue) from marts.fct_sales),
            (select sum(net_revenue) from marts.daily_sales),
            (select sum(total_spend) from marts.customer_metrics)
        """
    )
    return {facts, days, customers}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Refresh:
    result = run_pipeline(tmp_path_factory.mktemp("sample"), source=str(ROOT / "data/samples/cdnow/sources.yml"))
    assert result.succeeded, result.output
    return result


def test_sample_counts_and_revenue(sample: Refresh) -> None:
    lines = [line.split() for line in (ROOT / "data/samples/cdnow/CDNOW_sample.txt").read_text().splitlines()]
    assert len(lines) == 6919
    assert sample.query("select count(*) from marts.fct_sales") == [(6919,)]
    assert sample.query("select count(*), count(purchase_count) from marts.customer_360") == [(2357, 2357)]
    assert revenue(sample) == {sum(Decimal(line[4]) for line in lines)}


def test_sample_repeat_buyers_are_those_of_the_literature(sample: Refresh) -> None:
    # By 1997-09-30, 946 of 2,357 customers had bought again on a later day (Fader, Hardie and Lee 2005).
    assert sample.query(
        """
        select count(*) from marts.customer_features where cutoff_date = date '1997-09-30' and order_day_count > 1
        """
    ) == [(946,)]
