"""What has to hold of the folder `exports` of any home, checked against its published file."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb

from orchestration.exports import exports_in

FORMULA = tuple("=+-@\t\r\n")


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check_tables(home: Path, published: duckdb.DuckDBPyConnection) -> int:
    """Every export is there in every format, of the published refresh, with all rows.

    Returns:
        How many there are.
    """
    about = json.loads((home / "exports" / "exports.json").read_text(encoding="utf-8"))
    refresh = published.execute(
        "select refresh, as_of from meta.refreshes where status = 'published' order by refresh desc limit 1"
    ).fetchall()
    assert [(about["refresh"], about["as_of"])] == [(number, str(day)) for number, day in refresh]
    assert about["personal_data"] is False
    tables = {each.name: each.table for each in exports_in(published)}
    assert [each["name"] for each in about["exports"]] == list(tables)
    for each in about["exports"]:
        ((count,),) = published.execute(f"select count(*) from {tables[each['name']]}").fetchall()
        place = home / "exports" / each["name"]
        assert each["rows"] == count == len(rows(place.with_suffix(".csv")))
        assert len(json.loads(place.with_suffix(".json").read_text("utf-8"))) == count
        assert published.execute(f"select count(*) from '{place}.parquet'").fetchall() == [(count,)]
    assert not list(home.glob(".exports*"))
    return len(tables)


def check_drafts(home: Path, published: duckdb.DuckDBPyConnection) -> list[tuple[str, float | None]]:
    """Every draft goes to those who are selected for it, and promises the discount and day of their rows.

    Returns:
        The offers that were found, with their discounts.
    """
    groups = published.execute(
        """
        select action, offer_type, discount_rate, min(valid_until), list(customer_id order by customer_id)
        from marts.next_best_actions
        where is_selected and channel = 'email'
        group by all
        """
    ).fetchall()
    folder = home / "exports" / "drafts"
    found = {"action": 0, "segment": 0}
    for file in folder.glob("*.csv"):
        found[file.name.partition("-")[0]] += len(rows(file))
    assert found["action"] == found["segment"] == sum(len(group[-1]) for group in groups)
    for action, offer, rate, until, customers in groups:
        percent = "" if rate is None else f"-{100 * rate:.10g}"
        name = f"action-{action}-{offer}{percent}".replace("_", "-")
        listed = [row["customer_id"] for row in rows(folder / f"{name}.csv")]
        assert listed == [f"'{each}" if each.startswith(FORMULA) else each for each in customers]
        for ending in ("html", "txt"):
            body = (folder / f"{name}.{ending}").read_text(encoding="utf-8")
            assert ("% off" in body) == (offer == "discount")
            if offer == "discount":
                assert f"{100 * rate:.10g} % off your order until {until:%-d %B %Y}." in body
    return [(offer, rate) for _, offer, rate, *_ in groups]
