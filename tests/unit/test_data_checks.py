"""Checks of incoming data: each fault is found and named, and ordinary days are not."""

from __future__ import annotations

import json
import zipfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from orchestration.checks.content import Filled, Header, distributed_as_before, filled_as_before, same_columns
from orchestration.checks.declared import BLOCKING, DATA_CHECKS
from orchestration.checks.reconciliation import Inflow, files_reconcile, marts_reconcile, readable_artefacts
from orchestration.checks.volume import no_missing_days, usual_volume

LAST = date(2026, 3, 31)  # a Tuesday


def shop(seed: int = 1, mean: float = 200, days: int = 150) -> dict[date, int]:
    """A shop with a weekly rhythm, closed on Sundays."""
    draws = np.random.default_rng(seed)
    rhythm = [1.0, 0.9, 1.0, 1.1, 1.4, 1.6, 0.0]
    found = {}
    for back in range(days):
        day = LAST - timedelta(days=back)
        found[day] = int(draws.poisson(mean * rhythm[day.weekday()] * draws.lognormal(0, 0.1)))
    return found


def day(back: int) -> date:
    return LAST - timedelta(days=back)


def test_ordinary_days_are_ordinary() -> None:
    """Over a year of them: a check that cries wolf is not looked at."""
    warned = [seed for seed in range(52) if not usual_volume({"shop.sales": shop(seed)}, LAST).passed]
    assert warned == []
    assert no_missing_days({"shop.sales": shop()}, LAST).passed


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (20, "shop.sales has 20 rows on Mon 30 Mar 2026, usually "),
        (800, "shop.sales has 800 rows on Mon 30 Mar 2026, usually "),
    ],
)
def test_a_day_with_far_more_or_fewer_rows_is_named(rows: int, words: str) -> None:
    verdict = usual_volume({"shop.sales": {**shop(), day(1): rows}, "web.sessions": shop(2)}, LAST)
    assert not verdict.passed
    assert words in verdict.message
    assert "web.sessions" not in verdict.message


def test_the_weekday_counts() -> None:
    """As many rows as on a Saturday are too many for a Tuesday."""
    busy = {each: (100 if each.weekday() < 5 else 900) for each in shop()}
    assert usual_volume({"shop.sales": busy}, LAST).passed
    assert not usual_volume({"shop.sales": {**busy, LAST: 900}}, LAST).passed


def test_a_shop_that_grows_is_no_fault() -> None:
    growing = {day(back): round(400 * 0.995**back) for back in range(150)}
    assert usual_volume({"shop.sales": growing}, LAST).passed


def test_too_little_history_says_so() -> None:
    verdict = usual_volume({"shop.sales": shop(days=20), "web.sessions": {}}, LAST)
    assert verdict.passed
    assert verdict.message == "There is too little history to compare with."
    assert no_missing_days({}, LAST).passed
    assert no_missing_days({"shop.sales": {LAST: 1}}, LAST).passed


def test_a_day_without_data_is_named_but_not_the_days_the_shop_is_closed() -> None:
    sales = shop()
    del sales[day(3)]
    verdict = no_missing_days({"shop.sales": sales}, LAST)
    assert not verdict.passed
    assert verdict.message == "shop.sales has no row on Sat 28 Mar 2026."
    # not a matter of volume: it would be told twice
    assert usual_volume({"shop.sales": sales}, LAST).passed
    # a week later it is still told, and does not make another empty Saturday usual
    for back in (3, 10):
        sales.pop(day(back), None)
    assert "Sat 21 Mar 2026, Sat 28 Mar 2026" in no_missing_days({"shop.sales": sales}, LAST).message


def test_few_rows_leave_days_empty_by_chance() -> None:
    sparse = {day(back): 1 for back in range(0, 150, 3)}
    assert no_missing_days({"shop.sales": sparse}, LAST).passed


def test_a_table_that_has_gone_quiet_is_told_for_as_long_as_it_is() -> None:
    for silent in (8, 30, 120):
        sales = {each: rows for each, rows in shop(days=200).items() if each <= day(silent)}
        verdict = no_missing_days({"shop.sales": sales}, LAST)
        assert not verdict.passed
        assert f"shop.sales has had no row since {max(each for each, rows in sales.items() if rows)}" in verdict.message


def header(name: str, refresh: int, *labels: str, table: str = "shop.sales") -> Header:
    return Header(name, table, refresh, frozenset(labels))


