"""The posterior predictive: how many orders a customer makes in the days to come, what they are worth, and when.

Everything is computed from distributions, nothing is drawn, except where several customers are added up. Fitting and
backtests are the business of `ml.lifetime.value`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import betainc
from scipy.stats import nbinom

from ml.lifetime.base import PurchaseModel
from ml.lifetime.histories import Floats, Histories, Ints, unique_histories
from ml.lifetime.spend import GammaGammaModel

_NODES = 5
_TAIL = 1e-6
_MOST_CELLS = 2_000_000
_STEP = 0.08
_GRID = np.arange(-6.0, 10.0, _STEP)
"""Logarithms of sums relative to one typical order, on which their distribution is tabulated."""


@dataclass(frozen=True)
class CommonFactor:
    """A factor that all customers share, log-normal: what a model is wrong about is wrong for all of them at once.

    Args:
        mean: Of its logarithm.
        sd: Of its logarithm.
    """

    mean: float = 0.0
    sd: float = 0.0

    def nodes(self) -> tuple[Floats, Floats]:
        """Values and weights of a Gauss-Hermite quadrature."""
        if self.sd == 0:
            return np.array([np.exp(self.mean)]), np.ones(1)
        points, weights = hermegauss(_NODES)
        return np.exp(self.mean + self.sd * points), weights / weights.sum()


@dataclass(frozen=True)
class Reach:
    """How many orders are reckoned with, by history, as settled by all customers together.

    The value of a customer is a sum over numbers of orders, and where it ends shows in the sixth digit. Of histories in
    the order of their own bound, every block of them shares the largest one. Settled once, a customer's value is the
    same whoever else is asked about.

    Args:
        blocks: For each number of valued orders, (k, 4) where its blocks begin, as bound, frequency, recency and T,
            and (k,) the number of orders of each.
    """

    blocks: Mapping[float, tuple[Floats, NDArray[np.int64]]]

    def most(self, valued: float, histories: Histories, bound: Floats) -> NDArray[np.int64]:
        """The number of orders for each history; its own bound where that is larger, or its like was not there."""
        own = bound.astype(np.int64)
        if valued not in self.blocks:
            return own
        begins, most = self.blocks[valued]
        keys = np.column_stack([bound, histories.x, histories.t_x, histories.T])
        block = np.zeros(len(keys), dtype=np.intp)
        for begin in begins[1:]:
            block += _reaches(keys, begin)
        return np.maximum(most[block], own)


@dataclass(frozen=True)
class Forecast:
    """Fitted models, and what backtests say about them.

    Rows are tables as `ml.lifetime.orders.histories_at` makes them, times are in days.

    Args:
        purchases: Fitted model of repeat purchases.
        spend: Fitted model of an order's value.
        kept: Share of an order's value that remains after returns and worthless orders.
        speed: How much faster than the model's the customers' clock runs.
        worth: How much more than the model's an order is worth.
    """

    purchases: PurchaseModel
    spend: GammaGammaModel
    kept: float
    speed: CommonFactor
    worth: CommonFactor

    def probability_alive(self, rows: pd.DataFrame) -> Floats:
        """Probability that customers have not left, (n,)."""
        return self.purchases.probability_alive(rows)

    def expected_orders(self, rows: pd.DataFrame, days: float) -> Floats:
        """Expected order days of each customer in the days to come, (n,)."""
        histories = unique_histories(rows)
        return self._expected_orders(histories, days)[histories.row_of]

    def expected_order_value(self, rows: pd.DataFrame) -> Floats:
        """Expected value of an order day of each customer, (n,), net of returns."""
        factors, weights = self.worth.nodes()
        return self.kept * float(weights @ factors) * self.spend.expected_value(_valued(rows))

    def discount(self, rows: pd.DataFrame, days: float, annual_rate: float) -> Floats:
        """Present value of one unit of money spread over the days like each customer's orders, (n,).

        In twelve steps, each paid in its middle.
        """
        histories = unique_histories(rows)
        speed = float(np.exp(self.speed.mean))
        ends = days * np.arange(1, 13) / 12
        by_end = np.stack([self.purchases.expectation(histories, np.full(len(histories), speed * t)) for t in ends])
        paid = np.diff(by_end, axis=0, prepend=0.0)
        present = (1 + annual_rate) ** (-(ends - days / 24) / 365.25) @ paid
        factor = np.divide(present, by_end[-1], out=np.ones(len(histories)), where=by_end[-1] > 0)
        return factor[histories.row_of]

    def order_probabilities(self, rows: pd.DataFrame, days: float, most: int) -> Floats:
        """Probabilities of exactly 0, ..., most order days, (n, most + 1)."""
        histories = unique_histories(rows)
        return self._order_probabilities(histories, days, most)[histories.row_of]

    def reach(self, rows: pd.DataFrame, days: float) -> Reach:
        """What `value_quantiles` settles by all customers together; rows may as well be each distinct one once."""
        found: dict[float, tuple[Floats, NDArray[np.int64]]] = {}
        valued = rows["valued"].to_numpy()
        for number in np.unique(valued):
            histories = unique_histories(rows.iloc[np.flatnonzero(valued == number)])
            bound = self._bound(histories, days)
            begins, most = [], []
            for _, distinct, largest in self._blocks(histories, days):
                first = distinct[0]
                begins.append([bound[first], histories.x[first], histories.t_x[first], histories.T[first]])
                most.append(largest)
            found[float(number)] = np.array(begins), np.array(most, dtype=np.int64)
        return Reach(found)

    def value_quantiles(
        self, rows: pd.DataFrame, days: float, levels: tuple[float, ...], reach: Reach | None = None
    ) -> Floats:
        """Quantiles of each customer's value, (n, levels), undiscounted.

        The value of y orders is a beta prime variable, scale times BetaPrime(p y, shape), given the customer's shape
        and scale; its distribution is mixed over the number of orders and over the common factors.

        Args:
            rows: The n customers.
            days: The days to come.
            levels: Probabilities.
            reach: That of all customers, where these are only some of them.
        """
        quantiles = np.empty((len(rows), len(levels)))
        for block, positions, scale in self._by_shape(rows, days, reach):
            logs, distribution = self._value_distribution(block, days)
            grid = np.exp(logs)
            for column, level in enumerate(levels):
                found = _invert(grid, distribution, level)
                quantiles[positions, column] = found[block.row_of] * scale
        return quantiles

    def value_below(self, rows: pd.DataFrame, days: float, value: Floats) -> Floats:
        """Probability that each customer's value is at most a given one; that of no order where it is 0.

        Args:
            rows: The n customers.
            days: The days to come.
            value: (n,) values, or (k, n) to ask k times.

        Returns:
            The shape of `value`.
        """
        below = np.empty(value.shape)
        for block, positions, scale in self._by_shape(rows, days):
            logs, distribution = self._value_distribution(block, days)
            with np.errstate(divide="ignore"):
                wanted = np.log(np.maximum(value[..., positions], 0.0) / scale)
            at = np.clip((wanted - logs[0]) / _STEP, 0, len(logs) - 1.000001)
            left = at.astype(np.intp)
            part = at - left
            row = block.row_of
            interpolated = distribution[row, left] * (1 - part) + distribution[row, left + 1] * part
            nothing = self._order_probabilities(block, days, 0)[row, 0]
            below[..., positions] = np.where(value[..., positions] > 0, interpolated, nothing)
        return below

    def days_to_next_order(self, rows: pd.DataFrame, within: int) -> NDArray[np.int64]:
        """Median number of days to each customer's next order, given that there is one within some days; (n,).

        Returns:
            Whole days, rounded up; -1 where an order within those days is less likely than not.
        """
        histories = unique_histories(rows)
        n = len(histories)

        def ordered(days: Floats) -> Floats:
            factors, weights = self.speed.nodes()
            silent = sum(w * self.purchases.silence(histories, f * days) for f, w in zip(factors, weights, strict=True))
            return 1 - np.asarray(silent)

        in_time = ordered(np.full(n, float(within)))
        low, high = np.zeros(n), np.full(n, float(within))
        for _ in range(int(np.ceil(np.log2(max(within, 2)))) + 1):
            middle = np.floor((low + high) / 2)
            reached = ordered(middle) >= in_time / 2
            high = np.where(reached, middle, high)
            low = np.where(reached, low, middle)
        days = np.where(in_time >= 0.5, np.maximum(high, 1), -1).astype(np.int64)
        return days[histories.row_of]

    def sample(
        self, rows: pd.DataFrame, days: float, draws: int, random_state: int
    ) -> tuple[NDArray[np.int32], Floats]:
        """Joint draws of all customers, with the common factors in common.

        Returns:
            (draws, n) order days and (draws, n) values.
        """
        rng = np.random.default_rng(random_state)
        histories = unique_histories(rows)
        factors, weights = self.speed.nodes()
        node = rng.choice(len(factors), draws, p=weights)
        orders = np.zeros((draws, len(rows)), dtype=np.int32)
        uniform = rng.random((draws, len(rows)))
        for part, distinct, most in self._blocks(histories, days):
            customers, of = _members(histories, distinct)
            for index, factor in enumerate(factors):
                chosen = np.flatnonzero(node == index)
                times = np.full(len(part), factor * days)
                below = np.cumsum(self.purchases.distribution(part, times, most), axis=1)
                for customer, row in zip(customers, of, strict=True):
                    orders[chosen, customer] = np.searchsorted(below[row, :-1], uniform[chosen, customer], side="right")
        shape, scale = self.spend.posterior(_valued(rows))
        rate = rng.gamma(shape, size=orders.shape) / scale
        total = rng.gamma(np.maximum(self.spend.p_ * orders, 1e-300)) / rate
        factor = np.exp(self.worth.mean + self.worth.sd * rng.standard_normal(draws))
        return orders, np.where(orders > 0, self.kept * factor[:, None] * total, 0.0)

    def _expected_orders(self, histories: Histories, days: float) -> Floats:
        factors, weights = self.speed.nodes()
        times = [np.full(len(histories), factor * days) for factor in factors]
        parts = [w * self.purchases.expectation(histories, t) for w, t in zip(weights, times, strict=True)]
        return np.asarray(sum(parts))

    def _order_probabilities(self, histories: Histories, days: float, most: int) -> Floats:
        factors, weights = self.speed.nodes()
        times = [np.full(len(histories), factor * days) for factor in factors]
        parts = [w * self.purchases.distribution(histories, t, most) for w, t in zip(weights, times, strict=True)]
        return np.asarray(sum(parts))

    def _bound(self, histories: Histories, days: float) -> Floats:
        """Numbers of orders that next to nobody exceeds, even if nobody left."""
        time = days * float(self.speed.nodes()[0].max())
        r, alpha = self.purchases.r_, self.purchases.alpha_
        scale = alpha + histories.T
        return np.maximum(nbinom.isf(_TAIL, r + histories.x, scale / (scale + time)), 1.0)

    def _blocks(
        self, histories: Histories, days: float, settled: Callable[[Histories, Floats], NDArray[np.int64]] | None = None
    ) -> Iterator[tuple[Histories, Ints, int]]:
        """Parts of the distinct histories of similar numbers of orders, small enough for memory.

        Args:
            histories: The distinct histories.
            days: The days to come.
            settled: The numbers of orders of histories and their bounds; by default blocks are as large as memory
                allows, and the largest number of one is that of all in it.

        Returns:
            Each part, its rows among the histories, and its number of orders.
        """
        bound = self._bound(histories, days)
        order = np.argsort(bound, kind="stable")
        most = bound if settled is None else settled(histories, bound).astype(np.float64)
        if settled is not None:
            order = np.argsort(most, kind="stable")
        start = 0
        while start < len(order):
            # The last row of a block has the largest number of orders.
            sizes = (np.arange(start, len(order)) - start + 1) * (most[order[start:]] + 1)
            stop = start + max(1, int(np.searchsorted(sizes, _MOST_CELLS, side="right")))
            if settled is not None:
                stop = min(stop, int(np.searchsorted(most[order], most[order[start]], side="right")))
            rows = order[start:stop]
            yield histories.part(rows), rows, int(most[rows[-1]])
            start = stop

    def _by_shape(
        self, rows: pd.DataFrame, days: float, reach: Reach | None = None
    ) -> Iterator[tuple[_Block, Ints, Floats]]:
        """Customers with equally many valued orders: their distinct histories, their rows, and their scales."""
        shape, scale = self.spend.posterior(_valued(rows))
        valued = rows["valued"].to_numpy()
        for number in np.unique(valued):
            members = np.flatnonzero(valued == number)
            histories = unique_histories(rows.iloc[members])
            settled = None if reach is None else partial(reach.most, float(number))
            for part, distinct, most in self._blocks(histories, days, settled):
                here, of = _members(histories, distinct)
                chosen = members[here]
                block = _Block(
                    part.x, part.t_x, part.T, part.weight, of, part.kinds, part.kind_of, float(shape[members[0]]), most
                )
                yield block, chosen, self.kept * scale[chosen]

    def _value_distribution(self, block: _Block, days: float) -> tuple[Floats, Floats]:
        """Grid of logarithms, and on it the distribution functions of value / scale of distinct histories."""
        most = block.most
        logs = _GRID + np.log(self.spend.p_ / block.shape)
        chance = 1 / (1 + np.exp(-logs))
        count = np.arange(1, most + 1)[:, None]
        table = betainc(self.spend.p_ * count, block.shape, chance)
        probabilities = self._order_probabilities(block, days, most)
        distribution = probabilities[:, :1] + probabilities[:, 1:] @ table
        factors, weights = self.worth.nodes()
        return logs, sum(
            w * _shifted(distribution, float(np.log(f)) / _STEP) for f, w in zip(factors, weights, strict=True)
        )


@dataclass(frozen=True)
class _Block(Histories):
    """Distinct histories with one shape of the distribution of nu, and the largest number of orders reckoned with."""

    shape: float
    most: int


def _reaches(keys: Floats, begin: Floats) -> NDArray[np.bool_]:
    """Whether each row of keys is at or after a key, in the order of their columns."""
    later = np.zeros(len(keys), dtype=bool)
    level = np.ones(len(keys), dtype=bool)
    for column, value in zip(keys.T, begin, strict=True):
        later |= level & (column > value)
        level &= column == value
    return later | level


def _members(histories: Histories, distinct: Ints) -> tuple[Ints, Ints]:
    """Rows of the table whose distinct history is one of those given, and which one each is."""
    position = np.full(len(histories), -1)
    position[distinct] = np.arange(len(distinct))
    of = position[histories.row_of]
    here = np.flatnonzero(of >= 0)
    return here, of[here]


def _valued(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"frequency": rows["valued"], "monetary_value": rows["monetary_value"]})


def _shifted(distribution: Floats, steps: float) -> Floats:
    """Distribution functions on the grid, of variables that are larger by so many steps of the grid."""
    at = np.clip(np.arange(distribution.shape[1]) - steps, 0, distribution.shape[1] - 1)
    left = np.minimum(at.astype(np.intp), distribution.shape[1] - 2)
    part = at - left
    return distribution[:, left] * (1 - part) + distribution[:, left + 1] * part


def _invert(grid: Floats, distribution: Floats, level: float) -> Floats:
    """Where distribution functions reach a level, (n,): 0 where they do so below the grid."""
    index = np.argmax(distribution >= level, axis=1)
    index = np.where(distribution[:, -1] < level, len(grid) - 1, index)
    left = np.maximum(index - 1, 0)
    row = np.arange(len(distribution))
    low, high = distribution[row, left], distribution[row, index]
    part = np.divide(level - low, high - low, out=np.ones(len(row)), where=high > low)
    found = np.exp(np.log(grid[left]) * (1 - part) + np.log(grid[index]) * part)
    return np.where(index == 0, 0.0, found)
