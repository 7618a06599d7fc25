"""Which days are unlike what all other days let one expect: stretches of up to a week, in many series of counts.

Tests of stretches and control of the false-discovery rate; what a day lets one expect is the business of `baselines`,
the tickets of single customers that of `anomalies`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import betainc, gammainc, gammaincc
from scipy.stats import chi2, nbinom

from ml._threads import one_thread
from ml.baselines import DailyBaseline

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LARGEST_Q = 0.05
"""An anomaly has a q-value of at most this."""
LONGEST_STRETCH = 7
"""Days that are judged together, at most."""
PUBLISHED_DAYS = 365
"""Days up to the last one that are judged."""
SETTLED_AFTER_DAYS = 14
"""Days after the end of its month from which on a day's judgement stays as it is."""
FEWEST_DAYS = 28
"""A series is judged once it has been there for as long."""
FEWEST_PER_DAY = 1.0
"""A part is judged where it has as many a day on average of the last year."""
INTERVAL = 0.95
"""Share of ordinary days between `lower` and `upper`."""

WHOLES = {"category": "business", "product": "business", "region": "business", "topic": "tickets"}
"""Kinds of parts, and the kind of the whole they are parts of; a whole has one series."""

_PART_KNOT_DAYS = 56.0
_MASKED_P = 1e-3  # a stretch this unlikely no longer counts in the fit
_TESTS_A_DAY = 3.5  # independent tests that the seven stretches beginning on a day amount to; see `_judge`
_ROUNDS = 2
_HUBER = 1.5  # standard deviations from which on a stretch says no more about the dispersion
_CLOSER_FROM = 2.0  # standard deviations from which on a stretch is looked at closely
_UNEVEN_P = 0.05  # from here on the parts of a whole are said to differ
_DAY = pd.Timedelta(days=1)

_COLUMNS = {
    "kind": "object",
    "series": "object",
    "day": "datetime64[ns]",
    "value": "float64",
    "expected": "float64",
    "lower": "float64",
    "upper": "float64",
    "p_value": "float64",
    "q_value": "float64",
    "is_anomaly": "bool",
    "direction": "object",
    "stretch_starts_on": "datetime64[ns]",
    "stretch_ends_on": "datetime64[ns]",
    "driver_kind": "object",
    "driver_series": "object",
    "driver_share": "float64",
    "driver": "object",
    "is_settled": "bool",
}


@dataclass
class UnusualDays:
    """What `unusual_days` finds.

    Args:
        days: One row a series and day; see `unusual_days`.
        metrics: Counts, and the dispersion of the wholes.
        messages: What a reader must know.
    """

    days: pd.DataFrame
    metrics: dict[str, Any]
    messages: list[str]


