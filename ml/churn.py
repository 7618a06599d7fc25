"""Who is leaving: a calibrated, explained classifier for any table of customers with a yes/no label.

The protocol that trains it on earlier cutoffs and judges it on later ones is in `ml.churn_protocol`. Reading tables,
storing scores and deciding what to do about them happen elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ml._threads import one_thread
from ml.columns import column_kind, plain_columns, spline_columns, tree_columns, varies
from ml.reasons import Reason, top_reasons
from ml.shapley import tree_shapley
from ml.tabular import TabularClassifier, platt

STRENGTHS = (0.01, 0.1, 1.0, 10.0)
"""Values of C tried: the variance of the coefficients' normal prior, hence comparable between sample sizes."""
TREES = (25, 50, 100, 200)
"""Numbers of boosted trees tried."""
FEWEST_FOR_TREES = 2_000
"""Rows of the rarer class below which boosting is not tried: it needs some ten times the data of a logistic model (van
der Ploeg, Austin and Steyerberg, "Modern modelling techniques are data hungry", BMC Med. Res. Methodol. 2014)."""
MOST_ROWS = 300_000
"""Rows fitted; some hundred coefficients do not get better beyond this, memory and time do get worse."""
MOST_ROWS_TO_CHOOSE = 60_000
"""Rows on which candidates are compared and probabilities calibrated."""

Splits = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
"""Pairs of row positions: fit on, judge on."""
Candidate = tuple[str, float]
"""Kind of model, and its C or number of trees."""

_CHUNK = 200_000


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


