"""Gamma-Gamma: what a customer's purchases are worth, from the mean of those seen.

How many purchases there will be is the business of the models of repeat purchases.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ml._threads import one_thread
from ml.lifetime.base import covariance, maximise, undetermined
from ml.lifetime.histories import Floats

COLUMNS = ("frequency", "monetary_value")
EACH = "mean_log_value"
"""Where this column is there, the values of single purchases are fitted and not only their mean."""
FEWEST_REPEATERS = 20
"""With fewer customers who came back, everyone's orders are worth the same, and no backtest is made."""


class GammaGammaModel(BaseEstimator):
    """Values of a customer's purchases are Gamma(p, nu), and nu ~ Gamma(q, v) differs between customers.

    Source: Fader, Hardie and Lee, "RFM and CLV: Using Iso-Value Curves for Customer Base Analysis", Journal of
    Marketing Research 42 (2005); Fader and Hardie, "The Gamma-Gamma Model of Monetary Value" (2013).
    It assumes that how much and how often customers buy are independent.

    Published is the likelihood of a customer's mean value. With the column mean_log_value that of the single values is
    maximised, of which sum and sum of logarithms say everything: a mean says little about how much a customer's
    purchases differ from one another (on CDNOW p is 3.6 instead of 6.2, and intervals hold).

    Attributes:
        p_: Shape of a purchase's value given the customer.
        q_, v_: Shape and inverse scale (in money) of the customers' nu.
        parameters_, standard_errors_: By name; errors from the observed information, nan at a bound.
        information_: (3, 3) observed information about the logarithms of p, q, v.
        covariance_: (3, 3) its inverse; nan where it has none.
        log_likelihood_: At the estimates, in the unit of the data.
        n_customers_: Rows fitted to.
        undetermined_: Names of parameters of which the data say next to nothing: purchases or customers do not differ.
    """

    _names = ("p", "q", "v")
    p_: float
    q_: float
    v_: float

    def fit(self, X: pd.DataFrame, y: None = None, sample_weight: ArrayLike | None = None) -> Self:  # noqa: ARG002
        """Estimate by maximum likelihood.

        Args:
            X: Columns frequency (purchases with a value, at least 1), monetary_value (their mean, above 0) and, to fit
                single values, mean_log_value (mean of their natural logarithms).
            y: Ignored.
            sample_weight: (rows,) how many customers each row stands for.

        Returns:
            Itself.

        Raises:
            ValueError: No rows, or a value outside its range.
        """
        x, mean = _values(X)
        if not len(x):
            raise ValueError("there is no customer with a purchase to fit values to")
        if not ((x > 0) & (mean > 0)).all():
            raise ValueError("columns 'frequency' and 'monetary_value' must be above 0: leave other customers out")
        weight = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, dtype="float64")
        customers = float(weight.sum())
        unit = float(weight @ mean) / customers
        kinds, of = np.unique(x, return_inverse=True)
        scaled = mean / unit
        total = x * scaled
        each = X[EACH].to_numpy(dtype="float64") - np.log(unit) if EACH in X.columns else None
        if each is not None and not (each <= np.log(scaled) + 1e-9).all():
            raise ValueError(f"column {EACH!r} must not exceed the logarithm of monetary_value, nor be missing")
        # Density of one value (the mean, of shape p x) or of x values (of shape p each), given their sum.
        values_of = 1.0 if each is None else x
        shape_of = kinds if each is None else np.ones(len(kinds))
        logs = np.log(total) if each is None else each

        def mean_log_likelihood(parameters: Floats) -> tuple[float, Floats]:
            p, q, v = parameters
            log_sum = np.log(v + total)
            fixed = gammaln(p * kinds + q) - gammaln(q) + q * np.log(v)
            inner = gammaln(p * shape_of)[of]
            values = fixed[of] - (p * x + q) * log_sum + values_of * ((p * shape_of[of] - 1) * logs - inner)
            values = values + (np.log(x) if each is None else 0.0)
            both = digamma(p * kinds + q)
            by_p = x * (both[of] - log_sum) + values_of * shape_of[of] * (logs - digamma(p * shape_of)[of])
            by_q = (both - digamma(q))[of] + np.log(v) - log_sum
            by_v = q / v - (p * x + q) / (v + total)
            gradient = np.array([weight @ by_p, weight @ by_q, weight @ by_v])
            return float(weight @ values) / customers, gradient / customers

        with one_thread():
            estimates, second, at_bound = maximise(mean_log_likelihood, np.array([1.0, 2.0, 1.0]))
            self.information_ = -customers * second
            self.covariance_ = covariance(self.information_, at_bound)
            value = customers * mean_log_likelihood(estimates)[0]
        self._keep(estimates * np.array([1.0, 1.0, unit]))
        self.log_likelihood_ = value - float(weight @ np.broadcast_to(values_of, x.shape)) * float(np.log(unit))
        self.n_customers_ = customers
        self.undetermined_ = undetermined(self._names, self.covariance_)
        errors = np.sqrt(np.diag(self.covariance_)) * np.array(list(self.parameters_.values()))
        self.standard_errors_ = dict(zip(self._names, map(float, errors), strict=True))
        return self

    def with_parameters(self, *, p: float, q: float, v: float) -> Self:
        """A model with known parameters, such as published ones.

        Raises:
            ValueError: One is not positive.
        """
        if not min(p, q, v) > 0:
            raise ValueError("p, q and v must be positive")
        model = type(self)()
        model._keep(np.array([p, q, v]))
        return model

    @property
    def mean_(self) -> float:
        """Expected value of a purchase of a customer of whom none is known; infinite where q <= 1."""
        check_is_fitted(self, "parameters_")
        return self.p_ * self.v_ / (self.q_ - 1) if self.q_ > 1 else float("inf")

    def posterior(self, X: pd.DataFrame) -> tuple[Floats, Floats]:
        """Each customer's nu is Gamma(shape, scale)-distributed: (rows,) shapes and (rows,) inverse scales.

        Args:
            X: Columns frequency (0 for customers without a known value) and monetary_value (then ignored).
        """
        check_is_fitted(self, "parameters_")
        x, mean = _values(X)
        return self.q_ + self.p_ * x, self.v_ + np.where(x > 0, x * mean, 0.0)

    def expected_value(self, X: pd.DataFrame) -> Floats:
        """Expected value of each customer's next purchase, (rows,): p scale / (shape - 1); infinite at a shape <= 1."""
        shape, scale = self.posterior(X)
        return np.divide(self.p_ * scale, shape - 1, out=np.full(len(shape), np.inf), where=shape > 1)

    def _keep(self, values: Floats) -> None:
        self.parameters_ = {name: float(value) for name, value in zip(self._names, values, strict=True)}
        self.p_, self.q_, self.v_ = map(float, values)


