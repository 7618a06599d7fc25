"""One refresh of a business whose names would do harm, and whatever it leaves: exports, drafts, pages, metadata.

What each part does with such names is tested by itself in `tests/unit`; here nothing may have been forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner

from orchestration.assets import exports as export_assets
from orchestration.cli import main
from orchestration.settings import Settings
from tests.conftest import Refresh, run_pipeline
from tests.exported import FORMULA, check_drafts, check_tables, rows
from tests.unit.hostile import NAMES
from tests.unit.test_published_views import DANGEROUS

PERSON = "ada.lovelace"
AS_OF = date(2026, 3, 31)


def deliver(folder: Path) -> None:
    """Files of a business of 44 customers; ids, names, topics, categories and products are the hostile ones in turn."""

    def name(place: int) -> str:
        return NAMES[place % len(NAMES)]

    ids = [f"{name(n)} {n}" for n in range(44)]
    tables = {
        "customers": {
            "customer_id": ids,
            "name": [f"{name(n)} called {PERSON}" for n in range(44)],
            "email": [f"{PERSON}.{n}@example.org" for n in range(44)],
            "city": [name(n) for n in range(44)],
            "marketing_consent": [n % 3 != 0 for n in range(44)],
        },
        "products": {"product_id": list(NAMES), "name": list(NAMES), "category": list(NAMES)},
        "sales": {
            "order_id": [f"O{n}" for n in range(80)],
            "customer_id": [ids[n % 40] for n in range(80)],
            "product_id": [name(n) for n in range(80)],
            "sold_at": [AS_OF - timedelta(days=(n * 37) % 400) for n in range(80)],
            "amount": [10.0 + n for n in range(80)],
            "quantity": [1] * 80,
        },
        "tickets": {
            "ticket_id": [f"T{n}" for n in range(60)],
            "customer_id": [ids[n % 8] for n in range(60)],
            "product_id": [name(n) for n in range(60)],
            "topic": [name(n) for n in range(60)],
            "opened_at": [AS_OF - timedelta(days=n % 30) for n in range(60)],
            "status": ["open"] * 60,
            "sentiment_score": [-0.9] * 60,
        },
    }
    places = {"customers": "shop", "products": "shop", "sales": "shop", "tickets": "helpdesk"}
    for table, columns in tables.items():
        place = folder / places[table] / table
        place.mkdir(parents=True)
        pd.DataFrame(columns).to_parquet(place / f"{table}.parquet")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Refresh:
    home = tmp_path_factory.mktemp("hostile")
    deliver(home / "landing")
    refresh = run_pipeline(home, as_of=AS_OF, business_name="<b>Corner & Shop</b>")
    assert refresh.succeeded, refresh.output
    return refresh


@pytest.fixture
def published(hostile: Refresh) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(hostile.home / "pulse.duckdb"), read_only=True) as connection:
        yield connection


def test_exports_and_drafts_are_complete(hostile: Refresh, published: duckdb.DuckDBPyConnection) -> None:
    assert check_tables(hostile.home, published) >= 7
    assert {rate for offer, rate in check_drafts(hostile.home, published) if offer == "discount"}, (
        "no discount was tested"
    )


def test_nothing_personal_leaves_unless_asked_for(hostile: Refresh) -> None:
    files = [file for file in (hostile.home / "exports").rglob("*") if file.is_file() and file.suffix != ".parquet"]
    assert len(files) > 20
    assert not [file for file in files if PERSON in file.read_text(encoding="utf-8")]
    assert PERSON not in repr(hostile.metadata)


def test_no_cell_of_any_csv_is_a_formula(hostile: Refresh) -> None:
    texts = 0
    for file in (hostile.home / "exports").rglob("*.csv"):
        for row in rows(file):
            for cell in row.values():
                texts += not _is_number(cell)
                assert _is_number(cell) or not cell.startswith(FORMULA), file
    assert texts > 500


def test_personal_columns_of_recipients_where_asked_for(published: duckdb.DuckDBPyConnection) -> None:
    published.execute(export_assets.RECIPIENTS)
    group = next(published.execute(export_assets.GROUPS).df().itertuples(index=False))
    for asked in (False, True):
        settings = Settings.from_environment({}, export_personal_data=asked)
        query = export_assets.recipients_of(group, settings)
        columns = [row[0] for row in published.execute(f"describe {query}").fetchall()]
        assert columns[: 1 + 2 * asked] == ["customer_id", *(["name", "email"] if asked else [])]
        assert ("email" in columns) == asked


def test_no_page_or_letter_holds_an_element_from_the_data(hostile: Refresh) -> None:
    pages = [*(hostile.home / "reports").rglob("*.html"), *(hostile.home / "exports").rglob("*.html")]
    assert len(pages) > 5
    for page in pages:
        html = page.read_text(encoding="utf-8")
        assert "<script>alert" not in html, page
        assert "<b>" not in html, page


def test_the_terminal_shows_no_escape_sequence(hostile: Refresh) -> None:
    assert not DANGEROUS & set(hostile.output)


def test_no_metadata_holds_markdown_from_the_data(hostile: Refresh) -> None:
    tables = [
        value.value or ""
        for about in hostile.metadata.values()
        for value in about.values()
        if isinstance(value, dg.MarkdownMetadataValue)
    ]
    assert len(tables) > 60
    for table in tables:
        assert "<script>" not in table
        assert "![p](" not in table
        assert not DANGEROUS & set(table)
        lines = table.splitlines()
        if len(lines) > 1:
            # every line has the cells of the head: no bar in a name has made another one
            assert len({_bars(line) for line in lines}) == 1, table


def test_the_commands_show_such_customers_safely(hostile: Refresh, published: duckdb.DuckDBPyConnection) -> None:
    for (customer,) in published.execute("select customer_id from marts.dim_customers order by 1 limit 12").fetchall():
        result = CliRunner().invoke(main, ["customer", "--home", str(hostile.home), "--", customer])
        assert result.exit_code == 0, result.output
        assert not DANGEROUS & set(result.output)
    alerts = CliRunner().invoke(main, ["alerts", "--home", str(hostile.home)])
    assert alerts.exit_code == 0, alerts.output
    assert not DANGEROUS & set(alerts.output)


def _bars(line: str) -> int:
    """Bars that separate cells: those without a backslash before them."""
    return line.replace("\\\\", "").replace("\\|", "").count("|")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
