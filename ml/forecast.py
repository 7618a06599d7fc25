"""What the next days will bring: daily revenue forecast by the method that did best on the series' own past.

Methods, their comparison over rolling origins, and intervals from the errors made there. What is usual on a day of the
year comes from `baselines`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from ml._threads import one_thread
from ml.baselines import YEARLY_FROM_DAYS, DailyBaseline

Floats = NDArray[np.float64]

HORIZON_DAYS = 90
"""Days that are forecast."""
INTERVAL = 0.9
"""Share of days that are to lie between `lower` and `upper`."""
FEWEST_DAYS = 28
"""Days of history from which on methods are compared."""

NAIVE = "seasonal_naive"
"""The method to beat: the last week again and again."""

_ORIGINS, _ORIGIN_STEP = 16, 28
_BAND_DAYS = 30
_GRID = [
    (level, level * trend, damping, season)
    for level, trend, damping, season in product(
        (0.02, 0.05, 0.1, 0.2, 0.35), (0.0, 0.05, 0.15), (0.9, 0.98), (0.0, 0.03, 0.1)
    )
]
_WARM_UP = 28
_OUTLIER = 6.0  # standard deviations from which on a day is cut off
_DAY = pd.Timedelta(days=1)


@dataclass
class Forecast:
    """What `forecast_revenue` returns.

    Args:
        days: day, forecast, lower, upper, model_version.
        method: The method chosen.
        metrics: MASE of every method, coverage of the intervals, origins.
        messages: What a reader must know.
    """

    days: pd.DataFrame
    method: str
    metrics: dict[str, Any]
    messages: list[str]


class DampedHoltWinters(BaseEstimator):
    """Exponential smoothing with a damped trend and a week that multiplies.

    The smoothing parameters are those of a grid with the least squared one-step error. Source: Gardner and McKenzie,
    "Seasonal Exponential Smoothing With Damped Trends" (Management Science 1989); Hyndman and Athanasopoulos,
    "Forecasting: Principles and Practice" (3rd edition), sections 8.2 and 8.3.

    Attributes:
        parameters_: Level, trend, damping and season parameter.
        level_, trend_: State after the last day.
        season_: (7,) factors of the days after the last one.
    """

    def fit(self, values: ArrayLike) -> DampedHoltWinters:
        """Smooth a series.

        Args:
            values: (n,) values of consecutive days, at least 14.

        Raises:
            ValueError: There are fewer than 14 values, or one is missing.
        """
        y = np.asarray(values, dtype=float)
        if len(y) < 14 or not np.isfinite(y).all():
            raise ValueError("at least 14 values are needed, and none may be missing")
        alpha, beta, damping, gamma = np.array(_GRID).T
        opening = y[: 7 * (min(len(y), 56) // 7)]
        size = max(float(opening.mean()), 1e-9)
        season = np.maximum(opening.reshape(-1, 7).mean(axis=0) / size, 0.0)
        seasons = np.tile(season, (len(_GRID), 1)).T.copy()
        level, trend = np.full(len(_GRID), max(float(y[:14].mean()), 1e-9)), np.zeros(len(_GRID))
        loss = np.zeros(len(_GRID))
        for t, value in enumerate(y):
            factor = seasons[t % 7]
            base = np.maximum(level + damping * trend, 1e-9)
            error = value - base * factor
            if t >= min(_WARM_UP, len(y) // 2):
                loss += error**2
            # A weekday without business says nothing about the level.
            change = np.where(factor > 0.05, error / np.maximum(factor, 0.05), 0.0)
            level, trend = base + alpha * change, damping * trend + beta * change
            seasons[t % 7] = np.maximum(factor + gamma * error / base, 0.0)
        best = int(np.argmin(loss))
        self.parameters_ = _GRID[best]
        self.level_, self.trend_ = float(level[best]), float(trend[best])
        self.season_ = seasons[(len(y) + np.arange(7)) % 7, best]
        return self

    def predict(self, days: int) -> Floats:
        """(days,) forecasts of the days after the last one."""
        ahead = np.arange(1, days + 1)
        damping = self.parameters_[2]
        trend = self.trend_ * damping * (1 - damping**ahead) / (1 - damping)
        return np.asarray(np.maximum(self.level_ + trend, 0.0) * self.season_[(ahead - 1) % 7])


def without_outliers(values: Floats) -> Floats:
    """Values with single days cut off that are far from the same weekday in the weeks around.

    Far is six standard deviations (from the median absolute deviation) from the median of nine weeks: a giant order
    counts as a very good day and no more.
    """
    n = len(values)
    if n < 14:
        return values
    weeks = -(-n // 7)
    grid = np.full((weeks + 8, 7), np.nan)
    grid[4:-4].flat[:n] = values
    around = np.stack([grid[shift : shift + weeks] for shift in range(9)])
    # The last column of a week that has only begun may be empty in short series.
    filled = np.where(np.isnan(around).all(axis=0), np.nanmedian(values), around)
    center = np.nanmedian(filled, axis=0).ravel()[:n]
    distance = np.abs(values - center)
    scale = 1.4826 * float(np.median(distance[distance > 0])) if (distance > 0).any() else 0.0
    return np.clip(values, center - _OUTLIER * scale, center + _OUTLIER * scale)


def _naive(days: pd.DatetimeIndex, y: Floats, horizon: int) -> Floats:  # noqa: ARG001
    return y[-7:][np.arange(horizon) % min(7, len(y))]


def _recent(days: pd.DatetimeIndex, y: Floats, horizon: int) -> Floats:
    """The level of the last 28 days, and the week of the last 26 weeks."""
    ahead = pd.date_range(days[-1] + _DAY, periods=horizon)
    year = y[-7 * min(26, len(y) // 7) :]
    if len(year) < 14:
        return np.full(horizon, y.mean())
    week = np.zeros(7)
    week[days[-7:].weekday] = year.reshape(-1, 7).mean(axis=0) / max(year.mean(), 1e-9)
    return np.asarray(y[-28:].mean() * week[ahead.weekday])


def _smoothed(days: pd.DatetimeIndex, y: Floats, horizon: int) -> Floats:  # noqa: ARG001
    return DampedHoltWinters().fit(y).predict(horizon)


def _seasonal(days: pd.DatetimeIndex, y: Floats, horizon: int) -> Floats:
    """Exponential smoothing of what is left when year and holidays are divided out."""
    positive = np.maximum(y, 0.0)
    # In units in which the variance is about the mean, as the regression expects.
    steps = y[7:] - y[:-7]
    unit = max(float((steps**2).mean()) / 2 / max(float(positive.mean()), 1e-9), 1e-9)
    usual = DailyBaseline(knot_days=28.0).fit(days, positive / unit)
    ahead = pd.date_range(days[-1] + _DAY, periods=horizon)
    parts = ("year", "holidays")
    known, coming = usual.factor(days, parts)[0], usual.factor(ahead, parts)[0]
    return DampedHoltWinters().fit(y / known).predict(horizon) * coming


_METHODS: dict[str, Callable[[pd.DatetimeIndex, Floats, int], Floats]] = {
    NAIVE: _naive,
    "recent_level": _recent,
    "holt_winters": _smoothed,
    "holt_winters_yearly": _seasonal,
}
_COMBINATION = "combination"


def _forecasts(days: pd.DatetimeIndex, y: Floats, horizon: int) -> dict[str, Floats]:
    """Every method that the history suffices for, and the mean of all but the naive one."""
    clean = without_outliers(y)
    made = {NAIVE: _naive(days, y, horizon), "recent_level": _recent(days, clean, horizon)}
    if len(y) >= 2 * _WARM_UP:
        made["holt_winters"] = _smoothed(days, clean, horizon)
    if len(y) >= YEARLY_FROM_DAYS:
        made["holt_winters_yearly"] = _seasonal(days, clean, horizon)
    others = [values for name, values in made.items() if name != NAIVE]
    if len(others) > 1:
        made[_COMBINATION] = np.mean(others, axis=0)
    return made


@dataclass
class _Backtest:
    """Errors at rolling origins.

    Args:
        origins: Positions of the last known day, the earliest first.
        errors: By method, (origins, horizon) errors, nan beyond the last day.
        forecasts: By method, likewise.
        scales: (origins,) mean absolute error of the seasonal naive method within the days known.
    """

    origins: list[int] = field(default_factory=list)
    errors: dict[str, list[Floats]] = field(default_factory=dict)
    forecasts: dict[str, list[Floats]] = field(default_factory=dict)
    scales: list[float] = field(default_factory=list)


def _backtest(days: pd.DatetimeIndex, y: Floats, methods: list[str]) -> _Backtest:
    """Forecast from every origin with what was known then; origins four weeks apart, a week of days to compare."""
    result = _Backtest()
    last = len(y) - 7
    origins = sorted(origin for origin in range(last, FEWEST_DAYS - 8, -_ORIGIN_STEP))[-_ORIGINS:]
    for origin in origins:
        made = _forecasts(days[:origin], y[:origin], HORIZON_DAYS)
        actual = np.full(HORIZON_DAYS, np.nan)
        coming = y[origin : origin + HORIZON_DAYS]
        actual[: len(coming)] = coming
        result.origins.append(origin)
        result.scales.append(max(float(np.abs(y[7:origin] - y[: origin - 7]).mean()), 1e-9))
        for method in methods:
            # What was not possible then is counted as the best of what was.
            values = made.get(method, made.get(_COMBINATION, made["recent_level"]))
            result.errors.setdefault(method, []).append(actual - values)
            result.forecasts.setdefault(method, []).append(values)
    return result


def _mase(test: _Backtest, method: str) -> float:
    """Mean absolute error over that of the naive method in sample (Hyndman and Koehler, 2006), mean over origins."""
    return float(
        np.mean(
            [np.nanmean(np.abs(error)) / scale for error, scale in zip(test.errors[method], test.scales, strict=True)]
        )
    )


def _standardised(errors: Floats, forecasts: Floats, level: float) -> Floats:
    """Errors in units in which a day's noise grows with the root of what is expected of it."""
    return np.asarray(errors / np.sqrt(np.maximum(forecasts, 0.05 * level) * level))


