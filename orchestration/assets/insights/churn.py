"""Who is leaving, as assets: one score a customer and horizon, with reasons in words, and how good the models are.

A refresh scores with the champion of each horizon and trains a challenger only when that is due.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from orchestration.artefacts import save_card
from orchestration.assets.insights.tables import MlTables, training_sample, warn
from orchestration.champions import Champion, after, conditions, flat, is_due, keep, recall, run_of
from orchestration.checks import CHURN_DRIFT, CHURN_QUALITY, Verdict, churn_drift, churn_quality
from orchestration.resources import RawStore, Warehouse
from orchestration.samples import Sample
from orchestration.settings import Settings

if TYPE_CHECKING:
    from ml.churn_results import ChurnResult
    from ml.reasons import Reason

HORIZONS = (30, 90, 180)
"""Days without an order that count as having left."""

FEATURES_NOW = "select * from marts.customer_features where cutoff_date = ?"
FEATURES_BEFORE = """
select *
from marts.customer_features
where cutoff_date = (select max(cutoff_date) from marts.customer_features where cutoff_date < ?)
"""
"""The month end before, which today's model scores as well: what differs then is the customer, not the model."""

_WORDS = {
    "rhythm": {
        "days_since_last_order": "no order for {days_since_last_order:.0f} days",
        "days_since_first_order": "customer for {days_since_first_order:.0f} days",
        "order_count": "{order_count:.0f} orders so far",
        "order_day_count": "ordered on {order_day_count:.0f} days so far",
        "average_gap_days": "usually {average_gap_days:.0f} days between orders",
        "recency_to_gap_ratio": "silent for {recency_to_gap_ratio:.1f} times the usual gap",
        "orders_30d": "{orders_30d:.0f} orders in 30 days",
        "orders_90d": "{orders_90d:.0f} orders in 90 days",
        "orders_180d": "{orders_180d:.0f} orders in 180 days",
        "orders_365d": "{orders_365d:.0f} orders in 365 days",
    },
    "spend": {
        "net_revenue": "spent {net_revenue:,.2f} so far",
        "gross_revenue_90d": "spent {gross_revenue_90d:,.2f} in 90 days",
        "average_order_value": "{average_order_value:,.2f} an order",
        "largest_line_revenue": "most expensive purchase {largest_line_revenue:,.2f}",
        "unit_count": "{unit_count:.0f} units so far",
    },
    "range": {
        "product_count": "{product_count:.0f} different products",
        "category_count": "{category_count:.0f} different categories",
    },
    "discounts": {
        "discounted_line_rate": "{discounted_line_rate:.0%} bought at a discount",
    },
    "returns": {
        "returned_line_rate": "{returned_line_rate:.0%} given back",
    },
    "service": {
        "ticket_count_180d": "{ticket_count_180d:.0f} tickets in 180 days",
        "negative_ticket_count_180d": "{negative_ticket_count_180d:.0f} negative tickets in 180 days",
        "unresolved_ticket_count": "{unresolved_ticket_count:.0f} unresolved tickets",
    },
    "visits": {
        "session_count_90d": "{session_count_90d:.0f} visits in 90 days",
        "abandoned_cart_count_90d": "{abandoned_cart_count_90d:.0f} abandoned carts in 90 days",
    },
    "e-mail": {
        "email_open_count_180d": "{email_open_count_180d:.0f} e-mails opened in 180 days",
        "email_click_count_180d": "{email_click_count_180d:.0f} e-mail clicks in 180 days",
    },
    "usage": {
        "activity_count_90d": "{activity_count_90d:.0f} usage records in 90 days",
        "activity_count_before_90d": "{activity_count_before_90d:.0f} usage records in the 90 days before",
    },
}
"""Words for the features of customer_features, by topic."""

_PROFILE = {
    "industry": "industry {industry}",
    "region": "region {region}",
    "age_group": "age group {age_group}",
    "acquisition_channel": "won through {acquisition_channel}",
}
"""Words for what nobody can change; told where nothing else is left."""


def reasons() -> dict[str, "Reason"]:
    """How each feature is told as a reason of a churn score."""
    from ml.reasons import Reason

    told = {name: Reason(text, topic) for topic, words in _WORDS.items() for name, text in words.items()}
    return told | {name: Reason(text, is_background=True) for name, text in _PROFILE.items()}