class ChurnClassifier(TabularClassifier):
    """Calibrated logistic model with splines, or boosted trees, for any mix of columns.

    *Logistic*: numbers are imputed by the median with an indicator of what was missing, put on a logarithmic scale if
    skewed (abs(skewness) > 1) and enter as a line plus cubic B-splines with knots at quantiles (Eilers and Marx,
    "Flexible Smoothing with B-splines", 1996); categories become indicator columns, rare ones pooled. The coefficients
    carry a normal prior of variance C.

    *Boosting*: `HistGradientBoostingClassifier` with trees of at most eight leaves and three levels; missing values and
    categories as they are.

    The choice is made by Brier score out of fold: the smallest C whose score is within a standard error of the best
    logistic model's, and boosting only where it is better than that by more than a standard error of the paired
    difference (Breiman et al., "Classification and Regression Trees", 1984, section 3.4.3).
    Probabilities are 1 / (1 + exp(-(a + b z))) of the log-odds z, with a and b fitted to out-of-fold log-odds (Platt,
    "Probabilistic Outputs for Support Vector Machines", 1999) under priors a ~ N(0, 1) and b ~ N(1, 0.5), which keep
    small tables near the identity.

    Args:
        model: "logistic", "boosting", or "auto" to choose; "auto" tries boosting from `FEWEST_FOR_TREES` rows of the
            rarer class on.
        C: Variance of the coefficients' prior; None chooses among `STRENGTHS`.
        n_trees: Number of boosted trees; None chooses among `TREES`.
        cv: Number of folds for the choice and for calibration.
        n_knots: Knots per numeric column.
        max_rows: Most rows fitted; beyond it, a random part of the groups. The choice and the calibration take
            at most `MOST_ROWS_TO_CHOOSE` of them.
        random_state: Seed of folds, of samples and of the trees' bins.

    Attributes:
        classes_: The two labels, the second being the one whose probability is modelled.
        pipeline_: The fitted `Pipeline` of the columns' transformation and the model.
        kinds_: Kind of each column: number, flag or category.
        model_: "logistic" or "boosting".
        strength_: The C or the number of trees used.
        scores_: Uncalibrated Brier score of each candidate, such as "logistic 0.1"; empty where there was no choice.
        calibration_: (a, b).
        feature_names_in_, n_features_in_: As usual in scikit-learn.
    """

    _needs = "customers who left and customers who stayed"

    def __init__(
        self,
        *,
        model: str = "auto",
        C: float | None = None,
        n_trees: int | None = None,
        cv: int = 5,
        n_knots: int = 5,
        max_rows: int = MOST_ROWS,
        random_state: int | None = None,
    ) -> None:
        self.model = model
        self.C = C
        self.n_trees = n_trees
        self.cv = cv
        self.n_knots = n_knots
        self.max_rows = max_rows
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
                repeated column names, an unknown `model`.
        """
        if self.model not in ("auto", "logistic", "boosting"):
            raise ValueError(f"model must be 'auto', 'logistic' or 'boosting', not {self.model!r}")
        X, codes, group_of = self._prepared(X, y, groups)
        kept = sample_groups(group_of, self.max_rows, self.random_state)
        X, codes, group_of = X.iloc[kept], codes[kept], group_of[kept]
        plain = plain_columns(X, self.kinds_)
        with one_thread():
            few = sample_groups(group_of, MOST_ROWS_TO_CHOOSE, self.random_state)
            folds = [
                (few[fit_on], few[judge_on])
                for fit_on, judge_on in _folds(codes[few], group_of[few], self.cv, self.random_state)
            ]
            candidates = self._candidates(codes, plain)
            designs = {kind: _design(kind, plain, self.kinds_, self.n_knots) for kind in candidates}
            log_odds = {
                kind: _out_of_fold(designs[kind], codes, folds, strengths=strengths, seed=self.random_state)
                for kind, strengths in candidates.items()
                if len(candidates) > 1 or len(strengths) > 1
            }
            (self.model_, self.strength_), scores = choose_candidate(
                {(kind, s): z for kind, found in log_odds.items() for s, z in found.items()},
                codes,
                group_of,
                default=next((kind, strengths[0]) for kind, strengths in candidates.items()),
            )
            self.scores_ = {f"{kind} {strength:g}": score for (kind, strength), score in scores.items()}
            design = designs[self.model_]
            held_out = _out_of_fold(design, codes, folds, strengths=(self.strength_,), seed=self.random_state)
            self.calibration_ = platt(held_out[self.strength_], codes)
            model = _model(design, self.strength_, self.random_state).fit(design.values, codes)
        self.pipeline_ = Pipeline([("columns", design.columns), ("model", model)])
        self._positions = design.positions
        self._means = design.values.mean(axis=0)
        return self

    def decision_function(self, X: pd.DataFrame) -> NDArray[np.float64]:
        """Uncalibrated log-odds of the second class, shape (n,)."""
        check_is_fitted(self)
        plain = plain_columns(self._frame(X, reset=False), self.kinds_)
        with one_thread():
            parts = [self.pipeline_.decision_function(plain.iloc[rows]) for rows in _chunks(len(plain))]
        return np.concatenate(parts) if parts else np.empty(0)

    def explain(
        self, X: pd.DataFrame, n_reasons: int = 3, reason_texts: Mapping[str, str | Reason] | None = None
    ) -> Explanation:
        """Contributions of the original features to each row's log-odds, and the top reasons for a high risk in words.

        Of a logistic model they are its terms, less those of the average training row; of boosted trees, exact Shapley
        values (`ml.shapley`).

        Args:
            X: Shape (n, features).
            n_reasons: Number of reason columns.
            reason_texts: Per feature a format template with ``{value}``, the row's value, and the names of other
                columns, such as ``"no order for {value:.0f} days"``, or a `ml.reasons.Reason`, which also says with
                which features it makes one reason. Features without one, and rows for which a value of the template
                is missing, read ``feature = value``.

        Returns:
            The contributions, the intercept and the reasons. Only what raises the risk, and the odds by at least 5 %,
            is a reason.
        """
        check_is_fitted(self)
        X = self._frame(X, reset=False)
        plain = plain_columns(X, self.kinds_)
        contributions = np.empty((len(plain), len(self.kinds_)))
        with one_thread():
            # also without rows, for the intercept
            for rows in [*_chunks(len(plain))] or [slice(0, 0)]:
                intercept, values = self._contributions(plain.iloc[rows])
                for j, positions in enumerate(self._positions.values()):
                    contributions[rows, j] = values[:, positions].sum(axis=1)
        frame = pd.DataFrame(contributions, index=X.index, columns=list(self.kinds_))
        return Explanation(
            intercept=intercept,
            contributions=frame,
            reasons=top_reasons(frame, plain, self.kinds_, n_reasons, reason_texts or {}),
        )

    def _contributions(self, plain: pd.DataFrame) -> tuple[float, NDArray[np.float64]]:
        """The mean log-odds of the training rows, and what each column of the design adds to it."""
        columns, model = self.pipeline_["columns"], self.pipeline_["model"]
        Z = columns.transform(plain) if len(plain) else np.empty((0, model.n_features_in_))
        if self.model_ == "boosting":
            return tree_shapley(model, Z)
        return float(model.intercept_[0] + self._means @ model.coef_[0]), (Z - self._means) * model.coef_[0]

    def _candidates(self, codes: NDArray[np.int64], plain: pd.DataFrame) -> dict[str, tuple[float, ...]]:
        """Strengths to try per kind of model."""
        of_kind = {
            "logistic": STRENGTHS if self.C is None else (float(self.C),),
            "boosting": TREES if self.n_trees is None else (int(self.n_trees),),
        }
        kinds = kinds_worth_trying(codes, plain) if self.model == "auto" else [self.model]
        return {kind: of_kind[kind] for kind in kinds}


# ---------------------------------------------------------------------------------------------------------------------
# Candidates, and the choice between them
# ---------------------------------------------------------------------------------------------------------------------


def kinds_worth_trying(codes: NDArray[np.int64], plain: pd.DataFrame) -> list[str]:
    """Kinds of model that labels 0/1 are enough for, and the columns not too poor; logistic first."""
    rarer = min(int(codes.sum()), len(codes) - int(codes.sum()))
    enough = rarer >= FEWEST_FOR_TREES and any(varies(plain[name]) for name in plain)
    return ["logistic", "boosting"] if enough else ["logistic"]


def candidate_log_odds(
    X: pd.DataFrame,
    codes: NDArray[np.int64],
    later: pd.DataFrame,
    *,
    n_knots: int = 5,
    random_state: int | None = None,
) -> dict[Candidate, NDArray[np.float64]]:
    """Uncalibrated log-odds of later rows by every candidate worth trying, fitted to earlier ones.

    Args:
        X: Earlier rows, shape (n, features).
        codes: Their labels 0/1, both present.
        later: Rows to judge on, the same columns.
        n_knots: See `ChurnClassifier`.
        random_state: Seed.

    Returns:
        Shape (len(later),) per (kind, strength).
    """
    kinds = {name: str(column_kind(X[name])) for name in X.columns}
    plain, plain_later = plain_columns(X, kinds), plain_columns(later, kinds)
    found: dict[Candidate, NDArray[np.float64]] = {}
    with one_thread():
        for kind in kinds_worth_trying(codes, plain):
            design = _design(kind, plain, kinds, n_knots)
            Z = design.columns.transform(plain_later)
            strengths = STRENGTHS if kind == "logistic" else TREES
            judged = _judged(design, design.values, codes, Z, strengths=strengths, seed=random_state)
            found |= {(kind, strength): log_odds for strength, log_odds in judged.items()}
    return found


def choose_candidate(
    log_odds: Mapping[Candidate, NDArray[np.float64]],
    codes: NDArray[np.int64],
    group_of: NDArray[np.int64],
    default: Candidate,
) -> tuple[Candidate, dict[Candidate, float]]:
    """The candidate to use, by Brier score on rows that it was not fitted to; ties go to the simpler one.

    Among logistic models the smallest C whose score is within a standard error of the best; boosting, with the number
    of trees that scores best, only where it is better than that by more than a standard error. Standard errors are of
    the paired difference, over customers: rows of one customer are not independent.

    Args:
        log_odds: Per candidate, shape (n,); nan where a row was not judged. Strengths in ascending order.
        codes: Labels 0/1.
        group_of: Customer of each row, as codes.
        default: Taken where nothing was judged.

    Returns:
        The candidate, and the score of each.
    """
    if not log_odds:
        return default, {}
    judged = ~np.any([np.isnan(z) for z in log_odds.values()], axis=0)
    if not judged.any():
        return default, {}
    y, groups = codes[judged], pd.factorize(group_of[judged])[0]
    errors = {candidate: (expit(z[judged]) - y) ** 2 for candidate, z in log_odds.items()}
    scores = {candidate: float(error.mean()) for candidate, error in errors.items()}

    def margin(one: Candidate, other: Candidate) -> tuple[float, float]:
        """By how much one scores worse than another, and the standard error of that."""
        worse_by = errors[one] - errors[other]
        mean = float(worse_by.mean())
        sums = np.bincount(groups, weights=worse_by - mean)
        return mean, float(np.sqrt((sums**2).sum())) / len(worse_by)

    def best_of(kind: str) -> Candidate | None:
        return min((c for c in scores if c[0] == kind), key=lambda c: (scores[c], c[1]), default=None)

    logistic, boosting = best_of("logistic"), best_of("boosting")
    if logistic is None:
        return boosting or default, scores
    for candidate in sorted(c for c in scores if c[0] == "logistic"):
        mean, error = margin(candidate, logistic)
        if mean <= error:
            logistic = candidate
            break
    if boosting is not None:
        mean, error = margin(logistic, boosting)
        if mean > error:
            return boosting, scores
    return logistic, scores


def sample_groups(group_of: NDArray[np.int64], most_rows: int, seed: int | None) -> NDArray[np.intp]:
    """Positions of the rows of a random part of the groups, about `most_rows` of them; all where there are fewer."""
    if len(group_of) <= most_rows:
        return np.arange(len(group_of))
    groups = np.unique(group_of)
    keep = max(2, int(len(groups) * most_rows / len(group_of)))
    chosen = np.random.default_rng(seed).choice(groups, size=min(keep, len(groups)), replace=False)
    return np.flatnonzero(np.isin(group_of, chosen))


@dataclass(frozen=True)
class _Design:
    """Rows as one kind of model reads them."""

    kind: str
    columns: Any
    values: NDArray[np.float64]
    positions: dict[str, NDArray[np.intp]]
    n_categories: int


def _design(kind: str, plain: pd.DataFrame, kinds: Mapping[str, str], n_knots: int) -> _Design:
    """The transformation looks at no label, so that one fit of it serves every fold."""
    if kind == "logistic":
        columns, parts = spline_columns(plain, kinds, n_knots)
        values = columns.fit_transform(plain)
        positions = {
            name: np.concatenate([np.empty(0, int), *(np.r_[columns.output_indices_[part]] for part in parts[name])])
            for name in kinds
        }
        return _Design(kind, columns, values, positions, 0)
    columns, order = tree_columns(plain, kinds)
    if not order:
        raise ValueError("no column holds two different values: there is nothing for trees to split on")
    values = np.asarray(columns.fit_transform(plain), dtype=float)
    positions = {name: np.flatnonzero(np.array(order) == name) for name in kinds}
    return _Design(kind, columns, values, positions, sum(kinds[name] == "category" for name in order))


def _model(design: _Design, strength: float, seed: int | None) -> Any:
    """An unfitted model of the design's kind."""
    if design.kind == "logistic":
        # Newton steps are exact and fastest for tall tables; their width x width matrix is not for wide ones.
        solver = "newton-cholesky" if design.values.shape[1] <= 500 else "lbfgs"
        return LogisticRegression(C=strength, solver=solver, max_iter=1000)
    return HistGradientBoostingClassifier(
        max_iter=int(strength),
        learning_rate=0.1,
        max_leaf_nodes=8,
        max_depth=3,
        min_samples_leaf=40,
        l2_regularization=1.0,
        categorical_features=list(range(design.n_categories)),
        early_stopping=False,
        random_state=seed,
    )


