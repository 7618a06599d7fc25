"""Pareto/NBD: customers buy at a gamma-distributed rate until they leave, at a moment of its own hazard.

The likelihood is kept as the integral over the moment of leaving of which the published hypergeometric functions are
the closed form: a Gauss-Legendre quadrature of positive terms neither overflows nor cancels, and its gradient is
the same quadrature of the terms' logarithmic derivatives.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import digamma, exprel, gammaln, logsumexp

from ml.lifetime.base import PurchaseModel, negative_binomial
from ml.lifetime.histories import Floats, Histories

_NODES = 32
_FAR = 40.0  # exp(-40) of an integrand is nothing to a double


class ParetoNBDModel(PurchaseModel):
    """Pareto/NBD: purchases at rate lambda ~ Gamma(r, alpha) until an exponential time with rate mu ~ Gamma(s, beta).

    Source: Schmittlein, Morrison and Colombo, "Counting Your Customers: Who Are They and What Will They Do Next?",
    Management Science 33 (1987); Fader and Hardie, "A Note on Deriving the Pareto/NBD Model and Related Expressions"
    (2005), equations 13 to 18, of which the integral over the time of leaving is kept as such.

    Attributes:
        r_, alpha_: Shape and inverse scale (a time) of the rate of purchases.
        s_, beta_: Shape and inverse scale (a time) of the rate of leaving.
    """

    _names: ClassVar[tuple[str, ...]] = ("r", "alpha", "s", "beta")
    _times: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    s_: float
    beta_: float

    def _log_likelihood(self, parameters: Floats, histories: Histories) -> tuple[Floats, Floats]:
        r, alpha, s, beta = parameters
        k, of = histories.kinds, histories.kind_of
        common = gammaln(r + k) - gammaln(r) + r * np.log(alpha) + s * np.log(beta)
        by_r = digamma(r + k) - digamma(r) + np.log(alpha)

        log_alive = self._log_alive(parameters, histories)
        left_at, log_weights = self._leaving(parameters, histories)
        log_dead = logsumexp(log_weights, axis=1)
        values = np.logaddexp(log_alive, log_dead)
        share = np.exp(log_alive - values)
        chances = np.exp(log_weights - values[:, None])

        at_T = histories.T
        x = histories.x

        def mean(of_alive: Floats, of_left: Floats) -> Floats:
            return share * of_alive + np.einsum("nk,nk->n", chances, of_left)

        gradients = np.empty((4, len(x)))
        gradients[0] = by_r[of] - mean(np.log(alpha + at_T), np.log(alpha + left_at))
        gradients[1] = r / alpha - (r + x) * mean(1 / (alpha + at_T), 1 / (alpha + left_at))
        gradients[2] = np.log(beta) + (1 - share) / s - mean(np.log(beta + at_T), np.log(beta + left_at))
        gradients[3] = s / beta - mean(s / (beta + at_T), (s + 1) / (beta + left_at))
        return common[of] + values, gradients

    @staticmethod
    def _log_alive(parameters: Floats, histories: Histories) -> Floats:
        r, alpha, s, beta = parameters
        return -(r + histories.x) * np.log(alpha + histories.T) - s * np.log(beta + histories.T)

    @staticmethod
    def _leaving(parameters: Floats, histories: Histories) -> tuple[Floats, Floats]:
        """Moments u between t_x and T, (n, nodes), and log-weights of having left there.

        The weights are those of the integral of s (alpha + u)^-(r + x) (beta + u)^-(s + 1), in v = log(c + u) with c
        the smaller of alpha and beta, as far as the integrand matters.
        """
        r, alpha, s, beta = parameters
        nodes, weights = leggauss(_NODES)
        nearer = min(alpha, beta)
        start = nearer + histories.t_x
        length = np.log((nearer + histories.T) / start)
        # The integrand falls at least as fast as it does at its beginning.
        falls = (r + histories.x) * start / (alpha + histories.t_x) + s * start / (beta + histories.t_x)
        length = np.minimum(length, _FAR / falls)
        v = length[:, None] * (1 + nodes) / 2
        u = histories.t_x[:, None] + start[:, None] * np.expm1(v)
        with np.errstate(divide="ignore"):
            log_width = np.log(length / 2)[:, None] + np.log(weights) + np.log(start)[:, None] + v
        log_terms = np.log(s) - (r + histories.x)[:, None] * np.log(alpha + u) - (s + 1) * np.log(beta + u)
        return u, log_terms + log_width

    def _log_odds_alive(self, histories: Histories) -> Floats:
        _, log_weights = self._leaving(self._values, histories)
        return self._log_alive(self._values, histories) - logsumexp(log_weights, axis=1)

    def _expected_if_alive(self, histories: Histories, t: Floats) -> Floats:
        stays = self.beta_ + histories.T
        time = np.log1p(t / stays)
        # (1 - exp(-(s - 1) time)) / (s - 1), which s = 1 does not break
        return (self.r_ + histories.x) / (self.alpha_ + histories.T) * stays * time * exprel((1 - self.s_) * time)

    def _probabilities_if_alive(self, histories: Histories, t: Floats, most: int) -> Floats:
        until, weights = self._until(histories, t)
        shape, scale = self.r_ + histories.x, self.alpha_ + histories.T
        probabilities = np.zeros((len(histories), most + 1))
        for moment, weight in zip(until.T, weights.T, strict=True):
            probabilities += weight[:, None] * negative_binomial(shape, scale, moment, most)
        return probabilities

    def _silence_if_alive(self, histories: Histories, t: Floats) -> Floats:
        until, weights = self._until(histories, t)
        none = -(self.r_ + histories.x)[:, None] * np.log1p(until / (self.alpha_ + histories.T)[:, None])
        return np.einsum("nk,nk->n", weights, np.exp(none))

    def _until(self, histories: Histories, t: Floats) -> tuple[Floats, Floats]:
        """Moments after the records until which a customer stays, the last being t itself, with their weights."""
        nodes, weights = leggauss(_NODES)
        stays = (self.beta_ + histories.T)[:, None]
        length = np.log1p(t[:, None] / stays)
        v = length * (1 + nodes) / 2
        leaves = self.s_ * np.exp(-self.s_ * v) * length / 2 * weights
        until = np.concatenate([stays * np.expm1(v), t[:, None]], axis=1)
        return until, np.concatenate([leaves, np.exp(-self.s_ * length)], axis=1)
