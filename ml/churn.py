"""Who is leaving: a calibrated, explained churn model, and the protocol that judges it on a later date.

The classifier works on any table of customers; the protocol works on the frame of `customer_features`, one row per
customer and cutoff. Reading that frame, storing the scores and deciding what to do about them happen elsewhere.
"""

from __future__ import annotations

import numbers
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from string import Formatter
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer, StandardScaler
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from ml._threads import one_thread
from ml.metrics import binary_report

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Values of C tried: the variance of the coefficients' normal prior, hence comparable between sample sizes."""
HIGH_RISK, MEDIUM_RISK = 0.7, 0.4
"""Lowest probabilities of the two upper risk tiers."""
HIGH_RISK_DAYS, MEDIUM_RISK_DAYS = 180, 90
"""Days without an order above which the rule gives the two upper risk tiers."""
FEWEST_OF_A_CLASS = 50
"""Fewer customers than this who left, or who stayed, cannot train a model that deserves trust."""
IMPLAUSIBLE_AUC = 0.98
MOST_TRAINING_ROWS = 300_000
"""Some hundred coefficients do not get better beyond this; memory and time do get worse."""

_MISSING = "(missing)"
_CHUNK = 200_000
_UNJUDGED_STRENGTH = 0.1  # C where no earlier cutoff can judge it
_BASELINE_STRENGTH = 1.0  # C of two features, which need no restraint
_FURTHEST_LINE = 0.25  # how far a line may be drawn on, in widths of the range it was fitted to
_SMALLEST_REASON = 0.05  # log-odds: what changes the odds by less than 5 % is no reason


# ---------------------------------------------------------------------------------------------------------------------
# Columns of any kind
# ---------------------------------------------------------------------------------------------------------------------


def _kind(column: pd.Series) -> str | None:
    """``number``, ``flag``, ``category``, or None for a column that is none of them (dates, lists, ...)."""
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        kind = "flag"
    elif pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        kind = "number"
    elif isinstance(dtype, pd.CategoricalDtype | pd.StringDtype):
        kind = "category"
    elif not pd.api.types.is_object_dtype(dtype):
        return None
    else:
        types = {type(value) for value in column.dropna().to_numpy()}
        if types and types <= {bool, np.bool_}:
            kind = "flag"
        elif all(issubclass(each, numbers.Real | Decimal) for each in types):
            kind = "number"
        elif all(issubclass(each, str | numbers.Real | Decimal) for each in types):
            kind = "category"
        else:
            return None
    return kind


