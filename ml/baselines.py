"""What a day lets one expect: trend, week, year and holidays of daily counts, fitted to many series at once.

The decomposition only, with what is needed to judge a stretch of days by all the others. Which days are unusual is
decided in `unusual_days`, what comes next in `forecast`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline
from sklearn.base import BaseEstimator

from ml._threads import one_thread

Floats = NDArray[np.float64]

YEARLY_FROM_DAYS = 395
"""From a year and a month on, what comes back every year is told from the trend."""

_YEAR = 365.25
_TREND_PENALTIES = 10.0 ** np.arange(-1, 6)
_YEAR_PENALTIES = 10.0 ** np.arange(-1, 5)
_TURN_DAYS, _TURN_PENALTY = 50, 0.003
_RIDGES = {
    "level": 0.0,
    "trend": 0.1,
    "week": 0.4,
    "year": 0.1,
    "holidays": 0.05,
    "campaigns": 1.0,
    "deviations": 11.0,
}
"""Inverse variances of a priori effects: what few counts cannot tell stays near "no effect". A holiday differs by some
30 % from the same one of another year, and so do campaigns."""

_BLACK_FRIDAY = "black friday week"
_CAMPAIGN_DAYS = ((0, 0), (1, 1), (2, 2), (3, 6), (7, 13))
_ROUNDS = 9
_CHOOSING = (1, 4)  # rounds that choose the strengths of smoothing; the last ones let the rest converge
_HUBER = 2.5
_OVERFIT = (
    1.2  # a degree of freedom counts as a little more, or smoothing is chosen too weak (Wood 2017, section 6.2.5)
)
_CHUNK = 2e7  # numbers in memory at a time
_FEWEST_FOR_WEEK, _FEWEST_FOR_TREND = 21, 42
_FLOOR = -12.0  # of the logarithm of an expected count: a shop that is closed expects almost nothing


def _spline(position: Floats, knots: int) -> Floats:
    """(n, knots + 3) cubic B-splines on equal intervals of 0 to `knots`; `position` in units of an interval."""
    grid = np.arange(-3.0, knots + 4)
    inside = np.clip(position, 0.0, knots - 1e-9)
    return np.asarray(BSpline.design_matrix(inside, grid, 3).toarray())


def _second_differences(size: int) -> Floats:
    differences = np.diff(np.eye(size), n=2, axis=0)
    return np.asarray(differences.T @ differences)


def _black_friday(year: int) -> pd.Timestamp:
    first = pd.Timestamp(year, 11, 1)
    return first + pd.Timedelta(days=(3 - first.weekday()) % 7 + 22)


def holidays(days: pd.DatetimeIndex) -> tuple[list[str], Floats]:
    """Indicators of the days that are unlike their neighbours every year: 24 December to 1 January, Black Friday week.

    Args:
        days: (n,) days.

    Returns:
        h names and (n, h) indicators; only of those that occur among the days. Each day around the new year is one of
        its own; the eight days from the Monday before Black Friday to the Monday after it share one.
    """
    columns: dict[str, Floats] = {}
    for day in [(12, number) for number in range(24, 32)] + [(1, 1)]:
        columns[f"{day[0]:02}-{day[1]:02}"] = ((days.month == day[0]) & (days.day == day[1])).astype(float)
    week = np.zeros(len(days))
    for year in sorted(set(days.year)):
        friday = _black_friday(year)
        week[(days >= friday - pd.Timedelta(days=4)) & (days <= friday + pd.Timedelta(days=3))] = 1.0
    columns[_BLACK_FRIDAY] = week
    seen = {name: column for name, column in columns.items() if column.any()}
    return list(seen), np.column_stack(list(seen.values())) if seen else np.zeros((len(days), 0))


def _deviations(days: pd.DatetimeIndex, campaigns: pd.DatetimeIndex) -> Floats:
    """(n, d) columns by which a turn of the year, a Black Friday week or a campaign may differ from the others."""
    names, indicators = holidays(days)
    is_turn = indicators[:, [name != _BLACK_FRIDAY for name in names]].any(axis=1)
    is_friday = indicators[:, [name == _BLACK_FRIDAY for name in names]].any(axis=1)
    # A turn of the year belongs to the year that ends.
    year = np.where(days.month == 1, days.year - 1, days.year)
    columns = [flags & (year == each) for flags in (is_turn, is_friday) for each in sorted(set(year[flags]))]
    since = [(days - start).days.to_numpy() for start in campaigns]
    columns += [
        np.where((lag >= 0) & (lag <= _CAMPAIGN_DAYS[-1][1]), np.exp(-np.maximum(lag, 0) / 3), 0) for lag in since
    ]
    return np.column_stack([np.zeros((len(days), 0)), *columns]).astype(float)


def _campaign_days(days: pd.DatetimeIndex, campaigns: pd.DatetimeIndex) -> Floats:
    """(n, 5) how many campaigns began today, yesterday, two days, three to six and seven to thirteen days ago."""
    since = (days.to_numpy()[:, None] - campaigns.to_numpy()) / np.timedelta64(1, "D")
    return np.column_stack([((since >= first) & (since <= last)).sum(axis=1) for first, last in _CAMPAIGN_DAYS])


@dataclass(frozen=True)
class _Design:
    """Columns of the regression and what each block's penalty multiplies.

    Args:
        X: (n, p) regressors.
        blocks: Name and columns of every block.
        holidays: Names of the holidays' columns.
        trend, year: (p, p) penalties, to be multiplied by the chosen strengths.
        fixed: (p, p) penalty that is always there.
    """

    X: Floats
    blocks: dict[str, slice]
    holidays: list[str]
    trend: Floats
    year: Floats
    fixed: Floats


def _design(
    days: pd.DatetimeIndex, knot_days: float, campaigns: pd.DatetimeIndex, *, yearly: bool, calendar: bool
) -> _Design:
    n = len(days)
    parts: dict[str, Floats] = {"level": np.ones((n, 1))}
    if n >= _FEWEST_FOR_TREND:
        knots = max(1, round((n - 1) / knot_days))
        # The level is a column of its own, so that the penalty's ridge does not pull at it.
        parts["trend"] = _spline(np.arange(n) * knots / (n - 1), knots)
    if n >= _FEWEST_FOR_WEEK:
        parts["week"] = np.eye(7)[days.weekday] - 1 / 7
    if yearly and n >= YEARLY_FROM_DAYS:
        parts["year"] = yearly_basis(days)
    names: list[str] = []
    if calendar:
        names, parts["holidays"] = holidays(days)
        campaigns = campaigns[(campaigns >= days[0]) & (campaigns <= days[-1])]
        if len(campaigns):
            parts["campaigns"] = _campaign_days(days, campaigns)
        parts["deviations"] = _deviations(days, campaigns)
    blocks, at = {}, 0
    for name, part in parts.items():
        blocks[name] = slice(at, at + part.shape[1])
        at += part.shape[1]
    trend, year, fixed = np.zeros((at, at)), np.zeros((at, at)), np.zeros((at, at))
    for name, block in blocks.items():
        np.fill_diagonal(fixed[block, block], _RIDGES[name])
    if "trend" in blocks:
        trend[blocks["trend"], blocks["trend"]] = _second_differences(parts["trend"].shape[1])
    if "year" in blocks:
        size = parts["year"].shape[1]
        turn = np.roll(np.eye(size), 1, axis=1) - 2 * np.eye(size) + np.roll(np.eye(size), -1, axis=1)
        # Knots are 14 days apart. From November to January shops change faster than in the rest of the year.
        at_turn = np.minimum(np.arange(size), size - np.arange(size)) * _YEAR / size <= _TURN_DAYS
        loose = np.where(at_turn, _TURN_PENALTY, 1.0)
        year[blocks["year"], blocks["year"]] = turn.T @ (loose[:, None] * turn) + 0.01 * np.eye(size)
    return _Design(np.column_stack(list(parts.values())), blocks, names, trend, year, fixed)


def yearly_basis(days: pd.DatetimeIndex, knots: int = 26) -> Floats:
    """(n, knots) cubic B-splines that close into a circle over the year."""
    position = (days.dayofyear.to_numpy(dtype=float) - 1) / _YEAR * knots
    open_basis = _spline(np.minimum(position, knots), knots)
    closed = open_basis[:, :knots].copy()
    closed[:, :3] += open_basis[:, knots:]
    return closed


class DailyBaseline(BaseEstimator):
    """Expected daily counts: level and smooth trend, times week, year and holidays, robust against unusual days.

    A log-linear quasi-Poisson regression on penalised splines (Eilers and Marx, "Flexible smoothing with B-splines and
    penalties", Statistical Science 1996), one series by itself, the strength of smoothing of trend and year chosen by
    generalised cross-validation. Holidays and campaigns have effects in common, and each may deviate from them: one
    that was seen once says little about the next. Unusual days weigh less (Huber). The fit looks to both sides of a
    day.

    Args:
        knot_days: Days between the knots of the trend; half of it is about the shortest change that the trend follows.
        yearly: Whether there is a yearly pattern, given a year and a month of days.
        calendar: Whether the days around the new year, Black Friday week and campaigns are by themselves.

    Attributes:
        expected_: (s, n) expected counts.
        covariance_: (s, p, p) covariance of the coefficients, to be multiplied by the dispersion.
        coefficients_: (s, p) of the columns of `design_`.
        weights_: (s, n) 0 to 1: how much each day counted.
        degrees_of_freedom_: (s,) effective number of parameters.
    """

    def __init__(self, knot_days: float = 14.0, *, yearly: bool = True, calendar: bool = True) -> None:
        self.knot_days = knot_days
        self.yearly = yearly
        self.calendar = calendar

    def fit(
        self,
        days: pd.DatetimeIndex,
        counts: ArrayLike,
        offset: ArrayLike | None = None,
        used: ArrayLike | None = None,
        campaigns: pd.DatetimeIndex | None = None,
    ) -> DailyBaseline:
        """Fit every series.

        Args:
            days: (n,) consecutive days.
            counts: (s, n) non-negative counts (or other positive amounts).
            offset: (n,) or (s, n) logarithm of what is known to be proportional to the expected count, or None.
            used: (s, n) flags of days that may enter the fit, or None for all; the others are predicted.
            campaigns: First days of campaigns, which are expected to bring orders for a fortnight; or None.

        Raises:
            ValueError: Counts are missing, negative or not as many as days, or the days are not consecutive.
        """
        y = np.atleast_2d(np.asarray(counts, dtype=float))
        if y.shape[1] != len(days):
            raise ValueError(f"counts must have a column a day: {y.shape[1]} columns, {len(days)} days")
        if not np.isfinite(y).all() or (y < 0).any():
            raise ValueError("counts must be non-negative numbers, without missing values")
        if len(days) > 1 and (np.diff(days.to_numpy()) != np.timedelta64(1, "D")).any():
            raise ValueError("days must be consecutive; fill days without rows with 0")
        shift = np.zeros(y.shape) if offset is None else np.broadcast_to(np.asarray(offset, dtype=float), y.shape)
        kept = np.ones(y.shape) if used is None else np.asarray(used, dtype=float)
        self.design_ = _design(
            days,
            self.knot_days,
            pd.DatetimeIndex([]) if campaigns is None else campaigns,
            yearly=self.yearly,
            calendar=self.calendar,
        )
        n, p = self.design_.X.shape
        step = max(1, int(_CHUNK / (n * p)))
        with one_thread():
            parts = [
                self._fit_some(y[at : at + step], shift[at : at + step], kept[at : at + step])
                for at in range(0, max(len(y), 1), step)
            ]
        self.coefficients_, self.covariance_, self.expected_, self.weights_, self.degrees_of_freedom_ = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        return self

    def _fit_some(self, y: Floats, shift: Floats, kept: Floats) -> tuple[Floats, ...]:
        design, X = self.design_, self.design_.X
        beta = np.zeros((len(y), X.shape[1]))
        # The first working response is the classic one of the Poisson family, so that no start is needed.
        mean = np.maximum(y, 0.5) * 0.5 + 0.5 * (kept * y).sum(1, keepdims=True) / np.maximum(
            (kept * np.exp(shift)).sum(1, keepdims=True), 1e-12
        ) * np.exp(shift)
        mean = np.maximum(mean, 1e-6)
        robust = np.ones(y.shape)
        strengths = np.tile([1.0, 1.0], (len(y), 1))
        for turn in range(_ROUNDS):
            weight = kept * robust * mean
            response = np.log(mean) - shift + (y - mean) / mean
            gram = (X.T[None] * weight[:, None, :]) @ X
            moment = (weight * response) @ X
            if turn in _CHOOSING:
                strengths = self._strengths(gram, moment, (weight * response**2).sum(1), (weight > 0).sum(1), strengths)
            penalty = design.fixed + strengths[:, :1, None] * design.trend + strengths[:, 1:, None] * design.year
            covariance = np.linalg.inv(gram + penalty)
            beta = (covariance @ moment[:, :, None])[:, :, 0]
            mean = np.exp(np.clip(beta @ X.T + shift, _FLOOR, 30.0))
            residual = (y - mean) / np.sqrt(mean)
            inside = np.where(kept > 0, np.abs(residual), np.nan)
            with np.errstate(all="ignore"):
                scale = np.maximum(1.0, np.nan_to_num(np.nanmedian(inside, axis=1), nan=1.0) / 0.6745)
            robust = np.minimum(1.0, _HUBER * scale[:, None] / np.maximum(np.abs(residual), 1e-9))
        freedom = np.einsum("sij,sji->s", covariance, gram)
        return beta, covariance, mean, kept * robust, freedom

    def _strengths(self, gram: Floats, moment: Floats, total: Floats, size: Floats, before: Floats) -> Floats:
        """The penalties' strengths (s, 2) with the least generalised cross-validation score, one after the other."""
        design, best = self.design_, before.copy()
        for which, penalties in ((0, _TREND_PENALTIES), (1, _YEAR_PENALTIES)):
            block = "trend" if which == 0 else "year"
            if block not in design.blocks:
                continue
            score = np.full((len(penalties), len(gram)), np.inf)
            for row, strength in enumerate(penalties):
                tried = best.copy()
                tried[:, which] = strength
                penalty = design.fixed + tried[:, :1, None] * design.trend + tried[:, 1:, None] * design.year
                inverse = np.linalg.inv(gram + penalty)
                beta = (inverse @ moment[:, :, None])[:, :, 0]
                freedom = np.einsum("sij,sji->s", inverse, gram)
                loss = total - 2 * (beta * moment).sum(1) + np.einsum("si,sij,sj->s", beta, gram, beta)
                left = size - _OVERFIT * freedom
                score[row] = np.where(left > 0, size * np.maximum(loss, 0) / np.maximum(left, 1e-9) ** 2, np.inf)
            best[:, which] = penalties[np.argmin(score, axis=0)]
        return best

    def factor(self, days: pd.DatetimeIndex, blocks: tuple[str, ...] = ("week", "year", "holidays")) -> Floats:
        """What the calendar multiplies the level by, on any days, also ones to come.

        Args:
            days: (m,) days.
            blocks: Which parts to multiply.

        Returns:
            (s, m) positive factors; holidays that were never seen have factor 1.
        """
        log = np.zeros((len(self.coefficients_), len(days)))
        parts = {"week": np.eye(7)[days.weekday] - 1 / 7}
        if "year" in self.design_.blocks:
            parts["year"] = yearly_basis(days)
        if "holidays" in self.design_.blocks:
            names, indicators = holidays(days)
            parts["holidays"] = np.zeros((len(days), len(self.design_.holidays)))
            for column, name in enumerate(self.design_.holidays):
                if name in names:
                    parts["holidays"][:, column] = indicators[:, names.index(name)]
        for name, part in parts.items():
            if name in blocks and name in self.design_.blocks:
                log += self.coefficients_[:, self.design_.blocks[name]] @ part.T
        return np.exp(np.maximum(log, _FLOOR))
