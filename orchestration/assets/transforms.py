"""The dbt models as assets, in two stages: the marts, and the insights that also read the ml tables.

One dbt invocation a stage: starting dbt costs more than most models.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
from dagster_dbt import dbt_assets

from orchestration.dbt import Dbt, PulseTranslator
from orchestration.settings import Settings

_INSIGHTS = "tag:insights source:ml.*"


def build_dbt_assets(settings: Settings, manifest: Mapping[str, Any]) -> list[dg.AssetsDefinition]:
    """The two stages of the dbt project."""

    @dbt_assets(
        manifest=manifest, name="marts", select="fqn:*", exclude=_INSIGHTS, dagster_dbt_translator=PulseTranslator()
    )
    def marts(context: dg.AssetExecutionContext, dbt: Dbt) -> Iterator[Any]:
        yield from dbt.build(context, manifest, full_refresh=settings.full_refresh)

    @dbt_assets(manifest=manifest, name="insights", select=_INSIGHTS, dagster_dbt_translator=PulseTranslator())
    def insights(context: dg.AssetExecutionContext, dbt: Dbt) -> Iterator[Any]:
        yield from dbt.build(context, manifest, full_refresh=settings.full_refresh)

    return [marts, insights]
