"""What comes out of the churn protocol: a training that can be kept, scores, and how good they are.

How models are trained and judged is in `ml.churn_protocol`; nothing here fits anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ml.churn import ChurnClassifier
from ml.columns import plain_columns
from ml.gains import Contact, calibration_table, gains_table, most_profitable, profit_curve
from ml.reasons import Reason, reason_text

HIGH_RISK, MEDIUM_RISK = 0.7, 0.4
"""Lowest probabilities of the two upper risk tiers."""
HIGH_RISK_DAYS, MEDIUM_RISK_DAYS = 180, 90
"""Days without an order above which the rule gives the two upper risk tiers."""

CURVE_COLUMNS = {
    "curve": "string",
    "bin": "int64",
    "customers": "int64",
    "churned": "float64",
    "lowest_probability": "float64",
    "mean_probability": "float64",
    "churn_rate": "float64",
    "churn_rate_low": "float64",
    "churn_rate_high": "float64",
    "captured_rate": "float64",
    "lift": "float64",
    "profit": "float64",
    "expected_profit": "float64",
}
"""Columns of `curves` and their types."""
BACKTEST_COLUMNS = {
    "test_cutoff": "datetime64[ns]",
    "kind": "string",
    "strength": "float64",
    "training_cutoff_count": "int64",
    "training_row_count": "int64",
    "customers": "int64",
    "base_rate": "float64",
    "auc": "float64",
    "brier": "float64",
    "ece": "float64",
    "base_rate_brier": "float64",
    "recency_auc": "float64",
    "recency_frequency_auc": "float64",
    "recency_frequency_brier": "float64",
}
"""Columns of a backtest and their types."""


@dataclass(frozen=True)
class ChurnTraining:
    """A trained model with what is known about it: all that has to be kept to score later days.

    Args:
        horizon_days: Length of the label window in days.
        as_of: The day it was trained for; nothing later is in it.
        version: ``<kind>-<horizon>d-<as_of>``.
        features: Feature columns, in order.
        seed: Seed.
        model: Fitted to all cutoffs closed by `as_of`; makes the scores.
        judged: Fitted to the training cutoffs of `test_cutoff`; None where other customers judged. It is what competes
            with a later challenger, whose test cutoff may lie among those that `model` was fitted to.
        test_cutoff: The cutoff judged on last.
        training_cutoffs: Cutoffs that `judged` was fitted to, ascending.
        scoring_cutoffs: Cutoffs that `model` was fitted to, ascending.
        metrics: See `ChurnResult`.
        messages: What a reader of its scores has to know.
        profile: Of the frame that `model` was fitted to, see `ml.drift`.
        backtest: See `ChurnResult`.
        curves: See `ChurnResult`.
    """

    horizon_days: int
    as_of: date
    version: str
    features: list[str]
    seed: int
    model: ChurnClassifier
    judged: ChurnClassifier | None
    test_cutoff: date
    training_cutoffs: list[date]
    scoring_cutoffs: list[date]
    metrics: dict[str, Any]
    messages: list[str]
    profile: dict[str, Any]
    backtest: pd.DataFrame
    curves: pd.DataFrame


@dataclass(frozen=True)
class Challenge:
    """A challenger that lost, or the champion that did.

    Args:
        version: The loser's version.
        as_of: The day it was trained for.
        test_cutoff: The cutoff on which both were judged.
        metrics: The loser's report there.
    """

    version: str
    as_of: date
    test_cutoff: date
    metrics: dict[str, Any]


@dataclass(frozen=True)
class ChurnScorer:
    """What scoring needs of a result, and nothing else: rows in, scores out.

    Each row is scored by itself: the same whatever other rows come with it, and in whichever order. So parts of a table
    can be scored anywhere, and put together.

    Args:
        horizon_days: Length of the label window in days.
        as_of: The day the scores hold for.
        version: The published `model_version`.
        model: The classifier; None by rule and where everybody has the same probability.
        features: Columns that it reads; by rule, the column of days since the last order.
        constant: Everybody's probability where there is no model; None by rule.
        reason_texts: Format templates per feature, see `ChurnClassifier.explain`.
    """

    horizon_days: int
    as_of: date
    version: str
    model: ChurnClassifier | None
    features: list[str]
    constant: float | None
    reason_texts: Mapping[str, str | Reason]

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Scores in the order of the rows; columns as in `ChurnResult.scores`.

        Args:
            rows: One row per customer: customer_id and the features.
        """
        reasons = None
        if self.model is None and self.constant is None:
            p, tiers, reasons = self._by_rule(rows)
        else:
            p = self.probability(rows)
            tiers = probability_tier(p)
            if self.model is not None and len(rows):
                reasons = self.model.explain(rows[self.features], n_reasons=3, reason_texts=self.reason_texts).reasons
        return score_table(
            rows["customer_id"].to_numpy(),
            self.as_of,
            self.horizon_days,
            p=p,
            tiers=tiers,
            reasons=reasons,
            version=self.version,
        )

    def probability(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Probabilities rounded to 6 decimals, shape (n,); not by rule."""
        if self.model is None or not len(rows):
            return np.full(len(rows), np.round(np.nan if self.constant is None else self.constant, 6))
        return np.round(self.model.predict_proba(rows[self.features])[:, 1], 6)

    def earlier(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Probabilities of an earlier cutoff by today's model, see `scores_before`; rows with a cutoff_date as well."""
        if self.model is None:
            rows = rows.head(0)
        return pd.DataFrame(
            {
                "customer_id": rows["customer_id"],
                "cutoff_date": rows["cutoff_date"],
                "horizon_days": np.full(len(rows), self.horizon_days, dtype="int64"),
                "churn_probability": self.probability(rows).astype("float64"),
                "model_version": pd.array([self.version] * len(rows), dtype="string"),
            }
        )

    def _by_rule(self, rows: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.object_], pd.DataFrame]:
        """No probability, tiers by days since the last order, and those days as the reason."""
        (recency,) = self.features
        tiers = recency_tier(rows[recency].astype(float).to_numpy())
        plain = plain_columns(rows, {recency: "number"})
        first = [
            reason_text(recency, row, {recency: "number"}, self.reason_texts.get(recency)) if tier != "Low" else None
            for row, tier in zip(({recency: value} for value in plain[recency]), tiers, strict=True)
        ]
        return np.full(len(rows), np.nan), tiers, pd.DataFrame({"reason_1": pd.array(first, dtype="string")})