def _judged(
    design: _Design,
    values: NDArray[np.float64],
    codes: NDArray[np.int64],
    later: NDArray[np.float64],
    *,
    strengths: Sequence[float],
    seed: int | None,
) -> dict[float, NDArray[np.float64]]:
    """Log-odds of later rows by strength; the fewer trees are the first of the most."""
    if design.kind == "logistic":
        # Each fit starts from the one before, with which it shares most of its coefficients.
        model = _model(design, strengths[0], seed).set_params(warm_start=True)
        return {C: model.set_params(C=C).fit(values, codes).decision_function(later) for C in strengths}
    # scikit-learn cannot bin a column without any value, as one may be among the rows of a fold
    nothing_known = np.isnan(values).all(axis=0)
    values, later = (np.where(nothing_known, 0.0, part) for part in (values, later))
    model = _model(design, max(strengths), seed).fit(values, codes)
    staged = enumerate(model.staged_decision_function(later), start=1)
    return {n: z.ravel() for n, z in staged if n in strengths}


def _out_of_fold(
    design: _Design,
    codes: NDArray[np.int64],
    splits: Splits,
    *,
    strengths: Sequence[float],
    seed: int | None,
) -> dict[float, NDArray[np.float64]]:
    """Log-odds by strength of the rows judged in some split, nan for the others."""
    log_odds = {strength: np.full(len(codes), np.nan) for strength in strengths}
    for fit_on, judge_on in splits:
        found = _judged(
            design, design.values[fit_on], codes[fit_on], design.values[judge_on], strengths=strengths, seed=seed
        )
        for strength, z in found.items():
            log_odds[strength][judge_on] = z
    return log_odds


def _folds(
    codes: NDArray[np.int64], group_of: NDArray[np.int64], k: int, seed: int | None
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Folds that keep groups whole and spread both classes evenly; none where a class has fewer than two groups."""
    group_of = pd.factorize(group_of, sort=True)[0]
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


def _chunks(n: int) -> Iterator[slice]:
    return (slice(start, start + _CHUNK) for start in range(0, n, _CHUNK))