def _quantiles(errors: Floats) -> Floats | None:
    """(2, horizon) lower and upper quantiles of standardised errors (m, horizon), by month ahead and never narrower.

    None where there are too few errors to tell.
    """
    tail = (1 - INTERVAL) / 2
    bounds = np.zeros((2, errors.shape[1]))
    before: Floats | None = None
    for start in range(0, errors.shape[1], _BAND_DAYS):
        band = errors[:, start : start + _BAND_DAYS]
        known = band[np.isfinite(band)]
        if len(known) >= 20:
            here = np.quantile(known, [tail, 1 - tail])
            before = here if before is None else np.array([min(here[0], before[0]), max(here[1], before[1])])
        if before is None:
            return None
        bounds[:, start : start + _BAND_DAYS] = before[:, None]
    return np.array([np.minimum(bounds[0], 0.0), np.maximum(bounds[1], 0.0)])


def _widening(test: _Backtest, errors: Floats) -> tuple[float | None, float]:
    """Coverage of intervals made at every origin from the errors known then, and by what to widen them to hold."""
    inside, needed = [], []
    for row, origin in enumerate(test.origins):
        # At that origin, what had happened by then.
        ended = np.array(test.origins[:row])[:, None] + np.arange(errors.shape[1]) < origin
        bounds = _quantiles(np.where(ended, errors[:row], np.nan)) if row else None
        if bounds is None:
            continue
        error = errors[row]
        known = np.isfinite(error)
        limit = np.where(error < 0, bounds[0], bounds[1])[known]
        ratio = np.abs(error[known]) / np.maximum(np.abs(limit), 1e-9)
        inside.append(float((ratio <= 1).mean()))
        needed.append(ratio)
    if len(inside) < 3:
        return None, 1.0
    return float(np.mean(inside)), float(np.clip(np.quantile(np.concatenate(needed), INTERVAL), 1.0, 3.0))


