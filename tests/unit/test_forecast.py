"""ml.forecast: exact cases, odd histories, and intervals that hold on simulated business."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from ml.forecast import HORIZON_DAYS, NAIVE, DampedHoltWinters, forecast_revenue, without_outliers

WEEK = np.array([0.9, 0.8, 0.9, 1.0, 1.1, 1.4, 0.9])
START = pd.Timestamp("2023-01-02")


def frame_of(values, start=START):
    return pd.DataFrame({"day": pd.date_range(start, periods=len(values)), "value": np.asarray(values, dtype=float)})


def forecast(values):
    return forecast_revenue(frame_of(values), (START + pd.Timedelta(days=len(values) - 1)).date())


def business(rng, days, level=4000.0, noise=0.25):
    at = np.arange(days)
    mean = level * WEEK[at % 7] * (1 + 0.15 * np.sin(2 * np.pi * at / 365.25)) * 1.08 ** (at / 365.25)
    return mean * rng.gamma(1 / noise**2, noise**2, days)


def test_a_constant_and_a_plain_week_go_on():
    assert forecast(np.full(100, 7.0)).days["forecast"].to_numpy() == pytest.approx(np.full(90, 7.0))
    result = forecast(100 * WEEK[np.arange(140) % 7]).days
    assert result["forecast"].to_numpy() == pytest.approx(100 * WEEK[(140 + np.arange(90)) % 7], rel=1e-3)
    assert (result["upper"] - result["lower"]).max() < 1
    assert result["day"].iloc[[0, -1]].tolist() == [START + pd.Timedelta(days=140), START + pd.Timedelta(days=229)]


def test_holt_winters_by_hand():
    """A flat series with a week: nothing is left to learn; then the recursion, two steps by hand."""
    model = DampedHoltWinters().fit(10 * np.tile([0.5, 1.5, 1, 1, 1, 1, 1], 8))
    assert model.level_ == pytest.approx(10)
    assert model.predict(9) == pytest.approx(10 * np.array([0.5, 1.5, 1, 1, 1, 1, 1, 0.5, 1.5]))
    # A level that doubles for good is followed to the end, and the trend dies out.
    doubled = DampedHoltWinters().fit(np.r_[np.full(56, 10.0), np.full(56, 20.0)])
    assert doubled.predict(90)[-1] == pytest.approx(20, rel=0.05)
    model.level_, model.trend_, model.parameters_ = 10.0, 1.0, (0.1, 0.0, 0.5, 0.0)
    model.season_ = np.ones(7)
    assert model.predict(3) == pytest.approx([10.5, 10.75, 10.875])
    with pytest.raises(ValueError, match="at least 14"):
        DampedHoltWinters().fit(np.ones(13))


@pytest.mark.parametrize("days", [1, 6, 10, 14, 27, 28, 35, 60])
def test_short_histories(days):
    values = business(np.random.default_rng(1), days)
    result = forecast(values)
    assert len(result.days) == HORIZON_DAYS
    assert result.days["forecast"].mean() == pytest.approx(values.mean(), rel=0.35)
    assert result.messages
    assert result.days["lower"].isna().all() == (days < 14)
    if days >= 14:
        assert (
            (result.days["lower"] <= result.days["forecast"]) & (result.days["upper"] >= result.days["forecast"])
        ).all()


def test_closed_sundays_stay_closed():
    rng = np.random.default_rng(2)
    values = business(rng, 200)
    values[6::7] = 0
    result = forecast(values).days
    sundays = result["day"].dt.weekday == 6
    assert result.loc[sundays, "forecast"].max() < 1
    assert result.loc[sundays, "upper"].max() < 0.35 * values.mean()
    assert result.loc[~sundays, "forecast"].min() > 1000


def test_no_sales_at_all_and_sales_that_ended():
    nothing = forecast(np.zeros(100)).days
    assert (nothing[["forecast", "lower", "upper"]] == 0).all(axis=None)
    ended = forecast(np.r_[business(np.random.default_rng(3), 150), np.zeros(120)]).days
    assert ended["forecast"].max() < 400
    assert np.isfinite(ended[["lower", "upper"]]).all(axis=None)


def test_a_giant_order_changes_little():
    values = business(np.random.default_rng(4), 300)
    plain = forecast(values).days["forecast"].sum()
    values[290] = 50 * values.mean()
    assert without_outliers(values)[290] < 4 * values.mean()
    assert np.abs(without_outliers(values) - values).max() == np.abs(without_outliers(values) - values)[290]
    assert forecast(values).days["forecast"].sum() == pytest.approx(plain, rel=0.12)


def test_returns_may_make_a_day_negative():
    values = business(np.random.default_rng(5), 120)
    values[50] = -2000
    result = forecast(values).days
    assert result["lower"].min() >= -2000
    assert np.isfinite(result["forecast"]).all()


def test_better_than_the_last_week_and_intervals_hold():
    coverage, ours, naive = [], [], []
    for seed in range(5):
        values = business(np.random.default_rng(seed), 820)
        result = forecast(values[:730])
        actual = values[730:820]
        coverage.append(((actual >= result.days["lower"]) & (actual <= result.days["upper"])).mean())
        ours.append(np.abs(actual - result.days["forecast"]).mean())
        naive.append(np.abs(actual - values[723:730][np.arange(90) % 7]).mean())
        mase = {name: value for name, value in result.metrics.items() if name.startswith("mase_")}
        assert result.metrics[f"mase_{result.method}"] == min(mase.values()) < result.metrics[f"mase_{NAIVE}"]
    # Even the true mean would have .71 of the error of a forecast that is as noisy as the days themselves.
    assert np.mean(ours) < 0.85 * np.mean(naive)
    assert 0.85 <= np.mean(coverage) <= 0.97


def test_later_rows_change_nothing_and_gaps_are_refused():
    frame = frame_of(business(np.random.default_rng(6), 150))
    last = (START + pd.Timedelta(days=119)).date()
    expected = forecast_revenue(frame[:120], last).days
    pd.testing.assert_frame_equal(forecast_revenue(frame.sample(frac=1, random_state=1), last).days, expected)
    with pytest.raises(ValueError, match="without gaps"):
        forecast_revenue(frame.drop(index=50), last)
    with pytest.raises(ValueError, match="must not be missing"):
        forecast_revenue(frame.assign(value=np.nan), last)
    with pytest.raises(ValueError, match="columns are missing"):
        forecast_revenue(frame[["day"]], last)
    nothing = forecast_revenue(frame[:0], date(2025, 1, 1))
    assert nothing.days.empty
    assert nothing.messages == ["No sales yet."]