def fit_spend(
    X: pd.DataFrame, mean: float, spread: float, sample_weight: ArrayLike | None = None
) -> tuple[GammaGammaModel, list[str]]:
    """The values of orders, or the mean of all where too few customers came back.

    Args:
        X: As in `GammaGammaModel.fit`, of the customers who came back.
        mean: Mean value of all orders worth something.
        spread: Their standard deviation in multiples of the mean.
        sample_weight: (rows,) how many customers each row stands for.

    Returns:
        The model, and messages.
    """
    weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, dtype="float64")
    customers = int(weight.sum())
    if customers >= FEWEST_REPEATERS:
        fitted = GammaGammaModel().fit(X, sample_weight=weight)
        purchases = weight * X["frequency"].to_numpy()
        seen = float(purchases @ X["monetary_value"].to_numpy() / purchases.sum())
        if seen / 2 < fitted.mean_ < 2 * seen:
            return fitted, []
        why = "Gamma-Gamma does not fit: it is off the mean of all orders by more than a factor of two"
    else:
        why = f"Fewer than {FEWEST_REPEATERS} customers came back ({customers})"
    p, q = 1 / min(max(spread, 0.1), 10.0) ** 2, 1e8  # customers do not differ
    pooled = GammaGammaModel().with_parameters(p=p, q=q, v=mean * (q - 1) / p)
    return pooled, [f"{why}: everyone's orders are expected to be worth the mean of all."]


def _values(X: pd.DataFrame) -> tuple[Floats, Floats]:
    absent = [name for name in COLUMNS if name not in X.columns]
    if absent:
        raise ValueError(f"columns are absent: {absent}")
    x, mean = (X[name].to_numpy(dtype="float64", na_value=np.nan) for name in COLUMNS)
    if not (np.isfinite(x) & (x >= 0)).all():
        raise ValueError("column 'frequency' must be a finite number of at least 0")
    known = x > 0
    if not (np.isfinite(mean[known]) & (mean[known] >= 0)).all():
        raise ValueError("column 'monetary_value' must be finite and at least 0 where frequency is above 0")
    return x, np.where(known, mean, 0.0)
