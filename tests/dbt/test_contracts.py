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


def _promises(table: dict[str, Any]) -> dict[str, Any]:
    """Arguments of the test that judges a table's rows."""
    (judged,) = [test["rows_are_valid"] for test in table["data_tests"] if "rows_are_valid" in test]
    arguments: dict[str, Any] = judged["arguments"]
    return arguments


def test_every_raw_table_is_a_source() -> None:
    others = {name for name in _sources() if name.startswith(("ml.", "pulse."))}
    assert set(_sources()) - others == {contract.name for contract in CONTRACTS}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_columns_agree_in_name_type_order_and_words(contract: Contract) -> None:
    table = _sources()[contract.name]
    assert table["description"] == contract.doc
    # `string` is the name of the type that every engine knows
    said = [
        (column["name"], column["data_type"].replace("string", "varchar"), column["description"])
        for column in table["columns"]
    ]
    written = [(column.name, column.kind.sql_type, column.doc) for column in contract.columns]
    known = {column.name for column in contract.columns}
    # a key that deliveries may leave out is filled in, and _batch is added
    assert [entry for entry in said if entry[0] in known] == written
    assert {entry[0] for entry in said} - known <= {contract.key, "_batch"}
    assert said[-1][:2] == ("_batch", "bigint")


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.name)
def test_every_promise_of_a_contract_is_tested(contract: Contract) -> None:
    table = _sources()[contract.name]
    keyed = [
        column["name"] for column in table["columns"] for test in column.get("data_tests", []) if "primary_key" in test
    ]
    assert keyed == [contract.key]
    required = {column.name for column in contract.columns if column.required and not column.may_be_null}
    promises = _promises(table)
    assert set(promises["never_null"]) == (required | {"_batch"}) - {contract.key}
    assert promises.get("rules", []) == [rule for column in contract.columns for rule in _rules(column)]


def _rules(column: Column) -> list[str]:
    """What a contract allows, as the condition that the source's test holds."""
    low, high = (None if bound is None else f"{bound:g}" for bound in (column.low, column.high))
    rules = []
    if low and high:
        rules.append(f"{column.name} between {low} and {high}")
    elif low:
        rules.append(f"{column.name} >= {low}")
    if column.allowed:
        rules.append(f"{column.name} in ({', '.join(repr(value) for value in column.allowed)})")
    return rules
