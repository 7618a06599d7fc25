"""BG/NBD and MBG/NBD: customers buy at a gamma-distributed rate and may leave after each purchase.

Nothing here overflows: likelihoods are sums of logarithms, and expectations over the probability of leaving are
Gauss quadratures with respect to its beta distribution instead of hypergeometric functions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np
from scipy.special import betaln, digamma, gammaln

from ml.lifetime.base import PurchaseModel, negative_binomial
from ml.lifetime.histories import Floats, Histories

_NODES = 48


def beta_quadrature(a: float, b: Floats, nodes: int = _NODES) -> tuple[Floats, Floats]:
    """Gauss quadrature with respect to beta distributions (Golub and Welsch, "Calculation of Gauss Quadrature", 1969).

    Args:
        a: First shape of all distributions, positive.
        b: (m,) second shapes, positive.
        nodes: Number of nodes; polynomials of degree 2 nodes - 1 are integrated exactly, and expected purchases up to
            80 times alpha + T ahead to 8 digits.

    Returns:
        (m, nodes) points between 0 and 1, and (m, nodes) weights that add up to 1.
    """
    first, second = np.asarray(b, dtype="float64")[:, None] - 1, a - 1
    total = first + second
    n = np.arange(1, nodes)
    diagonal = np.empty((len(first), nodes))
    diagonal[:, :1] = (second - first) / (total + 2)
    diagonal[:, 1:] = (second**2 - first**2) / ((2 * n + total) * (2 * n + total + 2))
    with np.errstate(invalid="ignore"):
        square = 4 * n * (n + first) * (n + second) * (n + total)
        square = square / ((2 * n + total) ** 2 * (2 * n + total + 1) * (2 * n + total - 1))
    # 0/0 where a + b = 1
    square[:, :1] = 4 * (1 + first) * (1 + second) / ((2 + total) ** 2 * (3 + total))
    matrices = np.zeros((len(first), nodes, nodes))
    matrices[:, np.arange(nodes), np.arange(nodes)] = diagonal
    matrices[:, n, n - 1] = np.sqrt(square)
    points, vectors = np.linalg.eigh(matrices)
    return np.clip((1 + points) / 2, 1e-300, 1.0), vectors[:, 0, :] ** 2


@lru_cache(maxsize=32)
def _cached_quadrature(a: float, b: tuple[float, ...]) -> tuple[Floats, Floats]:
    """The same customers are asked about many times: for other horizons, and while a root is looked for."""
    return beta_quadrature(a, np.array(b))


class _BetaGeometric(PurchaseModel):
    """Purchases at rate lambda ~ Gamma(r, alpha); after each one a customer leaves with probability p ~ Beta(a, b)."""

    _names: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")
    _times: ClassVar[tuple[str, ...]] = ("alpha",)
    _first_may_be_last: ClassVar[bool]
    a_: float
    b_: float

    def _log_likelihood(self, parameters: Floats, histories: Histories) -> tuple[Floats, Floats]:
        r, alpha, a, b = parameters
        k, of = histories.kinds, histories.kind_of
        common = gammaln(r + k) - gammaln(r) + r * np.log(alpha) + betaln(a, b + k) - betaln(a, b)
        log_alive, log_dead, share = self._terms(parameters, histories)
        values = common[of] + np.logaddexp(log_alive, log_dead)

        by_r = digamma(r + k) - digamma(r) + np.log(alpha)
        both = digamma(a + b) - digamma(a + b + k)
        by_b = both + digamma(b + k) - digamma(b)
        x, at_T, at_t_x = histories.x, alpha + histories.T, alpha + histories.t_x
        gradients = np.empty((4, len(x)))
        gradients[0] = by_r[of] - (1 - share) * np.log(at_T) - share * np.log(at_t_x)
        gradients[1] = r / alpha - (r + x) * ((1 - share) / at_T + share / at_t_x)
        gradients[2] = both[of] + share / a
        gradients[3] = by_b[of]
        if self._first_may_be_last:
            gradients[2] -= 1 / (a + b + x)
            gradients[3] += (1 - share) / (b + x) - 1 / (a + b + x)
        else:
            gradients[3] -= np.divide(share, b + x - 1, out=np.zeros(len(x)), where=x > 0)
        return values, gradients

    def _terms(self, parameters: Floats, histories: Histories) -> tuple[Floats, Floats, Floats]:
        """Log-weights of being active and of having left after the last purchase, and the share of the second."""
        r, alpha, a, b = parameters
        x = histories.x
        log_alive = -(r + x) * np.log(alpha + histories.T)
        log_dead = -(r + x) * np.log(alpha + histories.t_x)
        if self._first_may_be_last:
            log_alive = log_alive + np.log(b + x)
            log_dead = log_dead + np.log(a)
            both = np.log(a + b + x)
            log_alive, log_dead = log_alive - both, log_dead - both
        else:
            can_be_dead = x > 0
            chance = np.full(len(x), -np.inf)
            chance[can_be_dead] = np.log(a) - np.log(b + x[can_be_dead] - 1)
            log_dead = log_dead + chance
        return log_alive, log_dead, 1 / (1 + np.exp(np.minimum(log_alive - log_dead, 700)))

    def _log_odds_alive(self, histories: Histories) -> Floats:
        log_alive, log_dead, _ = self._terms(self._values, histories)
        return log_alive - log_dead

    def _stays(self, x: Floats) -> Floats:
        """Second shape of p's distribution for customers who are active after x repeat purchases."""
        return self.b_ + x + (1 if self._first_may_be_last else 0)

    def _expected_if_alive(self, histories: Histories, t: Floats) -> Floats:
        # With lambda and p known, (1 - exp(-lambda p t)) / p; lambda is integrated out exactly.
        points, weights = _cached_quadrature(self.a_, tuple(self._stays(histories.kinds)))
        points, weights = points[histories.kind_of], weights[histories.kind_of]
        shape, scale = (self.r_ + histories.x)[:, None], (self.alpha_ + histories.T)[:, None]
        expected = -np.expm1(-shape * np.log1p(points * t[:, None] / scale)) / points
        return np.einsum("nk,nk->n", weights, expected)

    def _probabilities_if_alive(self, histories: Histories, t: Floats, most: int) -> Floats:
        stays = self._stays(histories.kinds)
        count = np.arange(most + 1)
        # y purchases and still active; or y purchases of which the last was the end, though time was left for more.
        active = np.exp(betaln(self.a_, stays[:, None] + count) - betaln(self.a_, stays)[:, None])
        left = np.exp(betaln(self.a_ + 1, stays[:, None] + count[1:] - 1) - betaln(self.a_, stays)[:, None])
        made = negative_binomial(self.r_ + histories.x, self.alpha_ + histories.T, t, most)
        at_least = np.maximum(1 - np.cumsum(made, axis=1)[:, :-1], 0)
        probabilities = active[histories.kind_of] * made
        probabilities[:, 1:] += left[histories.kind_of] * at_least
        return probabilities

    def _silence_if_alive(self, histories: Histories, t: Floats) -> Floats:
        return np.exp(-(self.r_ + histories.x) * np.log1p(t / (self.alpha_ + histories.T)))


class BetaGeoModel(_BetaGeometric):
    """BG/NBD: a customer may leave after each repeat purchase, and never before the first repeat.

    Source: Fader, Hardie and Lee, "'Counting Your Customers' the Easy Way: An Alternative to the Pareto/NBD Model",
    Marketing Science 24 (2005): likelihood (6), expectations (9) and (10), in forms that do not overflow.

    Attributes:
        r_, alpha_: Shape and inverse scale (a time) of the rate of purchases.
        a_, b_: Shapes of the probability of leaving after a purchase.
    """

    _first_may_be_last = False


class ModifiedBetaGeoModel(_BetaGeometric):
    """MBG/NBD: a customer may leave after each purchase, the first included.

    Source: Batislam, Denizel and Filiztekin, "Empirical validation and comparison of models for customer base
    analysis", International Journal of Research in Marketing 24 (2007); Hoppe and Wagner, "Customer base analysis: The
    case for a central variant of the Betageometric/NBD model", Marketing JRM 3 (2007).

    Attributes:
        r_, alpha_: Shape and inverse scale (a time) of the rate of purchases.
        a_, b_: Shapes of the probability of leaving after a purchase.
    """

    _first_may_be_last = True