def _plain(X: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """The columns of `kinds` as float64 (missing: nan) or as text (missing: a word of its own)."""
    absent = [name for name in kinds if name not in X.columns]
    if absent:
        raise ValueError(f"columns seen in fit are absent: {absent}")
    plain: dict[str, Any] = {}
    for name, kind in kinds.items():
        column = X[name]
        if kind == "category":
            plain[name] = column.astype(object).where(column.notna(), _MISSING).astype(str).to_numpy(dtype=object)
            continue
        try:
            values = column.astype(object).where(column.notna(), np.nan).to_numpy().astype(float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {name!r} was numeric in fit and is not now: {error}") from error
        if np.isinf(values).any():
            raise ValueError(f"column {name!r} holds infinity; leave such values missing")
        plain[name] = values
    return pd.DataFrame(plain, index=X.index)


def signed_log1p(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """sign(v) log(1 + abs(v)): a logarithm that keeps zero and negative values; any shape."""
    return np.sign(values) * np.log1p(np.abs(values))


def _is_skewed(known: NDArray[np.float64]) -> bool:
    spread = known.std()
    return bool(spread > 0 and abs(float(np.mean(((known - known.mean()) / spread) ** 3))) > 1)


def _numeric_steps(values: NDArray[np.float64], n_knots: int) -> Pipeline:
    """Imputation, logarithm where skewed, then a straight line plus, where values are many, a spline's deviations."""
    known = values[~np.isnan(values)]
    steps: list[tuple[str, Any]] = [("impute", SimpleImputer(strategy="median", keep_empty_features=True))]
    expanded: list[tuple[str, Any]] = [("line", StandardScaler())]
    if known.size and known.std() > 0:
        if _is_skewed(known):
            steps.append(("log", FunctionTransformer(signed_log1p)))
            known = signed_log1p(known)
        knots = np.unique(np.quantile(known, np.linspace(0, 1, n_knots)))
        if knots.size >= 4:
            # Beyond the range seen in training only the line goes on, and the prior holds the curve tighter than the
            # line: a later cutoff has longer histories than any seen, where curves cost more than they gain (CDNOW,
            # cutoffs before the test window).
            spline = SplineTransformer(degree=3, knots=knots[:, None], extrapolation="constant")
            expanded.append(("curve", Pipeline([("spline", spline), ("weaken", FunctionTransformer(_weaken))])))
    return Pipeline([*steps, ("expand", FeatureUnion(expanded))])


def _weaken(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smaller columns need larger coefficients, which the prior makes less likely."""
    return 0.3 * values


# ---------------------------------------------------------------------------------------------------------------------
# The classifier
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Explanation:
    """Why each row has its log-odds.

    Args:
        intercept: Log-odds of a row whose every contribution is zero, that is of the average training row.
        contributions: One row per row explained, one column per original feature, in log-odds relative to the
            average training row. A row's sum plus the intercept is its uncalibrated log-odds.
        reasons: Columns reason_1, reason_2, ...: the features that raise the risk most, in words; None where fewer do.
    """

    intercept: float
    contributions: pd.DataFrame
    reasons: pd.DataFrame


class ChurnClassifier(ClassifierMixin, BaseEstimator):
    """Calibrated logistic model with splines for any mix of numeric, categorical, boolean and missing columns.

    Numbers are imputed by the median with an indicator of what was missing, put on a logarithmic scale where skewed
    (abs(skewness) > 1) and enter as a line plus cubic B-splines with knots at quantiles; categories become indicator
    columns, rare ones pooled. The coefficients carry a normal prior of variance C, the smallest whose Brier score out
    of fold is within a standard error of the best.
    Probabilities are 1 / (1 + exp(-(a + b z))) of the log-odds z, with a and b fitted to out-of-fold log-odds (Platt,
    "Probabilistic Outputs for Support Vector Machines", 1999) under priors a ~ N(0, 1) and b ~ N(1, 0.5), which keep
    small tables near the identity. Splines: Eilers and Marx, "Flexible Smoothing with B-splines" (1996).

    Args:
        C: Variance of the coefficients' prior; None chooses among `STRENGTHS` by cross-validation.
        cv: Number of folds for that choice and for calibration.
        n_knots: Knots per numeric column.
        random_state: Seed of the folds.

    Attributes:
        classes_: The two labels, the second being the one whose probability is modelled.
        pipeline_: The fitted `Pipeline` of the columns' transformation and the logistic regression.
        kinds_: Kind of each column: number, flag or category.
        C_: The prior variance used.
        calibration_: (a, b).
        feature_names_in_, n_features_in_: As usual in scikit-learn.
    """

    def __init__(
        self, *, C: float | None = None, cv: int = 5, n_knots: int = 5, random_state: int | None = None
    ) -> None:
        self.C = C
        self.cv = cv
        self.n_knots = n_knots
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        """Two classes only; missing values, text and categories are welcome."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

    def fit(
        self,
        X: pd.DataFrame,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        splits: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]] | None = None,
    ) -> Self:
        """Fit on a table and its labels.

        Args:
            X: Shape (n, features), at least one column and two rows; numeric, boolean, text or categorical columns.
            y: Two kinds of label, shape (n,), none missing.
            groups: Customer of each row, shape (n,): a customer's rows stay in one fold. Default: each row its own.
            splits: Pairs of row positions (fit on, judge on) on which C is chosen instead of the folds, for example
                earlier and later cutoffs.

        Returns:
            Itself.

        Raises:
            ValueError: One class or more than two, missing labels, columns of another kind, infinite values,
                repeated column names.
        """
        X = self._frame(X, reset=True)
        codes = self._labels(y, len(X))
        unknown = [name for name in X.columns if _kind(X[name]) is None]
        if unknown:
            raise ValueError(f"columns are neither numeric, boolean nor categorical: {unknown}")
        self.kinds_ = {name: str(_kind(X[name])) for name in X.columns}
        plain = _plain(X, self.kinds_)
        group_of = np.arange(len(X)) if groups is None else pd.factorize(np.asarray(groups), sort=True)[0]
        if len(group_of) != len(X):
            raise ValueError(f"groups has {len(group_of)} rows, X has {len(X)}")
        with one_thread():
            # The transformation looks at no label, so that one fit of it serves every fold.
            columns = self._columns(plain)
            Z = columns.fit_transform(plain)
            folds = list(_folds(codes, group_of, self.cv, self.random_state))
            self.C_ = float(self.C) if self.C is not None else _choose_strength(Z, codes, splits or folds)
            held_out = _out_of_fold(Z, codes, folds, self.C_)
            self.calibration_ = _platt(held_out, codes)
            model = _logistic(self.C_, Z.shape[1]).fit(Z, codes)
        self.pipeline_ = Pipeline([("columns", columns), ("model", model)])
        self._positions = {
            name: np.concatenate([np.r_[columns.output_indices_[part]] for part in self._parts[name]])
            for name in self.kinds_
        }
        self._means = Z.mean(axis=0)
        return self

    def predict_proba(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Calibrated probabilities of the two classes, shape (n, 2), in the order of `classes_`."""
        check_is_fitted(self)
        a, b = self.calibration_
        p = expit(a + b * self.decision_function(X))
        return np.column_stack([1 - p, p])

    def predict(self, X: pd.DataFrame) -> NDArray[Any]:
        """The more probable class of each row, shape (n,)."""
        check_is_fitted(self)
        return self.classes_[(self.predict_proba(X)[:, 1] >= 0.5).astype(int)]

    def decision_function(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Uncalibrated log-odds of the second class, shape (n,)."""
        check_is_fitted(self)
        plain = _plain(self._frame(X, reset=False), self.kinds_)
        with one_thread():
            parts = [self.pipeline_.decision_function(plain.iloc[rows]) for rows in _chunks(len(plain))]
        return np.concatenate(parts) if parts else np.empty(0)

    def explain(
        self, X: pd.DataFrame, n_reasons: int = 3, reason_texts: Mapping[str, str] | None = None
    ) -> Explanation:
        """Contributions of the original features to each row's log-odds, and the top reasons for a high risk in words.

        Args:
            X: Shape (n, features).
            n_reasons: Number of reason columns.
            reason_texts: Per feature a format template with ``{value}``, the row's value, and the names of other
                columns, such as ``"no order for {value:.0f} days"``. Features without one, and rows for which a value
                of the template is missing, read ``feature = value``.

        Returns:
            The contributions, the intercept and the reasons. Only what raises the risk, and the odds by at least 5 %,
            is a reason.
        """
        check_is_fitted(self)
        X = self._frame(X, reset=False)
        plain = _plain(X, self.kinds_)
        coefficients = self.pipeline_["model"].coef_[0]
        contributions = np.empty((len(plain), len(self.kinds_)))
        with one_thread():
            for rows in _chunks(len(plain)):
                Z = self.pipeline_["columns"].transform(plain.iloc[rows]) - self._means
                for j, positions in enumerate(self._positions.values()):
                    contributions[rows, j] = Z[:, positions] @ coefficients[positions]
        frame = pd.DataFrame(contributions, index=X.index, columns=list(self.kinds_))
        return Explanation(
            intercept=float(self.pipeline_["model"].intercept_[0] + self._means @ coefficients),
            contributions=frame,
            reasons=_reasons(frame, plain, self.kinds_, n_reasons, reason_texts or {}),
        )

    def _frame(self, X: pd.DataFrame, reset: bool) -> pd.DataFrame:
        """X as a frame with text column names; arrays get the names x0, x1, ...."""
        if isinstance(X, pd.DataFrame):
            if not X.columns.is_unique:
                raise ValueError(f"column names are repeated: {list(X.columns[X.columns.duplicated()])}")
            validate_data(self, X, reset=reset, skip_check_array=True)
            if X.shape[1] == 0 or (reset and len(X) < 2):
                raise ValueError(f"need at least 1 column and 2 rows to fit, got shape {X.shape}")
            return X.rename(columns=str)
        array = validate_data(
            self, X, reset=reset, dtype=None, ensure_all_finite="allow-nan", ensure_min_samples=2 if reset else 1
        )
        return pd.DataFrame(array, columns=[f"x{j}" for j in range(array.shape[1])])

    def _labels(self, y: ArrayLike, n: int) -> NDArray[np.int64]:
        """Labels as 0/1 in the order of `classes_`."""
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        values = column_or_1d(y.to_numpy(dtype=object) if isinstance(y, pd.Series) else y, warn=True, dtype=None)
        labels = pd.Series(values).infer_objects()
        if len(labels) != n:
            raise ValueError(f"y has {len(labels)} rows, X has {n}")
        if labels.isna().any():
            raise ValueError("labels are missing; drop the rows whose outcome is not known yet")
        values = labels.to_numpy()
        check_classification_targets(values)
        self.classes_, codes = np.unique(values, return_inverse=True)
        if len(self.classes_) != 2:
            raise ValueError(
                f"Only binary classification is supported: the labels hold {len(self.classes_)} class(es), "
                f"{list(self.classes_[:5])}; a model needs customers who left and customers who stayed"
            )
        return codes.astype(np.int64)

    def _columns(self, plain: pd.DataFrame) -> ColumnTransformer:
        """One entry per feature and part, so that output columns can be traced back to features."""
        entries: list[tuple[str, Any, list[str]]] = []
        self._parts: dict[str, list[str]] = {}
        for j, (name, kind) in enumerate(self.kinds_.items()):
            if kind == "category":
                steps: Any = OneHotEncoder(
                    handle_unknown="infrequent_if_exist", min_frequency=5, max_categories=30, sparse_output=False
                )
            else:
                steps = _numeric_steps(plain[name].to_numpy(), self.n_knots)
            entries.append((f"{j}_value", steps, [name]))
            self._parts[name] = [f"{j}_value"]
            if kind != "category" and 0 < plain[name].isna().sum() < len(plain):
                entries.append((f"{j}_missing", MissingIndicator(features="all"), [name]))
                self._parts[name].append(f"{j}_missing")
        return ColumnTransformer(entries, sparse_threshold=0)


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))


def _logistic(C: float, width: int) -> LogisticRegression:
    """Newton steps are exact and fastest for tall tables; their width x width matrix is not for wide ones."""
    return LogisticRegression(C=C, solver="newton-cholesky" if width <= 500 else "lbfgs", max_iter=1000)


def _folds(
    codes: NDArray[np.int64], group_of: NDArray[np.int64], k: int, seed: int | None
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Folds that keep groups whole and spread both classes evenly; none where a class has fewer than two groups."""
    sizes = np.bincount(group_of)
    share = np.bincount(group_of, weights=codes) / np.maximum(sizes, 1)
    k = min(k, int((share > 0).sum()), int((share < 1).sum()))
    order = np.lexsort((np.random.default_rng(seed).random(len(sizes)), share))
    fold_of_group = np.empty(len(sizes), dtype=int)
    fold_of_group[order] = np.arange(len(sizes)) % max(k, 1)
    fold_of = fold_of_group[group_of]
    for fold in range(k if k > 1 else 0):
        fit_on = np.flatnonzero(fold_of != fold)
        if 0 < codes[fit_on].sum() < len(fit_on):
            yield fit_on, np.flatnonzero(fold_of == fold)


def _out_of_fold(
    Z: NDArray[np.float64],
    codes: NDArray[np.int64],
    splits: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    C: float,
) -> NDArray[np.float64]:
    """Log-odds of the rows judged in some split, nan for the others."""
    log_odds = np.full(len(codes), np.nan)
    for fit_on, judge_on in splits:
        log_odds[judge_on] = _logistic(C, Z.shape[1]).fit(Z[fit_on], codes[fit_on]).decision_function(Z[judge_on])
    return log_odds


def _choose_strength(
    Z: NDArray[np.float64],
    codes: NDArray[np.int64],
    splits: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
) -> float:
    """The smallest C whose Brier score over the rows judged is within a standard error of the best one's.

    The standard error is that of the paired difference: the rule of Breiman et al., "Classification and Regression
    Trees" (1984), section 3.4.3. Where nothing can be judged, the smallest C.
    """
    log_odds = np.array([_out_of_fold(Z, codes, splits, C) for C in STRENGTHS])
    judged = ~np.isnan(log_odds[0])
    if not judged.any():
        return STRENGTHS[0]
    errors = (expit(log_odds[:, judged]) - codes[judged]) ** 2
    worse_by = errors - errors[errors.mean(axis=1).argmin()]
    close = worse_by.mean(axis=1) <= worse_by.std(axis=1) / np.sqrt(judged.sum())
    return STRENGTHS[int(np.argmax(close))]


def _platt(log_odds: NDArray[np.float64], codes: NDArray[np.int64]) -> tuple[float, float]:
    """The (a, b) of largest posterior; (0, 1) where nothing was judged out of fold."""
    judged = ~np.isnan(log_odds)
    z, y = log_odds[judged], codes[judged]
    if z.size == 0:
        return 0.0, 1.0

    def loss(ab: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        t = ab[0] + ab[1] * z
        gap = expit(t) - y
        value = np.sum(np.logaddexp(0, t) - y * t) + ab[0] ** 2 / 2 + 2 * (ab[1] - 1) ** 2
        return float(value), np.array([gap.sum() + ab[0], gap @ z + 4 * (ab[1] - 1)])

    # A negative slope would turn the ranking round, and every explanation with it.
    found = minimize(loss, np.array([0.0, 1.0]), jac=True, bounds=[(None, None), (0.01, None)], method="L-BFGS-B")
    return float(found.x[0]), float(found.x[1])


# ---------------------------------------------------------------------------------------------------------------------
# Reasons in words
# ---------------------------------------------------------------------------------------------------------------------


def _value_text(value: Any, kind: str) -> str:
    if kind == "category":
        return "unknown" if value == _MISSING else str(value)
    if np.isnan(value):
        return "unknown"
    if kind == "flag":
        return "yes" if value else "no"
    return f"{value:,.0f}" if abs(value - round(value)) < 1e-9 or abs(value) >= 1000 else f"{value:,.2f}"


def _fields(template: str | None) -> set[str]:
    return {part for _, part, _, _ in Formatter().parse(template or "") if part}


def _reason_text(name: str, row: Mapping[str, Any], kinds: Mapping[str, str], template: str | None) -> str:
    value = row[name]
    if template is not None:
        used = _fields(template) - {"value"}
        values = {"value": value} | {other: row.get(other) for other in used}
        if not any(v is None or v == _MISSING or (isinstance(v, float) and np.isnan(v)) for v in values.values()):
            return template.format(**values)
    return f"{name.replace('_', ' ')} = {_value_text(value, kinds[name])}"


def _reasons(
    contributions: pd.DataFrame,
    plain: pd.DataFrame,
    kinds: Mapping[str, str],
    n_reasons: int,
    texts: Mapping[str, str],
) -> pd.DataFrame:
    """The largest positive contributions of each row, as text."""
    values = contributions.to_numpy()
    order = np.argsort(-values, axis=1, kind="stable")[:, :n_reasons]
    names = list(kinds)
    columns = {}
    for rank in range(n_reasons):
        text = np.full(len(values), None, dtype=object)
        best = order[:, rank] if rank < order.shape[1] else np.zeros(len(values), dtype=int)
        raises = values[np.arange(len(values)), best] >= _SMALLEST_REASON
        for j, name in enumerate(names if rank < order.shape[1] else []):
            rows = np.flatnonzero(raises & (best == j))
            template = texts.get(name)
            used = {name} | _fields(template).intersection(kinds)
            chosen = {column: plain[column].to_numpy()[rows].tolist() for column in used}
            text[rows] = [
                _reason_text(name, {column: values[i] for column, values in chosen.items()}, kinds, template)
                for i in range(len(rows))
            ]
        columns[f"reason_{rank + 1}"] = pd.array(text, dtype="string")
    return pd.DataFrame(columns, index=contributions.index)


# ---------------------------------------------------------------------------------------------------------------------
# The protocol: trained on earlier cutoffs, judged on a later one, refitted on all closed ones
# ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChurnResult:
    """Scores of one horizon, and what is known about their quality.

    Args:
        scores: customer_id, as_of (datetime64), horizon_days, churn_probability (0-1, rounded to 6 decimals; null by
            rule), risk_tier (Low, Medium, High), reason_1, reason_2, reason_3, model_version; sorted by customer_id.
        metrics: ``model`` and ``baselines`` (``base_rate``, ``recency``, ``tier_rule``, ``recency_frequency``), each
            a report on the test cutoff, ``evaluation`` ("later cutoff" or "other customers"), ``train_rows``,
            ``test_rows``, ``score_rows``; empty by rule.
        model: The classifier that made the scores; None by rule and for a constant baseline.
        model_version: ``recency_rule``, ``baseline``, or ``logistic-<horizon>d-<as_of>``.
        test_cutoff: The cutoff judged on; None by rule.
        training_cutoffs: Cutoffs of the model that was judged, ascending.
        scoring_cutoffs: Cutoffs of the refitted model that made the scores: all closed ones.
        features: Feature columns used.
        messages: What a reader of the scores has to know, in plain words.
        horizon_days: Length of the label window in days.
        as_of: The day the scores hold for.
    """

    scores: pd.DataFrame
    metrics: dict[str, Any]
    model: ChurnClassifier | None
    model_version: str
    test_cutoff: date | None
    training_cutoffs: list[date]
    scoring_cutoffs: list[date]
    features: list[str]
    messages: list[str]
    horizon_days: int
    as_of: date


def feature_columns(features: pd.DataFrame) -> list[str]:
    """Columns that a model may use: numeric, boolean or categorical, and neither key, cutoff nor label."""
    return [
        name
        for name in features.columns
        if name not in ("customer_id", "cutoff_date")
        and not name.startswith("churned_")
        and _kind(features[name]) is not None
    ]


def closed_cutoffs(cutoffs: Sequence[date], as_of: date, horizon_days: int) -> list[date]:
    """Cutoffs t whose label window (t, t + H] has ended by `as_of`, that is t + H <= as_of, ascending."""
    return sorted(t for t in set(cutoffs) if t + timedelta(days=horizon_days) <= as_of)


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


@dataclass
class _Protocol:
    """The frame and settings that the steps of `evaluate_and_score` share."""

    frame: pd.DataFrame
    label: str
    as_of: date
    horizon_days: int
    columns: list[str]
    baseline_columns: list[str]
    reason_texts: Mapping[str, str]
    random_state: int
    messages: list[str] = field(default_factory=list)

    def rows(self, cutoffs: Sequence[date]) -> pd.DataFrame:
        """Rows of the cutoffs whose label is known, at most `MOST_TRAINING_ROWS`, by whole customers."""
        rows = self.frame[self.frame["_cutoff"].isin(cutoffs) & self.frame[self.label].notna()]
        if len(rows) <= MOST_TRAINING_ROWS:
            return rows
        customers = np.sort(rows["customer_id"].unique())
        keep = int(len(customers) * MOST_TRAINING_ROWS / len(rows))
        chosen = np.random.default_rng(self.random_state).choice(customers, size=keep, replace=False)
        note = f"Trained on a random {keep:,} of {len(customers):,} customers: more change nothing but the time."
        if note not in self.messages:
            self.messages.append(note)
        return rows[rows["customer_id"].isin(chosen)]

    def fit(self, rows: pd.DataFrame, columns: list[str], C: float | None = None) -> ChurnClassifier:
        # Why no recalibration on the latest cutoff: a cutoff's level moves with the season of its window, and taking
        # over the latest one's is worse than the mean of all (CDNOW, cutoffs before the test window, trained on those
        # before: Brier .0547 against .0542 at 30 days, .1083 against .1082 at 90). Recency and frequency carry what
        # persists. So calibration uses held-out customers of every training cutoff.
        splits = self.forward_splits(rows) if C is None else []
        # Folds of customers at one cutoff do not see what a later cutoff brings, and prefer too weak a prior.
        C = C if splits else (C or _UNJUDGED_STRENGTH)
        return ChurnClassifier(C=C, cv=3, random_state=self.random_state).fit(
            rows[columns], self.outcome(rows), groups=rows["customer_id"].to_numpy(), splits=splits or None
        )

    def forward_splits(self, rows: pd.DataFrame) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """The three latest cutoffs that have closed cutoffs before them, each judged by those: as in real use."""
        cutoff_of = rows["_cutoff"].to_numpy()
        y = self.outcome(rows)
        splits = []
        for t in sorted(set(cutoff_of)):
            earlier = closed_cutoffs(list(set(cutoff_of)), t, self.horizon_days)
            fit_on = np.flatnonzero(rows["_cutoff"].isin(earlier))
            if earlier and 0 < y[fit_on].sum() < len(fit_on):
                splits.append((fit_on, np.flatnonzero(cutoff_of == t)))
        return splits[-3:]

    def judge(self, fit_rows: pd.DataFrame, test_cutoff: date, later: bool) -> tuple[dict[str, Any], float | None]:
        """Metrics at the test cutoff of models fitted to earlier cutoffs, or to other customers; and the C chosen."""
        test = self.frame[(self.frame["_cutoff"] == test_cutoff) & self.frame[self.label].notna()]
        if later:
            judged = self.fit(fit_rows, self.columns)
            chosen_C: float | None = judged.C_
            p_model = judged.predict_proba(test[self.columns])[:, 1]
            simple = self.fit(fit_rows, self.baseline_columns, _BASELINE_STRENGTH)
            p_simple = simple.predict_proba(test[self.baseline_columns])[:, 1]
        else:
            test, chosen_C = fit_rows[fit_rows["_cutoff"] == test_cutoff], None
            p_model, p_simple = self.held_out_customers(fit_rows, test_cutoff)
            self.messages.append(
                f"No earlier cutoff is closed by {test_cutoff}: quality is judged on other customers, not on a later "
                "date, and may look better than it is."
            )
        y = self.outcome(test)
        base_rate = float(self.outcome(fit_rows).mean())
        report = binary_report(y, p_model)
        if (report["auc"] or 0) >= IMPLAUSIBLE_AUC:
            self.messages.append(f"AUC {report['auc']:.3f} is implausible: look for a leak of the label.")
        metrics = {
            "model": report,
            "baselines": _baselines(y, test, base_rate, p_simple, self.baseline_columns[0]),
            "evaluation": "later cutoff" if later else "other customers",
            "train_rows": len(fit_rows),
            "test_rows": len(test),
        }
        return metrics, chosen_C

    def leave_out_of_reach(
        self, fit_rows: pd.DataFrame, all_rows: pd.DataFrame, test_cutoff: date, now: pd.DataFrame
    ) -> None:
        """Drop the columns out of reach at the test cutoff or at as_of, so that the model judged is the one used."""
        test = self.frame[self.frame["_cutoff"] == test_cutoff]
        too_far = sorted({*self.out_of_reach(fit_rows, test), *self.out_of_reach(all_rows, now)})
        if too_far:
            self.columns = [name for name in self.columns if name not in too_far]
            self.messages.append(
                f"Left out, because their values moved far beyond those in training: {', '.join(too_far)}."
            )

    def out_of_reach(self, rows: pd.DataFrame, later: pd.DataFrame) -> list[str]:
        """Numeric columns whose typical later value lies so far outside the range in `rows` that no line reaches it.

        A tenure between 90 and 180 days says nothing about customers of 400. Values are looked at, labels are not.
        """
        found = []
        for name in self.columns:
            if _kind(rows[name]) != "number" or name in self.baseline_columns:
                continue
            before, after = (_plain(part[[name]], {name: "number"})[name].dropna().to_numpy() for part in (rows, later))
            if not before.size or not after.size or before.min() == before.max():
                continue
            if _is_skewed(before):
                before, after = signed_log1p(before), signed_log1p(after)
            middle, low, high = np.median(after), before.min(), before.max()
            if max(low - middle, middle - high) > _FURTHEST_LINE * (high - low):
                found.append(name)
        return found

    def outcome(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        return rows[self.label].to_numpy(dtype=bool).astype(np.int64)

    def held_out_customers(self, rows: pd.DataFrame, test_cutoff: date) -> tuple[NDArray[Any], NDArray[Any]]:
        """Probabilities (model, recency and frequency) at the test cutoff, by models fitted on other customers."""
        group_of = pd.factorize(rows["customer_id"], sort=True)[0]
        at_test = (rows["_cutoff"] == test_cutoff).to_numpy()
        p = np.full((2, len(rows)), np.nan)
        for fit_on, judge_on in _folds(self.outcome(rows), group_of, 5, self.random_state):
            judged = judge_on[at_test[judge_on]]
            for which, (columns, C) in enumerate(((self.columns, None), (self.baseline_columns, _BASELINE_STRENGTH))):
                model = self.fit(rows.iloc[fit_on], columns, C)
                p[which, judged] = model.predict_proba(rows.iloc[judged][columns])[:, 1]
        return p[0, at_test], p[1, at_test]


def evaluate_and_score(
    features: pd.DataFrame,
    as_of: date,
    horizon_days: int,
    *,
    reason_texts: Mapping[str, str] | None = None,
    recency: str = "days_since_last_order",
    frequency: str = "order_count",
    random_state: int = 0,
) -> ChurnResult:
    """Judge a churn model on the latest closed cutoff, refit it on all closed ones and score the rows of `as_of`.

    The test cutoff is the latest t with t + H <= as_of; training cutoffs are those with t + H <= test cutoff, so that
    no training label lies in the test window. The prior's strength is chosen on earlier cutoffs alone. Where no
    training cutoff exists, the model is judged on customers it was not fitted on, at the test cutoff, and a message
    says so. Fewer than 50 customers of either class: the recency rule. Worse in Brier than the training base rate on
    the test cutoff: a logistic model of recency and frequency, or the base rate if that is worse as well.

    Args:
        features: One row per customer and cutoff: customer_id, cutoff_date, churned_<H>d (boolean, null where not known
            yet), and feature columns; among the cutoffs `as_of` itself.
        as_of: The day to score.
        horizon_days: H, days.
        reason_texts: Format templates per feature, see `ChurnClassifier.explain`.
        recency: Column of days since the last order.
        frequency: Column of the number of orders.
        random_state: Seed.

    Returns:
        Scores, metrics, model and messages; independent of the order of rows.

    Raises:
        ValueError: A named column is absent, or a customer has two rows at one cutoff.
    """
    label = f"churned_{horizon_days}d"
    absent = [c for c in ("customer_id", "cutoff_date", label, recency, frequency) if c not in features.columns]
    if absent:
        raise ValueError(f"columns are absent from the features: {absent}")
    as_of = pd.Timestamp(as_of).date()
    days = pd.to_datetime(features["cutoff_date"]).dt.normalize()
    day_of = {day: day.date() for day in days.unique()}
    frame = features.assign(_cutoff=days.map(day_of)).sort_values(["cutoff_date", "customer_id"], ignore_index=True)
    if frame.duplicated(["_cutoff", "customer_id"]).any():
        raise ValueError("a customer has more than one row at a cutoff")

    columns = feature_columns(features)
    run = _Protocol(frame, label, as_of, horizon_days, columns, [recency, frequency], reason_texts or {}, random_state)
    now = frame[frame["_cutoff"] == as_of].sort_values("customer_id", ignore_index=True)
    if now.empty:
        run.messages.append(f"No customer has features at {as_of}: nothing to score.")
    known = frame.loc[frame[label].notna(), "_cutoff"].unique()
    closed = closed_cutoffs(list(known), as_of, horizon_days)
    test_cutoff = closed[-1] if closed else None
    training = closed_cutoffs(closed, test_cutoff, horizon_days) if test_cutoff else []

    reason = _too_little(run, training or closed, horizon_days)
    if test_cutoff is None or reason:
        run.messages.append(f"{reason} Risk tiers follow the recency rule, without probabilities.")
        return _by_rule(run, now, recency)

    fit_rows, all_rows = run.rows(training or closed), run.rows(closed)
    run.leave_out_of_reach(fit_rows, all_rows, test_cutoff, now)
    metrics, chosen_C = run.judge(fit_rows, test_cutoff, later=bool(training))
    metrics["score_rows"] = len(now)
    used, C, version = run.columns, chosen_C, f"logistic-{horizon_days}d-{as_of}"
    model_brier, bar = metrics["model"]["brier"], metrics["baselines"]["base_rate"]["brier"]
    constant = False
    if model_brier > bar:
        used, C, version = run.baseline_columns, _BASELINE_STRENGTH, "baseline"
        constant = metrics["baselines"]["recency_frequency"]["brier"] > bar
        run.messages.append(
            f"The model's Brier score at {test_cutoff} ({model_brier:.4f}) is worse than the base rate's ({bar:.4f}): "
            f"replaced by {'the base rate, equal for every customer' if constant else 'one of recency and frequency'}."
        )
    model = None if constant else run.fit(all_rows, used, C)
    p = np.full(len(now), float(run.outcome(all_rows).mean()))
    reasons = None
    if model is not None and len(now):
        p = model.predict_proba(now[used])[:, 1]
        reasons = model.explain(now[used], n_reasons=3, reason_texts=run.reason_texts).reasons
    p = np.round(p, 6)
    return ChurnResult(
        scores=_scores(run, now, p=p, tiers=probability_tier(p), reasons=reasons, version=version),
        metrics=metrics,
        model=model,
        model_version=version,
        test_cutoff=test_cutoff,
        training_cutoffs=training,
        scoring_cutoffs=closed,
        features=[] if constant else used,
        messages=run.messages,
        horizon_days=horizon_days,
        as_of=as_of,
    )


def _too_little(run: _Protocol, cutoffs: Sequence[date], horizon_days: int) -> str:
    """Why no model can be trained on the cutoffs, or nothing. Customers are counted, not their repeated rows."""
    if not cutoffs:
        return f"No cutoff lies {horizon_days} days back with known outcomes."
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


def _by_rule(run: _Protocol, now: pd.DataFrame, recency: str) -> ChurnResult:
    """Scores by days since the last order, for when there is too little to learn from."""
    tiers = recency_tier(now[recency].astype(float).to_numpy())
    plain = _plain(now, {recency: "number"})
    first = [
        _reason_text(recency, row, {recency: "number"}, run.reason_texts.get(recency)) if tier != "Low" else None
        for row, tier in zip(({recency: value} for value in plain[recency]), tiers, strict=True)
    ]
    reasons = pd.DataFrame({"reason_1": pd.array(first, dtype="string")})
    p = np.full(len(now), np.nan)
    return ChurnResult(
        scores=_scores(run, now, p=p, tiers=tiers, reasons=reasons, version="recency_rule"),
        metrics={},
        model=None,
        model_version="recency_rule",
        test_cutoff=None,
        training_cutoffs=[],
        scoring_cutoffs=[],
        features=[recency],
        messages=run.messages,
        horizon_days=run.horizon_days,
        as_of=run.as_of,
    )


def _scores(
    run: _Protocol,
    now: pd.DataFrame,
    *,
    p: NDArray[np.float64],
    tiers: NDArray[np.object_],
    reasons: pd.DataFrame | None,
    version: str,
) -> pd.DataFrame:
    """The published columns, typed also when there is no row."""
    n = len(now)
    none = pd.array([None] * n, dtype="string")
    return pd.DataFrame(
        {
            "customer_id": now["customer_id"].to_numpy(),
            "as_of": pd.Series([pd.Timestamp(run.as_of)] * n, dtype="datetime64[ns]"),
            "horizon_days": np.full(n, run.horizon_days, dtype="int64"),
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
