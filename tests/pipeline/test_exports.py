"""One refresh of a business whose names would do harm, and whatever it leaves: exports, drafts, pages, metadata.

What each part does with such names is tested by itself in `tests/unit`; here nothing may have been forgotten.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner
from rich.console import Console

from orchestration.assets import exports as export_assets
from orchestration.cli import main
from orchestration.definitions import build_defs
from orchestration.exports import exports_in
from orchestration.instance import run_job
from orchestration.progress import Progress
from orchestration.settings import Settings
from reports.page import SITE
from tests.unit.hostile import NAMES
from tests.unit.test_published_views import DANGEROUS

FORMULA = tuple("=+-@\t\r\n")
PERSON = "ada.lovelace"
AS_OF = date(2026, 3, 31)
Metadata = Mapping[str, Mapping[str, Any]]


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
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def metadata(home: Path) -> Metadata:
    """What Dagster keeps of every asset, after one refresh."""
    deliver(home / "landing")
    settings = Settings.from_environment({}, home=home, as_of=AS_OF, business_name="<b>Corner & Shop</b>")
    output = io.StringIO()
    with dg.DagsterInstance.ephemeral() as instance:
        definitions = build_defs(settings)
        assert run_job(definitions, "refresh", instance, Progress(Console(file=output, width=400))), output.getvalue()
        assert not DANGEROUS & set(output.getvalue())
        kept = {}
        for key in definitions.resolve_asset_graph().get_all_asset_keys():
            event = instance.get_latest_materialization_event(key)
            assert event is not None, key
            assert event.asset_materialization is not None
            kept["/".join(key.path)] = event.asset_materialization.metadata
    return kept


@pytest.fixture
def published(home: Path, metadata: Metadata) -> Iterator[duckdb.DuckDBPyConnection]:  # noqa: ARG001 - the refresh
    with duckdb.connect(str(home / "pulse.duckdb"), read_only=True) as connection:
        yield connection


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_exports_are_of_the_published_refresh_and_hold_its_rows(
    home: Path, published: duckdb.DuckDBPyConnection
) -> None:
    about = json.loads((home / "exports" / "exports.json").read_text(encoding="utf-8"))
    assert (about["refresh"], about["as_of"], about["personal_data"]) == (1, "2026-03-31", False)
    assert [each["name"] for each in about["exports"]][:7] == [
        *("intent", "churn_scores", "lifetime_value", "segments", "next_best_actions", "offers", "alerts")
    ]
    tables = {each.name: each.table for each in exports_in(published)}
    assert {each["name"] for each in about["exports"]} == set(tables)
    for each in about["exports"]:
        (count,) = published.execute(f"select count(*) from {tables[each['name']]}").fetchone() or ()
        assert each["rows"] == count == len(rows(home / "exports" / f"{each['name']}.csv"))
        assert len(json.loads((home / "exports" / f"{each['name']}.json").read_text("utf-8"))) == count
        parquet = home / "exports" / f"{each['name']}.parquet"
        assert published.execute(f"select count(*) from '{parquet}'").fetchall() == [(count,)]
    assert {file.name for file in home.glob(".exports*")} == set()


def test_nothing_personal_leaves_unless_asked_for(home: Path, metadata: Metadata) -> None:
    files = [file for file in (home / "exports").rglob("*") if file.is_file() and file.suffix != ".parquet"]
    assert len(files) > 20
    assert not [file for file in files if PERSON in file.read_text(encoding="utf-8")]
    assert PERSON not in repr(metadata)


def test_no_cell_of_any_csv_is_a_formula(home: Path, metadata: Metadata) -> None:  # noqa: ARG001 - the refresh
    texts = 0
    for file in (home / "exports").rglob("*.csv"):
        for row in rows(file):
            for cell in row.values():
                texts += not _is_number(cell)
                assert _is_number(cell) or not cell.startswith(FORMULA), file
    assert texts > 500


def test_a_draft_goes_to_those_selected_with_their_own_discount(
    home: Path, published: duckdb.DuckDBPyConnection
) -> None:
    groups = published.execute(
        """
        select action, offer_type, discount_rate, min(valid_until), list(customer_id order by customer_id)
        from marts.next_best_actions
        where is_selected and channel = 'email'
        group by all
        """
    ).fetchall()
    folder = home / "exports" / "drafts"
    found: dict[str, int] = {"action": 0, "segment": 0}
    for file in folder.glob("*.csv"):
        found[file.name.partition("-")[0]] += len(rows(file))
    assert found["action"] == found["segment"] == sum(len(group[-1]) for group in groups) > 0
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
    assert {rate for _, offer, rate, *_ in groups if offer == "discount"}, "no discount was tested"


def test_personal_columns_of_recipients_where_asked_for(published: duckdb.DuckDBPyConnection) -> None:
    published.execute(export_assets.RECIPIENTS)
    group = next(published.execute(export_assets.GROUPS).df().itertuples(index=False))
    for asked in (False, True):
        settings = Settings.from_environment({}, export_personal_data=asked)
        query = export_assets.recipients_of(group, settings)
        columns = [row[0] for row in published.execute(f"describe {query}").fetchall()]
        assert columns[: 1 + 2 * asked] == ["customer_id", *(["name", "email"] if asked else [])]
        assert ("email" in columns) == asked


def test_no_page_or_letter_holds_an_element_from_the_data(home: Path, metadata: Metadata) -> None:  # noqa: ARG001
    pages = [*(home / "reports").rglob("*.html"), *(home / "exports").rglob("*.html")]
    assert len(pages) > 5
    for page in pages:
        html = page.read_text(encoding="utf-8")
        assert "<script>alert" not in html, page
        assert "<b>" not in html, page


def test_no_metadata_holds_markdown_from_the_data(metadata: Metadata) -> None:
    tables = [
        value.value or ""
        for about in metadata.values()
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


def test_key_figures_and_pages_of_every_insight(
    home: Path, metadata: Metadata, published: duckdb.DuckDBPyConnection
) -> None:
    insights = [
        *("customer_360", "product_360", "next_best_actions", "offers", "alerts", "overview", "kpi_snapshots"),
        *("sales_call_list", "support_priority_queue", "leadership_monthly", "simple_retention_roi"),
    ]
    site = {home / "reports" / file for file, _ in SITE.values()}
    for name in insights:
        about = metadata[f"marts/{name}"]
        (count,) = published.execute(f"select count(*) from marts.{name}").fetchone() or ()
        assert about["dagster/row_count"].value == count
        assert Path(str(about["page"].value)) in site, name
        figures = [value for key, value in about.items() if isinstance(value, dg.IntMetadataValue) and "/" not in key]
        assert figures, name
    assert metadata["marts/customer_360"]["with_order"].value == 40
    (selected,) = published.execute("select count(*) from marts.next_best_actions where is_selected").fetchone() or ()
    assert metadata["marts/next_best_actions"]["selected"].value == selected > 0
    assert metadata["exports/drafts"]["page"].value == str(home / "exports" / "drafts" / "index.html")
    assert (home / "exports" / "drafts" / "index.html").exists()
    for key, about in metadata.items():
        if key.startswith("ml/"):
            assert Path(str(about["page"].value)) in site, key


def test_the_commands_show_such_customers_safely(home: Path, published: duckdb.DuckDBPyConnection) -> None:
    for (customer,) in published.execute("select customer_id from marts.dim_customers order by 1 limit 12").fetchall():
        result = CliRunner().invoke(main, ["customer", "--home", str(home), "--", customer])
        assert result.exit_code == 0, result.output
        assert not DANGEROUS & set(result.output)
    alerts = CliRunner().invoke(main, ["alerts", "--home", str(home)])
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
