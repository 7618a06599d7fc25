"""The churn protocol: trained on earlier cutoffs, judged on a later one, refitted on all closed ones, scored today.

It works on the frame of `customer_features`, one row per customer and cutoff. Reading that frame, keeping champions and
deciding when to train again happen elsewhere; what comes out is described in `ml.churn_results`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from ml.churn import (
    MOST_ROWS,
    MOST_ROWS_TO_CHOOSE,
    Candidate,
    ChurnClassifier,
    candidate_log_odds,
    choose_candidate,
    sample_groups,
)
from ml.churn_results import (
    BACKTEST_COLUMNS,
    CURVE_COLUMNS,
    HIGH_RISK_DAYS,
    MEDIUM_RISK_DAYS,
    Challenge,
    ChurnResult,
    ChurnScorer,
    ChurnTraining,
    curve_table,
    typed,
)
from ml.columns import column_kind, is_skewed, plain_columns, signed_log1p
from ml.drift import profile_columns, stability
from ml.gains import Contact, Retention
from ml.metrics import binary_report, paired_bootstrap
from ml.reasons import Reason

FEWEST_OF_A_CLASS = 50
"""Fewer customers than this who left, or who stayed, cannot train a model that deserves trust."""
IMPLAUSIBLE_AUC = 0.98
"""A model this good has the label among its features."""
BACKTEST_CUTOFFS = 6
"""Latest cutoffs of the backtest."""

_UNJUDGED: Candidate = (
    "logistic",
    0.1,
)  # where no earlier cutoff can judge; folds of one cutoff prefer too weak a prior
_SIMPLE: Candidate = ("logistic", 1.0)  # recency and frequency need no restraint
_CHOOSING_CUTOFFS = 3  # the latest that can judge candidates
_FURTHEST_LINE = 0.25  # how far a line may be drawn on, in widths of the range it was fitted to


def feature_columns(features: pd.DataFrame) -> list[str]:
    """Columns that a model may use: numeric, boolean or categorical, and neither key, cutoff nor label."""
    return [
        name
        for name in features.columns
        if name not in ("customer_id", "cutoff_date")
        and not name.startswith("churned_")
        and column_kind(features[name]) is not None
    ]


def closed_cutoffs(cutoffs: Sequence[date], as_of: date, horizon_days: int) -> list[date]:
    """Cutoffs t whose label window (t, t + H] has ended by `as_of`, that is t + H <= as_of, ascending."""
    return sorted(t for t in set(cutoffs) if t + timedelta(days=horizon_days) <= as_of)


@dataclass(frozen=True)
class _Judged:
    """A cutoff and how models of earlier ones did there."""

    cutoff: date
    training_cutoffs: list[date]
    train_rows: int
    candidate: Candidate
    candidates: dict[Candidate, float]
    model: ChurnClassifier | None
    y: NDArray[np.int64]
    p_model: NDArray[np.float64]
    p_simple: NDArray[np.float64]
    report: dict[str, Any]
    baselines: dict[str, dict[str, Any]]


@dataclass
class _Protocol:
    """The frame and settings that the steps of `evaluate_and_score` share."""

    frame: pd.DataFrame
    label: str
    as_of: date
    horizon_days: int
    columns: list[str]
    baseline_columns: list[str]
    reason_texts: Mapping[str, str | Reason]
    random_state: int
    retention: Retention
    trained_share: float = 1.0
    messages: list[str] = field(default_factory=list)
    forward: dict[date, tuple[dict[Candidate, NDArray[np.float64]], NDArray[np.int64], NDArray[Any]]] = field(
        default_factory=dict
    )

    def rows(self, cutoffs: Sequence[date], most_rows: int = MOST_ROWS) -> pd.DataFrame:
        """Rows of the cutoffs whose label is known, at most `most_rows`, by whole customers."""
        rows = self.frame[self.frame["_cutoff"].isin(cutoffs) & self.frame[self.label].notna()]
        return rows.iloc[sample_groups(rows["_customer"].to_numpy(), most_rows, self.random_state)]

    def before(self, cutoff: date) -> list[date]:
        """The cutoffs that a model judged at one may be fitted to: their label windows have ended by it."""
        known = self.frame.loc[self.frame[self.label].notna(), "_cutoff"].unique()
        return closed_cutoffs(list(known), cutoff, self.horizon_days)

    def fit(self, rows: pd.DataFrame, columns: list[str], candidate: Candidate) -> ChurnClassifier:
        # Why no recalibration on the latest cutoff: a cutoff's level moves with the season of its window, and taking
        # over the latest one's is worse than the mean of all (CDNOW, cutoffs before the test window, trained on those
        # before: Brier .0547 against .0542 at 30 days, .1083 against .1082 at 90). Recency and frequency carry what
        # persists. So calibration uses held-out customers of every training cutoff.
        kind, strength = candidate
        which: dict[str, Any] = {"C": strength} if kind == "logistic" else {"n_trees": int(strength)}
        model = ChurnClassifier(model=kind, cv=3, random_state=self.random_state, **which)
        return model.fit(rows[columns], self.outcome(rows), groups=rows["_customer"].to_numpy())

    def choose(self, cutoff: date) -> tuple[Candidate, dict[Candidate, float]]:
        """The candidate that did best on the latest cutoffs closed by a cutoff, each judged by earlier ones."""
        able = [t for t in self.before(cutoff) if self.can_train(self.before(t))][-_CHOOSING_CUTOFFS:]
        tables = [self.judge_candidates(t) for t in able]
        if not tables:
            return _UNJUDGED, {}
        common = [c for c in tables[0][0] if all(c in table for table, _, _ in tables)]
        log_odds = {c: np.concatenate([table[c] for table, _, _ in tables]) for c in common}
        codes = np.concatenate([y for _, y, _ in tables])
        return choose_candidate(log_odds, codes, np.concatenate([ids for _, _, ids in tables]), _UNJUDGED)

    def can_train(self, cutoffs: Sequence[date]) -> bool:
        """Whether both outcomes occur at the cutoffs."""
        left = self.frame.loc[self.frame["_cutoff"].isin(cutoffs), self.label].dropna()
        return bool(len(left)) and 0 < int(left.sum()) < len(left)

    def judge_candidates(
        self, cutoff: date
    ) -> tuple[dict[Candidate, NDArray[np.float64]], NDArray[np.int64], NDArray[Any]]:
        """Log-odds of every candidate at a cutoff, fitted to those before; with the labels and the customers."""
        if cutoff not in self.forward:
            fit_rows = self.rows(self.before(cutoff), MOST_ROWS_TO_CHOOSE)
            judged = self.rows([cutoff], MOST_ROWS_TO_CHOOSE)
            columns = self.within_reach(fit_rows, judged)
            found = candidate_log_odds(
                fit_rows[columns], self.outcome(fit_rows), judged[columns], random_state=self.random_state
            )
            self.forward[cutoff] = found, self.outcome(judged), judged["_customer"].to_numpy()
        return self.forward[cutoff]

    def judge(self, cutoff: date, columns: list[str] | None = None, most_rows: int = MOST_ROWS) -> _Judged:
        """How a model of earlier cutoffs, chosen on earlier ones still, does at a cutoff."""
        training = self.before(cutoff)
        fit_rows, test = self.rows(training, most_rows), self.rows([cutoff], most_rows)
        columns = columns or self.within_reach(fit_rows, test)
        candidate, candidates = self.choose(cutoff)
        model = self.fit(fit_rows, columns, candidate)
        simple = self.fit(fit_rows, self.baseline_columns, _SIMPLE)
        return self.judged(
            cutoff,
            training,
            fit_rows,
            test,
            p_model=model.predict_proba(test[columns])[:, 1],
            p_simple=simple.predict_proba(test[self.baseline_columns])[:, 1],
            model=model,
            chosen=(candidate, candidates),
        )

    def judge_on_other_customers(self, cutoff: date) -> _Judged:
        """How models of other customers do at a cutoff before which none is closed."""
        rows = self.rows([cutoff])
        p = np.full((2, len(rows)), np.nan)
        folds = np.random.default_rng(self.random_state).permutation(len(rows)) % 5
        for fold in range(5):
            fit_on, judge_on = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            for which, (columns, candidate) in enumerate(((self.columns, _UNJUDGED), (self.baseline_columns, _SIMPLE))):
                model = self.fit(rows.iloc[fit_on], columns, candidate)
                p[which, judge_on] = model.predict_proba(rows.iloc[judge_on][columns])[:, 1]
        self.messages.append(
            f"No earlier cutoff is closed by {cutoff}: quality is judged on other customers, not on a later date, and "
            "may look better than it is."
        )
        return self.judged(cutoff, [], rows, rows, p_model=p[0], p_simple=p[1], model=None, chosen=(_UNJUDGED, {}))

    def judged(
        self,
        cutoff: date,
        training: list[date],
        fit_rows: pd.DataFrame,
        test: pd.DataFrame,
        *,
        p_model: NDArray[np.float64],
        p_simple: NDArray[np.float64],
        model: ChurnClassifier | None,
        chosen: tuple[Candidate, dict[Candidate, float]],
    ) -> _Judged:
        y = self.outcome(test)
        base_rate = float(self.outcome(fit_rows).mean())
        baselines = _baselines(y, test, base_rate, p_simple, self.baseline_columns[0])
        report = binary_report(y, p_model)
        return _Judged(cutoff, training, len(fit_rows), *chosen, model, y, p_model, p_simple, report, baselines)

    def within_reach(self, rows: pd.DataFrame, *later: pd.DataFrame) -> list[str]:
        """The columns without those whose typical later value no line reaches.

        A tenure between 90 and 180 days says nothing about customers of 400. Values are looked at, labels are not.
        """
        too_far = {name for each in later for name in self.out_of_reach(rows, each)}
        return [name for name in self.columns if name not in too_far]

    def out_of_reach(self, rows: pd.DataFrame, later: pd.DataFrame) -> list[str]:
        """Numeric columns whose median later value lies further outside the range in `rows` than a line may reach."""
        found = []
        for name in self.columns:
            if column_kind(rows[name]) != "number" or name in self.baseline_columns:
                continue
            before, after = (
                plain_columns(part[[name]], {name: "number"})[name].dropna().to_numpy() for part in (rows, later)
            )
            if not before.size or not after.size or before.min() == before.max():
                continue
            if is_skewed(before):
                before, after = signed_log1p(before), signed_log1p(after)
            middle, low, high = np.median(after), before.min(), before.max()
            if max(low - middle, middle - high) > _FURTHEST_LINE * (high - low):
                found.append(name)
        return found

    def outcome(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        return rows[self.label].to_numpy(dtype=bool).astype(np.int64)

    def contact(self, test: pd.DataFrame) -> Contact:
        """What contacting is worth, where not all of it is given by the mean order of the customers judged on."""
        name = "average_order_value"
        known = plain_columns(test[[name]], {name: "number"})[name].dropna() if name in test else pd.Series(dtype=float)
        return self.retention.contact(float(known.mean()) if len(known) else None)


def evaluate_and_score(
    features: pd.DataFrame,
    as_of: date,
    horizon_days: int,
    *,
    reason_texts: Mapping[str, str | Reason] | None = None,
    recency: str = "days_since_last_order",
    frequency: str = "order_count",
    retention: Retention | None = None,
    champion: ChurnTraining | None = None,
    trained_share: float = 1.0,
    random_state: int = 0,
) -> ChurnResult:
    """Judge a churn model on the latest closed cutoff, refit it on all closed ones and score the rows of `as_of`.

    The test cutoff is the latest t with t + H <= as_of; training cutoffs are those with t + H <= test cutoff, so that
    no training label lies in the test window. Kind and strength of the model are chosen on earlier cutoffs alone. Where
    no training cutoff exists, the model is judged on customers it was not fitted on, at the test cutoff, and a message
    says so. Fewer than 50 customers of either class: the recency rule. Worse in Brier than the training base rate on
    the test cutoff: a logistic model of recency and frequency, or the base rate if that is worse as well.

    A champion stays unless the new model, its challenger, has the lower Brier score on the same test cutoff. Compared
    are the two models fitted to cutoffs that had closed by the time of the cutoff each was first judged on, so that
    neither has seen the labels. A challenger with an implausible AUC, or one that cannot be judged on a later date,
    does not win against a champion that can; a champion worse than the base rate does not stay.

    Args:
        features: One row per customer and cutoff: customer_id, cutoff_date, churned_<H>d (boolean, null where not known
            yet), and feature columns; among the cutoffs `as_of` itself.
        as_of: The day to score.
        horizon_days: H, days.
        reason_texts: Format templates per feature, see `ChurnClassifier.explain`.
        recency: Column of days since the last order.
        frequency: Column of the number of orders.
        retention: What keeping and contacting a customer is worth; the usual order is the mean of the column
            average_order_value at the test cutoff.
        champion: The model in use, able to score the frame.
        trained_share: Share of the customers that the frame holds, for the record.
        random_state: Seed.

    Returns:
        Scores, metrics, model and messages; independent of the order of rows.

    Raises:
        ValueError: A named column is absent, or a customer has two rows at one cutoff.
    """
    label = f"churned_{horizon_days}d"
    frame = _by_cutoff(features, label, recency, frequency)
    as_of = pd.Timestamp(as_of).date()
    columns, simple, texts = feature_columns(features), [recency, frequency], reason_texts or {}
    retention = retention or Retention()
    run = _Protocol(frame, label, as_of, horizon_days, columns, simple, texts, random_state, retention, trained_share)
    now = frame[frame["_cutoff"] == as_of].sort_values("customer_id", ignore_index=True)
    if now.empty:
        run.messages.append(f"No customer has features at {as_of}: nothing to score.")
    closed = run.before(as_of)
    test_cutoff = closed[-1] if closed else None
    training = run.before(test_cutoff) if test_cutoff else []
    reason = _too_little(run, training or closed)
    if test_cutoff is None or reason:
        run.messages.append(f"{reason} Risk tiers follow the recency rule, without probabilities.")
        return _by_rule(run, now, recency)

    fit_rows, all_rows, test = run.rows(training or closed), run.rows(closed), run.rows([test_cutoff])
    n_known = int((frame["_cutoff"].isin(closed) & frame[label].notna()).sum())
    if len(all_rows) < n_known:
        run.messages.append(f"Trained on {len(all_rows):,} of {n_known:,} rows: more change nothing but the time.")
    # Out of reach at the test cutoff or at as_of: left out of both, so that the model judged is the one used.
    within = set(run.within_reach(fit_rows, test)) & set(run.within_reach(all_rows, now))
    too_far = sorted(set(run.columns) - within)
    run.columns = [name for name in run.columns if name in within]
    if too_far:
        run.messages.append(f"Left out, because their values moved far beyond those in training: {', '.join(too_far)}.")
    judged = run.judge(test_cutoff, run.columns) if training else run.judge_on_other_customers(test_cutoff)
    if (judged.report["auc"] or 0) >= IMPLAUSIBLE_AUC:
        run.messages.append(f"AUC {judged.report['auc']:.3f} is implausible: look for a leak of the label.")
    backtest = _backtest(run, judged, closed)
    metrics = partial(_metrics, run, judged)

    kept = _contest(run, champion, judged, test)
    if champion is not None and kept is not None and kept.stays:
        curves, profit = curve_table(judged.y, kept.p, run.contact(test))
        own = ("kind", "strength", "candidates", "train_rows", "trained_share", "evaluation")
        details = {name: champion.metrics.get(name) for name in own}
        kept_training = replace(
            champion,
            metrics={**metrics(kept.p, profit), **details},
            test_cutoff=test_cutoff,
            messages=run.messages,
            backtest=backtest if judged.model else champion.backtest,
            curves=curves,
        )
        version = _version(judged.candidate[0], horizon_days, as_of)
        lost = Challenge(version, as_of, test_cutoff, metrics(judged.p_model, {}))
        return _scored(kept_training, now, as_of, texts, lost)

    curves, profit = curve_table(judged.y, judged.p_model, run.contact(test))
    figures = metrics(judged.p_model, profit)
    bar = figures["baselines"]["base_rate"]["brier"]
    if judged.report["brier"] > bar:
        return _by_baseline(run, now, judged, all_rows=all_rows, backtest=backtest, metrics=figures)
    model = run.fit(all_rows, run.columns, judged.candidate)
    in_training = all_rows[run.columns].assign(churn_probability=model.predict_proba(all_rows[run.columns])[:, 1])
    new = ChurnTraining(
        horizon_days=horizon_days,
        as_of=as_of,
        version=_version(judged.candidate[0], horizon_days, as_of),
        features=run.columns,
        seed=random_state,
        model=model,
        judged=judged.model,
        test_cutoff=test_cutoff,
        training_cutoffs=judged.training_cutoffs,
        scoring_cutoffs=closed,
        metrics=figures,
        messages=run.messages,
        profile=profile_columns(in_training, int(all_rows["_customer"].nunique())),
        backtest=backtest,
        curves=curves,
    )
    beaten = None
    if champion is not None and kept is not None:
        beaten = Challenge(champion.version, champion.as_of, test_cutoff, metrics(kept.p, {}))
    return _scored(new, now, as_of, texts, beaten)


def score(
    training: ChurnTraining, features: pd.DataFrame, as_of: date, reason_texts: Mapping[str, str | Reason] | None = None
) -> ChurnResult:
    """Score the rows of a day with a model trained earlier, without training.

    Args:
        training: The champion.
        features: As in `evaluate_and_score`; labels are not read.
        as_of: The day to score, not before the one it was trained for.
        reason_texts: Format templates per feature.

    Returns:
        Scores, and what is known about the champion.

    Raises:
        ValueError: A feature is absent or of another kind than in training, a customer has two rows, or `as_of` lies
            before the day of training.
    """
    as_of = pd.Timestamp(as_of).date()
    if as_of < training.as_of:
        raise ValueError(f"{training.version} was trained for {training.as_of} and knows what came after {as_of}")
    at = pd.to_datetime(features["cutoff_date"]).dt.date == as_of
    now = features[at].sort_values("customer_id", ignore_index=True)
    if now["customer_id"].duplicated().any():
        raise ValueError("a customer has more than one row at a cutoff")
    return _scored(training, now, as_of, reason_texts or {}, None)


def _by_cutoff(features: pd.DataFrame, label: str, recency: str, frequency: str) -> pd.DataFrame:
    """The features with ``_cutoff`` (a date) and ``_customer`` (a number), in a fixed order.

    Raises:
        ValueError: A column is absent, or a customer has two rows at one cutoff.
    """
    absent = [c for c in ("customer_id", "cutoff_date", label, recency, frequency) if c not in features.columns]
    if absent:
        raise ValueError(f"columns are absent from the features: {absent}")
    days = pd.to_datetime(features["cutoff_date"]).dt.normalize()
    day_of = {day: day.date() for day in days.unique()}
    customers = pd.factorize(features["customer_id"], sort=True)[0]
    frame = features.assign(_cutoff=days.map(day_of), _customer=customers)
    frame = frame.sort_values(["cutoff_date", "_customer"], ignore_index=True)
    if frame.duplicated(["_cutoff", "_customer"]).any():
        raise ValueError("a customer has more than one row at a cutoff")
    return frame


def _version(kind: str, horizon_days: int, as_of: date) -> str:
    return f"{kind}-{horizon_days}d-{as_of}"


def _too_little(run: _Protocol, cutoffs: Sequence[date]) -> str:
    """Why no model can be trained on the cutoffs, or nothing. Customers are counted, not their repeated rows."""
    if not cutoffs:
        return f"No cutoff lies {run.horizon_days} days back with known outcomes."
    rows = run.frame[run.frame["_cutoff"].isin(cutoffs) & run.frame[run.label].notna()]
    left = run.outcome(rows).astype(bool)
    n_left = rows.loc[left, "customer_id"].nunique()
    n_stayed = rows.loc[~left, "customer_id"].nunique()
    if min(n_left, n_stayed) >= FEWEST_OF_A_CLASS:
        return ""
    return f"Only {n_left} customers left and {n_stayed} stayed in training; a model needs {FEWEST_OF_A_CLASS} of each."


def _baselines(
    y: NDArray[np.int64], test: pd.DataFrame, base_rate: float, p_simple: NDArray[np.float64], recency: str
) -> dict[str, dict[str, Any]]:
    """What the model has to beat, on the same rows."""
    days = test[recency].astype(float).to_numpy()
    days = np.where(np.isnan(days), np.nanmedian(days) if not np.isnan(days).all() else 0.0, days)
    tier = np.select([days > HIGH_RISK_DAYS, days > MEDIUM_RISK_DAYS], [2, 1], 0)
    both = 0 < y.sum() < len(y)
    return {
        "base_rate": {"probability": base_rate, "brier": float(np.mean((base_rate - y) ** 2))},
        "recency": {"auc": float(roc_auc_score(y, days)) if both else None},
        "tier_rule": {"auc": float(roc_auc_score(y, tier)) if both else None},
        "recency_frequency": binary_report(y, p_simple),
    }


def _metrics(
    run: _Protocol,
    judged: _Judged,
    p: NDArray[np.float64],
    profit: dict[str, Any],
) -> dict[str, Any]:
    """The figures of one model on the test cutoff."""
    return {
        "model": binary_report(judged.y, p),
        "baselines": judged.baselines,
        "against_recency_frequency": paired_bootstrap(judged.y, p, judged.p_simple, seed=run.random_state),
        "profit": profit,
        "evaluation": "later cutoff" if judged.training_cutoffs else "other customers",
        "kind": judged.candidate[0],
        "strength": judged.candidate[1],
        "candidates": {f"{kind} {s:g}": round(brier, 6) for (kind, s), brier in judged.candidates.items()},
        "train_rows": judged.train_rows,
        "trained_share": run.trained_share,
        "test_rows": len(judged.y),
    }


def _backtest(run: _Protocol, last: _Judged, closed: Sequence[date]) -> pd.DataFrame:
    """How the protocol would have done at earlier cutoffs; the last is the test cutoff itself."""
    earlier = [t for t in closed[:-1] if run.can_train(run.before(t))]
    steps = []
    if last.training_cutoffs:
        steps = [run.judge(t, most_rows=MOST_ROWS_TO_CHOOSE) for t in earlier[-(BACKTEST_CUTOFFS - 1) :]]
    rows = [
        {
            "test_cutoff": pd.Timestamp(step.cutoff),
            "kind": step.candidate[0],
            "strength": step.candidate[1],
            "training_cutoff_count": len(step.training_cutoffs),
            "training_row_count": step.train_rows,
            "customers": step.report["n"],
            "base_rate": step.report["base_rate"],
            "auc": step.report["auc"],
            "brier": step.report["brier"],
            "ece": step.report["ece"],
            "base_rate_brier": step.baselines["base_rate"]["brier"],
            "recency_auc": step.baselines["recency"]["auc"],
            "recency_frequency_auc": step.baselines["recency_frequency"]["auc"],
            "recency_frequency_brier": step.baselines["recency_frequency"]["brier"],
        }
        for step in [*steps, last]
    ]
    return typed(rows, BACKTEST_COLUMNS)


@dataclass(frozen=True)
class _Contest:
    """How a champion did on the challenger's test cutoff."""

    p: NDArray[np.float64]
    stays: bool


