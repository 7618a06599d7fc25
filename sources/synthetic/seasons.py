"""When things happen: the intensity of every day and hour, and the operational time that follows from it.

In operational time the shop's business runs at an even pace; one unit is an average day of the first year. A
process that is simple in operational time gets week, season, Christmas and growth by being mapped to the calendar.
The intensity of a day depends on its date alone, never on how long the world is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from sources.synthetic.effects import Effects
from sources.synthetic.randomness import Draws, Floats, Ints
from sources.synthetic.rows import Rows

DAY = 86_400
"""Seconds in a day."""

NEVER = np.int64(2**62)
"""A moment later than any other: what has not happened and never will."""

_EPOCH = date(1970, 1, 1)
_GROWTH_PER_YEAR = 1.05
_WEEK = np.array([0.92, 0.86, 0.88, 0.95, 1.10, 1.28, 1.01])  # from Monday
# Nobody buys between midnight and one: a visit of up to 40 minutes before the order then lies in the same day.
_HOURS = np.array([0, 1, 1, 1, 1, 2, 6, 14, 26, 40, 52, 58, 64, 58, 52, 52, 56, 64, 76, 88, 92, 74, 42, 16])
_HOUR_EDGES = np.arange(25) * 3600.0
_HOUR_SHARES = np.concatenate([[0], np.cumsum(_HOURS)]) / _HOURS.sum()


def day_number(day: date) -> int:
    """Days from 1970-01-01 to `day`."""
    return (day - _EPOCH).days


def day_of(seconds: int) -> date:
    """The day in which a moment (seconds since 1970-01-01) lies."""
    return _EPOCH + timedelta(days=seconds // DAY)


def time_of_day(share: Floats) -> Ints:
    """Seconds after midnight by which that share (0 to 1) of a day's business is done; increasing."""
    return np.interp(np.clip(share, 1e-9, 1 - 1e-9), _HOUR_SHARES, _HOUR_EDGES).astype(np.int64)


def _black_friday(year: int) -> date:
    first = date(year, 11, 1)
    return first + timedelta(days=(3 - first.weekday()) % 7 + 22)


def is_promotion(days: Ints) -> Floats:
    """Whether a day number lies in a promotion: the week up to Cyber Monday, or the January sale.

    Returns:
        (n,) floats, 0 or 1.
    """
    dates = days.astype("datetime64[D]")
    first_of_year = dates.astype("datetime64[Y]")
    day_of_year = (dates - first_of_year.astype("datetime64[D]")).astype(np.int64)
    years = first_of_year.astype(np.int64) + 1970
    flag = (day_of_year >= 5) & (day_of_year < 19)
    for year in range(int(years.min(initial=9999)), int(years.max(initial=0)) + 1):
        friday = day_number(_black_friday(year))
        flag |= (days >= friday - 4) & (days <= friday + 3)
    return flag.astype(np.float64)


@dataclass(frozen=True)
class Spikes(Rows):
    """n planted runs of unusual days; a factor above 1 is a spike, below 1 a lull.

    Args:
        starts_on: (n,) day numbers.
        days: (n,) length.
        factor: (n,) what the intensity of its days is multiplied by, from barely above or below 1 to about 2 or 1/2.
    """

    starts_on: Ints
    days: Ints
    factor: Floats


