"""Macros that are written for each engine give the same values on both: those that were worked out by hand.

A copy of the project gets models that show them, and a seed of awkward texts; plain dbt builds these.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration.settings import Settings
from tests.dbt.homes import PROJECT, Rows, fill
from tests.spark.worlds import NAMES, plain_dbt

AS_OF = date(2024, 2, 29)
TEXTS = (*NAMES, "\\", "\\'", "''", r"a\nb", r"\u0041", r"C:\new\table", r"\"", "{{ '{' }}")
"""Words, among them some with what is an escape to one engine and a letter to the other."""

LATE, EARLY = "timestamp '2024-02-28 23:59:59'", "timestamp '2024-02-29 00:00:29'"
VALUES: dict[str, tuple[str, Any]] = {
    "day_after": (""" cast({{ add_days("date '2024-02-28'", 1) }} as string) """, "2024-02-29"),
    "day_before": (""" cast({{ add_days("timestamp '2024-03-01 00:00:00'", -1) }} as string) """, "2024-02-29"),
    "month_after": (""" cast({{ add_months("date '2024-01-31'", 1) }} as string) """, "2024-02-29"),
    "months_before": (""" cast({{ add_months("date '2024-03-31'", -13) }} as string) """, "2023-02-28"),
    "days": (f""" {{{{ days_between("{LATE}", "{EARLY}") }}}} """, 1),
    "days_back": (""" {{ days_between("date '2024-03-01'", "date '2024-02-28'") }} """, -2),
    "minutes": (f""" {{{{ minutes_between("{LATE}", "{EARLY}") }}}} """, 0.5),
    "minutes_back": (f""" {{{{ minutes_between("{EARLY}", "{LATE}") }}}} """, -0.5),
    "as_of": (""" cast({{ as_of() }} as string) """, "2024-02-29"),
    "lower": (""" {{ lowered("'İΟΔΟΣ Zoë STRASSE'") }} """, "i\u03bf\u03b4\u03bf\u03c3 zoë strasse"),
    "digest": (""" {{ digest("'salt'", "'Zoë'") }} """, hashlib.sha256("saltZoë".encode()).hexdigest()),
}
LISTS = {
    "three_days": (
        """ calendar_date from ({{ days_from_to("date '2024-02-28'", "date '2024-03-01'") }}) """,
        [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)],
    ),
    "no_days": (""" calendar_date from ({{ days_from_to("date '2024-03-01'", "date '2024-02-28'") }}) """, []),
    "two_months": (
        """ calendar_month from ({{ months_from_to("date '2023-12-01'", "date '2024-01-01'") }}) """,
        [date(2023, 12, 1), date(2024, 1, 1)],
    ),
    "no_months": (""" calendar_month from ({{ months_from_to("cast(null as date)", "date '2024-02-01'") }}) """, []),
}
CUTS = """
select q_cut_1, q_cut_2, q_cut_3, q_cut_4
from (select {{ quintile_cuts('number', 'q') }} from (values (1), (2), (3), (4), (10)) as given (number)) as cut
"""
# The word null is missing to dbt, which reads the file for Spark; that no seed holds it, tests/dbt looks after.
SEEDED = [
    (place, None if place % 5 == 4 else text, amount, day, rate, flag)
    for place, (text, amount, day, rate, flag) in enumerate(
        (
            text,
            None if place % 3 == 1 else Decimal(f"{place}.0001"),
            None if place % 4 == 2 else date(2024, 2, 29),
            None if place % 4 == 3 else place + 0.1,
            (True, False, None)[place % 3],
        )
        for place, text in enumerate(text for text in TEXTS if text != "null")
    )
]

Read = Callable[[str, str], list[tuple[Any, ...]]]


def _project(folder: Path) -> Path:
    """A copy of the project with models and a seed of this test."""
    project = folder / "dbt_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs", ".user.yml"))
    models = {
        "shown_values": "select " + ", ".join(f"{sql} as {name}" for name, (sql, _) in VALUES.items()),
        "shown_cuts": CUTS,
        "shown_texts": " union all ".join(
            f"select {place} as place, {{{{ quoted({_jinja(text)}) }}}} as text" for place, text in enumerate(TEXTS)
        ),
        **{f"shown_{name}": f"select {sql} as listed" for name, (sql, _) in LISTS.items()},
    }
    for name, query in models.items():
        (project / "models" / "intermediate" / f"{name}.sql").write_text(query, encoding="utf-8")
    with (project / "seeds" / "shown_seed.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("place", "text", "amount", "day", "rate", "flag"), *SEEDED])
    (project / "seeds" / "_shown.yml").write_text(
        "seeds: [{name: shown_seed, config: {column_types: {place: bigint, text: string, amount: 'decimal(18, 4)',"
        " day: date, rate: double, flag: boolean}}}]",
        encoding="utf-8",
    )
    return project


def _jinja(text: str) -> str:
    escaped = text.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    return f'"{escaped}"'


@pytest.fixture(scope="module", params=["duckdb", "spark"])
def read(request: pytest.FixtureRequest, spark: Settings, tmp_path_factory: pytest.TempPathFactory) -> Read:
    """Reads the rows of a table, given its schema and name, as an engine has written them."""
    folder = tmp_path_factory.mktemp(request.param)
    home = folder / "home"
    fill(home, Rows({}), AS_OF)
    project = _project(folder)
    where = {"target": "spark", "spark_url": spark.spark_url, "spark_prefix": "macros_"}
    settings = Settings(home=home, **(where if request.param == "spark" else {}))
    built = plain_dbt(settings, "build", "--select", "stg_pulse__clock", "shown_*", project=project)
    assert {name.split(".")[-1] for name in built} >= {"shown_values", "shown_cuts", "shown_texts", "shown_seed"}
    assert set(built.values()) <= {"success", "pass"}

    def rows(schema: str, table: str) -> list[tuple[Any, ...]]:
        with duckdb.connect() as connection:
            if request.param == "spark":
                relation = f"read_parquet('{home}/spark/{schema}/{table}/*.parquet')"
            else:
                connection.execute(f"attach '{home}/work.duckdb' as work (read_only)")
                relation = f"work.{schema}.{table}"
            return connection.execute(f"select * from {relation} order by 1").fetchall()

    return rows


def test_values_of_macros(read: Read) -> None:
    (row,) = read("intermediate", "shown_values")
    assert dict(zip(VALUES, row, strict=True)) == {name: expected for name, (_, expected) in VALUES.items()}


@pytest.mark.parametrize("name", LISTS)
def test_days_and_months_are_listed(read: Read, name: str) -> None:
    assert [day for (day,) in read("intermediate", f"shown_{name}")] == LISTS[name][1]


def test_cuts_into_fifths(read: Read) -> None:
    (row,) = read("intermediate", "shown_cuts")
    assert row == pytest.approx((1.8, 2.6, 3.4, 5.2), rel=1e-12)


def test_quoted_texts_are_those_texts(read: Read) -> None:
    assert read("intermediate", "shown_texts") == list(enumerate(TEXTS))


def test_rows_of_a_seed(read: Read) -> None:
    assert read("seeds", "shown_seed") == SEEDED
