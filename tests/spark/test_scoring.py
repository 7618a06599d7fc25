"""Scores made on executors are bit for bit those made here, over all rows, in several batches of several partitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from ml.churn import ChurnClassifier
from ml.churn_protocol import evaluate_and_score
from ml.churn_results import ChurnScorer
from ml.intent import evaluate_and_score as learn_visits
from ml.lifetime import estimate_lifetime_value
from ml.lifetime.counts import refit
from ml.personas import SESSION_ROLES, VisitNamer, fit_personas
from ml.segments import cluster_customers
from orchestration.assets.insights import churn, lifetime, segments, visits
from orchestration.assets.insights.lifetime import BOOKED, BOOKINGS, counted, counted_histories
from orchestration.samples import Sample
from orchestration.settings import Settings
from tests.unit.test_churn import AS_OF, CUTOFFS, features
from tests.unit.test_intent import AS_OF as VISITS_UNTIL
from tests.unit.test_intent import split
from tests.unit.test_intent import visits as some_visits
from tests.unit.test_lifetime_counts import DAY, SALES, fill
from tests.unit.test_segments import planted

ROWS_A_BATCH = 40
FILES = 3

DECLARED = {
    "customer_clusters": "customer_id string, cluster_id bigint, cluster_name string",
    "churn_scores": (
        "customer_id string, as_of date, horizon_days bigint, churn_probability double, risk_tier string, "
        "reason_1 string, reason_2 string, reason_3 string, model_version string"
    ),
    "churn_scores_before": (
        "customer_id string, cutoff_date date, horizon_days bigint, churn_probability double, model_version string"
    ),
    "session_purchase_predictions": (
        "session_id string, purchase_probability double, will_buy boolean, confidence double, persona string, "
        "model_version string"
    ),
    "customer_lifetime_value": (
        "customer_id string, probability_alive double, expected_orders_90d double, expected_order_value double, "
        "clv_365d double, clv_365d_low double, clv_365d_high double, clv_basis string, next_order_on date, "
        "model_version string"
    ),
}


def declared(table: str, *_: str) -> list[tuple[str, str]]:
    pairs = [column.split() for column in DECLARED[table].split(", ")]
    return [(name, kind) for name, kind in pairs]


TABLES: Any = SimpleNamespace(typed=declared)


class Shop:
    """The same marts on both engines, with decimals and with values that are missing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.here = duckdb.connect()
        self.here.execute("create schema marts")
        self._fill()

    def read(self, query: str, parameters: tuple[Any, ...] = ()) -> pd.DataFrame:
        return self.here.execute(query, list(parameters)).df()

    def stored(self, table: str, frame: pd.DataFrame) -> pd.DataFrame:
        """A frame as it is stored: cast as declared, in the order of its key."""
        columns = declared(table)
        selected = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in columns)
        self.here.register("scored", frame[[name for name, _ in columns]])
        return self.read(f"select {selected} from scored order by {columns[0][0]}")

    def _fill(self) -> None:
        rng = np.random.default_rng(0)
        frame = features(250, cutoffs=CUTOFFS[6:])
        frame["region"] = frame["region"].where(rng.random(len(frame)) > 0.1, None)
        frame["net_revenue"] = rng.lognormal(4, 1, len(frame)).round(4)
        frame["average_gap_days"] = np.where(rng.random(len(frame)) < 0.3, np.nan, rng.exponential(30, len(frame)))
        self.here.register("features", frame.drop(columns="first_order_on"))
        self.here.execute(
            """
            create table marts.customer_features as
            select * replace (
                cast(cutoff_date as date) as cutoff_date,
                cast(days_since_last_order as bigint) as days_since_last_order,
                cast(net_revenue as decimal(18, 4)) as net_revenue
            )
            from features
            """
        )
        self.here.register("visits", some_visits(900)[0])
        self.here.execute(
            """
            create table marts.session_features as
            select * replace (
                cast(started_at as timestamp) as started_at,
                cast(cart_value as decimal(18, 4)) as cart_value,
                cast(days_since_last_session as bigint) as days_since_last_session,
                cast(days_since_last_order as bigint) as days_since_last_order
            )
            from visits
            """
        )
        self.here.register("rfm", planted())
        money = "cast(monetary as decimal(18, 4)) as monetary"
        self.here.execute(f"create table marts.customer_rfm as select * replace ({money}) from rfm")
        self.here.execute(f"create table marts.fct_sales ({SALES})")
        fill(self.here, has_costs=True)
        for table in ("customer_features", "session_features", "customer_rfm", "fct_sales"):
            self._share(table)

    def _share(self, table: str) -> None:
        """Several files a table, so that Spark reads it in several partitions; nobody tells its catalog of them."""
        folder = self.settings.spark / "marts" / table
        folder.mkdir(parents=True)
        for part in range(FILES):
            self.here.execute(
                f"""
                copy (select * from marts.{table} qualify (row_number() over ()) % {FILES} = {part})
                to '{folder}/part-{part}.parquet'
                """
            )
        (folder / "_SUCCESS").touch()


