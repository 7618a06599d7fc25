"""Random numbers as pure functions of (seed, stream, entity, ordinal).

Nothing is drawn in sequence, so a row's values depend on nothing but the row: not on how many rows there are, on
their order, or on how long the world is. What is drawn for whom is decided elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
Flags = NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_STEPS = 8192
_LOW = np.uint64(2**21 - 1)
_SHIFTS = (np.uint64(1), np.uint64(22), np.uint64(43))


def _mix(x: Keys) -> Keys:
    """The splitmix64 step (Steele, Lea and Flood 2014), in place: a bijection of 64 bits that scatters neighbours."""
    x += _GOLDEN
    for shift, factor in _ROUNDS:
        x ^= x >> shift
        x *= factor
    x ^= x >> np.uint64(31)
    return x


@lru_cache(maxsize=64)
def _grid(function: Callable[..., Floats], *parameters: float) -> Floats:
    """The quantile function at the _STEPS - 1 inner steps, the outermost repeated; (_STEPS + 1,) floats."""
    return function(*parameters, np.clip(np.arange(_STEPS + 1), 1, _STEPS - 1) / _STEPS)


def _quantiles(function: Callable[..., Floats], *parameters: float, share: Floats) -> Floats:
    """An increasing quantile function at (n,) shares, linear between many steps and exact in the tails.

    The inverse incomplete gamma and beta functions themselves cost 20 times as much.
    """
    grid = _grid(function, *parameters)
    step = (share * _STEPS).astype(np.int64)
    value = grid[step] + (grid[step + 1] - grid[step]) * (share * _STEPS - step)
    tail = np.flatnonzero((step == 0) | (step == _STEPS - 1))
    value[tail] = function(*parameters, share[tail])
    return value


class Draws:
    """Counter-based random numbers of one seed.

    Every method takes a stream name, the entities (n non-negative integers or keys) and perhaps an ordinal (one
    number, or one an entity), and returns n values. Equal arguments give equal values; different streams are
    independent.

    Args:
        seed: Any integer.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._streams: dict[str, np.uint64] = {}

    def bits(self, stream: str, entity: ArrayLike, ordinal: ArrayLike | None = None) -> Keys:
        """64 random bits an entity; also the way to make a child's key out of its parent's.

        Returns:
            (n,) unsigned integers.
        """
        if stream not in self._streams:
            digest = hashlib.blake2b(f"{self._seed}/{stream}".encode(), digest_size=8).digest()
            self._streams[stream] = np.uint64(int.from_bytes(digest, "little"))
        with np.errstate(over="ignore"):
            state = np.asarray(entity).astype(np.uint64)
            state ^= self._streams[stream]
            if ordinal is not None:
                state = _mix(state) + np.asarray(ordinal).astype(np.uint64) * _GOLDEN
            return _mix(state)

    def uniform(self, stream: str, entity: ArrayLike, ordinal: ArrayLike | None = None) -> Floats:
        """Uniform on the open interval (0, 1).

        Returns:
            (n,) floats, never 0 and never 1, so that every inverse distribution function is finite.
        """
        return ((self.bits(stream, entity, ordinal) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def three(self, stream: str, entity: ArrayLike, ordinal: ArrayLike | None = None) -> tuple[Floats, Floats, Floats]:
        """Three independent uniforms at the price of one, in steps of 2**-21: for choices, not for measures.

        Returns:
            Three times (n,) floats, never 0 and never 1.
        """
        bits = self.bits(stream, entity, ordinal)
        first, second, third = (((bits >> shift) & _LOW).astype(np.float64) for shift in _SHIFTS)
        return (first + 0.5) * 2.0**-21, (second + 0.5) * 2.0**-21, (third + 0.5) * 2.0**-21

    def normal(self, stream: str, entity: ArrayLike, ordinal: ArrayLike | None = None) -> Floats:
        """Standard normal, (n,) floats."""
        return np.asarray(special.ndtri(self.uniform(stream, entity, ordinal)))

    def exponential(self, stream: str, entity: ArrayLike, ordinal: ArrayLike | None = None) -> Floats:
        """Exponential with mean 1, (n,) floats."""
        return -np.log(self.uniform(stream, entity, ordinal))

    def gamma(self, stream: str, entity: ArrayLike, shape: float, ordinal: ArrayLike | None = None) -> Floats:
        """Gamma with the given shape and scale 1, (n,) floats."""
        return _quantiles(special.gammaincinv, shape, share=self.uniform(stream, entity, ordinal))

    def beta(self, stream: str, entity: ArrayLike, a: float, b: float) -> Floats:
        """Beta(a, b), (n,) floats."""
        return _quantiles(special.betaincinv, a, b, share=self.uniform(stream, entity))

    def poisson(self, stream: str, entity: ArrayLike, mean: ArrayLike, most: int) -> Ints:
        """Poisson with the given means, cut off at `most`.

        Args:
            stream: Name of the stream.
            entity: (n,) entities.
            mean: One mean, or (n,) means; small ones, as the cost grows with `most`.
            most: Largest value returned.

        Returns:
            (n,) integers.
        """
        return poisson(self.uniform(stream, entity), mean, most)

    def pick(self, stream: str, entity: ArrayLike, weights: ArrayLike, ordinal: ArrayLike | None = None) -> Ints:
        """An index into `weights`, with probability proportional to the weight.

        Args:
            stream: Name of the stream.
            entity: (n,) entities.
            weights: (m,) non-negative weights, the same for all entities.
            ordinal: One number, one an entity, or none.

        Returns:
            (n,) integers from 0 to m - 1.
        """
        return pick(self.uniform(stream, entity, ordinal), weights)


def poisson(share: Floats, mean: ArrayLike, most: int) -> Ints:
    """Poisson numbers with the given means (one, or (n,) of them), cut off at `most`, of (n,) uniform shares."""
    mean = np.broadcast_to(np.asarray(mean, dtype=np.float64), share.shape)
    probability = np.exp(-mean)
    count = np.zeros(share.shape, dtype=np.int64)
    # Most are 0, and only the others are looked at again.
    rows = np.flatnonzero(share > probability)
    left, probability, mean = share[rows] - probability[rows], probability[rows], mean[rows]
    for k in range(most):
        count[rows] += left > 0
        probability = probability * mean / (k + 1)
        left = left - probability
    return count


def pick(share: Floats, weights: ArrayLike) -> Ints:
    """Indices into (m,) weights, with probability proportional to the weight, of (n,) uniform shares."""
    steps = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.searchsorted(steps / steps[-1], share, side="right")