def plant_spikes(draws: Draws, origin: int, last_day: int) -> Spikes:
    """The spikes and lulls that begin by a day: in every 30 days from `origin` (a day number) one, or none."""
    slot = np.arange((last_day - origin) // 30 + 1)
    is_spike = draws.uniform("spike or lull", slot) < 0.5
    # Even on the logarithm: as many that nobody can see as that nobody can miss.
    size = draws.uniform("spike size", slot)
    spikes = Spikes(
        starts_on=origin + 30 * slot + 3 + (22 * draws.uniform("spike day", slot)).astype(np.int64),
        days=np.where(is_spike, 1, 2) + (np.where(is_spike, 3, 5) * draws.uniform("spike days", slot)).astype(np.int64),
        factor=np.exp(np.where(is_spike, 0.04 + 0.71 * size, -0.04 - 0.71 * size)),
    )
    return spikes.take((draws.uniform("spike happens", slot) < 0.6) & (spikes.starts_on <= last_day))


def intensity(days: Ints, origin: int, effects: Effects) -> Floats:
    """How busy days are but for what is planted, 1 being an average day of the year after `origin`.

    Args:
        days: (n,) day numbers.
        origin: Day number from which growth counts.
        effects: What makes days differ.

    Returns:
        (n,) positive floats.
    """
    busy = np.ones(len(days))
    if effects.growth:
        busy *= _GROWTH_PER_YEAR ** ((days - origin) / 365.25)
    if effects.seasons:
        dates = days.astype("datetime64[D]")
        first_of_year = dates.astype("datetime64[Y]").astype("datetime64[D]")
        day_of_year = (dates - first_of_year).astype(np.int64)
        year = 1.0 + 0.06 * np.cos(2 * np.pi * (day_of_year - 130) / 365.25)
        christmas = 0.75 * np.exp(-0.5 * ((day_of_year - 344) / 11.0) ** 2)
        holidays = np.where((day_of_year >= 358) | (day_of_year == 0), 0.55, 1.0)
        # 1970-01-01 was a Thursday.
        busy *= 0.94 * _WEEK[(days + 3) % 7] * (year + christmas) * holidays
    if effects.promotions:
        busy *= 0.99 * (1.0 + 0.25 * is_promotion(days))
    return busy


class Seasons:
    """The calendar of one world: its spikes and lulls, and the map between operational time and days.

    Args:
        draws: Random numbers.
        starts_on: The world's first day; operational time is 0 at its midnight.
        until: The last day the map must cover.
        effects: What makes days differ.
    """

    def __init__(self, draws: Draws, starts_on: date, until: date, effects: Effects) -> None:
        self.first_day = day_number(starts_on)
        self.has_promotions = effects.promotions
        days = np.arange(self.first_day, day_number(until) + 1)
        self._weights = intensity(days, self.first_day, effects)
        self.spikes = plant_spikes(draws, self.first_day, int(days[-1]))
        if not effects.spikes:
            self.spikes = self.spikes.take(np.zeros(len(self.spikes), dtype=bool))
        for start, length, factor in zip(self.spikes.starts_on, self.spikes.days, self.spikes.factor, strict=True):
            self._weights[start - self.first_day : start - self.first_day + length] *= factor
        self._cumulative = np.concatenate([[0.0], np.cumsum(self._weights)])

    def week(self, seconds: Ints) -> Ints:
        """Weeks since the world's start of moments (seconds since 1970-01-01)."""
        return (seconds // DAY - self.first_day) // 7

    def promotion(self, days: Ints) -> Floats:
        """Whether day numbers lie in a promotion, if the world has them; (n,) floats, 0 or 1."""
        return is_promotion(days) if self.has_promotions else np.zeros(len(days))

    def at_start_of(self, day: int | Ints) -> Floats:
        """Operational time at the midnight with which the day numbers begin."""
        return np.asarray(self._cumulative[np.asarray(day) - self.first_day])

    def seconds(self, operational: Floats) -> Ints:
        """The moments of operational times.

        Args:
            operational: (n,) operational times, at least 0.

        Returns:
            (n,) seconds since 1970-01-01, increasing with the argument; NEVER beyond the map.
        """
        day = np.searchsorted(self._cumulative, operational, side="right") - 1
        beyond = day >= len(self._weights)
        day = np.where(beyond, 0, day)
        share = (operational - self._cumulative[day]) / self._weights[day]
        return np.where(beyond, NEVER, (self.first_day + day) * DAY + time_of_day(share))

    def operational(self, seconds: Ints) -> Floats:
        """The operational times of moments (seconds since 1970-01-01) within the map; inverse of `seconds`."""
        day = seconds // DAY
        share = np.interp(seconds - day * DAY, _HOUR_EDGES, _HOUR_SHARES)
        index = day - self.first_day
        return self._cumulative[index] + share * self._weights[index]
