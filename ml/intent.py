"""Who is about to buy: a calibrated model of visits that end in an order, and what it says of customers.

The classifier works on any table; the protocol on the frame of `session_features`, one row per visit. Naming visits and
customers after what they do is the business of `ml.personas`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.utils.validation import check_is_fitted

from ml._threads import one_thread
from ml.columns import column_kind
from ml.metrics import binary_report
from ml.tabular import TabularClassifier, platt

FEATURES = (
    "device_type",
    "started_hour",
    "started_weekday",
    "pages_visited",
    "seconds_to_decision",
    "product_view_count",
    "product_count",
    "add_to_cart_count",
    "cart_value",
    "is_known_customer",
    "sessions_before",
    "orders_before",
    "abandoned_before",
    "days_since_last_session",
    "days_since_last_order",
)
"""What is known of a visit and its visitor when the visit is decided; see `evaluate_and_score`."""
SCORED_DAYS = 90
"""Days up to as_of whose visits are judged on and scored: as far back as engagement is counted."""
FEWEST_OF_A_CLASS = 50
"""Fewer visits than this with an order, or without one, cannot train a model that deserves trust."""
MOST_TRAINING_ROWS = 300_000
"""Some dozen features do not get better beyond this; memory and time do get worse."""
GIVEAWAY_AUC = 0.98
"""A single column that ranks buyers this well was most likely filled in after the purchase."""
HALF_LIFE_DAYS = 14
"""Days after which a visit counts half in a customer's intent."""

_CATEGORIES = 60
_PRIOR_VISITS = 10  # visits that the shop's conversion rate counts for in the rule


# ---------------------------------------------------------------------------------------------------------------------
# The classifier
# ---------------------------------------------------------------------------------------------------------------------


def _texts(column: pd.Series) -> pd.Series:
    return column.astype(object).map(str, na_action="ignore")