def _contest(run: _Protocol, champion: ChurnTraining | None, judged: _Judged, test: pd.DataFrame) -> _Contest | None:
    """The champion's figures where the challenger is judged, and whether it stays; None where it cannot be judged."""
    if champion is None:
        return None
    if champion.judged is None or champion.test_cutoff > judged.cutoff:
        run.messages.append(f"{champion.version} could not be judged at {judged.cutoff} and is replaced.")
        return None
    p = champion.judged.predict_proba(test[champion.features])[:, 1]
    if judged.model is None:
        run.messages.append(f"{champion.version} stays: a model trained now could not be judged on a later date.")
        return _Contest(p, stays=True)
    brier = float(np.mean((p - judged.y) ** 2))
    leaks = (judged.report["auc"] or 0) >= IMPLAUSIBLE_AUC
    better = leaks or round(brier, 6) <= round(judged.report["brier"], 6)
    stays = better and brier <= judged.baselines["base_rate"]["brier"]
    verdict = "stays" if stays else "is replaced"
    run.messages.append(
        f"{champion.version} {verdict}: its Brier score at {judged.cutoff} is {brier:.5f}, that of a model "
        f"trained now {judged.report['brier']:.5f}."
    )
    return _Contest(p, stays=stays)


def _scored(
    training: ChurnTraining,
    now: pd.DataFrame,
    as_of: date,
    texts: Mapping[str, str | Reason],
    challenge: Challenge | None,
) -> ChurnResult:
    """Today's scores by a training, and how far today's frame has moved from it."""
    scorer = ChurnScorer(training.horizon_days, as_of, training.version, training.model, training.features, None, texts)
    scores, drift = scorer(now), {}
    if len(now):
        p = scores["churn_probability"].to_numpy()
        drift = stability(training.profile, now[training.features].assign(churn_probability=p), len(now))
    return ChurnResult(
        scores=scores,
        metrics=training.metrics,
        backtest=training.backtest,
        curves=training.curves,
        drift=drift,
        training=training,
        challenge=challenge,
        model=training.model,
        model_version=training.version,
        test_cutoff=training.test_cutoff,
        training_cutoffs=training.training_cutoffs,
        scoring_cutoffs=training.scoring_cutoffs,
        features=training.features,
        messages=training.messages,
        horizon_days=training.horizon_days,
        as_of=as_of,
        scorer=scorer,
    )


