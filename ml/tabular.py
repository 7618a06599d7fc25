"""What classifiers of tables have in common: any mix of columns in, two classes, calibrated probabilities out.

Which model gives the log-odds is decided in `ml.churn` and `ml.intent`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from ml.columns import column_kind


class TabularClassifier(ClassifierMixin, BaseEstimator):
    """Base of classifiers whose `fit` begins with `_prepared` and sets `calibration_`.

    Attributes:
        classes_: The two labels, the second being the one whose probability is modelled.
        kinds_: Kind of each column: number, flag or category.
        calibration_: (a, b), see `platt`.
    """

    classes_: NDArray[Any]
    kinds_: dict[str, str]
    calibration_: tuple[float, float]
    _needs = "both classes"

    def __sklearn_tags__(self) -> Tags:
        """Two classes only; missing values, text and categories are welcome."""
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        return tags

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
        raise NotImplementedError

    def _prepared(
        self, X: pd.DataFrame, y: ArrayLike, groups: ArrayLike | None
    ) -> tuple[pd.DataFrame, NDArray[np.int64], NDArray[np.intp]]:
        """The table checked, its labels as 0/1, and the number of each row's group; kinds and classes are set."""
        X = self._frame(X, reset=True)
        codes = self._labels(y, len(X))
        unknown = [name for name in X.columns if column_kind(X[name]) is None]
        if unknown:
            raise ValueError(f"columns are neither numeric, boolean nor categorical: {unknown}")
        self.kinds_ = {name: str(column_kind(X[name])) for name in X.columns}
        group_of = np.arange(len(X)) if groups is None else pd.factorize(np.asarray(groups), sort=True)[0]
        if len(group_of) != len(X):
            raise ValueError(f"groups has {len(group_of)} rows, X has {len(X)}")
        return X, codes, group_of

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
                f"{list(self.classes_[:5])}; a model needs {self._needs}"
            )
        return codes.astype(np.int64)


def platt(log_odds: NDArray[np.float64], codes: NDArray[np.int64]) -> tuple[float, float]:
    """Calibration of log-odds z as 1 / (1 + exp(-(a + b z))), by labels judged out of fold.

    Platt, "Probabilistic Outputs for Support Vector Machines" (1999), under priors a ~ N(0, 1) and b ~ N(1, 0.5), which
    keep small tables near the identity.

    Args:
        log_odds: Out of fold, shape (n,); nan where a row was not judged.
        codes: Labels 0/1, shape (n,).

    Returns:
        The (a, b) of largest posterior; (0, 1) where nothing was judged.
    """
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