def build_churn_scores(settings: Settings, tables: MlTables) -> dg.AssetsDefinition:
    """`ml.churn_scores` for every horizon, with those of the month end before, a backtest and curves."""
    scores_key = dg.AssetKey(["ml", "churn_scores"])
    checks = [
        dg.AssetCheckSpec(
            CHURN_QUALITY,
            asset=scores_key,
            description="On the test cutoff: better than the base rate, better than recency alone, and calibrated.",
            blocking=False,
        ),
        dg.AssetCheckSpec(
            CHURN_DRIFT,
            asset=scores_key,
            description="Features and scores of today are distributed as those of the training.",
            blocking=False,
        ),
    ]
    specs = [
        dg.AssetSpec(**tables.described(table, ["marts.customer_features"], "scikitlearn"))
        for table in ("churn_scores", "churn_scores_before", "churn_backtest", "churn_curves")
    ]

    @dg.multi_asset(name="ml__churn_scores", specs=specs, check_specs=checks)
    def churn_scores(
        context: dg.AssetExecutionContext, raw: RawStore, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult]:
        as_of, refresh = raw.folder.clock()
        results, runs = refresh_models(context, settings, warehouse, as_of, raw.folder.state().identity)
        save_card(settings.models, "churn", runs)
        verdicts = {
            CHURN_QUALITY: {r.horizon_days: churn_quality(r.metrics, r.messages) for r in results},
            CHURN_DRIFT: {r.horizon_days: churn_drift(r.drift) for r in results},
        }
        scores = pd.concat(_scores(settings, tables, results), ignore_index=True)
        details = tables.store(warehouse, "churn_scores", scores, refresh)
        outcomes = []
        for check, found in verdicts.items():
            passed, message = _together(found)
            outcomes.append(
                dg.AssetCheckResult(
                    check_name=check,
                    asset_key=scores_key,
                    passed=passed,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=message,
                )
            )
        warehouse.record_checks("churn_scores", outcomes, refresh)
        yield dg.MaterializeResult(
            asset_key=scores_key, metadata={**details, **_headline(results)}, check_results=outcomes
        )
        for table, frames in (
            ("churn_scores_before", _scores_before(settings, warehouse, tables, results)),
            ("churn_backtest", [r.backtest.assign(horizon_days=r.horizon_days) for r in results]),
            (
                "churn_curves",
                [
                    r.curves.assign(
                        horizon_days=r.horizon_days, test_cutoff=r.test_cutoff, model_version=r.model_version
                    )
                    for r in results
                ],
            ),
        ):
            frame = pd.concat(frames, ignore_index=True).assign(as_of=as_of)
            yield dg.MaterializeResult(asset_key=["ml", table], metadata=tables.store(warehouse, table, frame, refresh))

    return churn_scores


def refresh_models(
    context: dg.AssetExecutionContext, settings: Settings, warehouse: Warehouse, as_of: date, source: str | None
) -> tuple[list["ChurnResult"], list[dict[str, Any]]]:
    """Score every horizon, by its champion or, where due, after training a challenger.

    Args:
        context: Takes what a reader of the run must know.
        settings: The settings.
        warehouse: Holds `marts.customer_features`.
        as_of: The day to score.
        source: What the home was filled from; a champion of another source is not used.

    Returns:
        One result a horizon, and the rows of ml.model_runs.
    """
    from ml.churn_protocol import evaluate_and_score, feature_columns, score
    from ml.gains import Retention

    today = training_sample(settings, warehouse, "marts.customer_features where cutoff_date = ?", [as_of])
    now = warehouse.read(f"{FEATURES_NOW} and {today.condition('customer_id')}", [as_of])
    retention = Retention(settings.retention_value, settings.retention_cost, settings.retention_success_rate)
    trained_with = conditions(source, settings.seed, feature_columns(now), vars(retention))
    features: pd.DataFrame | None = None
    share = 1.0
    results, runs = [], []
    for horizon in HORIZONS:
        champion: Champion | None = None
        remarks: list[str] = []
        if not settings.full_refresh:
            champion, remarks = recall(settings.models, horizon, now, as_of, trained_with)
        if champion is not None and not is_due(champion, as_of, trained_with, settings.retrain_days):
            result = score(champion.training, now, as_of, reasons())
        else:
            if features is None:
                features, share, noted = _training_frame(settings, warehouse, now, as_of)
                warn(context, noted)
            result = evaluate_and_score(
                features,
                as_of,
                horizon,
                reason_texts=reasons(),
                retention=retention,
                champion=champion.training if champion else None,
                trained_share=share,
                random_state=settings.seed,
            )
            champion = after(result, champion, trained_with, remarks, settings.seed)
            keep(settings.models, champion, horizon)
        warn(context, [f"{horizon} days: {message}" for message in [*remarks, *result.messages]])
        runs += champion.earlier_runs if champion else []
        runs.append(_run(result, champion, remarks, settings.seed))
        results.append(result)
    return results, runs


