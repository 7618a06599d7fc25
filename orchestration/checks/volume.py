"""Whether as many rows have come as usual, day by day and by the day of the week."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from itertools import pairwise

import numpy as np

from orchestration.checks.verdict import Verdict

WEEKS = 8
"""Weeks whose same weekdays a day is compared with."""
_FEWEST_WEEKS = 4
_DAYS_JUDGED = 7
_DAYS_SEARCHED = 28
_FAR = 6.0
"""In robust standard deviations of the square roots; ordinary days of a business are hardly ever beyond 4."""
_SMALLEST_FACTOR = 1.5
_FEWEST_ROWS = 5
_SHOWN = 4

DAYS_READ = 7 * (2 * WEEKS + 1) + _DAYS_SEARCHED
"""Days of a series that the checks look at."""

Series = Mapping[date, int]
"""Rows by day; a day that is not there has none."""


def usual_volume(tables: Mapping[str, Series], last_day: date) -> Verdict:
    """Whether the last days have about as many rows as the same weekdays before.

    Counts are compared by their square roots, whose noise does not grow with them; it is measured on the series itself,
    and never taken to be smaller than chance alone would make it.

    Args:
        tables: Rows by day, by table.
        last_day: The last day that is over.
    """
    told, judged = [], 0
    for name, series in sorted(tables.items()):
        roots = _deviations(series, last_day)
        noise = np.array([deviation for day, (deviation, _) in roots.items() if day <= last_day - _days(_DAYS_JUDGED)])
        if len(noise) < 7 * _FEWEST_WEEKS:
            continue
        judged += 1
        # Roots of Poisson counts, doubled, have a standard deviation of 1.
        scale = max(1.0, 1.4826 * float(np.median(np.abs(noise - np.median(noise)))))
        for day in sorted(day for day in roots if day > last_day - _days(_DAYS_JUDGED)):
            deviation, usual = roots[day]
            rows = series.get(day, 0)
            factor = (max(rows, usual) + 1) / (min(rows, usual) + 1)
            if rows and abs(deviation) > _FAR * scale and factor > _SMALLEST_FACTOR:
                told.append(f"{name} has {rows:,} rows on {day:%a %d %b %Y}, usually {usual:,.0f}")
    if told:
        return Verdict(False, f"{_listed(told)}.")
    return Verdict(True, _all_well(judged, f"The {_DAYS_JUDGED} days up to {last_day} are as usual"))


def no_missing_days(tables: Mapping[str, Series], last_day: date) -> Verdict:
    """Whether there are rows on every day that usually has some, and whether a table has gone quiet.

    Args:
        tables: Rows by day, by table.
        last_day: The last day that is over.
    """
    told, judged = [], 0
    for name, series in sorted(tables.items()):
        days = sorted(day for day, rows in series.items() if rows and day <= last_day)
        if not days:
            continue
        judged += 1
        quiet, longest = (last_day - days[-1]).days, _longest_gap(days)
        if quiet > max(7, 3 * longest):
            told.append(f"{name} has had no row since {days[-1]}")
            continue
        missing = [
            day
            for day in (last_day - _days(back) for back in range(_DAYS_SEARCHED - 1, -1, -1))
            if not series.get(day, 0) and _is_never_empty(_same_weekdays(series, day, days[0]))
        ]
        if missing:
            shown = ", ".join(f"{day:%a %d %b %Y}" for day in missing[:_SHOWN])
            more = f" and {len(missing) - _SHOWN} more days" if len(missing) > _SHOWN else ""
            told.append(f"{name} has no row on {shown}{more}")
    if told:
        return Verdict(False, f"{_listed(told)}.")
    return Verdict(True, _all_well(judged, f"No day of the {_DAYS_SEARCHED} up to {last_day} is missing"))


def _deviations(series: Series, last_day: date) -> dict[date, tuple[float, float]]:
    """How far each day is from the median of the same weekdays before, in roots; and that median."""
    days = [day for day, rows in series.items() if rows]
    if not days:
        return {}
    found = {}
    for back in range(7 * (WEEKS + 1)):
        day = last_day - _days(back)
        before = _same_weekdays(series, day, min(days))
        if len(before) < _FEWEST_WEEKS:
            continue
        usual = float(np.median(before))
        if usual >= _FEWEST_ROWS:
            found[day] = (2 * (np.sqrt(series.get(day, 0) + 0.375) - np.sqrt(usual + 0.375)), usual)
    return found


def _same_weekdays(series: Series, day: date, first: date) -> list[int]:
    earlier = (day - _days(7 * week) for week in range(1, WEEKS + 1))
    return [series.get(each, 0) for each in earlier if each >= first]


def _is_never_empty(before: list[int]) -> bool:
    # Once there is a hole in it, the week after must not take holes for usual.
    filled = [rows for rows in before if rows]
    return len(before) >= _FEWEST_WEEKS and len(before) - len(filled) <= 1 and float(np.median(filled)) >= _FEWEST_ROWS


def _longest_gap(days: list[date]) -> int:
    return max(((later - earlier).days for earlier, later in pairwise(days)), default=0)


def _days(count: int) -> timedelta:
    return timedelta(days=count)


def _listed(told: list[str]) -> str:
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return "; ".join(told[:_SHOWN]) + more


def _all_well(judged: int, words: str) -> str:
    if not judged:
        return "There is too little history to compare with."
    return f"{words} in {judged} table{'' if judged == 1 else 's'}."
