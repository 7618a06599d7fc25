"""ml.grading by hand, and a small version of benchmarks/grade_series.py: detectors against the planted truth."""

from datetime import date
from functools import reduce
from operator import add

import pandas as pd
import pytest
from scipy.stats import binomtest

from benchmarks import grade_series, grading
from ml.grading import Grade, grade, grade_periods, overlaps, share_interval

# The first two businesses of which an oracle finds three spikes or lulls each.
SEEDS = (8, 13)


def periods(*rows):
    frame = pd.DataFrame(rows, columns=["product_id", "starts_on", "ends_on"])
    return frame.astype({"starts_on": "datetime64[ns]", "ends_on": "datetime64[ns]"})


def test_keys():
    result = grade(["a", "b", "b", "c"], ["b", "c", "d", "e"])
    assert result == Grade(found=3, true_found=2, planted=4, planted_found=2)
    assert (result.precision, result.recall) == (2 / 3, 0.5)
    assert result.false_discovery_share == pytest.approx(1 / 3)
    nothing = grade([], [])
    assert (nothing.precision, nothing.recall, nothing.false_discovery_share) == (None, None, 0.0)
    assert result + result == Grade(6, 4, 8, 4)


def test_periods():
    planted = periods(("p", "2025-01-10", "2025-01-12"), ("q", "2025-03-01", "2025-03-01"))
    found = periods(
        ("p", "2025-01-12", "2025-01-20"),  # shares a day
        ("p", "2025-01-08", "2025-01-10"),  # so does this, of the same one
        ("p", "2025-01-13", "2025-01-13"),  # a day late
        ("p", "2025-03-01", "2025-03-01"),  # another product's
    )
    assert grade_periods(found, planted, ["product_id"]) == Grade(4, 2, 2, 1)
    assert grade_periods(found, planted, ["product_id"], slack_days=1) == Grade(4, 3, 2, 1)
    assert grade_periods(found, planted) == Grade(4, 3, 2, 2)
    assert overlaps(found[:0], planted, ["product_id"]).shape == (0, 2)
    assert grade_periods(found[:0], planted) == Grade(0, 0, 2, 0)


def test_intervals_of_shares():
    for count, size in ((0, 5), (3, 9), (9, 9)):
        exact = binomtest(count, size).proportion_ci(method="exact")
        assert share_interval(count, size) == pytest.approx((exact.low, exact.high))
    assert share_interval(0, 0) == (0.0, 1.0)
    assert Grade(9, 9, 12, 3).recall_interval == share_interval(3, 12)
    assert Grade(9, 9, 12, 3).precision_interval == share_interval(9, 9)
    with pytest.raises(ValueError, match="impossible"):
        share_interval(3, 2)


@pytest.fixture(scope="module")
def businesses():
    return [grading.make_business(seed, grade_series.AS_OF) for seed in SEEDS]


def judged(graded, least_recall):
    """At most one false discovery, or one in ten; and nearly all that an oracle would find."""
    total = reduce(add, (one[0] for one in graded))
    truths = pd.concat([one[1] for one in graded])
    findable = truths[truths["power"] >= grading.POWER]
    assert len(findable) >= 3
    assert total.found - total.true_found <= max(1, 0.1 * total.found)
    assert findable["found"].mean() >= least_recall


def test_customers_with_planted_sentiment_are_found(businesses):
    judged([grade_series.graded_customers(business) for business in businesses], 0.9)


def test_planted_spikes_and_lulls_are_found(businesses):
    judged([grade_series.graded_days(business) for business in businesses], 0.75)


def test_planted_trends_are_found(businesses):
    judged([grade_series.graded_trends(business) for business in businesses], 0.9)


def test_the_forecast_of_a_winter():
    table = grade_series.graded_forecasts(1, (date(2025, 9, 30),))
    assert (table["mase"] < table["mase_naive"]).all()
    assert 0.8 <= table["coverage"].mean() <= 0.98