@dataclass
class _Stretches:
    """The k stretches of a kind that stand out, best first; none of a series overlap."""

    series: NDArray[np.int64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    p: Floats


@dataclass
class _Judged:
    """The s series of one kind, as judged on the n days that were known at one time."""

    kind: str
    names: list[str]
    counts: Floats
    fitted: Floats
    expected: Floats
    variance: Floats
    p: Floats
    q: Floats
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    dispersion: Floats
    masked: Flags
    there: Flags
    tested: Flags


def unusual_days(frame: pd.DataFrame, as_of: date, campaigns: Iterable[Any] = ()) -> UnusualDays:
    """Days on which a series of counts is higher or lower than everything else known about it lets one expect.

    The whole business follows a robust `DailyBaseline`; a part of it (a category, a product, a region) the baseline of
    the whole times a smooth share and a week of its own, so that it need not learn Christmas by itself. Every stretch
    of one to seven days is compared with what the fit without that stretch predicts for it (deletion residuals; Cook
    and Weisberg, "Residuals and Influence in Regression", 1982). Counts of a stretch are negative binomial around it:
    over-dispersed as much as the series' own stretches of that length are, plus the uncertainty of the fit. Of
    overlapping stretches the least likely one stands. Stretches less likely than one in a thousand are left out of a
    second fit. q-values control the false-discovery rate within a kind and a year (Benjamini and Hochberg 1995), the
    overlapping stretches of a day counted as 3.5 independent tests.

    **What is in-sample, and what stays.** A day is compared with days before and after it, itself left out; the last
    days with earlier ones alone. The days of a month are judged with what is known 14 days after its end, and then
    once and for all: `is_settled`. Rows of later days do not change a settled judgement; restated rows do. Until then
    each refresh judges anew.

    Args:
        frame: Counts that are not zero: kind (``business``, ``tickets``, or a key of `WHOLES`), series, day, value
            (orders or tickets of that day). A day without a row is a zero, from the series' first row to `as_of`.
            Later rows are left out.
        as_of: The last day.
        campaigns: Days on which campaigns began: what campaigns usually bring is no anomaly.

    Returns:
        `UnusualDays` with one row a series and day of the last 365, by kind, series and day: kind, series, day, value,
        expected (without the stretch that the day is judged with), lower and upper (95 % of ordinary days), p_value
        and q_value (of the stretch; null where not tested), is_anomaly (q <= .05), direction (``up``, ``down``, or
        null), stretch_starts_on and stretch_ends_on (of an anomaly), and for an anomaly of a whole: driver_kind,
        driver_series, driver_share (its share of the difference; null where the parts moved alike) and driver (in
        words). Not tested are the first 28 days of a series and parts with less than one a day on average; parts that
        are never tested have no rows.

    Raises:
        ValueError: A column is missing, a kind is unknown, or a value is missing or negative.
    """
    table = _checked(frame, pd.Timestamp(as_of))
    began = pd.DatetimeIndex(pd.to_datetime(list(campaigns))).sort_values()
    messages: list[str] = []
    pieces = []
    dispersion: dict[str, float] = {}
    with one_thread():
        for cutoff, first, last in _vintages(pd.Timestamp(as_of)):
            known = table[table["day"] <= cutoff]
            judged = _judge_all(known, cutoff, began[began <= cutoff])
            dispersion.update(
                {
                    f"dispersion_{kind}": float(one.dispersion[0])
                    for kind, one in judged.items()
                    if kind not in WHOLES and one.tested.any()
                }
            )
            for one in judged.values():
                piece = _rows(one, cutoff, first, last)
                if one.kind not in WHOLES:
                    _attribute(piece, one, judged, cutoff)
                pieces.append(piece.assign(is_settled=cutoff < pd.Timestamp(as_of)))
    pieces = [piece for piece in pieces if len(piece)]
    days = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=list(_COLUMNS))
    days = days.astype(_COLUMNS)[list(_COLUMNS)].sort_values(["kind", "series", "day"], ignore_index=True)
    for kind in ("business", "tickets"):
        of_kind = days[days["kind"] == kind]
        if of_kind.empty:
            messages.append(f"There is no series of {kind}: neither it nor its parts were judged.")
        elif of_kind["p_value"].isna().all():
            messages.append(f"The series of {kind} is shorter than {FEWEST_DAYS} days: not judged yet.")
    flagged = days[days["is_anomaly"]]
    stretches = flagged.drop_duplicates(["kind", "series", "stretch_starts_on"])
    metrics: dict[str, Any] = {
        "series": int(days.groupby(["kind", "series"]).ngroups),
        "tested_days": int(days["p_value"].notna().sum()),
        "anomalous_days": len(flagged),
        **{f"stretches_{kind}": int((stretches["kind"] == kind).sum()) for kind in ("business", "tickets", *WHOLES)},
        **{name: round(value, 4) for name, value in dispersion.items()},
    }
    return UnusualDays(days, metrics, messages)


