"""ml.unusual_days: stretches on hand-made series, error rates by simulation, and judgements that stay."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nbinom

from ml.baselines import DailyBaseline, holidays
from ml.unusual_days import FEWEST_DAYS, PUBLISHED_DAYS, _two_sided, unusual_days

WEEK = np.array([0.9, 0.8, 0.9, 1.0, 1.1, 1.4, 0.9])
START = pd.Timestamp("2024-03-04")


def rows(counts, kind="business", series="all", start=START):
    days = pd.date_range(start, periods=len(counts))
    frame = pd.DataFrame({"kind": kind, "series": series, "day": days, "value": np.asarray(counts, dtype=float)})
    return frame[frame["value"] > 0]


def judged(frame, days):
    last = START + pd.Timedelta(days=days - 1)
    return unusual_days(frame, last.date())


def simulated(days, level=40.0):
    at = np.arange(days)
    return level * WEEK[at % 7] * np.exp(0.1 * np.sin(2 * np.pi * at / 365.25)) * 1.1 ** (at / 365.25)


def stretches(result, kind="business"):
    days = result.days[(result.days["kind"] == kind) & result.days["is_anomaly"]]
    return days.drop_duplicates(["series", "stretch_starts_on"])[["stretch_starts_on", "stretch_ends_on", "direction"]]


def test_a_spike_and_a_lull_are_found_with_their_days():
    rng = np.random.default_rng(1)
    mean = simulated(500)
    mean[440:443] *= 2
    mean[330:336] *= 0.5
    result = judged(rows(rng.poisson(mean)), 500)
    found = stretches(result)
    assert found["direction"].tolist() == ["down", "up"]
    assert found["stretch_starts_on"].tolist() == [START + pd.Timedelta(days=330), START + pd.Timedelta(days=440)]
    assert found["stretch_ends_on"].tolist() == [START + pd.Timedelta(days=335), START + pd.Timedelta(days=442)]
    days = result.days.set_index("day")
    # What is expected does not know of the spike.
    expected = days.loc[START + pd.Timedelta(days=440) : START + pd.Timedelta(days=442), "expected"].sum()
    assert expected == pytest.approx(mean[440:443].sum() / 2, rel=0.06)
    assert len(days) == PUBLISHED_DAYS
    inside = (days["value"] >= days["lower"]) & (days["value"] <= days["upper"])
    assert inside[~days["is_anomaly"]].mean() == pytest.approx(0.95, abs=0.03)


def test_without_anomalies_hardly_a_year_has_an_alarm():
    # Over-dispersed counts: variance 1.6 times the mean.
    alarms = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        mean = simulated(460)
        result = judged(rows(nbinom.rvs(mean / 0.6, 1 / 1.6, random_state=rng)), 460)
        alarms += len(stretches(result))
        assert result.metrics["dispersion_business"] == pytest.approx(1.6, abs=0.35)
    assert alarms == 0


def test_a_settled_day_is_judged_the_same_ever_after():
    rng = np.random.default_rng(3)
    mean = simulated(520)
    mean[430:432] *= 2.2
    counts = rng.poisson(mean)
    earlier, later = (judged(rows(counts), days).days.set_index("day") for days in (490, 520))
    settled = earlier.index[earlier["is_settled"]].intersection(later.index)
    assert len(settled) > 290
    assert earlier.loc[settled, "is_anomaly"].any()
    pd.testing.assert_frame_equal(earlier.loc[settled], later.loc[settled])
    # The month that had ended less than 14 days before, and the one under way, were open.
    last = START + pd.Timedelta(days=489)
    assert not earlier.loc[last.replace(day=1) :, "is_settled"].any()


def test_parts_follow_the_whole_and_the_driver_is_named():
    rng = np.random.default_rng(4)
    mean = simulated(450)
    parts = {name: rng.poisson(share * mean) for name, share in (("Food", 0.5), ("Books", 0.3), ("Home", 0.2))}
    parts["Books"][400:402] += 45
    whole = sum(parts.values())
    frame = pd.concat([rows(whole), *(rows(counts, "category", name) for name, counts in parts.items())])
    result = judged(frame, 450)
    assert stretches(result, "category")["direction"].tolist() == ["up"]
    there = START + pd.to_timedelta([400, 401], unit="D")
    told = result.days[(result.days["kind"] == "business") & result.days["day"].isin(there)]
    assert told["is_anomaly"].all()
    assert told["driver_series"].tolist() == ["Books", "Books"]
    assert told["driver_share"].iloc[0] == pytest.approx(1.0, abs=0.25)
    # When all parts rise alike, none is to blame.
    alike = {name: np.where(np.isin(np.arange(450), (400, 401)), 2, 1) * counts for name, counts in parts.items()}
    alike["Books"][400:402] = 2 * rng.poisson(0.3 * mean[400:402])
    frame = pd.concat([rows(sum(alike.values())), *(rows(counts, "category", n) for n, counts in alike.items())])
    told = judged(frame, 450).days.query("kind == 'business' and day in @there")
    assert told["driver"].tolist() == ["alike in all parts (category)"] * 2
    assert told["driver_series"].isna().all()


def test_what_two_winters_share_is_no_anomaly():
    rng = np.random.default_rng(6)
    days = pd.date_range("2023-06-01", "2025-02-20")
    mean = 50 * WEEK[days.weekday] * (1 + 0.8 * np.exp(-0.5 * ((days.dayofyear - 344) / 11.0) ** 2))
    closed = ((days.month == 12) & (days.day >= 25)) | ((days.month == 1) & (days.day == 1))
    counts = rng.poisson(np.where(closed, 0.4, 1.0) * mean)
    frame = rows(counts, start=days[0])
    found = stretches(unusual_days(frame, days[-1].date()))
    assert found.empty


@pytest.mark.parametrize(
    ("days", "level"),
    [(1, 5), (10, 5), (FEWEST_DAYS, 5), (FEWEST_DAYS + 1, 5), (60, 3), (120, 0.05), (60, 2000)],
)
def test_short_and_thin_series_finish_without_alarms(days, level):
    counts = np.random.default_rng(2).poisson(level, days)
    counts[0] = max(counts[0], 1)
    result = judged(rows(counts), days)
    assert not result.days["is_anomaly"].any()
    assert len(result.days) == days
    assert result.days["p_value"].notna().sum() == max(0, days - FEWEST_DAYS)
    assert (days > FEWEST_DAYS) or "not judged yet" in result.messages[0]


def test_constant_closed_and_new_series():
    closed = np.tile([8, 8, 8, 8, 8, 8, 0], 30)
    assert stretches(judged(rows(closed), 210)).empty
    opened = closed.copy()
    opened[202] = 8  # a closed weekday
    assert stretches(judged(rows(opened), 210))["direction"].tolist() == ["up"]
    gap = np.random.default_rng(0).poisson(30, 210)
    gap[150:154] = 0
    found = stretches(judged(rows(gap), 210))
    assert found["stretch_starts_on"].tolist() == [START + pd.Timedelta(days=150)]
    assert found["stretch_ends_on"].tolist() == [START + pd.Timedelta(days=153)]
    # A product launched 100 days ago has no days before.
    whole = np.random.default_rng(1).poisson(40, 400)
    late = np.where(np.arange(400) >= 300, np.random.default_rng(2).poisson(5, 400), 0)
    frame = pd.concat([rows(whole + late), rows(whole, "product", "old"), rows(late, "product", "new")])
    new = judged(frame, 400).days.query("series == 'new'")
    assert new["day"].min() >= START + pd.Timedelta(days=300)
    assert not new["is_anomaly"].any()


def test_nothing_at_all_and_one_part():
    nothing = unusual_days(rows([]), date(2025, 1, 1))
    assert nothing.days.empty
    assert nothing.days["day"].dtype == "datetime64[ns]"
    assert len(nothing.messages) == 2
    frame = pd.concat([rows([4] * 60), rows([4] * 60, "category", "Uncategorised")])
    assert set(judged(frame, 60).days["kind"]) == {"business"}


def test_order_of_rows_and_later_rows_change_nothing():
    rng = np.random.default_rng(8)
    frame = rows(rng.poisson(simulated(430)))
    last = START + pd.Timedelta(days=399)
    expected = unusual_days(frame[frame["day"] <= last], last.date()).days
    pd.testing.assert_frame_equal(unusual_days(frame.sample(frac=1, random_state=1), last.date()).days, expected)


def test_impossible_input_is_refused():
    with pytest.raises(ValueError, match="columns are missing"):
        unusual_days(pd.DataFrame({"kind": ["business"]}), date(2025, 1, 1))
    with pytest.raises(ValueError, match="unknown kinds"):
        unusual_days(rows([1], kind="shelf"), date(2025, 1, 1))
    with pytest.raises(ValueError, match="not negative"):
        unusual_days(rows([1]).assign(value=-1.0), date(2025, 1, 1))


def test_tails_are_those_of_the_negative_binomial():
    count, mean, variance = np.array([0.0, 3.0, 12.0, 30.0]), np.full(4, 8.0), np.full(4, 14.0)
    size = 8 * 8 / 6
    tails = np.minimum(nbinom.cdf(count, size, 8 / 14), nbinom.sf(count - 1, size, 8 / 14))
    assert _two_sided(count, mean, variance) == pytest.approx(np.minimum(2 * tails, 1))


def test_leaving_days_out_equals_fitting_without_them():
    """The closed form of deletion against a second fit, on a straight regression."""
    from ml.unusual_days import _Scan

    rng = np.random.default_rng(9)
    days = pd.date_range(START, periods=120)
    counts = rng.poisson(400 * WEEK[days.weekday])[None].astype(float)
    there = np.ones(counts.shape, dtype=bool)
    scan = _Scan(DailyBaseline().fit(days, counts), counts, there)
    expected, _ = scan.within(np.array([0]), np.array([50]), 3)
    used = there.copy()
    used[0, 50:53] = False
    refitted = DailyBaseline().fit(days, counts, used=used).expected_[0, 50:53]
    assert expected[0] == pytest.approx(refitted, rel=0.004)


def test_holidays_that_occur():
    days = pd.date_range("2024-11-20", "2025-01-05")
    names, indicators = holidays(days)
    assert names == [*(f"12-{day}" for day in range(24, 32)), "01-01", "black friday week"]
    assert indicators.sum(axis=0).tolist() == [1.0] * 9 + [8.0]
    assert indicators[days.get_loc("2024-11-29"), -1] == 1  # Black Friday
    assert holidays(days[:2])[0] == []


def test_factors_of_the_calendar_on_days_to_come():
    days = pd.date_range(START, periods=500)
    model = DailyBaseline().fit(days, 100 * WEEK[days.weekday])
    ahead = pd.date_range(days[-1] + pd.Timedelta(days=1), periods=14)
    week = model.factor(ahead, ("week",))[0]
    assert week / week.mean() == pytest.approx(WEEK[ahead.weekday] / WEEK.mean(), rel=0.01)


def test_the_baseline_refuses_what_it_cannot_use():
    days = pd.date_range(START, periods=30)
    with pytest.raises(ValueError, match="column a day"):
        DailyBaseline().fit(days, np.ones(20))
    with pytest.raises(ValueError, match="consecutive"):
        DailyBaseline().fit(days[::2], np.ones(15))
    with pytest.raises(ValueError, match="non-negative"):
        DailyBaseline().fit(days, np.full(30, np.nan))