def test_a_column_that_comes_or_goes_is_named() -> None:
    old = [header("1.csv", 1, "id", "day", "price"), header("kiosk.csv", 1, "Nr", "Datum", "Betrag")]
    assert same_columns(old, 1).message == "No new file has an earlier one to compare with."
    same = same_columns(
        [*old, header("2.csv", 2, "id", "day", "price"), header("k2.csv", 2, "Nr", "Datum", "Betrag")], 2
    )
    assert (same.passed, same.message) == (True, "2 new files have the columns of earlier ones.")
    changed = same_columns([*old, header("2.csv", 2, "id", "day", "amount", "vat")], 2)
    assert not changed.passed
    assert changed.message == "2.csv (shop.sales) has lost price and brings amount, vat, compared with 1.csv."
    other = header("t.csv", 2, "ticket", table="helpdesk.tickets")
    assert same_columns([*old, other], 2).passed


def test_values_that_are_missing_are_named_by_column() -> None:
    fine = Filled("shop.sales.channel", 1000, 950, 9000, 8600)
    empty = Filled("shop.sales.product_id", 1000, 0, 9000, 9000)
    verdict = filled_as_before([fine, empty])
    assert not verdict.passed
    assert verdict.message == "shop.sales.product_id is filled in 0% of the new rows, before 100%."
    assert filled_as_before([fine]).message == "1 columns are filled as often as before."
    # too few to say, or no more than chance
    assert filled_as_before([Filled("c", 40, 0, 9000, 9000)]).passed
    assert filled_as_before([Filled("c", 60, 24, 300, 150)]).passed
    assert filled_as_before([Filled("c", 1000, 0, 0, 0)]).message.startswith("There are too few")


def sample(rows: int, seed: int, *, factor: float = 1, online: float = 0.7) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": draws.lognormal(3, 0.6, rows) * factor,
            "channel": np.where(draws.random(rows) < online, "online", "store"),
            "discount_rate": np.full(rows, np.nan),
        }
    )


def test_values_spread_otherwise_are_named_by_column() -> None:
    earlier = sample(5000, 1)
    assert distributed_as_before({"shop.sales": (sample(400, 2), earlier)}).message == "2 columns are spread as before."
    cents = distributed_as_before({"shop.sales": (sample(400, 2, factor=100), earlier)})
    assert not cents.passed
    assert cents.message.startswith("New rows are spread otherwise: shop.sales.amount (PSI ")
    stores = distributed_as_before({"shop.sales": (sample(400, 2, online=0.05), earlier)})
    assert "shop.sales.channel" in stores.message
    assert distributed_as_before({"shop.sales": (sample(100, 2, factor=100), earlier)}).message.startswith(
        "There are too"
    )


def test_rows_between_files_and_raw_add_up() -> None:
    good = {"shop.sales": Inflow(110, 10, 100), "web.events": Inflow(0, 0, 0)}
    assert files_reconcile(good).message == "110 rows of 1 table add up."
    for rows in (109, 111):
        verdict = files_reconcile({**good, "shop.sales": Inflow(rows, 10, 100)})
        assert not verdict.passed
        assert f"shop.sales holds {rows} rows, but 100 before and 10 new ones make 110." in verdict.message
    assert files_reconcile({"shop.sales": Inflow(110, 10, None)}).passed


def test_rows_between_raw_and_marts_add_up() -> None:
    assert marts_reconcile({"fct_sales": (5, 5), "fct_tickets": (0, 0)}).message == "fct_sales 5, fct_tickets 0 rows."
    verdict = marts_reconcile({"fct_sales": (1005, 1004), "fct_tickets": (0, 0)})
    assert (verdict.passed, verdict.message) == (False, "fct_sales has 1,004 rows, raw has 1,005.")


def test_damaged_models_are_named(tmp_path: Path) -> None:
    (tmp_path / "churn.json").write_text(json.dumps([{"model": "churn"}]))
    model = tmp_path / "churn_90d.skops"
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("schema.json", "{}" * 1000)
    assert readable_artefacts(tmp_path).message == "2 files can be read."
    content = bytearray(model.read_bytes())
    content[200] ^= 1
    model.write_bytes(content)
    verdict = readable_artefacts(tmp_path)
    assert not verdict.passed
    assert verdict.message == "Cannot be read: churn_90d.skops (schema.json is damaged)."
    model.write_bytes(content[:100])
    (tmp_path / "churn.json").write_text("[{")
    verdict = readable_artefacts(tmp_path)
    assert "churn.json" in verdict.message
    assert "churn_90d.skops" in verdict.message


def test_every_check_says_why_it_blocks_or_does_not() -> None:
    assert len({check.name for check in DATA_CHECKS}) == len(DATA_CHECKS)
    assert all(check.description.endswith(".") and check.why.endswith(".") for check in DATA_CHECKS)
    assert BLOCKING == ("every_row_of_the_files_is_in_raw", "every_row_of_raw_is_in_the_marts")
