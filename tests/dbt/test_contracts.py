"""The sources' YAML says what the raw contracts say, and nothing else."""

from typing import Any

import pytest
import yaml

from sources.contracts import CONTRACTS, Column, Contract
from tests.dbt.homes import PROJECT


def _documents(pattern: str) -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(PROJECT.glob(pattern))]


def _sources() -> dict[str, dict[str, Any]]:
    return {
        f"{source['name']}.{table['name']}": table
        for document in _documents("models/staging/*/_*__sources.yml")
        for source in document["sources"]
        for table in source["tables"]
    }


def _tests(column: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A column's data tests by name, with their arguments."""
    return {
        test if isinstance(test, str) else next(iter(test)): {}
        if isinstance(test, str)
        else next(iter(test.values())).get("arguments", {})
        for test in column.get("data_tests", [])
    }


def _never_null(table: dict[str, Any]) -> set[str]:
    named = {name for test in table.get("data_tests", []) for name in test["never_null"]["arguments"]["columns"]}
    return named | {column["name"] for column in table["columns"] if "not_null" in _tests(column)}


def test_every_raw_table_is_a_source() -> None:
    others = {name for name in _sources() if name.startswith(("ml.", "pulse."))}
    assert set(_sources()) - others == {contract.name for contract in CONTRACTS}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_columns_agree_in_name_type_order_and_words(contract: Contract) -> None:
    table = _sources()[contract.name]
    assert table["description"] == contract.doc
    said = [(column["name"], column["data_type"], column["description"]) for column in table["columns"]]
    written = [(column.name, column.kind.sql_type, column.doc) for column in contract.columns]
    known = {column.name for column in contract.columns}
    # a key that deliveries may leave out is filled in, and _batch is added
    assert [entry for entry in said if entry[0] in known] == written
    assert {entry[0] for entry in said} - known <= {contract.key, "_batch"}
    assert said[-1][:2] == ("_batch", "bigint")


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_every_promise_of_a_contract_is_tested(contract: Contract) -> None:
    table = _sources()[contract.name]
    by_name = {column["name"]: column for column in table["columns"]}
    assert {"unique", "not_null"} <= set(_tests(by_name[contract.key]))
    required = {column.name for column in contract.columns if column.required and not column.may_be_null}
    assert _never_null(table) == required | {contract.key, "_batch"}
    for column in contract.columns:
        tests = _tests(by_name[column.name])
        assert tests.get("accepted_values", {}).get("values", []) == list(column.allowed), column.name
        assert _bounds(tests) == _contract_bounds(column), column.name


def _bounds(tests: dict[str, dict[str, Any]]) -> tuple[float | None, float | None]:
    bounds = tests.get("accepted_range", {})
    return bounds.get("min_value"), bounds.get("max_value")


def _contract_bounds(column: Column) -> tuple[float | None, float | None]:
    return column.low, column.high
