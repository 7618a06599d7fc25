"""Fixtures: Spark on this machine, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.settings import Settings
from tests.spark.worlds import spark_servers, unavailable


@pytest.fixture(scope="session", autouse=True)
def _spark_can_be_tried() -> None:
    if why := unavailable():
        pytest.skip(why)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A Connect server with two local threads."""
    with spark_servers(tmp_path_factory.mktemp("server"), "local") as settings:
        yield settings


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A Connect server on a master with two workers."""
    with spark_servers(tmp_path_factory.mktemp("cluster"), "cluster") as settings:
        yield settings
