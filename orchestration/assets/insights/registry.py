"""The record of all models as an asset."""

import json
from collections.abc import Sequence

import dagster as dg
import pandas as pd

from orchestration.artefacts import load_cards
from orchestration.assets.insights.tables import MlTables
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings


def build_model_runs(settings: Settings, tables: MlTables, models: Sequence[str]) -> dg.AssetsDefinition:
    """`ml.model_runs`: the cards of all models, written after them."""

    @dg.asset(**tables.described("model_runs", list(models)))
    def model_runs(raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        _, refresh = raw.folder.clock()
        runs = [{**run, "metrics": json.dumps(run["metrics"], sort_keys=True)} for run in load_cards(settings.models)]
        frame = pd.DataFrame(runs, columns=tables.names("model_runs"))
        return dg.MaterializeResult(metadata=tables.store(warehouse, "model_runs", frame, refresh))

    return model_runs