def _scores(settings: Settings, tables: MlTables, results: Sequence["ChurnResult"]) -> list[pd.DataFrame]:
    """Everybody's scores; one frame a horizon. On Spark the results' own are those of the sample."""
    if settings.target != "spark":
        return [result.scores for result in results]
    from orchestration.spark.scoring import score_on_executors

    columns = tables.typed("churn_scores")
    return [
        score_on_executors(settings, result.scorer, FEATURES_NOW, [result.as_of], columns=columns) for result in results
    ]


def _scores_before(
    settings: Settings, warehouse: Warehouse, tables: MlTables, results: Sequence["ChurnResult"]
) -> list[pd.DataFrame]:
    """The month end before, scored by the models of today's scores; one frame a horizon."""
    if settings.target == "spark":
        from orchestration.spark.scoring import score_on_executors

        columns = tables.typed("churn_scores_before", "as_of")
        return [
            score_on_executors(settings, result.scorer.earlier, FEATURES_BEFORE, [result.as_of], columns=columns)
            for result in results
        ]
    from ml.churn_results import scores_before

    features = warehouse.read(FEATURES_BEFORE, [results[0].as_of])
    return [scores_before(result, features) for result in results]


def _training_frame(
    settings: Settings, warehouse: Warehouse, now: pd.DataFrame, as_of: date
) -> tuple[pd.DataFrame, float, list[str]]:
    """Today's rows and those of earlier cutoffs; of a part of the customers where there are too many to hold.

    Returns:
        The rows, the share of the customers, and what has to be said.
    """
    past = "from marts.customer_features where cutoff_date < ?"
    count = int(warehouse.read(f"select count(*) as n {past}", [as_of])["n"].iloc[0])
    sample = Sample(count, settings.train_rows)
    earlier = warehouse.read(f"select * {past} and {sample.condition('customer_id')}", [as_of])
    noted = []
    if not sample.is_all:
        noted = [f"Churn models are trained on {sample.share:.0%} of the customers: more change nothing but the time."]
    return (pd.concat([earlier, now], ignore_index=True) if len(earlier) else now), sample.share, noted


def _run(result: "ChurnResult", champion: Champion | None, remarks: Sequence[str], seed: int) -> dict[str, Any]:
    """The model in use as a row of ml.model_runs."""
    trained_on = result.training.as_of if result.training else result.as_of
    messages = champion.training.messages if champion else [*remarks, *result.messages]
    metrics = {
        **flat(result.metrics),
        "drift": result.drift,
        "training_cutoffs": result.training_cutoffs,
        "scoring_cutoffs": result.scoring_cutoffs,
        "features": result.features,
        "seed": seed,
    }
    return run_of(
        result.model_version,
        horizon_days=result.horizon_days,
        as_of=trained_on,
        test_cutoff=result.test_cutoff,
        metrics=metrics,
        champion=True,
        messages=messages,
    )


def _together(verdicts: Mapping[int, Verdict]) -> tuple[bool, str]:
    """Verdicts of all horizons as one."""
    message = " ".join(f"{horizon} days: {verdict.message}" for horizon, verdict in verdicts.items())
    return all(verdict.passed for verdict in verdicts.values()), message


def _headline(results: Sequence["ChurnResult"]) -> dict[str, Any]:
    """Numbers by themselves, so that Dagster draws them over time, and the models in use."""
    figures: dict[str, Any] = {f"model_{r.horizon_days}d": r.model_version for r in results}
    for result in results:
        for name in ("auc", "brier", "ece"):
            value = result.metrics.get("model", {}).get(name)
            if value is not None:
                figures[f"{name}_{result.horizon_days}d"] = value
        if "churn_probability" in result.drift:
            figures[f"score_psi_{result.horizon_days}d"] = result.drift["churn_probability"]["psi"]
    return figures
