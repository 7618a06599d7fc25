"""The published file: one atomic step from an audited warehouse to what readers open.

Whether publishing is allowed is judged in `orchestration.gate`; how the file is replaced, in the warehouse resource.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.beside import publish_beside
from orchestration.gate import objections, required_by, with_data_checks
from orchestration.modes import share_waiting
from orchestration.resources import RawStore, Warehouse, now
from orchestration.settings import Settings
from orchestration.soundness import note_sound
from orchestration.versions import keep_version

PUBLISHED = dg.AssetKey(["published", "pulse"])
_SHOWN = 8


def build_publish_asset(
    settings: Settings, manifest: Mapping[str, Any], upstream: Sequence[dg.AssetKey]
) -> dg.AssetsDefinition:
    """The published file as an asset that depends on everything it holds.

    Args:
        settings: The settings.
        manifest: dbt's manifest: it names what must be built and which checks block.
        upstream: What lies in the file, and the pages and exports beside it.
    """
    required = with_data_checks(required_by(manifest))
    belonging = frozenset(
        {f"marts.{model}" for model in required.models}
        | {f"ml.{source['name']}" for source in manifest["sources"].values() if source["source_name"] == "ml"}
        | {"meta.refreshes", "meta.builds", "meta.check_results", "meta.incremental_state", "meta.data_profile"}
    )

    @dg.asset(
        key=PUBLISHED,
        deps=list(upstream),
        description="The file that readers open: marts, ml and meta of the last refresh that passed every check.",
        group_name="published",
        owners=["team:data-engineering"],
        kinds={"duckdb"},
    )
    def published(context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        if not raw.folder.exists():
            raise dg.Failure(description="There is nothing to publish yet: run `pulse run`.", allow_retries=False)
        as_of, refresh = raw.folder.clock()
        # After a plain `dbt build` on another engine nobody else has.
        warehouse.catch_up(manifest)
        reasons = objections(
            required,
            warehouse.builds(),
            warehouse.check_results(),
            refresh,
            max(raw.folder.state().batch, warehouse.last_refresh()),
        )
        if reasons:
            more = f"\n  and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
            listed = "".join(f"\n  {reason}" for reason in reasons[:_SHOWN])
            raise dg.Failure(description=f"Not published:{listed}{more}", allow_retries=False)
        for stranger in warehouse.drop_strangers(belonging):
            context.log.warning(f"{stranger} belongs to no model of the project and is dropped.")

        def keep(file: Path) -> None:
            share_waiting(settings.home, refresh)
            keep_version(settings, file, refresh, as_of, now())
            note_sound(settings, file)

        size = warehouse.publish(settings.published, refresh, keep)
        publish_beside(settings.home, refresh)
        tables = warehouse.read(
            """
            select schema_name || '.' || table_name as published_table, estimated_size as row_count
            from duckdb_tables()
            where database_name = 'warehouse' and schema_name in ('marts', 'ml')
            order by 1
            """
        )
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(settings.published),
                "refresh": refresh,
                "as_of": as_of.isoformat(),
                "size_bytes": size,
                "tables": dg.MetadataValue.md(_listing(tables)),
            }
        )

    return published


def _listing(tables: Any) -> str:
    rows = "\n".join(f"| {row.published_table} | {row.row_count:,} |" for row in tables.itertuples(index=False))
    return f"| table | rows |\n|---|---|\n{rows}"