def _by_baseline(
    run: _Protocol,
    now: pd.DataFrame,
    judged: _Judged,
    *,
    all_rows: pd.DataFrame,
    backtest: pd.DataFrame,
    metrics: dict[str, Any],
) -> ChurnResult:
    """Scores by recency and frequency, or the base rate, for when the model is worse than that."""
    bar = metrics["baselines"]["base_rate"]["brier"]
    constant = metrics["baselines"]["recency_frequency"]["brier"] > bar
    run.messages.append(
        f"The model's Brier score at {judged.cutoff} ({judged.report['brier']:.4f}) is worse than the base rate's "
        f"({bar:.4f}): replaced by "
        f"{'the base rate, equal for every customer' if constant else 'one of recency and frequency'}."
    )
    model = None if constant else run.fit(all_rows, run.baseline_columns, _SIMPLE)
    features = [] if constant else run.baseline_columns
    rate = float(run.outcome(all_rows).mean()) if constant else None
    scorer = ChurnScorer(run.horizon_days, run.as_of, "baseline", model, features, rate, run.reason_texts)
    return ChurnResult(
        scores=scorer(now),
        metrics=metrics,
        backtest=backtest,
        curves=typed([], CURVE_COLUMNS),
        drift={},
        training=None,
        challenge=None,
        model=model,
        model_version="baseline",
        test_cutoff=judged.cutoff,
        training_cutoffs=judged.training_cutoffs,
        scoring_cutoffs=run.before(run.as_of),
        features=features,
        messages=run.messages,
        horizon_days=run.horizon_days,
        as_of=run.as_of,
        scorer=scorer,
    )


def _by_rule(run: _Protocol, now: pd.DataFrame, recency: str) -> ChurnResult:
    """Scores by days since the last order, for when there is too little to learn from."""
    scorer = ChurnScorer(run.horizon_days, run.as_of, "recency_rule", None, [recency], None, run.reason_texts)
    return ChurnResult(
        scores=scorer(now),
        metrics={},
        backtest=typed([], BACKTEST_COLUMNS),
        curves=typed([], CURVE_COLUMNS),
        drift={},
        training=None,
        challenge=None,
        model=None,
        model_version="recency_rule",
        test_cutoff=None,
        training_cutoffs=[],
        scoring_cutoffs=[],
        features=[recency],
        messages=run.messages,
        horizon_days=run.horizon_days,
        as_of=run.as_of,
        scorer=scorer,
    )
