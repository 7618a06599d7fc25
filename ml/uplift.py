"""Whom to contact: extra orders that a message brings from each customer, learned from campaigns with a control group.

An R-learner whose effects are shrunk towards the average one, and the figures by which a ranking is judged.
Choosing whom to contact, at what cost, happens elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.utils.validation import check_is_fitted

from ml._threads import one_thread

FEWEST_OF_A_GROUP = 50
"""Fewer treated, or fewer held-back, contacts with known outcomes than this tell nothing worth publishing."""
TOP_SHARES = (0.1, 0.2, 0.3, 0.5)
"""Shares of customers, best first, whose average effect is reported."""
GROUPS = 5
"""Groups of equal size, best first, in which predicted and observed effects are compared."""
MOST_TRAINING_ROWS = 300_000
"""More contacts make the effects of some dozen features no clearer; time and memory grow with them."""

_Z = 1.959964  # of a 95 % interval
_RESAMPLES = 400
_PRIOR_SPREADS = (0.0, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16)  # extra orders, between customers
_ACTIVITY_WEIGHT = 6.0  # prior standard deviation of activity's coefficient, in those of the other features
_SMALLEST_VARIANCE = 0.1  # of a customer's orders: who never orders must not decide alone
_PSEUDO_CONTACTS = 20  # a campaign's own level counts from about this many contacts on
_CHUNK = 200_000


# ---------------------------------------------------------------------------------------------------------------------
# How good a ranking is
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ranking:
    """Customers ordered by a score, with a noisy measurement of each one's effect, ready to be summed up.

    The gain of a share q of the customers is the sum of the effects of the best q, per customer of all; equal scores
    share their gain evenly. The Qini coefficient is the area between that curve and the straight line of a random
    order (Radcliffe, "Using Control Groups to Target on Predicted Lift", 2007), here on doubly robust measurements
    (Yadlowsky et al., "Evaluating Treatment Prioritization Rules via Rank-Weighted Average Treatment Effects", 2021).

    Args:
        order: Row positions, best first, shape (n,).
        ends: Position after the last row of every run of equal scores, shape (runs,).
        effects: Measurements in that order, shape (n,).
    """

    order: NDArray[np.intp]
    ends: NDArray[np.intp]
    effects: NDArray[np.float64]

    @classmethod
    def by(cls, score: ArrayLike, effects: ArrayLike) -> Self:
        """Order effects by a score, the highest first.

        Args:
            score: Shape (n,), n at least 1, without missing values.
            effects: Unbiased measurements of the rows' effects, shape (n,).

        Raises:
            ValueError: The shapes differ, or a value is missing.
        """
        scores, values = np.asarray(score, dtype=float), np.asarray(effects, dtype=float)
        if scores.ndim != 1 or scores.shape != values.shape or not scores.size:
            raise ValueError(
                f"scores and effects must be 1-d, not empty and equally long: {scores.shape}, {values.shape}"
            )
        if np.isnan(scores).any() or np.isnan(values).any():
            raise ValueError("scores and effects must not be missing")
        order = np.argsort(-scores, kind="stable")
        ends = np.r_[np.flatnonzero(np.diff(scores[order])) + 1, len(scores)]
        return cls(order, ends, values[order])

    def curve(self, weights: NDArray[np.float64] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shares of customers, 0 to 1, and their gains in units of the effects per customer; rows may be weighted."""
        w = np.ones(len(self.order)) if weights is None else weights[self.order]
        share = np.r_[0.0, np.cumsum(w)[self.ends - 1]]
        gain = np.r_[0.0, np.cumsum(w * self.effects)[self.ends - 1]]
        return share / share[-1], gain / share[-1]

    def qini(self, weights: NDArray[np.float64] | None = None) -> float:
        """Area between curve and straight line, in units of the effects per customer; 0 for equal scores."""
        share, gain = self.curve(weights)
        return float(np.trapezoid(gain - share * gain[-1], share))

    def top(self, share: float, weights: NDArray[np.float64] | None = None) -> float:
        """Average effect of the best share of the customers."""
        return float(np.interp(share, *self.curve(weights)) / share)