@pytest.fixture(scope="module")
def shop(spark: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    from orchestration.spark.session import CONFIGURATION, session

    home = tmp_path_factory.mktemp("home")
    shop = Shop(spark.model_copy(update={"target": "spark", "spark_prefix": "scoring_", "home": home}))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "spark.sql.execution.arrow.maxRecordsPerBatch": str(ROWS_A_BATCH),
            "spark.sql.files.openCostInBytes": str(2**30),
            "spark.sql.shuffle.partitions": "3",
            "spark.sql.adaptive.coalescePartitions.enabled": "false",
        }.items():
            patch.setitem(CONFIGURATION, name, value)
        yield shop
    shop.here.close()
    with session(shop.settings) as server:
        server.sql("drop schema scoring_marts cascade")


def same(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert len(found) == len(expected) > 0
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_rows_come_in_several_batches_of_several_partitions(shop: Shop) -> None:
    from orchestration.spark.scoring import score_on_executors

    def counts(rows: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"key": [rows["customer_id"].min()], "rows": [len(rows)]})

    columns = [("key", "string"), ("rows", "bigint")]
    found = score_on_executors(shop.settings, counts, "select * from marts.customer_features", columns=columns)
    total = len(shop.read("select customer_id from marts.customer_features"))
    assert found["rows"].sum() == total
    assert found["rows"].max() == ROWS_A_BATCH
    # more batches than full ones would make: each partition has a last one of its own
    assert len(found) > total / ROWS_A_BATCH


@pytest.mark.parametrize("kind", ["logistic", "boosting", "recency_rule", "baseline"])
def test_churn_scores_are_those_made_here(shop: Shop, kind: str) -> None:
    everyone = shop.read("select * from marts.customer_features")
    today = shop.read(churn.FEATURES_NOW, (AS_OF,))
    trained = evaluate_and_score(everyone, AS_OF, 30, reason_texts=churn.reasons())
    scorer = trained.scorer
    assert trained.model_version.startswith("logistic")
    if kind == "boosting":
        known = everyone[everyone["churned_30d"].notna()]
        model = ChurnClassifier(model="boosting", n_trees=25, cv=2, random_state=0)
        model.fit(known[scorer.features], known["churned_30d"].astype(bool))
        scorer = replace(scorer, model=model)
    elif kind == "recency_rule":
        scorer = ChurnScorer(30, AS_OF, kind, None, ["days_since_last_order"], None, churn.reasons())
    elif kind == "baseline":
        scorer = ChurnScorer(30, AS_OF, kind, None, [], 0.25, {})
    result = replace(trained, scorer=scorer)
    (found,) = churn._scores(shop.settings, TABLES, [result])
    same(shop.stored("churn_scores", found), shop.stored("churn_scores", scorer(today)))
    (before,) = churn._scores_before(shop.settings, None, TABLES, [result])  # type: ignore[arg-type]
    earlier = scorer.earlier(shop.read(churn.FEATURES_BEFORE, (AS_OF,)))
    if scorer.model is None:
        assert before.empty
        assert earlier.empty
    else:
        same(shop.stored("churn_scores_before", before), shop.stored("churn_scores_before", earlier))


