"""Customers whose tickets are unusually negative, as an asset."""

import dagster as dg

from orchestration.artefacts import save_card
from orchestration.assets.insights.tables import MlTables, model_run
from orchestration.resources import RawStore, Warehouse
from orchestration.settings import Settings


def build_ticket_anomalies(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.ticket_anomalies`: customers tested against the mood of all."""

    @dg.asset(**tables.described("ticket_anomalies", ["marts.customer_sentiment"], "scipy"))
    def ticket_anomalies(raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from ml.anomalies import unusual_sentiment

        as_of, refresh = raw.folder.clock()
        frame = warehouse.read(
            """
            select customer_id, scored_ticket_count as ticket_count, negative_count
            from marts.customer_sentiment
            order by customer_id
            """
        )
        result = unusual_sentiment(frame)
        metrics = {
            "customers": len(result),
            "tested": int(result["q_value"].notna().sum()),
            "anomalies": int(result["is_anomaly"].sum()),
        }
        run = model_run("ticket_anomalies", f"beta-binomial-{as_of}", as_of, metrics, [])
        save_card(settings.models, "ticket_anomalies", [run])
        details = tables.store(warehouse, "ticket_anomalies", result.assign(as_of=as_of), refresh)
        return dg.MaterializeResult(metadata={**details, **metrics})

    return ticket_anomalies