@dataclass(frozen=True)
class ChurnResult:
    """Scores of one horizon, and what is known about their quality.

    Args:
        scores: customer_id, as_of (datetime64), horizon_days, churn_probability (0-1, rounded to 6 decimals; null by
            rule), risk_tier (Low, Medium, High), reason_1, reason_2, reason_3, model_version; sorted by customer_id.
        metrics: ``model`` and ``baselines`` (``base_rate``, ``recency``, ``tier_rule``, ``recency_frequency``), each a
            report on the test cutoff; ``against_recency_frequency``, a paired bootstrap; ``profit``, the threshold to
            contact from; ``evaluation`` ("later cutoff" or "other customers"), ``kind``, ``strength``, ``candidates``
            (Brier score on cutoffs before the test cutoff), ``train_rows``, ``test_rows``; empty by rule.
        backtest: `BACKTEST_COLUMNS`: one row per closed cutoff with closed ones before it, each judged by a model of
            those; the last is the test cutoff.
        curves: `CURVE_COLUMNS`: calibration, gains and profit on the test cutoff.
        drift: Per feature and ``churn_probability``, how far the frame scored has moved from the one trained on, see
            `ml.drift.stability`; empty by rule.
        training: What has to be kept, the champion from now on; None by rule and for a baseline.
        challenge: The comparison that was lost, where there was one.
        model: The classifier that made the scores; None by rule and for a constant baseline.
        model_version: ``recency_rule``, ``baseline``, or that of `training`.
        test_cutoff: The cutoff judged on; None by rule.
        training_cutoffs: Cutoffs of the model that was judged, ascending.
        scoring_cutoffs: Cutoffs of the refitted model that made the scores: all closed ones.
        features: Feature columns used.
        messages: What a reader of the scores has to know, in plain words.
        horizon_days: Length of the label window in days.
        as_of: The day the scores hold for.
        scorer: Made the scores, and makes those of any other rows.
    """

    scores: pd.DataFrame
    metrics: dict[str, Any]
    backtest: pd.DataFrame
    curves: pd.DataFrame
    drift: dict[str, dict[str, float]]
    training: ChurnTraining | None
    challenge: Challenge | None
    model: ChurnClassifier | None
    model_version: str
    test_cutoff: date | None
    training_cutoffs: list[date]
    scoring_cutoffs: list[date]
    features: list[str]
    messages: list[str]
    horizon_days: int
    as_of: date
    scorer: ChurnScorer


