"""Fixtures: homes built by plain dbt, once for all processes of a run, and left alone by the tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from sources.synthetic import SyntheticSource
from tests.conftest import made_once
from tests.dbt.homes import AS_OF, CUT, PROJECT, STARTS_ON, Dbt, Home, Rows, fill


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dbt]:
    project = tmp_path_factory.mktemp("clone") / "dbt_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs", ".user.yml"))
    yield Dbt(project)
    shutil.rmtree(project)


@pytest.fixture(scope="session")
def synthetic() -> SyntheticSource:
    return SyntheticSource(7, 150, STARTS_ON)


@pytest.fixture(scope="session")
def world(dbt: Dbt, synthetic: SyntheticSource, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A small business with every raw table, built and tested by a plain `dbt build`, with the manifest beside it."""

    def built(home: Path) -> Home:
        fill(home, synthetic, AS_OF)
        done = dbt.build(home)
        shutil.copy(dbt.project / "target" / "manifest.json", home)
        return done

    return made_once(tmp_path_factory, "world", built)


# The unit tests need no second run: they bring their own data.
_MODELS_AND_DATA_TESTS = ("--exclude-resource-type", "unit_test")
_COMPARED = ("fct_sales", "customer_metrics", "daily_sales", "customer_features")
_COMPARED_MODELS = ("--exclude-resource-type", "unit_test", "test", "--select", *(f"+{name}" for name in _COMPARED))


@pytest.fixture(scope="session")
def world_seen_earlier(dbt: Dbt, world: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The raw data of `world`, built for an earlier day."""
    home = tmp_path_factory.mktemp("seen_earlier")
    shutil.copytree(world.path / "raw", home / "raw")
    # its own target folder: other variables would make dbt parse everything anew, twice
    variables = ("--vars", f"as_of: {CUT.isoformat()}", "--target-path", "target_of_earlier")
    return dbt.build(home, *_COMPARED_MODELS, *variables)


@pytest.fixture(scope="session")
def world_that_ended_earlier(dbt: Dbt, synthetic: SyntheticSource, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The same business, of which nothing after that day was ever delivered."""
    home = tmp_path_factory.mktemp("ended_earlier")
    fill(home, synthetic, CUT)
    return dbt.build(home, *_COMPARED_MODELS)


@pytest.fixture(scope="session")
def one_sale(dbt: Dbt, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One customer, one sale, one day; every other table empty."""
    sale = {"sale_id": "s", "customer_id": "c", "sold_at": "2024-05-01 10:00:00", "amount": "9.99"}

    def built(home: Path) -> Home:
        fill(home, Rows({"shop.sales": [sale]}), date(2024, 5, 1))
        return dbt.build(home, *_MODELS_AND_DATA_TESTS)

    return made_once(tmp_path_factory, "one_sale", built)


@pytest.fixture(scope="session")
def activity_only(dbt: Dbt, synthetic: SyntheticSource, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A business that delivers usage and nothing else."""

    def built(home: Path) -> Home:
        fill(home, synthetic, AS_OF, only=["usage.activity"])
        return dbt.build(home, *_MODELS_AND_DATA_TESTS)

    return made_once(tmp_path_factory, "activity_only", built)
