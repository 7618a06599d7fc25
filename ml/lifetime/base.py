"""What the models of repeat purchases have in common: maximum likelihood, standard errors, prediction per customer.

A model says how likely a history is and what a customer who is still active does next. Values of purchases are the
business of `ml.lifetime.spend`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ml._threads import one_thread
from ml.lifetime.histories import Floats, Histories, unique_histories

LARGEST_LOG = 10.0
"""Parameters are sought between exp(-10) and exp(10), with the mean T as the unit of time: beyond, customers are equal
(or never leave) for every practical purpose, and the likelihood is flat."""

Loss = Callable[[Floats], tuple[float, Floats]]


def maximise(log_likelihood: Loss, start: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Maximise a log-likelihood in the logarithms of its parameters.

    Args:
        log_likelihood: From the (k,) parameters to the log-likelihood per customer and its (k,) gradient.
        start: (k,) parameters to start from.

    Returns:
        (k,) estimates, the (k, k) matrix of second derivatives of the log-likelihood per customer with respect to the
        logarithms, by central differences of the gradient, and (k,) whether an estimate lies at its bound.
    """

    def loss(logs: Floats) -> tuple[float, Floats]:
        parameters = np.exp(logs)
        value, gradient = log_likelihood(parameters)
        return -value, -gradient * parameters

    bounds = [(-LARGEST_LOG, LARGEST_LOG)] * len(start)
    found = minimize(
        loss, np.log(start), jac=True, method="L-BFGS-B", bounds=bounds,
        options={"maxiter": 1000, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    logs = found.x
    step = 1e-4
    shifts = step * np.eye(len(start))
    second = np.array([(loss(logs - shift)[1] - loss(logs + shift)[1]) / (2 * step) for shift in shifts])
    return np.exp(logs), (second + second.T) / 2, np.abs(logs) > LARGEST_LOG - 1e-3


def covariance(information: Floats, at_bound: NDArray[np.bool_]) -> Floats:
    """Covariance of the estimates' logarithms.

    Args:
        information: (k, k) observed information.
        at_bound: (k,) estimates without a standard error.

    Returns:
        (k, k); nan for estimates at a bound, and everywhere where the information is not positive definite.
    """
    result = np.full(information.shape, np.nan)
    free = np.flatnonzero(~at_bound)
    known = information[np.ix_(free, free)]
    if len(free) and np.linalg.eigvalsh(known).min() > 0:
        result[np.ix_(free, free)] = np.linalg.inv(known)
    return result


def undetermined(names: Sequence[str], covariance_of_logs: Floats) -> list[str]:
    """Names of estimates without a standard error, or with one of more than 3 on the logarithm."""
    known = np.diag(covariance_of_logs) <= 3**2  # not so for nan
    return [name for name, is_known in zip(names, known, strict=True) if not is_known]


class PurchaseModel(BaseEstimator, ABC):
    """A model of how often customers buy and when they stop ("buy till you die").

    Times are in any one unit, the same in `fit` and in every prediction; parameters come out in that unit.

    Attributes:
        parameters_: Estimates by name; each is an attribute as well, such as `r_`.
        standard_errors_: By name, from the observed information; nan at the bound of the search or on a flat ridge.
        information_: (k, k) observed information about the logarithms of the estimates, in the order of `parameters_`.
        covariance_: (k, k) its inverse; nan where it has none.
        log_likelihood_: At the estimates, in the unit of the data.
        n_customers_: Sum of weights.
        undetermined_: Names of parameters of which the data say next to nothing: at the bound of the search, on a flat
            ridge, or with a standard error of their logarithm above 3. Customers do not differ, or do not leave.
    """

    _names: ClassVar[tuple[str, ...]]
    _times: ClassVar[tuple[str, ...]]
    r_: float
    alpha_: float

    def fit(self, X: pd.DataFrame, y: None = None, sample_weight: ArrayLike | None = None) -> Self:  # noqa: ARG002
        """Estimate the parameters by maximum likelihood.

        Args:
            X: Columns frequency, recency and T; see `unique_histories`.
            y: Ignored.
            sample_weight: (rows,) how many customers each row stands for.

        Returns:
            Itself.

        Raises:
            ValueError: A row is impossible, or nobody was observed for any time.
        """
        histories = unique_histories(X, sample_weight)
        customers = float(histories.weight.sum())
        unit = float(histories.weight @ histories.T) / customers if customers > 0 else 0.0
        if not unit > 0:
            raise ValueError("column 'T' is 0 for every customer: nobody was observed after the first purchase")
        scaled = histories.scaled(unit)

        def mean_log_likelihood(parameters: Floats) -> tuple[float, Floats]:
            values, gradients = self._log_likelihood(parameters, scaled)
            return float(scaled.weight @ values) / customers, gradients @ scaled.weight / customers

        with one_thread():
            estimates, second, at_bound = maximise(mean_log_likelihood, np.ones(len(self._names)))
            self.information_ = -customers * second
            self.covariance_ = covariance(self.information_, at_bound)
            total = customers * mean_log_likelihood(estimates)[0]
        units = np.array([unit if name in self._times else 1.0 for name in self._names])
        self._keep(estimates * units)
        # A density of purchase times per unit of time shrinks with the unit, once a purchase.
        self.log_likelihood_ = total - float(histories.weight @ histories.x) * float(np.log(unit))
        self.n_customers_ = customers
        self.undetermined_ = undetermined(self._names, self.covariance_)
        errors = np.sqrt(np.diag(self.covariance_)) * np.array(list(self.parameters_.values()))
        self.standard_errors_ = dict(zip(self._names, map(float, errors), strict=True))
        return self

    def with_parameters(self, **parameters: float) -> Self:
        """A model with known parameters, such as published ones.

        Raises:
            ValueError: One is absent, unknown, or not positive.
        """
        if set(parameters) != set(self._names) or not all(value > 0 for value in parameters.values()):
            raise ValueError(f"{type(self).__name__} has the positive parameters {', '.join(self._names)}")
        model = type(self)()
        model._keep(np.array([parameters[name] for name in self._names]))
        return model

    def score(self, X: pd.DataFrame, y: None = None, sample_weight: ArrayLike | None = None) -> float:  # noqa: ARG002
        """Log-likelihood of histories at the fitted parameters."""
        histories = unique_histories(X, sample_weight)
        return float(histories.weight @ self._log_likelihood(self._values, histories)[0])

    def expected_purchases(self, t: ArrayLike) -> Floats:
        """Expected repeat purchases of a new customer by time t after the first purchase; shape of t."""
        times = np.asarray(t, dtype="float64")
        rows = np.zeros(times.size)
        new = unique_histories(pd.DataFrame({"frequency": rows, "recency": rows, "T": rows}))
        new = new.part(np.zeros(times.size, dtype=np.intp))
        return self.expectation(new, times.ravel()).reshape(times.shape)

    def probability_alive(self, X: pd.DataFrame) -> Floats:
        """Probability that each customer has not left, shape (rows,)."""
        return self._per_row(X, 0.0, lambda histories, _: self.alive(histories))

    def conditional_expected_purchases(self, X: pd.DataFrame, t: ArrayLike) -> Floats:
        """Expected purchases of each customer in the time t after the end of the records, shape (rows,).

        Args:
            X: Columns frequency, recency and T.
            t: One number, or one a row.
        """
        return self._per_row(X, t, self.expectation)

    def purchase_probabilities(self, X: pd.DataFrame, t: ArrayLike, most: int) -> Floats:
        """Probability of exactly 0, 1, ..., most purchases in the time t after the records, shape (rows, most + 1).

        Args:
            X: Columns frequency, recency and T.
            t: One number, or one a row.
            most: Largest number of purchases.
        """
        return self._per_row(X, t, lambda histories, time: self.distribution(histories, time, most))

    def distribution(self, histories: Histories, t: Floats, most: int) -> Floats:
        """As `purchase_probabilities`, for (n,) distinct histories and (n,) times: shape (n, most + 1)."""
        alive = self.alive(histories)
        probabilities = alive[:, None] * self._probabilities_if_alive(histories, t, most)
        probabilities[:, 0] += 1 - alive
        return probabilities

    def alive(self, histories: Histories) -> Floats:
        """As `probability_alive`, for (n,) distinct histories."""
        return expit(self._log_odds_alive(histories))

    def expectation(self, histories: Histories, t: Floats) -> Floats:
        """As `conditional_expected_purchases`, for (n,) distinct histories and (n,) times."""
        return self.alive(histories) * self._expected_if_alive(histories, t)

    def silence(self, histories: Histories, t: Floats) -> Floats:
        """Probability of no purchase in the time t after the records, for (n,) distinct histories and (n,) times."""
        alive = self.alive(histories)
        return 1 - alive + alive * self._silence_if_alive(histories, t)

    @property
    def _values(self) -> Floats:
        check_is_fitted(self, "parameters_")
        return np.array(list(self.parameters_.values()))

    def _keep(self, values: Floats) -> None:
        self.parameters_ = {name: float(value) for name, value in zip(self._names, values, strict=True)}
        for name, value in self.parameters_.items():
            setattr(self, f"{name}_", value)

    def _per_row(self, X: pd.DataFrame, t: ArrayLike, compute: Callable[[Histories, Floats], Floats]) -> Floats:
        """Apply a function of distinct histories and times to rows."""
        check_is_fitted(self, "parameters_")
        times = np.asarray(t, dtype="float64")
        if times.size and not (np.isfinite(times) & (times >= 0)).all():
            raise ValueError("t must be finite and at least 0: the time after the end of the records")
        histories = unique_histories(X)
        if times.ndim == 0:
            return compute(histories, np.full(len(histories), float(times)))[histories.row_of]
        if times.shape != histories.row_of.shape:
            raise ValueError(f"t must be one number or hold one for each of {len(histories.row_of)} rows")
        return compute(histories.part(histories.row_of), times)

    @abstractmethod
    def _log_likelihood(self, parameters: Floats, histories: Histories) -> tuple[Floats, Floats]:
        """(n,) log-likelihoods of the histories and their (k, n) gradients with respect to the parameters."""

    @abstractmethod
    def _log_odds_alive(self, histories: Histories) -> Floats:
        """(n,) log-odds that a customer is still active at the end of the records."""

    @abstractmethod
    def _expected_if_alive(self, histories: Histories, t: Floats) -> Floats:
        """(n,) expected purchases in the time t of customers who are active at its beginning."""

    @abstractmethod
    def _probabilities_if_alive(self, histories: Histories, t: Floats, most: int) -> Floats:
        """(n, most + 1) probabilities of numbers of purchases of customers who are active at the beginning."""

    @abstractmethod
    def _silence_if_alive(self, histories: Histories, t: Floats) -> Floats:
        """(n,) probability of no purchase in the time t of customers who are active at its beginning."""


def negative_binomial(shape: Floats, scale: Floats, t: Floats, most: int) -> Floats:
    """Probabilities of 0, ..., most events in time t at a rate that is Gamma(shape, scale)-distributed.

    Args:
        shape: (...) shape of the rate.
        scale: (...) inverse scale of the rate, in units of time.
        t: (...) time.
        most: Largest number.

    Returns:
        (..., most + 1).
    """
    count = np.arange(1, most + 1)
    with np.errstate(divide="ignore"):
        log_chance = np.log(t) - np.log(scale + t)
    # P(y) = P(y - 1) (shape + y - 1) / y * chance, in logarithms: the first one may be smaller than any double.
    ratios = np.log1p((shape[..., None] - 1) / count) + log_chance[..., None]
    none = -(shape * np.log1p(t / scale))[..., None]
    return np.exp(np.concatenate([none, none + np.cumsum(ratios, axis=-1)], axis=-1))
