"""Assembles assets, jobs, schedules and resources into one Dagster code location. It contains nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from orchestration.assets.data_profile import build_data_profile
from orchestration.assets.exports import build_export_assets
from orchestration.assets.insights import build_ml_assets
from orchestration.assets.publish import PUBLISHED, build_publish_asset
from orchestration.assets.raw import build_raw_assets
from orchestration.assets.reports import build_report_assets
from orchestration.assets.transforms import build_dbt_assets
from orchestration.automation import build_jobs, build_schedules, build_sensors
from orchestration.dbt import load_manifest
from orchestration.resources import build_resources
from orchestration.settings import Settings

_PUBLISHED_WITH = ("marts", "meta", "ml", "reports", "exports")
"""First parts of the keys of what publish waits for."""


def build_defs(settings: Settings, resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The whole pipeline of one home.

    Args:
        settings: The settings.
        resources: Resources by name that replace the usual ones.
    """
    manifest = load_manifest(settings)
    raw = build_raw_assets(settings)
    assets = [
        raw,
        *build_dbt_assets(settings, manifest),
        *build_ml_assets(settings, manifest),
        build_data_profile(settings),
        *build_report_assets(settings),
        build_export_assets(settings, manifest),
    ]
    # What is published, and the pages beside it; everything else lies upstream of these or in the same dbt build.
    upstream = sorted({key for each in assets for key in each.keys if key.path[0] in _PUBLISHED_WITH})
    return dg.Definitions(
        assets=[*assets, build_publish_asset(settings, manifest, upstream)],
        jobs=build_jobs(PUBLISHED, dg.AssetSelection.assets(raw)),
        schedules=build_schedules(settings),
        sensors=build_sensors(settings),
        resources={**build_resources(settings), **(resources or {})},
        # DuckDB has one writer, and a process a step would cost more than most steps.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The code location of `workspace.yaml`, with the settings of the environment."""
    return build_defs(Settings.from_environment())