class PurchaseClassifier(TabularClassifier):
    """Calibrated gradient-boosted trees for any mix of numeric, categorical, boolean and missing columns.

    Histogram gradient boosting (Friedman, "Greedy Function Approximation", 2001) with native categories, of which the
    60 most frequent of a column are told apart, and native missing values. Probabilities are 1 / (1 + exp(-(a + b z)))
    of the log-odds z, with a and b fitted to log-odds out of fold (Platt 1999) under priors a ~ N(0, 1) and
    b ~ N(1, 0.5), which keep small tables near the identity.

    Args:
        cv: Number of folds for calibration.
        max_iter: Trees.
        learning_rate: Weight of a tree.
        random_state: Seed of the folds.

    Attributes:
        classes_: The two labels, the second being the one whose probability is modelled.
        kinds_: Kind of each column: number, flag or category.
        categories_: Category of each code, most frequent first, per categorical column.
        booster_: The fitted `HistGradientBoostingClassifier`.
        calibration_: (a, b).
        n_iter_: Trees.
        feature_names_in_, n_features_in_: As usual in scikit-learn.
    """

    _needs = "visits with an order and visits without one"

    def __init__(
        self, *, cv: int = 3, max_iter: int = 60, learning_rate: float = 0.1, random_state: int | None = None
    ) -> None:
        self.cv = cv
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.random_state = random_state

    def fit(self, X: pd.DataFrame, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Fit on a table and its labels.

        Args:
            X: Shape (n, features), at least one column and two rows; numeric, boolean, text or categorical columns.
            y: Two kinds of label, shape (n,), none missing.
            groups: Customer of each row, shape (n,): a customer's rows stay in one fold. Default: each row its own.

        Returns:
            Itself.

        Raises:
            ValueError: One class or more than two, missing labels, columns of another kind, infinite values,
                repeated column names.
        """
        X, codes, group_of = self._prepared(X, y, groups)
        self.categories_ = {
            name: _frequent(_texts(X[name])) for name, kind in self.kinds_.items() if kind == "category"
        }
        Z = self._encoded(X)
        with one_thread():
            log_odds = np.full(len(codes), np.nan)
            for fit_on, judge_on in _folds(codes, group_of, self.cv, self.random_state):
                log_odds[judge_on] = self._booster(Z[fit_on], codes[fit_on]).decision_function(Z[judge_on])
            self.calibration_ = platt(log_odds, codes)
            self.booster_ = self._booster(Z, codes)
        self.n_iter_ = self.booster_.n_iter_
        return self

    def decision_function(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Uncalibrated log-odds of the second class, shape (n,)."""
        check_is_fitted(self)
        Z = self._encoded(self._frame(X, reset=False))
        with one_thread():
            return self.booster_.decision_function(Z) if len(Z) else np.empty(0)

    def _encoded(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Numbers as they are, categories as codes (rare ones share one), nan for missing."""
        columns = []
        for name, kind in self.kinds_.items():
            column = X[name]
            if kind == "category":
                codes = pd.Index(self.categories_[name]).get_indexer(pd.Index(_texts(column))).astype(float)
                codes[codes < 0] = len(self.categories_[name])
                columns.append(np.where(column.isna(), np.nan, codes))
                continue
            try:
                values = column.astype(object).where(column.notna(), np.nan).to_numpy().astype(float)
            except (TypeError, ValueError) as error:
                raise ValueError(f"column {name!r} was numeric in fit and is not now: {error}") from error
            if np.isinf(values).any():
                raise ValueError(f"column {name!r} holds infinity; leave such values missing")
            columns.append(values)
        return np.column_stack(columns)

    def _booster(self, Z: NDArray[np.float64], codes: NDArray[np.int64]) -> HistGradientBoostingClassifier:
        # A column without a value cannot be binned, and as a constant it is never split.
        Z = np.where(np.isnan(Z).all(axis=0), 0.0, Z)
        return HistGradientBoostingClassifier(
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            max_leaf_nodes=8,
            min_samples_leaf=int(np.clip(len(Z) // 20, 2, 50)),
            l2_regularization=10.0,
            categorical_features=[kind == "category" for kind in self.kinds_.values()],
            early_stopping=False,
        ).fit(Z, codes)


def _frequent(texts: pd.Series) -> list[str]:
    counts = texts.value_counts()
    return sorted(counts.index, key=lambda text: (-counts[text], text))[:_CATEGORIES]


def _folds(
    codes: NDArray[np.int64], group_of: NDArray[np.int64], k: int, seed: int | None
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Folds at random that keep groups whole; those that would be fitted on one class are left out."""
    fold_of = (np.random.default_rng(seed).permutation(int(group_of.max()) + 1) % k)[group_of]
    for fold in range(k):
        fit_on, judge_on = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if len(judge_on) and 0 < codes[fit_on].sum() < len(fit_on):
            yield fit_on, judge_on


# ---------------------------------------------------------------------------------------------------------------------
# The protocol: learned from earlier visits, judged on and used for later ones
# ---------------------------------------------------------------------------------------------------------------------


class CartRule:
    """Share of buyers among visits with and without a cart: the rule for shops too young for a model, and its baseline.

    Shares are drawn towards the shop's conversion rate, which counts for 10 visits, and that rate towards a half, which
    counts for one: (k + 10 (K + 1/2) / (N + 1)) / (n + 10), k of n visits of a kind and K of N of all with an order.

    Args:
        frame: Visits with is_converted and the columns.
        columns: Columns that show a cart where they are above 0.
    """

    def __init__(self, frame: pd.DataFrame, columns: Sequence[str]) -> None:
        self.columns = list(columns)
        has_cart, bought = self._has_cart(frame), frame["is_converted"].to_numpy(dtype=bool)
        self.rate = (bought.sum() + 0.5) / (len(bought) + 1)
        self.shares = np.array(
            [
                (bought[kind].sum() + _PRIOR_VISITS * self.rate) / (kind.sum() + _PRIOR_VISITS)
                for kind in (~has_cart, has_cart)
            ]
        )

    def probability(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Share of buyers among visits like each one, shape (n,)."""
        return self.shares[self._has_cart(frame).astype(int)]

    def _has_cart(self, frame: pd.DataFrame) -> NDArray[np.bool_]:
        return (frame[self.columns].astype("float64").fillna(0) > 0).any(axis=1).to_numpy(dtype=bool)


@dataclass(frozen=True)
class VisitScorer:
    """What it takes to score visits, each by itself: the same whatever other visits come with it.

    Args:
        model: The classifier; None by rule.
        rule: The rule of the cart.
        features: Columns that the classifier reads.
        version: The published `model_version`.
    """

    model: PurchaseClassifier | None
    rule: CartRule
    features: list[str]
    version: str

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        """session_id and the published columns of `IntentResult.scores`, in the order of the rows."""
        if self.model is not None and len(rows):
            p = self.model.predict_proba(rows[self.features])[:, 1]
        else:
            p = self.rule.probability(rows)
        return _published(rows[["session_id"]].reset_index(drop=True), p, self.version)


@dataclass(frozen=True)
class IntentResult:
    """Scores of visits, and what is known about their quality.

    Args:
        scores: session_id, customer_id, started_on, purchase_probability (0-1, 6 decimals), will_buy (more likely than
            not), confidence (probability that will_buy is right, 0.5-1), model_version; sorted by session_id.
        metrics: ``model`` and ``baselines`` (``base_rate``, ``device``, ``cart_rule``), each a report on the scored
            visits, ``new_customers`` (the model's on customers that training never saw; None without one),
            ``train_rows``, ``test_rows``, ``features``; only counts by rule.
        model: The fitted classifier; None by rule.
        model_version: ``boosting-<as_of>`` or ``cart_rule``.
        messages: What a reader has to know, in plain words.
        scorer: Scores any visits as those here.
    """

    scores: pd.DataFrame
    metrics: dict[str, Any]
    model: PurchaseClassifier | None
    model_version: str
    messages: list[str]
    scorer: VisitScorer


def scored_since(first_day: date, as_of: date) -> date:
    """First day of the visits that are scored: the last 90 days, or the last third of a history shorter than 270."""
    days = (as_of - first_day).days + 1
    return as_of - timedelta(days=min(SCORED_DAYS, math.ceil(days / 3)) - 1)


def evaluate_and_score(
    earlier: pd.DataFrame,
    later: Iterable[pd.DataFrame],
    as_of: date,
    *,
    columns: Sequence[str] = FEATURES,
    random_state: int = 0,
) -> IntentResult:
    """Learn from earlier visits how those that end in an order look, and score later ones.

    **The moment.** A visit is scored when it is decided: at its purchase, or at its end without one, and by everything
    but the answer. The probability is the share with an order among visits that looked alike until then. So it ranks
    the visits without an order by how close they came, for following up, and sums up what a customer has been doing;
    it is no forecast from within a visit under way. Left out are therefore: the order's number and value, purchase
    events and all that is derived from them (has_cart, is_abandoned, event_count), and time after the purchase.
    A column that alone ranks buyers with an AUC of `GIVEAWAY_AUC` or more is left out too, and named.

    Every score is made from earlier visits only, so the figures of quality are those of the very scores that are
    published. Fewer than 50 visits of either kind, or worse in Brier score than it: the rule of the cart.

    Args:
        earlier: Visits to learn from, with session_id, customer_id (null for strangers), is_converted and `columns`.
        later: Visits to score, in parts; likewise, with started_at.
        as_of: The day of the scores, part of the version's name.
        columns: The features.
        random_state: Seed.

    Returns:
        Scores, figures, model and messages; independent of the order of rows, typed also without a visit.

    Raises:
        ValueError: A named column is absent, or a visit to score occurs twice.
    """
    _require(earlier, ["session_id", "customer_id", "is_converted", *columns])
    earlier = earlier.sort_values("session_id", ignore_index=True)
    messages: list[str] = []
    used = [name for name in columns if name not in (found := _giveaways(earlier, columns))]
    if found:
        messages.append(f"Left out, because each alone tells buyers apart almost perfectly: {', '.join(found)}.")
    rule = CartRule(earlier, [name for name in ("add_to_cart_count", "cart_value") if name in used])
    bought = earlier["is_converted"].to_numpy(dtype=bool)
    model = None
    if min(bought.sum(), (~bought).sum()) >= FEWEST_OF_A_CLASS:
        # A stranger's visit is a group of its own.
        groups = earlier["customer_id"].where(earlier["customer_id"].notna(), "visit " + earlier["session_id"])
        model = PurchaseClassifier(random_state=random_state).fit(earlier[used], bought, groups=groups)
    else:
        messages.append(
            f"Only {bought.sum()} earlier visits with an order and {(~bought).sum()} without one; a model needs "
            f"{FEWEST_OF_A_CLASS} of each. Scores follow the rule of the cart: the share of buyers among visits "
            "with and without one."
        )
    known = set(earlier["customer_id"].dropna())
    devices = _shares(earlier, rule.rate) if "device_type" in columns else pd.Series(dtype=float)
    parts = []
    for part in later:
        _require(part, ["session_id", "customer_id", "started_at", "is_converted", *columns])
        by_rule = rule.probability(part)
        device = part["device_type"].map(devices).fillna(rule.rate) if len(devices) else rule.rate
        parts.append(
            pd.DataFrame(
                {
                    "session_id": part["session_id"],
                    "customer_id": part["customer_id"],
                    "started_on": pd.to_datetime(part["started_at"]).dt.normalize().astype("datetime64[ns]"),
                    "bought": part["is_converted"].astype(bool),
                    "model": model.predict_proba(part[used])[:, 1] if model is not None and len(part) else by_rule,
                    "cart_rule": by_rule,
                    "device": device,
                    "is_new": part["customer_id"].notna() & ~part["customer_id"].isin(known),
                }
            )
        )
    judged = pd.concat([_NOTHING, *parts]).sort_values("session_id", ignore_index=True) if parts else _NOTHING
    if judged["session_id"].duplicated().any():
        raise ValueError("a visit (session_id) to score occurs twice")
    metrics: dict[str, Any] = {"train_rows": len(earlier), "test_rows": len(judged), "features": used}
    if model is not None:
        metrics |= _report(judged, rule.rate)
        if len(judged) and metrics["model"]["brier"] > metrics["baselines"]["cart_rule"]["brier"]:
            model = None
            messages.append(
                f"The model's Brier score on later visits ({metrics['model']['brier']:.4f}) is worse than that of the "
                f"rule of the cart ({metrics['baselines']['cart_rule']['brier']:.4f}), which takes its place."
            )
    version = "cart_rule" if model is None else f"boosting-{as_of}"
    p = judged["cart_rule" if model is None else "model"].to_numpy(dtype=float)
    scores = _published(judged[["session_id", "customer_id", "started_on"]], p, version)
    return IntentResult(scores, metrics, model, version, messages, VisitScorer(model, rule, used, version))


def _published(visits: pd.DataFrame, p: NDArray[np.float64], version: str) -> pd.DataFrame:
    """Visits with what is told of their probabilities."""
    p = np.round(p, 6)
    return visits.assign(
        purchase_probability=p,
        will_buy=p > 0.5,
        confidence=np.round(np.maximum(p, 1 - p), 6),
        model_version=pd.array([version] * len(p), dtype="string"),
    )


_NOTHING = pd.DataFrame(
    {
        "session_id": pd.Series(dtype=object),
        "customer_id": pd.Series(dtype=object),
        "started_on": pd.Series(dtype="datetime64[ns]"),
        "bought": pd.Series(dtype=bool),
        "model": pd.Series(dtype=float),
        "cart_rule": pd.Series(dtype=float),
        "device": pd.Series(dtype=float),
        "is_new": pd.Series(dtype=bool),
    }
)


def _require(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise ValueError(f"columns are absent from the visits: {absent}")


def _giveaways(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Numeric columns that rank buyers too well by themselves, their being missing included."""
    y = frame["is_converted"].to_numpy(dtype=bool)
    if not 0 < y.sum() < len(y):
        return []
    found = []
    for name in columns:
        if column_kind(frame[name]) not in ("number", "flag"):
            continue
        values = frame[name].astype("float64").to_numpy()
        # missing sorts below everything, and in a second look above
        aucs = [_auc(y, np.where(np.isnan(values), fill, values)) for fill in (-np.inf, np.inf)]
        if max(max(auc, 1 - auc) for auc in aucs) >= GIVEAWAY_AUC:
            found.append(name)
    return found


def _auc(y: NDArray[np.bool_], values: NDArray[np.float64]) -> float:
    """Area under the ROC curve from ranks (Mann and Whitney), without the checks that make scikit-learn's slow."""
    positives = int(y.sum())
    above = rankdata(values)[y].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(y) - positives)))


def _shares(frame: pd.DataFrame, rate: float) -> pd.Series:
    """Share of buyers by device, drawn towards the shop's rate as in the rule of the cart."""
    bought = frame["is_converted"].astype(float).groupby(frame["device_type"])
    return (bought.sum() + _PRIOR_VISITS * rate) / (bought.size() + _PRIOR_VISITS)


def _report(judged: pd.DataFrame, rate: float) -> dict[str, Any]:
    """Model and baselines on the scored visits."""
    y = judged["bought"].to_numpy(dtype=float)
    new = judged["is_new"].to_numpy(dtype=bool)
    p = judged["model"].to_numpy(dtype=float)
    return {
        "model": binary_report(y, p),
        "new_customers": binary_report(y[new], p[new]) if new.any() else None,
        "baselines": {
            "base_rate": {"probability": float(rate), "brier": float(np.mean((rate - y) ** 2)) if len(y) else None},
            "device": binary_report(y, judged["device"].to_numpy(dtype=float)),
            "cart_rule": binary_report(y, judged["cart_rule"].to_numpy(dtype=float)),
        },
    }


def customer_intent(scores: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """How much each customer has lately been about to buy: 0 to 100.

    100 (1 - product of (1 - p w)) over the customer's scored visits, with probability p and weight w = 2^(-days / 14):
    the probability that at least one of them would end in an order, visits fading with time. More visits, better ones
    and later ones all raise it.

    Args:
        scores: As in `IntentResult.scores`; strangers' visits are left out.
        as_of: The day to count from.

    Returns:
        customer_id, intent_score (4 decimals), session_count, last_session_on, best_session_id (the visit that counts
        most), model_version; sorted by customer_id, typed also when there is no row.
    """
    visits = scores[scores["customer_id"].notna()].sort_values(["customer_id", "session_id"], ignore_index=True)
    days = (pd.Timestamp(as_of) - visits["started_on"]).dt.days.to_numpy(dtype=float)
    faded = visits["purchase_probability"].to_numpy(dtype=float) * 0.5 ** (days / HALF_LIFE_DAYS)
    visits = visits.assign(_faded=faded, _doubt=np.log1p(-np.minimum(faded, 1 - 1e-12)))
    each = visits.groupby("customer_id", sort=True)
    best = visits.loc[each["_faded"].idxmax(), "session_id"].to_numpy()
    return pd.DataFrame(
        {
            "customer_id": each.size().index.to_numpy(dtype=object),
            "intent_score": np.round(-100 * np.expm1(each["_doubt"].sum().to_numpy(dtype=float)), 4),
            "session_count": each.size().to_numpy(dtype="int64"),
            "last_session_on": each["started_on"].max().to_numpy(dtype="datetime64[ns]"),
            "best_session_id": best,
            "model_version": each["model_version"].first().astype("string").array,
        }
    )
