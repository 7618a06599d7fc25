"""The house rules for SQL that a text search can check: what runs on DuckDB here runs on Spark elsewhere."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dbt.homes import PROJECT

MODELS = sorted(PROJECT.glob("models/**/*.sql"))
MACROS = sorted(PROJECT.glob("macros/**/*.sql"))
SQL = [*MODELS, *sorted(PROJECT.glob("tests/**/*.sql")), *sorted(PROJECT.glob("macros/tests/*.sql"))]

BANNED = {
    "dbt.dateadd": r"\bdateadd\b|date_add\(",
    "datediff": r"\bdatediff\b|\bdate_diff\(",
    "strftime": r"\bstrftime\(",
    "strpos": r"\bstrpos\(",
    "string_agg": r"\b(string_agg|listagg)\(",
    "regexp_replace": r"\bregexp_replace\(",
    "log": r"\blog\(",
    "hash": r"\bhash\(",
    "day of the week": r"\bextract\s*\(\s*dow\b|\bdayofweek\(",
    "unnest": r"\bunnest\(",
    "generate_series": r"\bgenerate_series\(",
    "exclude": r"\*\s*exclude\s*\(",
    "asof": r"\basof\b",
    "semi join": r"\bsemi\s+join\b",
    "arg_max": r"\b(arg_max|arg_min)\(",
    "try_cast": r"\btry_cast\(",
    "cast by colons": r"::",
    # Parquet tables on Spark know no delete: the macros delete_where and delete_touched
    "delete": r"\bdelete\s+from\b",
    # Spark's has the name sha2 and the length as an argument: the macro digest
    "sha256": r"\bsha256\(",
    # of İ and of Σ at the end of a word Spark makes other letters: the macro lowered
    "lower": r"\blower\(",
    # Spark takes no frame there, and the frame of a named window is not seen
    "lead and lag over a named window": r"\b(lead|lag)\([^()]*\)\s*over\s+(?!\()",
    # whole numbers become doubles on both, decimals become decimals with few digits on Spark
    "division by a decimal": r"/\s*\d+\.\d",
    # of decimals a decimal with few digits on Spark, of doubles whatever order they were added in: the macro average;
    # over a window there is one order
    "avg": r"\bavg\((?![^()]*(\([^()]*\))?[^()]*\)\s*over\b)",
    "now": r"\b(now\(|current_date\b|current_timestamp\b|today\(|random\()",
}


def code(path: Path) -> str:
    """The file without comments."""
    text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"--[^\n]*", "", text).lower()


def sql(path: Path) -> str:
    """The file without comments and without Jinja; hooks in a config hold Jinja within Jinja."""
    text = re.sub(r"\{\{ config\(.*?\) \}\}\n", "", code(path), flags=re.DOTALL)
    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " jinja ", text, flags=re.DOTALL)


def documents(pattern: str) -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(PROJECT.glob(pattern))]


def short(path: Path) -> str:
    return str(path.relative_to(PROJECT))


@pytest.mark.parametrize("name", BANNED)
def test_nothing_banned_outside_macros(name: str) -> None:
    assert [short(path) for path in SQL if re.search(BANNED[name], code(path))] == []


def test_rows_of_unit_tests_name_the_numbers_of_a_range() -> None:
    """The column is called range on DuckDB and id on Spark."""
    given = [
        rows["rows"]
        for document in documents("models/**/*__unit_tests.yml")
        for test in document["unit_tests"]
        for rows in (*test["given"], test["expect"])
        if rows.get("format") == "sql"
    ]
    assert any("range(" in rows for rows in given)
    assert [rows for rows in given if re.search(r"\brange\([^()]*\)(?! as \w+ \(\w+\))", rows)] == []


def test_no_rule_negates_a_search_in_a_query() -> None:
    """Null could be among them: Spark then compares every row with every other, where DuckDB hashes both."""
    rules = [
        rule
        for document in documents("models/**/_*.yml")
        for table in (*document.get("models", []), *(t for s in document.get("sources", []) for t in s["tables"]))
        for test in table.get("data_tests", [])
        if isinstance(test, dict)
        for rule in test.get("rows_are_valid", {}).get("arguments", {}).get("rules", [])
    ]
    assert any(re.search(r"\bin \(select\b", rule) for rule in rules)
    assert [
        rule for rule in rules if re.search(r"\bnot\s+in\s*\(\s*select\b|\bnot\s*\(.*\bin\s*\(\s*select\b", rule)
    ] == []
    judged = code(PROJECT / "macros" / "tests" / "rows_are_valid.sql")
    assert re.findall(r"\bnot (?!null\b)(?!coalesce\()", judged) == []


def test_nothing_is_inlined_on_spark() -> None:
    """Planning a query costs Spark more than its rows, and grows faster than the query: a part of one is a table."""
    told = "materialized='table' if target.type == 'spark' else 'ephemeral'"
    inlined = [path for path in MODELS if "ephemeral" in code(path)]
    assert [short(path) for path in inlined if told not in code(path)] == []


def test_no_double_quoted_identifiers() -> None:
    assert [short(path) for path in SQL if '"' in sql(path)] == []


def _arguments(text: str, function: str) -> list[list[str]]:
    """What stands between the parentheses of every call, split at its own commas."""
    calls = []
    for start in re.finditer(rf"\b{function}\(", text):
        depth, end, arguments = 1, start.end(), [""]
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            if depth == 1 and text[end] == ",":
                arguments.append("")
            elif depth:
                arguments[-1] += text[end]
            end += 1
        calls.append(arguments)
    return calls


def test_nothing_is_rounded_to_decimals_but_by_the_macro() -> None:
    """Spark rounds the shortest text of a double, DuckDB the double: 1.005 becomes 1.01 or 1.00."""
    calls = {short(path): _arguments(code(path), "round") for path in [*SQL, *MACROS]}
    assert {name for name, rounded in calls.items() if any(len(call) > 1 for call in rounded)} == set()


def test_no_query_both_groups_and_qualifies() -> None:
    """Spark takes the ranking for an aggregation: rank what a query before it has grouped."""
    both = [short(path) for path in MODELS if re.search(r"\bgroup by\b(?:(?!\bselect\b)[^()])*\bqualify\b", sql(path))]
    assert both == []


def test_every_division_is_guarded() -> None:
    """By `nullif`, or by a constant other than 0."""
    divisors = re.compile(r"/\s*(?!nullif\(|[1-9])\S+")
    # ranks and counts of rows that exist
    allowed = {"models/marts/sales/product_trends.sql": ["/ (p_rank"]}
    found = {short(path): divisors.findall(sql(path)) for path in MODELS}
    assert {name: hits for name, hits in found.items() if hits and hits != allowed.get(name)} == {}


def _windows(text: str) -> list[str]:
    """What stands between the parentheses of every window."""
    windows = []
    for start in re.finditer(r"\bover\s*\(|\bwindow\s+\w+\s+as\s*\(", text):
        depth, end = 1, start.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        windows.append(text[start.end() : end - 1])
    return windows


def test_every_window_says_where_nulls_go() -> None:
    silent = []
    for path in MODELS:
        for window in _windows(sql(path)):
            _, _, order = window.partition("order by")
            keys = re.split(r"\b(?:rows|range)\s+between\b", order)[0]
            flat = re.sub(r"\([^()]*\)", "", keys)
            silent += [(short(path), key.strip()) for key in flat.split(",") if key.strip() and "nulls " not in key]
    assert silent == []


def test_every_ranking_window_is_ordered() -> None:
    unordered = [
        short(path)
        for path in MODELS
        if re.search(r"\b(row_number|rank|dense_rank|percent_rank|ntile)\(\)\s*over\s*\((?![^)]*order by)", sql(path))
        or re.search(r"\b(lag|lead|first_value|last_value)\([^()]*\)\s*over\s*\((?![^)]*order by)", sql(path))
    ]
    assert unordered == []


def test_only_staging_reads_sources() -> None:
    reading = {path for path in MODELS if re.search(r"\{\{\s*source\(", code(path))}
    staging = {path for path in MODELS if path.parts[-3] == "staging"}
    assert reading == staging


def test_staging_does_not_join() -> None:
    assert [short(path) for path in MODELS if path.parts[-3] == "staging" and " join " in sql(path)] == []


def test_nothing_reads_the_truth() -> None:
    assert [short(path) for path in [*SQL, *MACROS] if "truth" in code(path)] == []


def test_file_names_follow_the_grammar() -> None:
    wrong = []
    for path in MODELS:
        room = path.relative_to(PROJECT / "models").parts
        pattern = {"staging": rf"stg_{room[1]}__[a-z_]+", "intermediate": r"int_[a-z]+__[a-z]+"}.get(
            room[0], r"(?!stg_|int_)[a-z0-9_]+"
        )
        if not re.fullmatch(pattern, path.stem):
            wrong.append(short(path))
    assert wrong == []


def test_yaml_is_named_after_its_folder() -> None:
    wrong = [
        short(path)
        for path in PROJECT.glob("models/**/*.yml")
        if not re.fullmatch(rf"_{path.parent.name}__(models|sources|unit_tests|exposures|groups)\.yml", path.name)
    ]
    assert wrong == []


def test_every_model_is_described_beside_its_sql() -> None:
    described = {
        (path.parent, model["name"])
        for path in PROJECT.glob("models/**/*__models.yml")
        for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
        if model.get("description")
    }
    assert described == {(path.parent, path.stem) for path in MODELS}


def test_every_column_above_staging_is_described() -> None:
    undescribed = [
        f"{model['name']}.{column['name']}"
        for room in ("intermediate", "marts", "insights")
        for document in documents(f"models/{room}/**/*__models.yml")
        for model in document["models"]
        for column in model["columns"]
        if not column.get("description")
    ]
    assert undescribed == []


def test_published_marts_have_enforced_contracts() -> None:
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text(encoding="utf-8"))["models"]["customer_pulse"]
    for room in ("marts", "insights"):
        assert project[room]["+contract"] == {"enforced": True}
    loose = [short(path) for path in MODELS if "contract" in code(path)]
    typeless = [
        f"{model['name']}.{column['name']}"
        for room in ("marts", "insights")
        for document in documents(f"models/{room}/**/*__models.yml")
        for model in document["models"]
        for column in model["columns"]
        if not column.get("data_type")
    ]
    assert (loose, typeless) == ([], [])


def test_one_macro_a_file_named_after_it_and_described() -> None:
    described = {macro["name"] for document in documents("macros/_*.yml") for macro in document["macros"]}
    names = set()
    for path in MACROS:
        kinds = re.findall(r"\{%-?\s*(macro|test|materialization)\s+(\w+)", code(path))
        own = [f"test_{name}" if kind == "test" else name for kind, name in kinds if "__" not in name]
        implementations = [name for _, name in kinds if "__" in name]
        # beside it only its implementations by engine; or those alone, of a macro that is dbt's own
        assert all(name.endswith(f"__{path.stem}") for name in implementations)
        assert [name.removeprefix("test_") for name in own] == [path.stem] or (implementations and not own)
        names |= set(own) - {name for kind, name in kinds if kind == "materialization"}
    assert described == names


DISPATCHED = [path.stem for path in MACROS if "adapter.dispatch(" in code(path)]


def test_every_dispatched_macro_is_written_for_both_engines() -> None:
    written = {name for path in MACROS for name in re.findall(r"macro\s+(\w+__\w+)", code(path))}
    assert DISPATCHED
    assert {f"{engine}__{name}" for engine in ("duckdb", "spark") for name in DISPATCHED} - written == set()


def test_every_dispatched_macro_has_a_unit_test() -> None:
    """In a model that has one, or in a macro that such a model uses."""
    tested = {test["model"] for document in documents("models/**/*__unit_tests.yml") for test in document["unit_tests"]}
    used = " ".join(code(path) for path in MODELS if path.stem in tested)
    macros = " ".join(code(path) for path in MACROS if f"{path.stem}(" in used)
    assert [name for name in DISPATCHED if f"{name}(" not in used + macros.replace(f"macro {name}(", "")] == []