def _resampled(groups: NDArray[np.int64], seed: int | None) -> NDArray[np.float64]:
    """Bootstrap weights of rows, shape (resamples, n): customers are drawn, with all their rows."""
    rng = np.random.default_rng(seed)
    n = int(groups.max()) + 1
    return np.array([np.bincount(rng.integers(n, size=n), minlength=n)[groups] for _ in range(_RESAMPLES)], dtype=float)


def _interval(estimate: float, resampled: ArrayLike) -> dict[str, float]:
    """Estimate with its 95 % interval: normal, with the bootstrap's standard deviation."""
    spread = float(np.asarray(resampled, dtype=float).std(ddof=1))
    return {"estimate": estimate, "low": estimate - _Z * spread, "high": estimate + _Z * spread}


def mean_by_customer(effects: NDArray[np.float64], groups: NDArray[np.int64]) -> tuple[float, float]:
    """Mean of rows and its standard error, rows of one customer (0, 1, ...) being dependent; both shapes (n,)."""
    mean = float(effects.mean())
    sums = np.bincount(groups, weights=effects - mean)
    customers = int((np.bincount(groups) > 0).sum())
    correction = customers / max(customers - 1, 1)
    return mean, float(np.sqrt(correction * (sums**2).sum()) / len(effects))


# ---------------------------------------------------------------------------------------------------------------------
# The model
# ---------------------------------------------------------------------------------------------------------------------


