"""The history of events in a home: what is looked up once stays right."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import text

from orchestration.history import KeptOpenEventLogStorage
from orchestration.instance import open_instance
from orchestration.settings import Settings


def events_of(instance: dg.DagsterInstance) -> KeptOpenEventLogStorage:
    storage = instance.event_log_storage
    assert isinstance(storage, KeptOpenEventLogStorage)
    return storage


def test_a_table_that_is_there_is_looked_up_once_and_one_that_is_not_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(Settings.from_environment({}, home=tmp_path)) as instance:
        storage = events_of(instance)
        assert storage.has_table("asset_keys")
        assert not storage.has_table("to_come")
        assert storage.supports_asset_checks
        with storage.index_connection() as connection:
            connection.execute(text("create table to_come (a)"))
        assert storage.has_table("to_come")
        with storage.index_connection() as connection:
            connection.execute(text("drop table to_come"))
        # Dagster never drops one; this shows that nobody asks the file again.
        assert storage.has_table("to_come")


def test_a_column_that_a_migration_adds_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    with open_instance(Settings.from_environment({}, home=tmp_path)) as instance:
        storage = events_of(instance)
        assert storage.has_asset_key_col("last_materialization_timestamp")
        assert not storage.has_asset_key_col("to_come")
        with storage.index_connection() as connection:
            connection.execute(text("alter table asset_keys add column to_come int"))
        assert storage.has_asset_key_col("to_come")
