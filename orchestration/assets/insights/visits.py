"""Visits and visitors as assets: who is about to buy, and what kind of visitor everyone is."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pandas as pd

from orchestration.artefacts import save_card, save_model
from orchestration.assets.insights.tables import MlTables, model_run, plain_figures, training_sample, warn
from orchestration.preview import preview_markdown
from orchestration.resources import RawStore, Warehouse
from orchestration.samples import Sample
from orchestration.settings import Settings

PERSONA_DAYS = 365
"""Days up to as_of whose visits make a customer's persona: as far back as somebody counts as a customer."""
_CHUNK = 200_000


def build_session_purchase_predictions(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.session_purchase_predictions`: trained on earlier visits, judged on and scored for the last ones."""

    @dg.asset(**tables.described("session_purchase_predictions", ["marts.session_features"], "scikitlearn"))
    def session_purchase_predictions(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from ml.intent import MOST_TRAINING_ROWS, evaluate_and_score, scored_since
        from ml.personas import MOST_ROWS_TO_FIT, SESSION_ROLES, VisitNamer, fit_personas

        as_of, refresh = raw.folder.clock()
        span = warehouse.read("select cast(min(started_at) as date) as first_day from marts.session_features")
        first_day = span["first_day"].iloc[0]
        since = as_of if pd.isna(first_day) else scored_since(pd.Timestamp(first_day).date(), as_of)
        earlier = warehouse.read(
            f"{_VISITS} where started_at < ? order by started_at desc, session_id limit {MOST_TRAINING_ROWS}", [since]
        )
        judged = training_sample(settings, warehouse, "marts.session_features where started_at >= ?", [since])
        result = evaluate_and_score(earlier, _visits_since(warehouse, since, judged), as_of, random_state=settings.seed)
        # Any visits will do, as long as they are the same ones the next time.
        sample = warehouse.read(
            f"{_VISITS} where started_at >= ? order by md5(session_id) limit {MOST_ROWS_TO_FIT}", [since]
        )
        personas = fit_personas(sample, SESSION_ROLES, key="session_id", random_state=settings.seed)
        messages = [*result.messages, *(personas.messages if personas else ["Too few visits for personas."])]
        warn(context, messages)
        save_model(settings.models, "session_purchase", result.model)
        metrics = {
            **result.metrics.get("model", {}),
            **{name: value for name, value in result.metrics.items() if name != "model"},
            "personas": personas.metrics if personas else None,
            "scored_since": since,
            "judged_share": judged.share,
        }
        run = model_run("session_purchase", result.model_version, as_of, metrics, messages)
        save_card(settings.models, "session_purchase", [run])
        if settings.target == "spark":
            from orchestration.spark.scoring import score_on_executors

            columns = tables.typed("session_purchase_predictions", "as_of")
            scores = score_on_executors(settings, VisitNamer(result.scorer, personas), _SINCE, [since], columns=columns)
        else:
            persona = pd.concat(
                [
                    pd.Series(personas.predict(part), index=part["session_id"], dtype=object)
                    for part in _visits_since(warehouse, since, judged)
                    if personas
                ]
                or [pd.Series(dtype=object)]
            )
            scores = result.scores.assign(persona=result.scores["session_id"].map(persona))
            scores = scores.drop(columns=["customer_id", "started_on"])
        details = tables.store(warehouse, "session_purchase_predictions", scores.assign(as_of=as_of), refresh)
        return dg.MaterializeResult(metadata={**details, **plain_figures(metrics), **_profile(personas)})

    return session_purchase_predictions


def build_customer_intent(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.customer_intent`: the scores of each customer's visits, put together."""
    deps = ["ml.session_purchase_predictions", "marts.session_features"]

    @dg.asset(**tables.described("customer_intent", deps))
    def customer_intent(raw: RawStore, warehouse: Warehouse) -> dg.MaterializeResult:
        from ml.intent import customer_intent as put_together

        as_of, refresh = raw.folder.clock()
        scores = warehouse.read(
            """
            select
                predictions.session_id, visits.customer_id, cast(visits.started_at as date) as started_on,
                predictions.purchase_probability, predictions.model_version
            from ml.session_purchase_predictions as predictions
            inner join marts.session_features as visits on predictions.session_id = visits.session_id
            where visits.customer_id is not null
            order by predictions.session_id
            """
        )
        intent = put_together(scores, as_of)
        metrics = {
            "customers": len(intent),
            "mean_intent_score": float(intent["intent_score"].mean()) if len(intent) else None,
        }
        messages = [] if len(intent) else ["No customer has a visit in the last 90 days."]
        version = intent["model_version"].iloc[0] if len(intent) else "none"
        save_card(settings.models, "customer_intent", [model_run("customer_intent", version, as_of, metrics, messages)])
        details = tables.store(warehouse, "customer_intent", intent.assign(as_of=as_of), refresh)
        return dg.MaterializeResult(metadata={**details, **plain_figures(metrics)})

    return customer_intent


def build_customer_personas(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.customer_personas`: clusters of customers by what they do on the site and buy, named."""
    deps = ["marts.session_features", "marts.fct_sales"]

    @dg.asset(**tables.described("customer_personas", deps, "scikitlearn"))
    def customer_personas(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> dg.MaterializeResult:
        from ml.personas import CUSTOMER_ROLES, fit_personas

        as_of, refresh = raw.folder.clock()
        frame = warehouse.read(_CUSTOMERS, 2 * [as_of - timedelta(days=PERSONA_DAYS)])
        personas = fit_personas(frame, CUSTOMER_ROLES, key="customer_id", random_state=settings.seed)
        version = f"kmeans-{as_of}" if personas else "none"
        messages = personas.messages if personas else [f"{len(frame)} customers with visits are too few for personas."]
        warn(context, messages)
        metrics = personas.metrics if personas else {"rows": len(frame)}
        save_model(settings.models, "customer_personas", personas.pipeline if personas else None)
        save_card(
            settings.models, "customer_personas", [model_run("customer_personas", version, as_of, metrics, messages)]
        )
        scored = frame if personas else frame.head(0)
        table = scored[["customer_id", "session_count", "conversion_rate"]].assign(
            persona=personas.predict(frame) if personas else pd.Series(dtype=object), model_version=version, as_of=as_of
        )
        details = tables.store(warehouse, "customer_personas", table, refresh)
        return dg.MaterializeResult(metadata={**details, **plain_figures(metrics), **_profile(personas)})

    return customer_personas


_VISITS = """
select
    session_id, customer_id, started_at, is_converted, device_type, started_hour, started_weekday, pages_visited,
    seconds_to_decision, cast(cart_value as double) as cart_value, product_view_count, product_count, add_to_cart_count,
    is_known_customer, sessions_before, orders_before, abandoned_before,
    cast(days_since_last_session as double) as days_since_last_session,
    cast(days_since_last_order as double) as days_since_last_order
from marts.session_features
"""
_SINCE = f"{_VISITS} where started_at >= ?"

_CUSTOMERS = """
with
    visits as (
        select
            customer_id,
            count(*) as session_count,
            round(avg(cast(is_converted as double)), 6) as conversion_rate,
            avg(pages_visited) as pages_per_session,
            avg(product_view_count) as product_views_per_session,
            avg(seconds_to_decision) as seconds_per_session
        from marts.session_features
        where customer_id is not null and cast(started_at as date) > ?
        group by customer_id
    ),

    sales as (
        select
            customer_id,
            count(distinct case when is_order_line then order_id end) as order_count,
            cast(sum(net_revenue) as double) as net_revenue
        from marts.fct_sales
        where customer_id is not null and sold_on > ?
        group by customer_id
    )

select
    visits.*,
    coalesce(sales.order_count, 0) as order_count,
    coalesce(sales.net_revenue, 0) as net_revenue
from visits
left join sales on visits.customer_id = sales.customer_id
order by visits.customer_id
"""


def _visits_since(warehouse: Warehouse, since: date, sample: Sample) -> Iterator[pd.DataFrame]:
    """Visits from a day on, in parts: there can be more of them than memory holds."""
    query = f"{_SINCE} and {sample.condition('session_id')} order by session_id"
    with warehouse.connect() as connection:
        found = connection.sql(query, params=[since])
        for batch in found.to_arrow_reader(_CHUNK):
            yield batch.to_pandas()


def _profile(personas: Any) -> dict[str, Any]:
    """The clusters' profile as metadata."""
    if personas is None:
        return {}
    return {"profile": dg.MetadataValue.md(preview_markdown(personas.profile.round(3), rows=len(personas.profile)))}
