"""Exports and campaign drafts as assets: one folder of files, put in place by publish.

What an export holds is decided in `orchestration.exports`, what a draft says in `reports.drafts`. Both are made in one
step, because the folder is published as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pandas as pd

from orchestration.beside import EXPORTS
from orchestration.exports import Export, exports, write_export, write_query
from orchestration.preview import markdown_table
from orchestration.published import quoted
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings
from reports.folders import PublishedFolder

TABLES = dg.AssetKey(["exports", "tables"])
DRAFTS = dg.AssetKey(["exports", "drafts"])
NO_SEGMENT = "No order yet"
"""What customers are called who have no segment."""

_DRAFTS = "drafts"
_KINDS = ("csv", "json", "parquet")

RECIPIENTS = """
create or replace temp table recipients as
select
    actions.customer_id,
    actions.action,
    customers.segment,
    actions.offer_type,
    actions.discount_rate,
    actions.valid_until,
    actions.suggested_product_name
from marts.next_best_actions as actions
inner join marts.customer_360 as customers using (customer_id)
-- only who is to be written to: with consent, within the budget, not held back
where actions.is_selected and actions.channel = 'email'
"""
"""Whom drafts are for, and with which offer."""

GROUPS = f"""
with
    grouped as (
        select
            'action' as kind,
            action as about,
            offer_type,
            discount_rate,
            min(valid_until) as valid_until,
            count(*) as recipients
        from recipients
        group by action, offer_type, discount_rate
        union all by name
        select
            'segment' as kind,
            coalesce(segment, '{NO_SEGMENT}') as about,
            offer_type,
            discount_rate,
            min(valid_until) as valid_until,
            count(*) as recipients
        from recipients
        group by segment, offer_type, discount_rate
    )

select
    kind,
    about,
    case when kind = 'action' then upper(about[1]) || replace(about[2:], '_', ' ') else about end as label,
    offer_type,
    discount_rate,
    valid_until,
    recipients
from grouped
order by kind, about, offer_type nulls first, discount_rate nulls first
"""
"""One draft each: who is alike in action or in segment, and is offered the same."""

_WORDINGS = "select offer_type, min(wording) from work.seeds.offer_options group by offer_type"


def build_export_assets(settings: Settings, manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """The folder `exports` of a home.

    Args:
        settings: The settings.
        manifest: dbt's manifest: it names the audiences.
    """
    models = {f"marts.{node['name']}" for node in manifest["nodes"].values() if node["resource_type"] == "model"}
    exported = exports(models)
    drafted_from = {"marts.next_best_actions", "marts.customer_360", "seeds.offer_options"}
    read = sorted({export.table for export in exported} | drafted_from | {"marts.dim_customers"})

    def described(key: dg.AssetKey, description: str, *kinds: str) -> dg.AssetSpec:
        return dg.AssetSpec(
            key,
            deps=[dg.AssetKey(table.split(".")) for table in read],
            description=description,
            group_name="exports",
            owners=["team:analytics-engineering"],
            kinds=set(kinds),
        )

    @dg.multi_asset(
        name="exports",
        specs=[
            described(TABLES, "Intent, scores, segments, actions, offers, alerts and audiences as files.", *_KINDS),
            described(DRAFTS, "E-mails to those whom the actions select, by action and by segment: drafts.", "html"),
        ],
    )
    def export_files(raw: RawStore, warehouse: Warehouse) -> Iterator[dg.MaterializeResult]:
        as_of, refresh = raw.folder.clock()
        place = PublishedFolder(settings.home, EXPORTS)
        folder = place.begin(refresh)
        with warehouse.connect() as connection:
            files = [_written(connection, export, folder, settings) for export in exported]
            about = {
                "refresh": refresh,
                "as_of": as_of.isoformat(),
                "personal_data": settings.export_personal_data,
                "exports": files,
            }
            (folder / "exports.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
            yield dg.MaterializeResult(
                asset_key=TABLES,
                metadata={
                    "folder": dg.MetadataValue.path(place.published),
                    "personal_data": settings.export_personal_data,
                    "rows": sum(file["rows"] for file in files),
                    "size_bytes": sum(file.stat().st_size for file in folder.iterdir()),
                    "files": dg.MetadataValue.md(
                        markdown_table(
                            ("export", "rows", "holds"),
                            ((file["name"], f"{file['rows']:,}", file["description"]) for file in files),
                        )
                    ),
                },
            )
            yield _drafted(connection, folder / _DRAFTS, settings, as_of=as_of, refresh=refresh)

    return export_files


def _written(connection: duckdb.DuckDBPyConnection, export: Export, folder: Path, settings: Settings) -> dict[str, Any]:
    """Write an export in every format; returns what exports.json says of it."""
    rows = 0
    columns: list[str] = []
    for file_format in settings.formats_exported:
        target = folder / f"{export.name}.{file_format}"
        rows, columns = write_export(connection, export, target, file_format, personal=settings.export_personal_data)
    return {
        "name": export.name,
        "description": export.description,
        "rows": rows,
        "columns": columns,
        "files": [f"{export.name}.{file_format}" for file_format in settings.formats_exported],
    }


def _drafted(
    connection: duckdb.DuckDBPyConnection, folder: Path, settings: Settings, *, as_of: date, refresh: int
) -> dg.MaterializeResult:
    """Write the drafts, whom they go to, and the page that shows them."""
    from reports.drafts import draft_letters, drafts_page

    folder.mkdir()
    connection.execute(RECIPIENTS)
    groups = connection.execute(GROUPS).df()
    wordings = dict(connection.execute(_WORDINGS).fetchall())
    drafts = draft_letters(groups, wordings, settings.business_name)
    for draft, group in zip(drafts, groups.itertuples(index=False), strict=True):
        (folder / f"{draft.name}.html").write_text(draft.html, encoding="utf-8")
        (folder / f"{draft.name}.txt").write_text(f"Subject: {draft.subject}\n\n{draft.text}", encoding="utf-8")
        write_query(connection, recipients_of(group, settings), folder / f"{draft.name}.csv", "csv")
    page = drafts_page(drafts, as_of, refresh)
    (folder / "index.html").write_text(page, encoding="utf-8")
    by_action = [draft for draft in drafts if draft.kind == "action"]
    return dg.MaterializeResult(
        asset_key=DRAFTS,
        metadata={
            "page": dg.MetadataValue.path(settings.exports / _DRAFTS / "index.html"),
            "drafts": len(drafts),
            "recipients": sum(draft.recipients for draft in by_action),
            "letters": dg.MetadataValue.md(
                markdown_table(
                    ("about", "offer", "recipients", "subject"),
                    ((draft.about, draft.offer_label, f"{draft.recipients:,}", draft.subject) for draft in drafts),
                )
            ),
        },
    )


def recipients_of(group: Any, settings: Settings) -> str:
    """SQL of the customers of a group, with how to reach them where personal columns are asked for."""
    about = "action" if group.kind == "action" else f"coalesce(segment, {quoted(NO_SEGMENT)})"
    rate = "null" if pd.isna(group.discount_rate) else repr(float(group.discount_rate))
    offer = "null" if pd.isna(group.offer_type) else quoted(group.offer_type)
    person = ", person.name, person.email" if settings.export_personal_data else ""
    return f"""
    select recipients.customer_id{person}, offer_type, discount_rate, valid_until, suggested_product_name
    from recipients
    left join marts.dim_customers as person using (customer_id)
    where
        {about} = {quoted(group.about)}
        and offer_type is not distinct from {offer}
        and discount_rate is not distinct from {rate}
    order by recipients.customer_id
    """
