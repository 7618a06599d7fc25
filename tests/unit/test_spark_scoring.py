"""Scoring elsewhere, as far as it can be told without Spark: samples, names of schemas, batches, what travels."""

from __future__ import annotations

import ast
import io
import zipfile
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from orchestration.samples import Sample
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.spark.scoring import _find, _mapper, _packed, prefixed
from orchestration.spark.session import SparkUnavailableError
from tests.conftest import ROOT


def test_a_sample_is_a_part_of_every_larger_one() -> None:
    import duckdb

    def sampled(most: int) -> set[str]:
        condition = Sample(4_000, most).condition("id")
        query = f"select id from (select 'c' || i as id from range(4000) as t (i)) where {condition}"
        with duckdb.connect() as connection:
            return {row[0] for row in connection.execute(query).fetchall()}

    small, large, everyone = sampled(1_000), sampled(2_000), sampled(4_000)
    assert small < large < everyone
    assert len(small) == pytest.approx(1_000, rel=0.1)
    assert len(everyone) == 4_000
    assert (Sample(4_000, 1_000).share, Sample(10, 1_000).share, Sample(0, 1_000).share) == (0.25, 1.0, 1.0)
    assert Sample(0, 1_000).is_all


def test_schemas_have_their_names_on_spark() -> None:
    query = "select marts.x.y, customer_marts.z from marts.customer_features join ml.churn_scores on my_ml.a = 1"
    assert prefixed(query, "shop_") == (
        "select shop_marts.x.y, customer_marts.z from shop_marts.customer_features "
        "join shop_ml.churn_scores on my_ml.a = 1"
    )


class Catalog:
    """As much of a Spark session as is asked for a schema of another home; it knows of no table."""

    def __init__(self, location: str) -> None:
        self.location = location
        self.catalog = SimpleNamespace(tableExists=lambda _: False)
        self.asked: list[str] = []

    def sql(self, query: str) -> Catalog:
        self.asked.append(query)
        return self

    def collect(self) -> list[tuple[str, str]]:
        return [("Location", self.location)]


def found(settings: Settings, location: str) -> list[str]:
    """What is told to a catalog that knows of the schema and not of its table."""
    catalog = Catalog(location)
    _find(catalog, settings, "marts", "orders")  # type: ignore[arg-type]
    return catalog.asked


@pytest.mark.parametrize("location", ["file:{home}/spark/marts", "hdfs://host:9000/{home}//spark/marts/"])
def test_a_schema_of_this_home_is_its_own(tmp_path: Path, location: str) -> None:
    settings = Settings(home=tmp_path)
    (settings.spark / "marts" / "orders").mkdir(parents=True)
    (settings.spark / "marts" / "orders" / "_SUCCESS").touch()
    assert found(settings, location.format(home=tmp_path))[-1].startswith("create table pulse_marts.orders ")


@pytest.mark.parametrize("location", ["file:/mnt{home}/spark/marts", "{home}/spark/marts/x", "file:/spark/marts"])
def test_a_schema_of_another_home_is_refused_however_alike(tmp_path: Path, location: str) -> None:
    with pytest.raises(SparkUnavailableError, match=r"belongs to another home.* set another PULSE_SPARK_PREFIX"):
        found(Settings(home=tmp_path), location.format(home=tmp_path))


def test_half_a_table_is_not_read(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    folder = settings.spark / "marts" / "orders"
    folder.mkdir(parents=True)
    (folder / "part-0.parquet").touch()
    with pytest.raises(SparkUnavailableError, match=r"marts/orders was not written to its end: `dbt build --select"):
        found(settings, f"file:{tmp_path}/spark/marts")
    # What Python writes is one file, put in place in one step, and nothing beside it.
    catalog = Catalog(f"file:{tmp_path}/spark/ml")
    _find(catalog, settings, "ml", "scores")  # type: ignore[arg-type]
    assert catalog.asked[-1].startswith("create table pulse_ml.scores ")


def bookings(*keys: str) -> list[pd.DataFrame]:
    """One batch a word, one row a letter."""
    return [pd.DataFrame({"key": list(word), "value": range(len(word))}) for word in keys]


@pytest.mark.parametrize(
    ("batches", "seen"),
    [
        (("aab", "bbc", "c"), ["aa", "bbb", "cc"]),
        (("aa", "a", "a"), ["aaaa"]),
        (("a", "b", "c"), ["a", "b", "c"]),
        (("abc", "d"), ["ab", "c", "d"]),
        (("", "aa", ""), ["aa"]),
        (("aa", "", "ab"), ["aaa", "b"]),
        (("",), []),
        ((), []),
    ],
)
def test_a_key_is_never_cut_in_two(batches: tuple[str, ...], seen: list[str]) -> None:
    met: list[str] = []

    def scorer(rows: pd.DataFrame) -> pd.DataFrame:
        met.append("".join(rows["key"]))
        return rows[["key"]].drop_duplicates()

    found = list(_mapper(scorer, [("key", "string")], "key")(iter(bookings(*batches))))
    assert met == seen
    assert "".join(row for frame in found for row in frame["key"]) == "".join(sorted(set("".join(batches))))


def test_what_comes_back_is_typed_as_declared() -> None:
    def scorer(rows: pd.DataFrame) -> pd.DataFrame:
        words = pd.array(["a", None], dtype="string")
        days = pd.Series([np.datetime64("2024-02-29", "s"), np.datetime64("NaT", "s")])
        return pd.DataFrame({"more": rows["key"], "day": days, "word": words, "key": rows["key"]})

    (found,) = _mapper(scorer, [("key", "bigint"), ("word", "string"), ("day", "date")], None)(
        iter([pd.DataFrame({"key": [1, 2]}), pd.DataFrame({"key": []})])
    )
    assert found.to_dict("list") == {"key": [1, 2], "word": ["a", None], "day": [date(2024, 2, 29), None]}


def test_the_package_that_travels_is_the_same_each_time() -> None:
    content = _packed(PROJECT_ROOT / "ml")
    assert content == _packed(PROJECT_ROOT / "ml")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
    assert {"ml/__init__.py", "ml/churn_results.py", "ml/lifetime/scoring.py"} <= set(names)
    assert all(name.startswith("ml/") and name.endswith(".py") for name in names)


def test_pyspark_is_imported_inside_functions_only() -> None:
    for module in [*(ROOT / "orchestration").rglob("*.py"), *(ROOT / "ml").rglob("*.py")]:
        for node in ast.parse(module.read_text("utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("pyspark") for name in names), module
