"""Small tables and key figures of Dagster's metadata: data stays data, and nothing is made of an empty table."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from orchestration.figures import key_figures, page_link
from orchestration.preview import markdown_table, preview_markdown
from tests.unit.hostile import NAMES

TOLD = {
    "figures": {
        "at_risk": "count(*) filter (where is_at_risk)",
        "spent": "sum(spend)",
        "newest": "max(day)",
        "average": "avg(spend)",
    },
    "shown_by": "segment",
}


@pytest.fixture
def customers() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute(
        """
        create table customers as
        from (
            values
                ('Lost', true, 1.25::decimal(18, 4), date '2026-01-01'),
                ('Lost', true, 2.25, date '2026-01-02'),
                ('a|b', false, 3, null),
                (null, false, 4, null)
        ) as v(segment, is_at_risk, spend, day)
        """
    )
    return connection


def test_figures_and_table(customers: duckdb.DuckDBPyConnection) -> None:
    found = key_figures(customers, "customers", TOLD)
    assert found.pop("by_segment").value == (
        "| segment | rows | at_risk | spent | newest | average |\n|---|---|---|---|---|---|\n"
        "| Lost | 2 | 2 | 3.5 | 2026-01-02 | 1.75 |\n| a\\|b | 1 | 0 | 3.0 |  | 3.0 |\n|  | 1 | 0 | 4.0 |  | 4.0 |"
    )
    assert found == {"at_risk": 2, "spent": 10.5, "newest": "2026-01-02", "average": 2.625}


def test_of_nothing_only_counts_are_known(customers: duckdb.DuckDBPyConnection) -> None:
    customers.execute("delete from customers")
    found = key_figures(customers, "customers", TOLD)
    assert found.pop("by_segment").value == "no rows"
    assert found == {"at_risk": 0}


def test_without_a_declaration_there_is_nothing(customers: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert key_figures(customers, "customers", {}) == {}
    assert page_link({}, tmp_path) == {}


def test_the_page_is_where_it_will_be_published(tmp_path: Path) -> None:
    assert page_link({"page": "web.html"}, tmp_path)["page"].value == str(tmp_path / "reports" / "web.html")


@pytest.mark.parametrize("name", [*NAMES, "\\", "x" * 79 + "|", "a\u2028b", "&lt;b&gt;", "[x](javascript:alert(1))"])
def test_no_cell_is_markdown_or_html(name: str) -> None:
    table = preview_markdown(pd.DataFrame({"topic": [name], "next": ["last"]}))
    lines = table.split("\n")
    assert len(lines) == 3
    # every mark is escaped, so a reader of Markdown sees two cells of plain text
    unescaped = re.sub(r"\\[\\`*\[\]<>|~&!#]", "", lines[2])
    assert unescaped.count("|") == 3
    assert not set("\\`*[]<>~&!#") & set(unescaped)
    assert table.replace("\n", "").isprintable()


def test_names_of_columns_are_no_markdown_either() -> None:
    assert markdown_table(["<b>|"], [["x"]]) == "| \\<b\\>\\| |\n|---|\n| x |"