def _checked(frame: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    missing = {"kind", "series", "day", "value"} - set(frame.columns)
    if missing:
        raise ValueError(f"columns are missing: {sorted(missing)}")
    unknown = set(frame["kind"]) - set(WHOLES) - set(WHOLES.values())
    if unknown:
        raise ValueError(f"unknown kinds: {sorted(unknown)}; there are business, tickets, {', '.join(WHOLES)}")
    table = frame.assign(day=pd.to_datetime(frame["day"]), value=frame["value"].astype(float))
    if table["value"].isna().any() or (table["value"] < 0).any():
        raise ValueError("value must be a count: not missing, not negative")
    return table[table["day"] <= as_of]


def _vintages(as_of: pd.Timestamp) -> Iterator[tuple[pd.Timestamp, pd.Timestamp, pd.Timestamp]]:
    """Until when data count, and the first and last day that are judged with them; oldest first."""
    first = as_of - (PUBLISHED_DAYS - 1) * _DAY
    while first <= as_of:
        month_end = first + pd.offsets.MonthEnd(0)
        cutoff = min(month_end + SETTLED_AFTER_DAYS * _DAY, as_of)
        last = as_of if cutoff == as_of else month_end
        yield cutoff, first, last
        first = last + _DAY


def _judge_all(known: pd.DataFrame, cutoff: pd.Timestamp, campaigns: pd.DatetimeIndex) -> dict[str, _Judged]:
    """Every kind with rows, the wholes before their parts."""
    judged: dict[str, _Judged] = {}
    for kind in sorted(set(known["kind"]), key=lambda kind: (kind in WHOLES, kind)):
        of_kind = known[known["kind"] == kind]
        whole = judged.get(WHOLES.get(kind, ""))
        if kind in WHOLES and (whole is None or not whole.tested.any()):
            continue
        first = cutoff - (whole.counts.shape[1] - 1) * _DAY if whole else of_kind["day"].min()
        days = pd.date_range(first, cutoff)
        counts = of_kind.pivot_table(index="series", columns="day", values="value", aggfunc="sum", fill_value=0.0)
        counts = counts.reindex(columns=days, fill_value=0.0)
        if whole is not None:
            last_year = counts.to_numpy()[:, -PUBLISHED_DAYS:]
            # A single part is the whole once more.
            counts = counts[(last_year.mean(axis=1) >= FEWEST_PER_DAY) & (len(counts) > 1)]
        if len(counts):
            judged[kind] = _judge(kind, counts, days, campaigns, whole)
    return judged


def _judge(
    kind: str, frame: pd.DataFrame, days: pd.DatetimeIndex, campaigns: pd.DatetimeIndex, whole: _Judged | None
) -> _Judged:
    """Fit, test every stretch of the last year, leave out what stands out, fit and test again.

    The stretches of one to seven days that begin on one day are strongly dependent. Of white noise, the stretches that
    stand when overlapping ones have been dropped exceed 3, 3.5 and 4 standard deviations 2.6, 3.2 and 3.2 times as
    often as single days do (400,000 days simulated), so a day counts as 3.5 tests.
    """
    counts = frame.to_numpy()
    size, n = counts.shape
    # A series begins with its first count; a whole has no earlier day.
    begins = np.argmax(counts > 0, axis=1)
    there = np.arange(n) >= begins[:, None]
    tested = (np.arange(n) >= begins[:, None] + FEWEST_DAYS) & (np.arange(n) >= n - PUBLISHED_DAYS)
    position = np.broadcast_to(np.arange(n), counts.shape)
    judged = _Judged(
        kind,
        [str(name) for name in frame.index],
        counts,
        fitted=np.full(counts.shape, np.nan),
        expected=np.full(counts.shape, np.nan),
        variance=np.full(counts.shape, np.nan),
        p=np.full(counts.shape, np.nan),
        q=np.full(counts.shape, np.nan),
        start=position.copy(),
        length=np.ones(counts.shape, dtype=np.int64),
        dispersion=np.ones(size),
        masked=np.zeros(counts.shape, dtype=bool),
        there=there,
        tested=tested,
    )
    if not tested.any():
        return judged
    offset = None
    masked = np.zeros(counts.shape, dtype=bool)
    if whole is not None:
        offset = np.log(np.maximum(whole.fitted, 1e-6))
        masked |= whole.masked
    for turn in range(_ROUNDS):
        model = DailyBaseline() if whole is None else DailyBaseline(_PART_KNOT_DAYS, yearly=False, calendar=False)
        model.fit(days, counts, offset, there & ~masked, campaigns)
        scan = _Scan(model, counts, there)
        found = scan.stretches(tested)
        if turn < _ROUNDS - 1:
            for series, start, length, p in zip(found.series, found.start, found.length, found.p, strict=True):
                if p <= _MASKED_P:
                    masked[series, start : start + length] = True
    judged.dispersion, judged.masked, judged.fitted = scan.dispersion[0], masked, model.expected_
    expected, variance = scan.days_alone()
    judged.p[tested] = _two_sided(counts[tested], expected[tested], variance[tested])
    for length in range(1, LONGEST_STRETCH + 1):
        of_length = found.length == length
        series, start = found.series[of_length, None], found.start[of_length, None]
        days_of = series, start + np.arange(length)
        judged.p[days_of], judged.start[days_of] = found.p[of_length, None], start
        judged.length[days_of] = length
        expected[days_of], variance[days_of] = scan.within(series[:, 0], start[:, 0], length)
    judged.expected, judged.variance = expected, variance
    judged.q = _q_values(judged)
    return judged


def _q_values(judged: _Judged) -> Floats:
    """Benjamini and Hochberg over the stretches of all series, each day counted as 3.5 tests."""
    q = np.full(judged.p.shape, np.nan)
    heads = judged.tested & (judged.start == np.arange(judged.p.shape[1]))
    rows, starts = np.nonzero(heads)
    p = judged.p[rows, starts]
    order = np.argsort(p, kind="stable")
    scaled = p[order] * _TESTS_A_DAY * judged.tested.sum() / np.arange(1, len(p) + 1)
    adjusted = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    for value, row, start in zip(adjusted, rows[order], starts[order], strict=True):
        q[row, start : start + judged.length[row, start]] = value
    return np.where(judged.tested, q, np.nan)


class _Scan:
    """Every stretch of every series against the fit without it.

    Args:
        model: Fitted to the counts.
        counts: (s, n) counts.
        there: (s, n) whether the series had begun.
    """

    def __init__(self, model: DailyBaseline, counts: Floats, there: Flags) -> None:
        self._counts, self._mean, self._there = counts, model.expected_, there
        self._weight = model.weights_ * self._mean
        X = model.design_.X
        half = X @ model.covariance_
        n = counts.shape[1]
        # Covariance of the fitted logarithms of days at most six apart.
        self._bands = [np.einsum("snp,np->sn", half[:, : n - lag], X[lag:]) for lag in range(min(LONGEST_STRETCH, n))]
        self._excess = counts - self._mean
        self._spread = [self._in_sample(length) for length in range(1, len(self._bands) + 1)]
        self.dispersion = self._dispersion()

    def _sums(self, values: Floats, length: int) -> Floats:
        """Sums over the stretches of a length, by their first day."""
        total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
        return np.asarray(total[:, length:] - total[:, :-length])

    def _in_sample(self, length: int) -> Floats:
        """Variance of a stretch's excess, in units of the dispersion, when all its days were in the fit."""
        n = self._mean.shape[1]
        fitted = self._sums(self._bands[0] * self._mean**2, length)
        for lag in range(1, length):
            pairs = 2 * self._bands[lag] * self._mean[:, : n - lag] * self._mean[:, lag:]
            fitted += self._sums(pairs, length - lag)[:, : n - length + 1]
        mean = self._sums(self._mean, length)
        return np.asarray(np.maximum(mean - fitted, 0.05 * mean))

    def _dispersion(self) -> Floats:
        """(lengths, s) variance of the counts of ordinary stretches over their mean, at least 1 and that of days."""
        rows = []
        for length, spread in enumerate(self._spread, start=1):
            ordinary = self._sums(((self._weight < 0.5 * self._mean) | ~self._there).astype(float), length) == 0
            square = np.where(ordinary, self._sums(self._excess, length) ** 2 / spread, np.nan)
            rows.append(_robust_variance(square))
        return np.maximum.accumulate(np.maximum(np.array(rows), 1.0), axis=0)

    def days_alone(self) -> tuple[Floats, Floats]:
        """(s, n) expected counts and variances of single days, each predicted from the others."""
        spread = self._bands[0] / np.maximum(1 - self._bands[0] * self._weight, 0.05)
        shift = -spread * self._weight * self._excess / self._mean
        expected = self._mean * np.exp(np.clip(shift, -3, 3))
        return expected, self.dispersion[0][:, None] * (expected + spread * expected**2)

    def within(self, series: NDArray[np.int64], start: NDArray[np.int64], length: int) -> tuple[Floats, Floats]:
        """(k, length) expected counts and variances of the days of stretches, predicted from all other days."""
        expected, spread = self._without(series, start, length)
        alone = np.einsum("kii->ki", spread)
        return expected, self.dispersion[0][series, None] * (expected + alone * expected**2)

    def stretches(self, tested: Flags) -> _Stretches:
        """The stretches within tested days that stand out, overlapping ones dropped."""
        found = []
        for length in range(1, len(self._bands) + 1):
            usual = np.sqrt(self.dispersion[length - 1][:, None] * self._spread[length - 1])
            inside = self._sums((~tested).astype(float), length) == 0
            left_out = self._sums((self._weight < 0.5 * self._mean).astype(float), length) > 0
            distance = np.abs(self._sums(self._excess, length)) / usual
            series, start = np.nonzero(inside & (left_out | (distance > _CLOSER_FROM)))
            expected, spread = self._without(series, start, length)
            mean = expected.sum(axis=1)
            variance = self.dispersion[length - 1][series] * (
                mean + np.einsum("ki,kij,kj->k", expected, spread, expected)
            )
            count = self._counts[series[:, None], start[:, None] + np.arange(length)].sum(axis=1)
            p = _two_sided(count, mean, variance)
            found.append((series, start, np.full(len(series), length), p))
        columns = [np.concatenate(column) for column in zip(*found, strict=True)]
        return _without_overlap(_Stretches(*columns), tested.shape)

    def _without(self, series: NDArray[np.int64], start: NDArray[np.int64], length: int) -> tuple[Floats, Floats]:
        """Expected counts (k, length) of stretches, and covariance of their logarithms, from the fit without them."""
        days = start[:, None] + np.arange(length)
        covariance = np.empty((len(series), length, length))
        for lag in range(length):
            for row in range(length - lag):
                covariance[:, row, row + lag] = covariance[:, row + lag, row] = self._bands[lag][series, start + row]
        mean, weight = self._mean[series[:, None], days], self._weight[series[:, None], days]
        # Taking observations out of a weighted least-squares fit (the Sherman-Morrison-Woodbury identity).
        spread = np.linalg.solve(np.eye(length) - covariance * weight[:, None, :], covariance)
        shift = -np.einsum("kij,kj->ki", spread, weight * self._excess[series[:, None], days] / mean)
        return mean * np.exp(np.clip(shift, -3, 3)), spread


def _robust_variance(squares: Floats) -> Floats:
    """(s,) scales of (s, n) squared distances, nan left out: Huber's Proposal 2 (Annals of Statistics 1964)."""
    most = _HUBER**2
    usual = chi2.cdf(most, 3) + most * chi2.sf(most, 1)
    known = ~np.isnan(squares)
    size, scale = np.maximum(known.sum(axis=1), 1), np.ones(len(squares))
    for _ in range(20):
        clipped = np.where(known, np.minimum(squares / scale[:, None], most), 0.0)
        scale = np.maximum(scale * clipped.sum(axis=1) / size / usual, 1e-6)
    return scale


def _without_overlap(found: _Stretches, shape: tuple[int, ...]) -> _Stretches:
    """Least likely first, each that overlaps no earlier one of its series."""
    order = np.lexsort((found.start, found.length, found.series, found.p))
    taken, kept = np.zeros(shape, dtype=bool), []
    for row in order:
        place = found.series[row], slice(found.start[row], found.start[row] + found.length[row])
        if not taken[place].any():
            taken[place] = True
            kept.append(row)
    return _Stretches(found.series[kept], found.start[kept], found.length[kept], found.p[kept])


def _two_sided(count: Floats, mean: Floats, variance: Floats) -> Floats:
    """Twice the smaller tail of the negative binomial with that mean and variance; Poisson where they agree."""
    ratio = np.maximum(variance / mean, 1.0)
    wide = ratio > 1 + 1e-6
    size = mean / np.where(wide, ratio - 1, 1.0)
    below = np.where(wide, betainc(size, count + 1, 1 / ratio), gammaincc(count + 1, mean))
    positive = np.maximum(count, 1e-9)
    above = np.where(wide, betainc(positive, size, 1 - 1 / ratio), gammainc(positive, mean))
    above = np.where(count > 0, above, 1.0)
    return np.asarray(np.minimum(2 * np.minimum(below, above), 1.0))


def _interval(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    """Quantiles between which ordinary counts lie, (s, n) each."""
    ratio = np.maximum(variance / mean, 1 + 1e-9)
    size = mean / (ratio - 1)
    tail = (1 - INTERVAL) / 2
    return nbinom.ppf(tail, size, 1 / ratio), nbinom.ppf(1 - tail, size, 1 / ratio)


def _rows(judged: _Judged, cutoff: pd.Timestamp, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """The days of a kind from first to last as rows, days before a series began left out."""
    size, n = judged.counts.shape
    origin = cutoff - (n - 1) * _DAY
    window = np.arange(max(0, (first - origin).days), (last - origin).days + 1)
    series, at = np.nonzero(judged.there[:, window])
    day = window[at]
    picked = {name: getattr(judged, name)[series, day] for name in ("counts", "expected", "variance", "p", "q")}
    start, length = judged.start[series, day], judged.length[series, day]
    lower, upper = _interval(picked["expected"], picked["variance"])
    flagged = picked["q"] <= LARGEST_Q
    totals = np.concatenate([np.zeros((size, 1)), np.cumsum(judged.counts - np.nan_to_num(judged.expected), 1)], 1)
    excess = totals[series, start + length] - totals[series, start]
    names = np.array(judged.names, dtype=object)
    rows = pd.DataFrame(
        {
            "kind": judged.kind,
            "series": names[series],
            "day": origin + pd.to_timedelta(day, unit="D"),
            "value": picked["counts"],
            "expected": np.round(picked["expected"], 4),
            "lower": lower,
            "upper": upper,
            "p_value": np.round(picked["p"], 6),
            "q_value": np.round(picked["q"], 6),
            "is_anomaly": flagged,
            "direction": np.select([flagged & (excess > 0), flagged], ["up", "down"], default=""),
            "stretch_starts_on": (origin + pd.to_timedelta(start, unit="D")).where(flagged),
            "stretch_ends_on": (origin + pd.to_timedelta(start + length - 1, unit="D")).where(flagged),
            "driver_kind": None,
            "driver_series": None,
            "driver_share": np.nan,
            "driver": None,
        }
    )
    rows["direction"] = rows["direction"].replace("", None)
    return rows


def _attribute(rows: pd.DataFrame, whole: _Judged, judged: dict[str, _Judged], cutoff: pd.Timestamp) -> None:
    """Say of every anomalous stretch of a whole which part explains most of it, if the parts moved unequally.

    The parts' counts are compared with their expected ones, all multiplied by what the parts together did (a
    chi-square test of homogeneity); of the kinds whose parts differ, the one with the smallest p-value is told.
    """
    parts = [judged[kind] for kind, of in WHOLES.items() if of == whole.kind and kind in judged]
    origin = cutoff - (whole.counts.shape[1] - 1) * _DAY
    for (starts_on, ends_on), days in rows[rows["is_anomaly"]].groupby(["stretch_starts_on", "stretch_ends_on"]):
        stretch = slice((starts_on - origin).days, (ends_on - origin).days + 1)
        difference = whole.counts[0, stretch].sum() - whole.expected[0, stretch].sum()
        told = _driver(parts, stretch, difference)
        for column, value in told.items():
            rows.loc[days.index, column] = value


def _driver(parts: list[_Judged], stretch: slice, difference: float) -> dict[str, Any]:
    best: dict[str, Any] = {}
    smallest = _UNEVEN_P / max(len(parts), 1)
    for kind in parts:
        usable = kind.tested[:, stretch].all(axis=1)
        count, expected = kind.counts[usable, stretch].sum(axis=1), kind.expected[usable, stretch].sum(axis=1)
        if len(count) < 2 or count.sum() == 0:
            continue
        common = expected * count.sum() / expected.sum()
        p = chi2.sf(float(((count - common) ** 2 / (kind.dispersion[usable] * common)).sum()), len(count) - 1)
        if p >= smallest:
            continue
        smallest = p
        most = int(np.argmax((count - expected) * np.sign(difference)))
        name = np.array(kind.names, dtype=object)[usable][most]
        gap = count[most] - expected[most]
        best = {
            "driver_kind": kind.kind,
            "driver_series": name,
            "driver_share": round(float(gap / difference), 4),
            "driver": f"{kind.kind} {name}: {gap:+.0f} of {difference:+.0f}",
        }
    if not best and parts:
        looked = ", ".join(sorted(kind.kind for kind in parts))
        best = {"driver": f"alike in all parts ({looked})"}
    return best
