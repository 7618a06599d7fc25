"""Jobs and schedules: when the assets are refreshed."""

from __future__ import annotations

import dagster as dg

from orchestration.settings import Settings

REFRESH = "refresh"
PUBLISH = "publish"
RAW = "raw"


def build_jobs(published: dg.AssetKey, raw: dg.AssetSelection) -> list[dg.UnresolvedAssetJobDefinition]:
    """All assets; the raw ones alone; the published file alone."""
    return [
        dg.define_asset_job(REFRESH, dg.AssetSelection.all(), description="Refresh everything and publish it."),
        dg.define_asset_job(RAW, raw, description="Read the source into raw Parquet."),
        dg.define_asset_job(
            PUBLISH, dg.AssetSelection.assets(published), description="Publish what is in the warehouse."
        ),
    ]


def build_schedules(settings: Settings) -> list[dg.ScheduleDefinition]:
    """One refresh a day, in the business's time zone."""
    hour, minute = settings.daily_at.split(":")
    return [
        dg.ScheduleDefinition(
            name="daily_refresh",
            job_name=REFRESH,
            cron_schedule=f"{int(minute)} {int(hour)} * * *",
            execution_timezone=settings.timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Refreshes everything once a day.",
        )
    ]