def recency_tier(days_since_last_order: ArrayLike) -> NDArray[np.object_]:
    """Risk tier by rule: more than 180 days without an order High, more than 90 Medium, else Low; shape (n,)."""
    days = np.asarray(days_since_last_order, dtype=float)
    tiers = np.where(days > HIGH_RISK_DAYS, "High", np.where(days > MEDIUM_RISK_DAYS, "Medium", "Low"))
    return tiers.astype(object)


def probability_tier(churn_probability: ArrayLike) -> NDArray[np.object_]:
    """Risk tier by probability: High from 0.7, Medium from 0.4, else Low; shape (n,)."""
    p = np.asarray(churn_probability, dtype=float)
    tiers = np.where(p >= HIGH_RISK, "High", np.where(p >= MEDIUM_RISK, "Medium", "Low"))
    return tiers.astype(object)


def score_table(
    customer_ids: Sequence[Any] | NDArray[Any],
    as_of: date,
    horizon_days: int,
    *,
    p: NDArray[np.float64],
    tiers: NDArray[np.object_],
    reasons: pd.DataFrame | None,
    version: str,
) -> pd.DataFrame:
    """The published columns of `ChurnResult.scores`, typed also when there is no row."""
    n = len(customer_ids)
    none = pd.array([None] * n, dtype="string")
    return pd.DataFrame(
        {
            "customer_id": customer_ids,
            "as_of": pd.Series([pd.Timestamp(as_of)] * n, dtype="datetime64[ns]"),
            "horizon_days": np.full(n, horizon_days, dtype="int64"),
            "churn_probability": p.astype("float64"),
            "risk_tier": pd.array(tiers, dtype="string"),
            **{
                f"reason_{i}": reasons[f"reason_{i}"].array
                if reasons is not None and f"reason_{i}" in reasons
                else none
                for i in (1, 2, 3)
            },
            "model_version": pd.array([version] * n, dtype="string"),
        }
    )


def scores_before(result: ChurnResult, features: pd.DataFrame) -> pd.DataFrame:
    """Probabilities of an earlier cutoff by the model of today's scores, so that only the customers have changed.

    Args:
        result: Today's scores and the model that made them.
        features: One row per customer: customer_id, cutoff_date (one cutoff, before today's), and feature columns.

    Returns:
        customer_id, cutoff_date, horizon_days, churn_probability (0-1, rounded to 6 decimals), model_version; sorted by
        customer_id. No row without such a model: tiers by rule, or one probability for everybody, or no features.
    """
    return result.scorer.earlier(features.sort_values("customer_id", ignore_index=True))


def curve_table(y: ArrayLike, p: ArrayLike, contact: Contact) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Calibration, gains and profit as one table, and the threshold that pays.

    Args:
        y: Labels 0/1, shape (n,).
        p: Probabilities, shape (n,).
        contact: What contacting and keeping a customer is worth.

    Returns:
        `CURVE_COLUMNS`, and the figures of `ml.gains.most_profitable` with those of the contact.
    """
    names = {"positives": "churned", "rate": "churn_rate", "rate_low": "churn_rate_low", "rate_high": "churn_rate_high"}
    tables = {
        "calibration": calibration_table(y, p),
        "gains": gains_table(y, p),
        "profit": profit_curve(y, p, contact),
    }
    curves = typed(
        pd.concat([table.rename(columns=names).assign(curve=curve) for curve, table in tables.items()]), CURVE_COLUMNS
    )
    profit = {"value": contact.value, "cost": contact.cost, "success_rate": contact.success_rate}
    return curves, {**profit, **most_profitable(y, p, contact)}


def typed(rows: pd.DataFrame | Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> pd.DataFrame:
    """Rows as a frame with exactly these columns and types, doubles rounded to 6 decimals."""
    frame = pd.DataFrame(rows).reindex(columns=list(columns)).reset_index(drop=True)
    return frame.astype(dict(columns)).round(6)