def forecast_revenue(frame: pd.DataFrame, as_of: date) -> Forecast:
    """Daily revenue of the next 90 days, with intervals.

    The methods: the last week repeated; the level of four weeks times a week; damped Holt-Winters smoothing; the same
    after dividing out what comes back every year (from a year and a month of history on); and the mean of all but the
    first, as simple combinations beat most methods (Makridakis, Spiliotis and Assimakopoulos, "The M4 Competition",
    2020). From up to 16 origins four weeks apart each method forecasts what came then, knowing what was known then;
    the one with the smallest mean absolute scaled error is taken. Single days far off their weekday are cut off first.

    Intervals are the 5 % and 95 % quantiles of the method's own errors at those origins, by month ahead, in units of
    the root of the day's forecast. Made in that way at each origin from errors known by then, they are widened until
    they would have held 90 % of the days.

    Args:
        frame: day and value, one row a day without gaps up to `as_of`; later rows are left out.
        as_of: The last day known.

    Returns:
        `Forecast` with one row for each of the 90 days after `as_of`: day, forecast, lower, upper (both null with less
        than two weeks of history), model_version. Without history there are no rows.

    Raises:
        ValueError: A column or a value is missing, or the days are not consecutive up to `as_of`.
    """
    missing = {"day", "value"} - set(frame.columns)
    if missing:
        raise ValueError(f"columns are missing: {sorted(missing)}")
    last = pd.Timestamp(as_of)
    table = frame.assign(day=pd.to_datetime(frame["day"]), value=frame["value"].astype(float)).sort_values("day")
    table = table[table["day"] <= last]
    days, y = pd.DatetimeIndex(table["day"]), table["value"].to_numpy()
    if len(y) == 0:
        empty = pd.DataFrame({"day": pd.DatetimeIndex([]), "forecast": [], "lower": [], "upper": []})
        return Forecast(empty.assign(model_version=pd.Series(dtype=object)), "none", {"days": 0}, ["No sales yet."])
    if not np.isfinite(y).all():
        raise ValueError("value must not be missing; a day without sales is a 0")
    if days[-1] != last or (np.diff(days.to_numpy()) != np.timedelta64(1, "D")).any():
        raise ValueError(f"there must be one row a day, without gaps, up to {last.date()}")
    with one_thread(), np.errstate(all="ignore"):
        return _chosen(days, y)


