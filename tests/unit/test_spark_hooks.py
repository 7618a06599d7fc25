"""What dbt's hooks do before a build on Spark, as far as it can be told without one: whose schemas, which tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dbt_common.clients.jinja import get_environment

from orchestration.spark.scoring import path_of
from tests.conftest import ROOT

ENGINE = ("path_of", "folder_of", "quoted", "stored_in", "create_schema_statement", "in_turn", "is_whole")


class RefusedError(Exception):
    """A macro that ends dbt."""


class _ReturnedError(Exception):
    """How a macro that returns something is left."""


def _return(value: Any) -> None:
    raise _ReturnedError(value)


def _refuse(message: str) -> None:
    raise RefusedError(message)


class Spark:
    """A server that has a home's files and a catalog in mind, and what dbt knows about both.

    Args:
        home: PULSE_DATA_DIR as it is set.
        location: Where it says that the schema lies.
        reads: Models that the one that is built reads.
    """

    def __init__(self, home: str, location: str = "", reads: tuple[str, ...] = ()) -> None:
        self.home = home
        self.location = location
        self.asked: list[str] = []
        self.nodes = {
            name: {
                "schema": "pulse_marts",
                "alias": name.removeprefix("model.pulse."),
                "config": {"materialized": "table"},
                "depends_on": {"nodes": [f"model.pulse.{each}" for each in reads]},
            }
            for name in ("model.pulse.report", *(f"model.pulse.{each}" for each in reads))
        }

    def run(self, macro: str) -> list[str]:
        """Run a hook.

        Returns:
            The tables that the catalog was told of.
        """
        told: list[str] = []
        context: dict[str, Any] = {
            "execute": True,
            "target": SimpleNamespace(type="spark", schema="pulse_marts"),
            "flags": SimpleNamespace(WHICH="build"),
            "modules": SimpleNamespace(re=re),
            "exceptions": SimpleNamespace(raise_compiler_error=_refuse),
            "env_var": lambda name, default: self.home if name == "PULSE_DATA_DIR" else default,
            "return": _return,
            "run_query": self.query,
            "graph": SimpleNamespace(nodes=self.nodes),
            "selected_resources": ["model.pulse.report"],
            "adapter": SimpleNamespace(get_relation=lambda *_: None, cache_added=told.append),
            "api": SimpleNamespace(Relation=SimpleNamespace(create=lambda identifier, **_: identifier)),
        }
        for name in ENGINE:
            context[name] = _macro("engine", name, context)
        _macro("hooks", macro, context)()
        return told

    def query(self, statement: str) -> Any:
        """What Spark answers."""
        self.asked.append(statement)
        if statement.startswith("describe schema"):
            return SimpleNamespace(rows=[("Namespace Name", "pulse_marts"), ("Location", self.location)])
        if planned := re.fullmatch(r"explain select \* from text\.`(.+)`", statement):
            is_there = Path(planned[1]).exists()
            return _column("== Physical Plan ==\nFileScan text" if is_there else "[PATH_NOT_FOUND] Path does not exist")
        if "binaryFile" in statement:
            folders = {file.parent for file in Path(self.home).glob("spark/*/*/*.parquet")}
            return _column(*(f"{folder.parent.name}/{folder.name}" for folder in folders))
        return None


def _column(*values: str) -> Any:
    return SimpleNamespace(columns=[SimpleNamespace(values=lambda: values)])


def _macro(folder: str, name: str, context: dict[str, Any]) -> Callable[..., Any]:
    """A macro as dbt's own Jinja makes it."""
    text = (ROOT / "dbt_project" / "macros" / folder / f"{name}.sql").read_text(encoding="utf-8")
    macro = getattr(get_environment().from_string(text).make_module(context), f"dbt_macro__{name}")

    def call(*arguments: Any) -> Any:
        try:
            return macro(*arguments)
        except _ReturnedError as returned:
            return returned.args[0]

    return call


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("/data/spark/marts", "/data/spark/marts"),
        ("file:/mnt/data/spark/marts", "/mnt/data/spark/marts"),
        ("file:///data/spark/marts", "/data/spark/marts"),
        ("file://host/data/spark/marts/", "/data/spark/marts"),
        ("hdfs://name-node:9000/data//spark/marts", "/data/spark/marts"),
        ("s3a://bucket/data/spark/marts", "/data/spark/marts"),
        ("//data/./other/../spark/marts/", "/data/spark/marts"),
        ("/../data/a:/b c/it's", "/data/a:/b c/it's"),
        # Spark tells an address, in which a path's own percent sign is one as well
        ("file:/srv/my%20home%20é/100%25/%7Ba%7D", "/srv/my home é/100%/{a}"),
        ("/srv/my home é/100%/20%20", "/srv/my home é/100%/20%20"),
        ("/", "/"),
        ("hdfs://host", "/"),
    ],
)
def test_a_place_has_one_name_on_both_sides(place: str, path: str) -> None:
    assert path_of(place) == path
    assert _macro("engine", "path_of", {"modules": SimpleNamespace(re=re)})(place) == path


@pytest.mark.parametrize("home", ["/data", "/data/", "/data//", "/srv/../data", "hdfs://host:9000/data"])
@pytest.mark.parametrize("location", ["file:/data/spark/marts", "hdfs://host:9000/data/spark/marts/"])
def test_dbt_builds_into_the_schemas_of_its_home(home: str, location: str) -> None:
    spark = Spark(home, location)
    spark.run("require_own_schemas")
    assert len(spark.asked) == 2


@pytest.mark.parametrize("location", ["file:/mnt/data/spark/marts", "file:/data/spark/marts2", "file:/spark/marts"])
def test_dbt_refuses_the_schemas_of_another_home_however_alike(location: str) -> None:
    with pytest.raises(RefusedError, match=rf"lies in {location}, not in /data/spark/marts\. .*PULSE_SPARK_PREFIX"):
        Spark("/data", location).run("require_own_schemas")


def test_a_catalog_is_told_of_whole_tables_only(tmp_path: Path) -> None:
    for name in ("whole", "half"):
        folder = tmp_path / "spark" / "marts" / name
        folder.mkdir(parents=True)
        (folder / "part-0.parquet").touch()
    (tmp_path / "spark" / "marts" / "whole" / "_SUCCESS").touch()
    spark = Spark(str(tmp_path), reads=("whole", "half", "never_built"))
    assert spark.run("find_built_tables") == ["whole"]
    created = [statement for statement in spark.asked if statement.startswith("create table")]
    assert created == [f"create table pulse_marts.whole using parquet location '{tmp_path}/spark/marts/whole'"]
