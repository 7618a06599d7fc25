"""The house rules for SQL that a text search can check: what runs on DuckDB here runs on Spark elsewhere."""

import csv
import re
from collections.abc import Iterator
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
    # of a missing part DuckDB leaves out the part, Spark everything: || with coalesce
    "concat": r"\bconcat\(",
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


def _without_jinja(text: str) -> str:
    return re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " jinja ", text, flags=re.DOTALL)


def sql(path: Path) -> str:
    """The file without comments and without Jinja; hooks in a config hold Jinja within Jinja."""
    text = re.sub(r"\{\{ config\(.*?\) \}\}\n", "", code(path), flags=re.DOTALL)
    return _without_jinja(text)


def documents(pattern: str) -> list[dict[str, Any]]:
    return [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(PROJECT.glob(pattern))]


def short(path: Path) -> str:
    return str(path.relative_to(PROJECT))


SQL_KEYS = {"rules", "key", "expression", "to_expression", "to", "filter", "to_filter", "rows"}
"""What of a YAML file dbt makes queries of: arguments of data tests, rows of unit tests."""


def _sql_in(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _sql_in(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _sql_in(inner, key)
    elif isinstance(value, str) and key in SQL_KEYS:
        yield key, value.lower()


IN_YAML = [
    (short(path), key, text)
    for folder in ("models", "seeds")
    for path in sorted(PROJECT.glob(f"{folder}/**/_*.yml"))
    for key, text in _sql_in(yaml.safe_load(path.read_text(encoding="utf-8")))
]
"""File, key and text of every piece of SQL in a YAML file."""

# An engine's own SQL, and what makes statements of hooks and says where tables lie.
NEUTRAL_MACROS = [
    path
    for path in MACROS
    if "macro duckdb__" not in code(path) and path.parent.name not in {"engine", "hooks", "incremental"}
]
PORTABLE = [
    *((short(path), code(path)) for path in SQL),
    *((short(path), code(path)) for path in NEUTRAL_MACROS if path not in SQL),
    *((f"{name}: {text}", text) for name, _, text in IN_YAML),
]
"""Name and text of all SQL that both engines are given as it is; what stands within Jinja belongs to it."""


def test_sql_in_yaml_is_found() -> None:
    assert {key for _, key, _ in IN_YAML} == SQL_KEYS
    assert {name.split("/")[0] for name, _, _ in IN_YAML} == {"models", "seeds"}
    assert [text for _, _, text in IN_YAML if "cast(" in text]


@pytest.mark.parametrize("name", BANNED)
def test_nothing_banned_outside_macros(name: str) -> None:
    assert [short(path) for path in SQL if re.search(BANNED[name], code(path))] == []
    assert [(path, text) for path, _, text in IN_YAML if re.search(BANNED[name], text)] == []


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
    assert [text for _, _, text in IN_YAML if '"' in _without_jinja(text)] == []


def _enclosed(text: str, start: int) -> tuple[list[str], int]:
    """What stands between a parenthesis and that which closes it, split at its own commas; and where it ends.

    Args:
        text: A query.
        start: The place after the parenthesis.
    """
    depth, end, parts = 1, start, [""]
    while depth:
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if depth == 1 and text[end] == ",":
            parts.append("")
        elif depth:
            parts[-1] += text[end]
        end += 1
    return parts, end


def _arguments(text: str, function: str) -> list[list[str]]:
    """What stands between the parentheses of every call."""
    return [_enclosed(text, start.end())[0] for start in re.finditer(rf"\b{function}\(", text)]


def _without(text: str, opening: str) -> str:
    """A text without what begins with a word and a parenthesis, up to that which closes it."""
    while start := re.search(rf"\b(?:{opening})\s*\(", text):
        text = text[: start.start()] + text[_enclosed(text, start.end())[1] :]
    return text


def test_an_expression_is_taken_apart() -> None:
    assert _arguments("f(a, g(b, c)) + f()", "f") == [["a", " g(b, c)"], [""]]
    assert _without("sum(x) over (order by (y)) + round(z, 1)", "over|round") == "sum(x)  + "


def test_nothing_is_rounded_to_decimals_but_by_the_macro() -> None:
    """Spark rounds the shortest text of a double, DuckDB the double: 1.005 becomes 1.01 or 1.00."""
    texts = [*((short(path), code(path)) for path in [*SQL, *MACROS]), *PORTABLE]
    assert {name for name, text in texts if any(len(call) > 1 for call in _arguments(text, "round"))} == set()


COLUMNS = [
    column
    for pattern in ("*__models.yml", "*__sources.yml")
    for document in documents(f"models/**/{pattern}")
    for table in (*document.get("models", []), *(t for s in document.get("sources", []) for t in s["tables"]))
    for column in table.get("columns", [])
    if "data_type" in column
]


def test_no_fraction_is_cast_to_a_whole_number() -> None:
    """DuckDB rounds it, Spark cuts it off: by `round` or `floor`, before the cast."""
    fractions = {column["name"] for column in COLUMNS if column["data_type"].startswith(("double", "decimal"))}
    found, seen = [], 0
    for name, text in PORTABLE:
        for arguments in _arguments(text, "cast"):
            cast = re.fullmatch(
                r"(.*)\s+as\s+(?:bigint|integer|int|smallint|tinyint)\s*", ",".join(arguments), re.DOTALL
            )
            if cast:
                seen += 1
                value = re.sub(
                    r"\bwhen\b.*?\bthen\b", "", _without(cast[1], "round|floor|over|filter"), flags=re.DOTALL
                )
                if (
                    re.search(
                        r"/|\d\.\d|\b(ratio|rounded|average|avg|minutes_between|money)\(|\bas (double|decimal)", value
                    )
                    or set(re.findall(r"\w+", value)) & fractions
                ):
                    found.append((name, cast[1]))
    assert seen > 100
    assert found == []


def test_types_of_contracts_are_of_both_engines() -> None:
    """A timestamp is one without zone on Spark as well, as long as the profile says so."""
    known = {"string", "bigint", "double", "date", "boolean", "timestamp"}
    declared = {column["data_type"] for column in COLUMNS} | {
        kind
        for seed in documents("seeds/_*.yml")[0]["seeds"]
        for kind in seed.get("config", {}).get("column_types", {}).values()
    }
    assert {kind for kind in declared - known if not re.fullmatch(r"decimal\(\d+, ?\d+\)", kind)} == set()
    profile = yaml.safe_load((PROJECT / "profiles.yml").read_text(encoding="utf-8"))["customer_pulse"]["outputs"]
    assert profile["spark"]["server_side_parameters"]["spark.sql.timestampType"] == "TIMESTAMP_NTZ"


def test_doubles_are_rounded_where_they_are_published() -> None:
    """By a macro, or in the model that they come from: that those are, the data tells (test_build)."""
    found, seen = [], 0
    for path in MODELS:
        if path.relative_to(PROJECT / "models").parts[0] in {"marts", "insights"}:
            published = re.split(r"^select\b", code(path), flags=re.MULTILINE)[-1]
            for arguments in _arguments(published, "cast"):
                value, is_double, _ = ",".join(arguments).rstrip().rpartition(" as double")
                if is_double:
                    seen += 1
                    rest = re.sub(r"\bwhen\b.*?\bthen\b", "", _without(value, "rounded|ratio"), flags=re.DOTALL)
                    if re.search(r"[^\w\s.{}]", rest):
                        found.append((short(path), value))
    assert seen > 100
    assert found == []


def test_no_query_both_groups_and_qualifies() -> None:
    """Spark takes the ranking for an aggregation: rank what a query before it has grouped."""
    both = [short(path) for path in MODELS if re.search(r"\bgroup by\b(?:(?!\bselect\b)[^()])*\bqualify\b", sql(path))]
    assert both == []


def test_every_division_is_guarded() -> None:
    """By `nullif`, or by a constant other than 0."""
    divisors = re.compile(r"(?<!/)/\s*(?!/|nullif\(|[1-9])\S+")
    allowed = {
        # ranks and counts of rows that exist
        "models/marts/sales/product_trends.sql": ["/ (p_rank"],
        # 1 and what is not negative; a power of ten
        "macros/numbers/normal_two_sided_p.sql": ["/ (1.0"],
        "macros/numbers/rounded.sql": ["/ {{"],
    }
    found = {name: divisors.findall(text) for name, text in PORTABLE}
    assert {name: hits for name, hits in found.items() if hits} == allowed


def _order_keys(text: str) -> list[list[str]]:
    """The keys of every `order by`, in a window or not."""
    orders = []
    for start in re.finditer(r"\border by\b", text):
        # up to the parenthesis around it, which the end of a text closes as well
        keys = ",".join(_enclosed(text + ")" * (text.count("(") + 1), start.end())[0])
        keys = re.split(r"\b(?:rows|range)\s+between\b|\blimit\b", keys)[0]
        orders.append([key.strip() for key in _enclosed(keys + ")", 0)[0]])
    return orders


def test_every_order_says_where_nulls_go() -> None:
    orders = [(name, keys) for name, text in PORTABLE for keys in _order_keys(text)]
    assert len(orders) > 30
    assert [(name, key) for name, keys in orders for key in keys if not re.search(r"\bnulls (first|last)$", key)] == []


def _windows(text: str) -> list[tuple[str, str]]:
    """Every window as it stands after `over`, by name or in parentheses, with the function before it."""
    named = {
        start[1]: ",".join(_enclosed(text, start.end())[0])
        for start in re.finditer(r"\bwindow\s+(\w+)\s+as\s*\(", text)
    }
    windows = []
    for start in re.finditer(r"\)\s*over\s*(?:\(|(\w+))", text):
        before = _function(text, start.start())
        window = named[start[1]] if start[1] else ",".join(_enclosed(text, start.end())[0])
        windows.append((before, window))
    return windows


def _function(text: str, closing: int) -> str:
    """The function whose parenthesis closes at a place; of `f(x) filter (where y)` that before the filter."""
    depth, start = 1, closing
    while depth:
        start -= 1
        depth += {")": 1, "(": -1}.get(text[start], 0)
    before = text[:start].rstrip()
    if before.endswith("filter"):
        return _function(text, before.removesuffix("filter").rstrip().rindex(")"))
    return re.findall(r"\w+$", before)[0]


# What tells the rows of a query apart and is the key of no table.
KEYS_WITHIN_QUERIES = {
    ("calendar_date",): "days of a calendar",
    ("cutoff_date",): "days with scores, each once",
    ("customer_id", "sold_on"): "rows grouped by both",
    ("customer_id", "signal"): "signals that fired, each once a customer",
    ("customer_id", "offer_type", "discount_rate"): "offers; offer_options has none twice",
    ("product_id", "other_id"): "pairs, from either side",
    ("kind", "finding"): "alert_id is made of both",
    ("kind", "place"): "the findings of a kind are numbered",
    ("kind", "series", "stretch_starts_on"): "days in a row",
}


def test_every_window_orders_rows_in_one_way() -> None:
    """Its keys hold a tested key with the last of them in it; but where equals are equal: ranks, sums over a range."""
    tested = {
        tuple(re.sub(r"^coalesce\((\w+).*", r"\1", column) for column in key)
        for folder in ("models", "seeds")
        for path in sorted(PROJECT.glob(f"{folder}/**/_*.yml"))
        for key in _keys(yaml.safe_load(path.read_text(encoding="utf-8")))
    }
    found, seen, needed = [], 0, set()
    for name, text in PORTABLE:
        for function, window in _windows(text):
            tells_apart = function in {"row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value"}
            if "order by" in window and (tells_apart or re.search(r"\brows\s+between\b", window)):
                seen += 1
                parts = window.partition("order by")[0].replace("partition by", "")
                keys = [re.sub(r"\s+(asc|desc)?\s*nulls (first|last)$", "", key) for key in _order_keys(window)[0]]
                columns = [key.strip().rpartition(".")[2] for key in (*parts.split(","), *keys)]
                if not any(_is_held(key, columns) for key in tested):
                    within = {key for key in KEYS_WITHIN_QUERIES if _is_held(key, columns)}
                    needed |= within
                    found += [] if within else [(name, columns)]
    assert seen > 25
    assert found == []
    assert needed == set(KEYS_WITHIN_QUERIES)


def _is_held(key: tuple[str, ...], columns: list[str]) -> bool:
    """Whether columns, some with a word before their names, hold a key, and the last of them belongs to it."""
    fits = [[column for column in columns if re.fullmatch(rf"(\w+_)?{each}", column)] for each in key]
    return all(fits) and any(columns[-1] in fitting for fitting in fits)


def _keys(value: Any, column: str = "") -> Iterator[list[str]]:
    """The columns of every tested key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "primary_key":
                yield [column]
            elif name == "key":
                yield inner
            elif name == "unique_combination":
                yield inner["arguments"]["columns"]
            else:
                yield from _keys(inner, value.get("name", column) if name == "data_tests" else column)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner, column)


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


# The test of dbt whose expected rows hang on the macro.
UNIT_TESTS = {
    "add_days": "int_engagement__counted_takes_90_days",
    "add_months": "int_cutoffs__listed_takes_month_ends",
    "as_of": "stg_shop__sales_knows_nothing_after_as_of",
    "days_between": "customer_metrics_counts_orders_and_takes_off_returns",
    "days_from_to": "daily_sales_misses_no_day",
    "digest": "stg_shop__customers_hashes_names",
    "lowered": "stg_shop__customers_hashes_names",
    "minutes_between": "fct_tickets_measures_minutes",
    "months_from_to": "monthly_product_sales_misses_no_month",
    "quintile_cuts": "customer_rfm_scores_a_hand_made_table",
}


def test_every_dispatched_macro_has_a_unit_test() -> None:
    """Of a model that calls it, by itself or through other macros."""
    models = {
        test["name"]: test["model"]
        for document in documents("models/**/*__unit_tests.yml")
        for test in document["unit_tests"]
    }
    assert set(UNIT_TESTS) == set(DISPATCHED)
    queries = {path.stem: code(path) for path in MODELS}
    assert [name for name, test in UNIT_TESTS.items() if not _calls(queries[models[test]], name)] == []


def _calls(text: str, macro: str) -> bool:
    bodies = {path.stem: re.sub(r"\bmacro \w+\(", "", code(path)) for path in MACROS}
    found, waiting = set(), [text]
    while waiting:
        current = waiting.pop()
        called = {name for name in bodies if re.search(rf"\b{name}\(", current)} - found
        found |= called
        waiting += [bodies[name] for name in called]
    return macro in found


# The test of tests/spark/test_macros.py that compares what the macro gives on both engines with what it must be.
SHOWN_ON_BOTH = {
    "add_days": "test_values_of_macros",
    "add_months": "test_values_of_macros",
    "as_of": "test_values_of_macros",
    "days_between": "test_values_of_macros",
    "days_from_to": "test_days_and_months_are_listed",
    "digest": "test_values_of_macros",
    "load_csv_rows": "test_rows_of_a_seed",
    "lowered": "test_values_of_macros",
    "minutes_between": "test_values_of_macros",
    "months_from_to": "test_days_and_months_are_listed",
    "quintile_cuts": "test_cuts_into_fifths",
    "quoted": "test_quoted_texts_are_those_texts",
}
# They say where tables lie and how statements are sent, and give no value of a row.
WITHOUT_VALUES = {
    *("create_schema", "create_schema_statement", "in_turn", "incremental", "location_clause", "schema_named"),
    *("stored_in", "view"),
}


def test_every_macro_that_differs_by_engine_shows_its_values_on_both() -> None:
    """Those of hooks and of incremental models are statements, too."""
    by_engine = {
        path.stem
        for path in MACROS
        if path.parent.name not in {"hooks", "incremental"}
        and re.search(r"adapter\.dispatch\(|target\.type|macro (duckdb|spark)__|adapter='spark'", code(path))
    }
    assert by_engine == set(SHOWN_ON_BOTH) | WITHOUT_VALUES
    shown = (Path(__file__).parents[1] / "spark" / "test_macros.py").read_text(encoding="utf-8")
    assert set(re.findall(r"^def (test_\w+)", shown, re.MULTILINE)) == set(SHOWN_ON_BOTH.values())
    assert [name for name in SHOWN_ON_BOTH if f"{name}(" not in shown] == ["load_csv_rows"]


def test_no_seed_holds_what_dbt_takes_for_a_missing_value() -> None:
    """The word null and blanks are missing where dbt reads the file, on Spark; DuckDB reads it by itself."""
    seeds = {path.name: list(csv.reader(path.open(encoding="utf-8"))) for path in PROJECT.glob("seeds/*.csv")}
    assert len(seeds) > 10
    taken = {
        (name, cell)
        for name, rows in seeds.items()
        for row in rows
        for cell in row
        if cell and cell.strip().lower() in {"", "null"}
    }
    assert taken == set()