def test_clusters_are_those_told_here(shop: Shop) -> None:
    from orchestration.spark.scoring import score_on_executors

    query = segments._CUSTOMERS.format(sampled="true")
    result = cluster_customers(shop.read(query))
    assert result.scorer is not None
    found = score_on_executors(shop.settings, result.scorer, query, columns=declared("customer_clusters"))
    same(shop.stored("customer_clusters", found), shop.stored("customer_clusters", result.clusters))


def test_visits_are_scored_and_named_as_here(shop: Shop) -> None:
    from orchestration.spark.scoring import score_on_executors

    since = pd.Timestamp("2026-01-01").date()
    earlier, later = split(shop.read(f"{visits._VISITS} order by session_id"))
    result = learn_visits(earlier, [later], VISITS_UNTIL)
    personas = fit_personas(later, SESSION_ROLES, key="session_id")
    assert result.model is not None
    assert personas is not None
    scorer = VisitNamer(result.scorer, personas)
    columns = declared("session_purchase_predictions")
    found = score_on_executors(shop.settings, scorer, visits._SINCE, [since], columns=columns)
    expected = result.scores.assign(persona=personas.predict(later.sort_values("session_id")))
    same(shop.stored("session_purchase_predictions", found), shop.stored("session_purchase_predictions", expected))


def test_lifetime_values_are_those_told_here(shop: Shop) -> None:
    result = estimate_lifetime_value(shop.read(BOOKINGS), DAY)
    found, messages = lifetime._everyone(shop.settings, TABLES, result, Sample(1, 1))
    assert messages == []
    same(shop.stored("customer_lifetime_value", found), shop.stored("customer_lifetime_value", result.customers))


def test_of_a_sample_the_models_are_fitted_to_everyone(shop: Shop) -> None:
    bookings = shop.read(BOOKINGS)
    sample = Sample(2, 1)
    part = estimate_lifetime_value(
        shop.read(f"{BOOKED.format(sampled=sample.condition('customer_id'))} order by customer_id, booked_on"), DAY
    )
    assert 0.3 < len(part.customers) / bookings["customer_id"].nunique() < 0.7
    found, messages = lifetime._everyone(shop.settings, TABLES, part, sample)
    assert messages == []
    assert part.forecast is not None
    forecast, _ = refit(part.forecast, counted(partial(_read, shop), DAY))
    scorer = replace(part.scorer, forecast=forecast).for_parts(counted_histories(partial(_read, shop), DAY))
    here, there = (
        shop.stored("customer_lifetime_value", frame).set_index("customer_id") for frame in (scorer(bookings), found)
    )
    assert list(here.index) == list(there.index)
    # the same fit, but for the last digits of sums
    numbers = here.select_dtypes("float64").columns
    np.testing.assert_allclose(there[numbers], here[numbers], rtol=1e-6, atol=1.5e-4)


def test_what_belongs_to_another_home_is_refused(shop: Shop, tmp_path: Path) -> None:
    from orchestration.spark.scoring import read
    from orchestration.spark.session import SparkUnavailableError

    assert len(read(shop.settings, "select customer_id from marts.customer_rfm")) > 0
    other = shop.settings.model_copy(update={"home": tmp_path})
    with pytest.raises(SparkUnavailableError, match="belongs to another home"):
        read(other, "select customer_id from marts.customer_rfm")


def _read(shop: Shop, query: str, parameters: list[Any]) -> pd.DataFrame:
    return shop.read(query, tuple(parameters))