def _signed_log1p(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sign(values) * np.log1p(np.abs(values))


def _columns(X: pd.DataFrame) -> ColumnTransformer:
    """Numbers on a logarithmic scale, imputed, with what was missing; categories as indicators; all standardised."""
    numeric = [name for name in X if pd.api.types.is_numeric_dtype(X[name])]
    number = [
        ("log", FunctionTransformer(_signed_log1p)),
        ("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
        ("scale", StandardScaler()),
    ]
    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=0.02, max_categories=20, sparse_output=False
    )
    category = [("encode", encoder), ("scale", StandardScaler())]
    others = [name for name in X if name not in numeric]
    return ColumnTransformer([("number", Pipeline(number), numeric), ("category", Pipeline(category), others)])


def _plain(X: pd.DataFrame) -> pd.DataFrame:
    """Numbers as float64 with nan, everything else as text with a word for missing."""
    return pd.DataFrame(
        {
            str(name): X[name].astype("float64")
            if pd.api.types.is_numeric_dtype(X[name])
            else X[name].astype(object).where(X[name].notna(), "(missing)").astype(str)
            for name in X
        },
        index=X.index,
    )


@dataclass(frozen=True)
class _Posterior:
    """Coefficients of the effect, level first: mean and covariance."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


def _posterior(
    design: NDArray[np.float64],
    residual: NDArray[np.float64],
    lever: NDArray[np.float64],
    variance: NDArray[np.float64],
) -> _Posterior:
    """Of residual = lever (b0 + design b) + noise, with b ~ N(0, spread^2 / p) and a flat prior on b0.

    One normal posterior for each spread of effects between customers, averaged with their marginal likelihoods as
    weights: nothing is tuned, and without signs of differences little but the level is left.
    """
    p = design.shape[1]
    A = np.column_stack([np.ones(len(design)), design]) * (lever / np.sqrt(variance))[:, None]
    gram, moment = A.T @ A, A.T @ (residual / np.sqrt(variance))
    means, covariances, evidence = [], [], []
    for spread in _PRIOR_SPREADS:
        covariance = np.zeros_like(gram)
        if spread == 0:
            covariance[0, 0] = 1 / gram[0, 0]
            log_evidence = 0.5 * np.log(covariance[0, 0])
        else:
            precision = gram + np.diag(np.r_[0.0, np.full(p, p / spread**2)])
            covariance = np.linalg.inv(precision)
            log_evidence = 0.5 * (p * np.log(p / spread**2) - np.linalg.slogdet(precision)[1])
        means.append(covariance @ moment)
        covariances.append(covariance)
        evidence.append(log_evidence + 0.5 * moment @ means[-1])
    weight = softmax(evidence)
    mean = weight @ np.array(means)
    gaps = np.array(means) - mean
    spread_of_means = gaps[:, :, None] * gaps[:, None, :]
    return _Posterior(mean, np.tensordot(weight, np.array(covariances) + spread_of_means, axes=1))


class UpliftModel(BaseEstimator):
    """Effect of a treatment that was assigned at random with known probability, for each row.

    The R-learner (Nie and Wager, "Quasi-Oracle Estimation of Heterogeneous Treatment Effects", Biometrika 2021): what
    gradient boosting, fitted on other customers, expects of the outcome is subtracted, and the rest regressed on
    (treatment - propensity) times the effect. The effect is linear in activity (the square root of the probability of
    any outcome at all, on other customers' word) and in activity times each feature, since who is gone cannot be moved;
    coefficients carry a normal prior around 0 whose spread the data choose (see `_posterior`), and rows count by the
    inverse variance of their outcome. The level is then set so that the mean effect is the doubly robust estimate
    (Robins, Rotnitzky and Zhao 1994), which needs no model to be right.

    Args:
        cv: Folds, by customer, of everything that is fitted on other customers.
        random_state: Seed of the folds.

    Attributes:
        average_effect_: Doubly robust mean effect over the rows of fit.
        average_effect_error_: Its standard error, with the rows of a customer dependent.
        distinguishable_z_: Inverse-variance weighted mean effect over its standard error: whether there is any effect.
        measured_: Doubly robust measurement of each row's effect, shape (n,); noisy, but unbiased.
        out_of_fold_: Effect predicted for each row from other customers, shape (n,).
        expected_: Outcome expected of each row from other customers, shape (n,).
        folds_: Fold of each row, shape (n,).
    """

    def __init__(self, *, cv: int = 5, random_state: int | None = None) -> None:
        self.cv = cv
        self.random_state = random_state

    def fit(
        self,
        X: pd.DataFrame,
        y: ArrayLike,
        *,
        treatment: ArrayLike,
        propensity: ArrayLike,
        groups: ArrayLike,
        strata: ArrayLike | None = None,
    ) -> Self:
        """Fit on a randomised experiment; the order of rows changes nothing but rounding.

        Args:
            X: Numeric and text columns known before the assignment, shape (n, features).
            y: Outcomes such as numbers of orders, not negative, shape (n,).
            treatment: Whether a row was treated, shape (n,).
            propensity: Probability with which it was to be treated, above 0 and below 1, shape (n,).
            groups: Customer of each row, shape (n,).
            strata: Experiment of each row, shape (n,), which may have a level of its own; by default one.

        Returns:
            Itself.

        Raises:
            ValueError: Shapes differ, an outcome is missing or negative, or a propensity is 0 or 1.
        """
        y, treated, e = (np.asarray(values, dtype=float) for values in (y, treatment, propensity))
        if not len(X) == len(y) == len(treated) == len(e):
            raise ValueError(
                f"X, y, treatment and propensity must be equally long: {len(X)}, {len(y)}, {len(treated)}, {len(e)}"
            )
        if not (np.isfinite(y) & (y >= 0)).all():
            raise ValueError(
                "outcomes (y) must be known and not negative; drop the rows whose outcome is not known yet"
            )
        if not ((e > 0) & (e < 1)).all():
            raise ValueError("propensity must lie between 0 and 1: leave out experiments without a control group")
        group_of = pd.factorize(np.asarray(groups), sort=True)[0]
        stratum_of = pd.factorize(np.asarray(strata if strata is not None else np.zeros(len(y))), sort=True)[0]
        plain = _plain(X)
        self.feature_names_in_ = np.array(plain.columns, dtype=object)
        rng = np.random.default_rng(self.random_state)
        self.folds_ = (rng.permutation(int(group_of.max()) + 1) % self.cv)[group_of]
        if len(np.unique(self.folds_[y > 0])) < self.cv:
            raise ValueError(
                f"hardly anybody has an outcome (y) above 0, of {len(y)} rows: nothing can be learned from it"
            )
        with one_thread():
            self.columns_ = _columns(plain)
            Z = self.columns_.fit_transform(plain)
            self.activity_models_, activity = self._cross_fitted(Z, (y > 0).astype(float))
            _, expected = self._cross_fitted(Z, y)
            expected = self._with_levels(y, expected, stratum_of)
            residual, lever = y - expected, treated - e
            noise = max(float(np.average(residual**2 / expected, weights=np.minimum(expected, 1))), 1e-6)
            variance = np.maximum(noise * expected, _SMALLEST_VARIANCE)
            design = self._design(Z, activity, reset=True)
            effect = np.empty(len(y))
            for fold in range(self.cv):
                other = self.folds_ != fold
                part = _posterior(design[other], residual[other], lever[other], variance[other])
                effect[~other] = part.mean[0] + design[~other] @ part.mean[1:]
            self.posterior_ = _posterior(design, residual, lever, variance)
        self.expected_ = expected
        self.out_of_fold_ = effect
        self.measured_ = effect + lever / (e * (1 - e)) * (residual - lever * effect)
        self.average_effect_, self.average_effect_error_ = mean_by_customer(self.measured_, group_of)
        self.distinguishable_z_ = _weighted_z(residual, lever, variance, group_of)
        self._mean_design = design.mean(axis=0)
        return self

    def predict(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Expected change of the outcome if treated, shape (n,)."""
        return self._predict(X)[0]

    def predict_interval(self, X: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Ends of the 95 % intervals of the expected change among rows like each one, shapes (n,)."""
        effect, error = self._predict(X)
        return effect - _Z * error, effect + _Z * error

    def _predict(self, X: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        check_is_fitted(self)
        plain = _plain(X[list(self.feature_names_in_)])
        effect, error = np.empty(len(plain)), np.empty(len(plain))
        with one_thread():
            for start in range(0, len(plain), _CHUNK):
                rows = slice(start, start + _CHUNK)
                Z = self.columns_.transform(plain.iloc[rows])
                activity = np.mean([model.predict(Z) for model in self.activity_models_], axis=0)
                away = self._design(Z, activity, reset=False) - self._mean_design
                effect[rows] = self.average_effect_ + away @ self.posterior_.mean[1:]
                own = np.einsum("ij,jk,ik->i", away, self.posterior_.covariance[1:, 1:], away)
                error[rows] = np.sqrt(np.maximum(own, 0) + self.average_effect_error_**2)
        return effect, error

    def _cross_fitted(
        self, Z: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[list[HistGradientBoostingRegressor], NDArray[np.float64]]:
        """A model a fold, fitted on the other folds, and what it expects of the fold's rows."""
        models, expected = [], np.empty(len(y))
        for fold in range(self.cv):
            own = self.folds_ == fold
            model = HistGradientBoostingRegressor(
                loss="poisson",
                max_iter=60,
                learning_rate=0.08,
                max_leaf_nodes=8,
                min_samples_leaf=40,
                l2_regularization=5.0,
                early_stopping=False,
            )
            models.append(model.fit(Z[~own], y[~own]))
            expected[own] = model.predict(Z[own])
        return models, expected

    @staticmethod
    def _with_levels(
        y: NDArray[np.float64], expected: NDArray[np.float64], stratum_of: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Expectations moved to the level of each stratum, which has its own season."""
        above = np.bincount(stratum_of, weights=y - expected) / (np.bincount(stratum_of) + _PSEUDO_CONTACTS)
        return np.maximum(expected + above[stratum_of], 0.003)

    def _design(self, Z: NDArray[np.float64], activity: NDArray[np.float64], *, reset: bool) -> NDArray[np.float64]:
        """Activity and activity times every feature, standardised; activity's prior is the wider one."""
        root = np.sqrt(np.minimum(activity, 1))[:, None]
        raw = np.column_stack([root, root * Z])
        if reset:
            self._scaler = StandardScaler().fit(raw)
        scaled = self._scaler.transform(raw)
        scaled[:, 0] *= _ACTIVITY_WEIGHT
        return scaled


def _weighted_z(
    residual: NDArray[np.float64],
    lever: NDArray[np.float64],
    variance: NDArray[np.float64],
    groups: NDArray[np.int64],
) -> float:
    """Inverse-variance weighted mean effect over its standard error, the rows of a customer being dependent."""
    weight = lever / variance
    level = float(weight @ residual / (weight @ lever))
    score = np.bincount(groups, weights=weight * (residual - lever * level))
    return level / float(np.sqrt((score**2).sum()) / (weight @ lever))


# ---------------------------------------------------------------------------------------------------------------------
# The protocol: learned from closed campaigns, judged on customers left out, scored for everyone
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class UpliftResult:
    """Effects per customer, and what is known about their quality.

    Args:
        scores: customer_id, uplift_probability (extra orders within 30 days of a message, 6 decimals), uplift_low and
            uplift_high (its 95 % interval), uplift_value (in the currency, 4 decimals), uplift_decile (int, 1 the
            best; null where everyone has the same), model_version; sorted by customer_id.
        curve: share and gain of the Qini curve on customers left out, and gain_of_churn, that of the least active
            first; 101 rows, or none.
        groups: Predicted and observed effect of `GROUPS` groups on customers left out: group, contacts, predicted,
            observed, observed_low, observed_high.
        metrics: contacts, treated, control, campaigns, ``average_effect`` (estimate, low, high; extra orders per
            message), ``distinguishable_z``, ``qini`` and ``qini_above_churn`` (likewise), ``top_<percent>`` (average
            effect of the best), ``calibration_slope`` (observed on predicted differences; 1 is right).
        model: The fitted model; None where there is nothing to learn from.
        model_version: ``r-learner-<as_of>``, ``average-<as_of>`` or ``none``.
        messages: What a reader has to know, in plain words.
    """

    scores: pd.DataFrame
    curve: pd.DataFrame
    groups: pd.DataFrame
    metrics: dict[str, Any]
    model: UpliftModel | None
    model_version: str
    messages: list[str]


_NO_FEATURES = frozenset({"contact_id", "campaign_id", "customer_id", "known_on", "is_control", "is_closed"})
_LABELS = frozenset({"orders_after_30d", "net_revenue_after_30d", "gross_margin_after_30d"})


def evaluate_and_score(
    frame: pd.DataFrame, as_of: date, *, value: str = "net_revenue_after_30d", random_state: int = 0
) -> UpliftResult:
    """Learn effects from closed campaigns with a control group, judge them on customers left out, and score everyone.

    The propensity is each campaign's treated share, known by design. Every figure of quality is computed from effects
    predicted for a contact by models that were fitted on other customers. Where messages make no difference that can
    be told from chance (`UpliftModel.distinguishable_z_` within 1.96), everyone gets the average effect.

    Args:
        frame: As in marts.contact_features: contacts with campaign_id, customer_id, is_control, is_closed,
            orders_after_30d and `value`, and rows of customers to score, whose contact_id is null; every other
            column is a feature, known before the assignment.
        as_of: The day to score.
        value: Column of what the orders of the 30 days were worth: net revenue or gross margin.
        random_state: Seed.

    Returns:
        Scores, figures and messages; independent of the order of rows, typed and empty where nothing can be learned.

    Raises:
        ValueError: A named column is absent, or a customer to score has two rows.
    """
    needed = ["contact_id", "campaign_id", "customer_id", "is_control", "is_closed", "orders_after_30d", value]
    absent = [name for name in [*needed, "average_order_value", "order_count"] if name not in frame.columns]
    if absent:
        raise ValueError(f"columns are absent: {absent}")
    features = [name for name in frame.columns if name not in _NO_FEATURES | _LABELS]
    now = frame[frame["contact_id"].isna()].sort_values("customer_id", ignore_index=True)
    if now["customer_id"].duplicated().any():
        raise ValueError("a customer to score has more than one row")
    contacts, messages = _experiments(frame, random_state)
    treated = ~contacts["is_control"].astype(bool).to_numpy()
    metrics: dict[str, Any] = {
        "contacts": len(contacts),
        "treated": int(treated.sum()),
        "control": int((~treated).sum()),
        "campaigns": int(contacts["campaign_id"].nunique()),
    }
    ordered = int((contacts["orders_after_30d"] > 0).sum())
    if min(metrics["treated"], metrics["control"]) < FEWEST_OF_A_GROUP or ordered < FEWEST_OF_A_GROUP:
        messages.append(
            f"Only {metrics['treated']} treated and {metrics['control']} held-back contacts with known outcomes, "
            f"{ordered} of them with an order; effects need {FEWEST_OF_A_GROUP} of each: no customer is scored."
        )
        nothing = np.empty(0)
        scores = _scores(now.head(0), nothing, (nothing, nothing), nothing, "none")
        return UpliftResult(scores, _NO_CURVE, _NO_GROUPS, metrics, None, "none", messages)

    model = UpliftModel(random_state=random_state).fit(
        contacts[features],
        contacts["orders_after_30d"],
        treatment=treated,
        propensity=contacts.groupby("campaign_id")["is_control"].transform(lambda column: 1 - column.mean()),
        groups=contacts["customer_id"],
        strata=contacts["campaign_id"],
    )
    figures, curve, groups = _judged(model, pd.factorize(contacts["customer_id"], sort=True)[0], random_state)
    metrics |= figures
    effect, (low, high) = model.predict(now), model.predict_interval(now)
    version = f"r-learner-{as_of}"
    if abs(model.distinguishable_z_) < _Z:
        messages.append(
            "Messages make no difference that can be told from chance: every customer gets the average effect, "
            f"{model.average_effect_:.4f} orders a message."
        )
        version = f"average-{as_of}"
        effect = np.full(len(now), model.average_effect_)
        low, high = (effect + sign * _Z * model.average_effect_error_ for sign in (-1, 1))
    elif figures["qini"]["low"] <= 0:
        messages.append(
            "Messages make a difference; for whom a larger one cannot yet be told from chance: the effects of "
            "customers are close to the average, and their ranking is a best guess."
        )
    worth = float(contacts[value].astype(float).sum() / max(contacts["orders_after_30d"].sum(), 1))
    scores = _scores(now, effect, (low, high), _order_values(now, worth), version)
    return UpliftResult(scores, curve, groups, metrics, model, version, messages)


def _experiments(frame: pd.DataFrame, random_state: int) -> tuple[pd.DataFrame, list[str]]:
    """Contacts with known outcomes of campaigns that treated some and held others back."""
    drawn = frame[frame["contact_id"].notna()].sort_values(["campaign_id", "contact_id"], ignore_index=True)
    if drawn.empty:
        return drawn, ["There are no campaign contacts."]
    closed = drawn[drawn["is_closed"].eq(True) & drawn["orders_after_30d"].notna()]
    share = closed["is_control"].astype(float).groupby(closed["campaign_id"]).mean()
    usable = share.index[(share > 0) & (share < 1)]
    messages = []
    if len(usable) < len(share):
        messages.append(
            f"{len(share) - len(usable)} of {len(share)} campaigns held back nobody, or everybody: they are left out."
        )
    contacts = closed[closed["campaign_id"].isin(usable)]
    if len(contacts) > MOST_TRAINING_ROWS:
        messages.append(
            f"Effects are learned from {MOST_TRAINING_ROWS:,} of {len(contacts):,} contacts, drawn at random."
        )
        contacts = contacts.sample(MOST_TRAINING_ROWS, random_state=random_state).sort_index()
    return contacts.assign(is_control=contacts["is_control"].astype(bool)).reset_index(drop=True), messages


def _judged(
    model: UpliftModel, group_of: NDArray[np.int64], random_state: int
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Figures of quality on customers left out."""
    measured, predicted = model.measured_, model.out_of_fold_
    # Levels of the folds' models differ by noise alone.
    centred = predicted - pd.Series(predicted).groupby(model.folds_).transform("mean").to_numpy()
    ours, churn = Ranking.by(centred, measured), Ranking.by(-model.expected_, measured)
    weights = _resampled(group_of, random_state)
    qinis = np.array([(ours.qini(w), churn.qini(w)) for w in weights])
    error = _Z * model.average_effect_error_
    metrics: dict[str, Any] = {
        "average_effect": {
            "estimate": model.average_effect_,
            "low": model.average_effect_ - error,
            "high": model.average_effect_ + error,
        },
        "distinguishable_z": model.distinguishable_z_,
        "qini": _interval(ours.qini(), qinis[:, 0]),
        "qini_above_churn": _interval(ours.qini() - churn.qini(), qinis[:, 0] - qinis[:, 1]),
        **{
            f"top_{round(100 * share)}": _interval(ours.top(share), [ours.top(share, w) for w in weights])
            for share in TOP_SHARES
        },
        "calibration_slope": float(centred @ (measured - measured.mean()) / max(centred @ centred, 1e-300)),
    }
    shares = np.linspace(0, 1, 101)
    curve = pd.DataFrame(
        {"share": shares, "gain": np.interp(shares, *ours.curve()), "gain_of_churn": np.interp(shares, *churn.curve())}
    )
    return metrics, curve.round(6), _groups(ours.order, predicted, measured, group_of)


def _groups(
    order: NDArray[np.intp], predicted: NDArray[np.float64], measured: NDArray[np.float64], group_of: NDArray[np.int64]
) -> pd.DataFrame:
    rows = []
    for number, part in enumerate(np.array_split(order, GROUPS), start=1):
        observed, error = mean_by_customer(measured[part], group_of[part])
        ends = {"observed_low": observed - _Z * error, "observed_high": observed + _Z * error}
        rows.append(
            {"group": number, "contacts": len(part), "predicted": predicted[part].mean(), "observed": observed} | ends
        )
    return pd.DataFrame(rows).round(6)


def _order_values(now: pd.DataFrame, worth: float) -> NDArray[np.float64]:
    """What an extra order of each customer is worth: the average order's worth, moved towards the customer's own size.

    Own orders weigh n / (n + 1): in the gamma-gamma model of order values (Fader and Hardie 2013) the weight is
    n / (n + (q - 1) / p), and (q - 1) / p is .44 on CDNOW.
    """
    own, orders = (
        now["average_order_value"].astype(float).to_numpy(),
        now["order_count"].astype(float).fillna(0).to_numpy(),
    )
    known = ~np.isnan(own)
    typical = float(own[known].mean()) if known.any() else 1.0
    relative = np.where(known, own, typical) / max(typical, 1e-9)
    weight = orders / (orders + 1)
    return worth * (weight * relative + 1 - weight)


def _scores(
    now: pd.DataFrame,
    effect: NDArray[np.float64],
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
    order_value: NDArray[np.float64],
    version: str,
) -> pd.DataFrame:
    """The published columns, typed also when there is no row."""
    rounded = np.round(effect, 6)
    place = pd.Series(-rounded).rank(method="average").to_numpy() / max(len(now), 1)
    decile = pd.array(np.ceil(10 * place), dtype="Int64")
    if len(np.unique(rounded)) <= 1:
        decile[:] = pd.NA
    return pd.DataFrame(
        {
            "customer_id": now["customer_id"].to_numpy(),
            "uplift_probability": rounded,
            "uplift_low": np.round(ends[0], 6),
            "uplift_high": np.round(ends[1], 6),
            "uplift_value": np.round(effect * order_value, 4),
            "uplift_decile": decile,
            "model_version": pd.array([version] * len(now), dtype="string"),
        }
    )


_NO_CURVE = pd.DataFrame({name: pd.Series(dtype="float64") for name in ("share", "gain", "gain_of_churn")})
_NO_GROUPS = pd.DataFrame(
    {"group": pd.Series(dtype="int64"), "contacts": pd.Series(dtype="int64")}
    | {name: pd.Series(dtype="float64") for name in ("predicted", "observed", "observed_low", "observed_high")}
)
