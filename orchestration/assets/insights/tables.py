"""What every ml asset needs: its table as dbt declares it, a row of ml.model_runs, figures and warnings for Dagster."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from orchestration.figures import page_link
from orchestration.preview import preview_markdown
from orchestration.resources import Warehouse
from orchestration.samples import Sample
from orchestration.settings import Settings


class MlTables:
    """The ml tables as dbt's sources declare them.

    Args:
        manifest: dbt's manifest as a dictionary.
        home: The home, where pages speak of the tables.
    """

    def __init__(self, manifest: Mapping[str, Any], home: Path) -> None:
        self._home = home
        self._sources = {
            source["name"]: source for source in manifest["sources"].values() if source["source_name"] == "ml"
        }

    def described(self, table: str, deps: list[str], *kinds: str) -> dict[str, Any]:
        """Arguments of the asset that writes a table.

        Args:
            table: Its name.
            deps: Keys of what it reads, as ``schema.table``.
            *kinds: Further kinds, shown in the UI.
        """
        columns = [dg.TableColumn(name, kind, doc) for name, kind, doc in self._columns(table)]
        return {
            "key": ["ml", table],
            "deps": [dg.AssetKey(dep.split(".")) for dep in deps],
            "description": self._sources[table]["description"],
            "group_name": "ml",
            "owners": ["team:data-science"],
            "kinds": {"python", "duckdb", *kinds},
            "metadata": {"dagster/column_schema": dg.TableSchema(columns=columns)},
        }

    def store(self, warehouse: Warehouse, table: str, frame: pd.DataFrame, refresh: int) -> dict[str, Any]:
        """Replace a table; returns row count, preview and page as metadata."""
        columns = self.typed(table)
        rows = warehouse.replace(f"ml.{table}", columns, frame, refresh)
        page = page_link(self._sources[table]["config"].get("meta", {}), self._home)
        return {"dagster/row_count": rows, "preview": dg.MetadataValue.md(preview_markdown(frame)), **page}

    def names(self, table: str) -> list[str]:
        """A table's columns in order."""
        return [name for name, _, _ in self._columns(table)]

    def typed(self, table: str, *but: str) -> list[tuple[str, str]]:
        """A table's columns with their types in order, without some."""
        return [(name, kind) for name, kind, _ in self._columns(table) if name not in but]

    def _columns(self, table: str) -> list[tuple[str, str, str]]:
        columns = self._sources[table]["columns"].values()
        return [(column["name"], column["data_type"], column["description"]) for column in columns]


def model_run(model: str, version: str, as_of: date, metrics: Mapping[str, Any], messages: list[str]) -> dict[str, Any]:
    """One row of ml.model_runs."""
    return {
        "model": model,
        "version": version,
        "horizon_days": None,
        "as_of": as_of,
        "test_cutoff": None,
        "metrics": dict(metrics),
        "champion": True,
        "notes": " ".join(messages) or None,
    }


def plain_figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The plain numbers among a model's metrics."""
    return {
        name: float(value) if isinstance(value, float) else int(value)
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def warn(context: dg.AssetExecutionContext, messages: list[str]) -> None:
    """Log what a reader of the run must know."""
    for message in messages:
        context.log.warning(message)


def training_sample(settings: Settings, warehouse: Warehouse, rows: str, parameters: Sequence[Any] = ()) -> Sample:
    """What a model is trained on: everything, or on Spark, where others are scored elsewhere, a part.

    Args:
        settings: The settings.
        warehouse: Where the rows are.
        rows: The table, with a condition where not all are meant.
        parameters: Values of its question marks.
    """
    if settings.target != "spark":
        return Sample(0, settings.train_rows)
    count = int(warehouse.read(f"select count(*) as n from {rows}", parameters)["n"].iloc[0])
    return Sample(count, settings.train_rows)
