"""A business of thirty customers as files: enough for every stage, and small enough to be refreshed a hundred times."""

from __future__ import annotations

import os
from pathlib import Path

ONE, TWO = "one", "two"
"""What there is before a fault, and what comes with the refresh that meets it."""
COUNTS = {ONE: 240, TWO: 300}
"""Sale lines after each."""
_RESTATED, _RESTATED_BY = (17, 230), 1000


def deliver(landing: Path, part: str) -> None:
    """Put the files of a part into a landing folder, with times of change that say in which order they came."""
    landing.mkdir(parents=True, exist_ok=True)
    for number, (name, text) in enumerate(sorted(FILES[part].items())):
        path = landing / name
        path.write_text(text, encoding="utf-8")
        moment = 1_767_225_600 + (86_400 if part == TWO else 0) + number
        os.utime(path, (moment, moment))


def _amount(n: int) -> float:
    return 5.25 + n * 37 % 90


def _sales(first: int, last: int, restated: tuple[int, ...] = ()) -> str:
    lines = ["sale_id,order_id,customer_id,product_id,sold_at,quantity,amount"]
    for n in [*range(first, last), *restated]:
        day = f"2026-{1 + n // 50:02d}-{1 + n * 7 % 28:02d}"
        amount = _amount(n) + (_RESTATED_BY if n in restated else 0)
        lines.append(f"s{n},o{n},c{n * 11 % 30},p{n * 5 % 7},{day},{1 + n % 3},{amount}")
    return "\n".join(lines) + "\n"


def _tickets(first: int, last: int) -> str:
    lines = ["ticket_id,customer_id,opened_at,resolved_at,sentiment_score,topic,priority"]
    lines += [
        f"t{n},c{n * 13 % 30},2026-{1 + n // 10:02d}-{1 + n * 3 % 28:02d} 09:00:00,"
        f"2026-{1 + n // 10:02d}-{1 + n * 3 % 28:02d} 15:30:00,{(n * 7 % 20 - 10) / 10},delivery,high"
        for n in range(first, last)
    ]
    return "\n".join(lines) + "\n"


FILES = {
    ONE: {"sales_1.csv": _sales(0, 240), "tickets_1.csv": _tickets(0, 48)},
    # new lines, and two of before with another amount
    TWO: {"sales_2.csv": _sales(240, 300, restated=_RESTATED), "tickets_2.csv": _tickets(48, 60)},
}
REVENUE = {ONE: sum(map(_amount, range(240))), TWO: sum(map(_amount, range(300))) + len(_RESTATED) * _RESTATED_BY}
"""What the sale lines after each come to."""
