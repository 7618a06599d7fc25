"""When things happen: the intensity of every day and hour, and the operational time that follows from it.

In operational time the shop's business runs at an even pace; one unit is an average day of the first year. A
process that is simple in operational time gets week, season, Christmas and growth by being mapped to the calendar.
The intensity of a day depends on its date alone, never on how long the world is.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from sources.synthetic.randomness import Floats, Ints

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
    for year in np.unique(years):
        friday = day_number(_black_friday(int(year)))
        flag |= (days >= friday - 4) & (days <= friday + 3)
    return flag.astype(np.float64)


def intensity(days: Ints, origin: int) -> Floats:
    """How busy days are, 1 being an average day of the year after `origin`.

    Args:
        days: (n,) day numbers.
        origin: Day number from which growth counts.

    Returns:
        (n,) positive floats.
    """
    dates = days.astype("datetime64[D]")
    first_of_year = dates.astype("datetime64[Y]").astype("datetime64[D]")
    day_of_year = (dates - first_of_year).astype(np.int64)
    growth = _GROWTH_PER_YEAR ** ((days - origin) / 365.25)
    year = 1.0 + 0.06 * np.cos(2 * np.pi * (day_of_year - 130) / 365.25)
    christmas = 0.75 * np.exp(-0.5 * ((day_of_year - 344) / 11.0) ** 2)
    holidays = np.where((day_of_year >= 358) | (day_of_year == 0), 0.55, 1.0)
    promotion = 1.0 + 0.25 * is_promotion(days)
    # 1970-01-01 was a Thursday.
    return 0.93 * growth * _WEEK[(days + 3) % 7] * (year + christmas) * holidays * promotion


class Seasons:
    """The map between operational time and the calendar of one world.

    Args:
        starts_on: The world's first day; operational time is 0 at its midnight.
        until: The last day the map must cover.
    """

    def __init__(self, starts_on: date, until: date) -> None:
        self.first_day = day_number(starts_on)
        days = np.arange(self.first_day, day_number(until) + 1)
        self._weights = intensity(days, self.first_day)
        self._cumulative = np.concatenate([[0.0], np.cumsum(self._weights)])

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