def _chosen(days: pd.DatetimeIndex, y: Floats) -> Forecast:
    ahead = pd.date_range(days[-1] + _DAY, periods=HORIZON_DAYS)
    made = _forecasts(days, y, HORIZON_DAYS)
    metrics: dict[str, Any] = {"days": len(y)}
    messages: list[str] = []
    lower = upper = np.full(HORIZON_DAYS, np.nan)
    test = _backtest(days, y, list(made)) if len(y) >= FEWEST_DAYS else _Backtest()
    if test.origins:
        mase = {name: _mase(test, name) for name in made}
        method = min(mase, key=lambda name: (round(mase[name], 6), name != _COMBINATION, name))
        level = max(float(np.abs(y).mean()), 1e-9)
        rows = np.array(test.errors[method]), np.array(test.forecasts[method])
        errors = _standardised(*rows, level)
        coverage, widening = _widening(test, errors)
        bounds = _quantiles(errors)
        if bounds is None:
            # Too few errors: the days' own spread around their mean.
            bounds = _quantiles(
                np.tile(_standardised(y - y.mean(), np.full(len(y), y.mean()), level), (HORIZON_DAYS, 1)).T
            )
        if bounds is not None:
            spread = np.sqrt(np.maximum(made[method], 0.05 * level) * level) * widening
            lower, upper = made[method] + bounds[0] * spread, made[method] + bounds[1] * spread
        metrics |= {
            "origins": len(test.origins),
            "coverage": None if coverage is None else round(coverage, 4),
            "widening": round(widening, 4),
            **{f"mase_{name}": round(value, 4) for name, value in mase.items()},
        }
        if coverage is None:
            messages.append(f"Only {len(test.origins)} origins to learn from: the intervals are a first guess.")
        if mase[method] >= mase[NAIVE]:
            messages.append("No method was better than repeating the last week.")
    else:
        method = "recent_level"
        messages.append(f"With {len(y)} days of history (compared are methods from {FEWEST_DAYS} on) it is their mean.")
        if len(y) >= 14:
            lower, upper = (np.full(HORIZON_DAYS, bound) for bound in np.quantile(y, [0.05, 0.95]))
    floor = min(0.0, float(y.min()))
    point = np.maximum(made[method], floor)
    result = pd.DataFrame(
        {
            "day": ahead,
            "forecast": np.round(point, 4),
            "lower": np.round(np.clip(lower, floor, point), 4),
            "upper": np.round(np.maximum(upper, point), 4),
            "model_version": f"{method}-{days[-1].date()}",
        }
    )
    return Forecast(result, method, {"method": method, **metrics}, messages)
