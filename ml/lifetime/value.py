"""Lifetime value of every customer: models chosen and corrected by backtests, then one table.

The mathematics are in the modules beside this one; which bookings count, and where the table goes, is decided outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from ml._threads import one_thread
from ml.lifetime.base import PurchaseModel
from ml.lifetime.beta_geo import BetaGeoModel, ModifiedBetaGeoModel
from ml.lifetime.forecast import CommonFactor, Forecast
from ml.lifetime.histories import Floats, unique_histories
from ml.lifetime.orders import Ledger, day_number, histories_at, kept_share, outcomes, read_bookings
from ml.lifetime.pareto import ParetoNBDModel
from ml.lifetime.scoring import ANNUAL_DISCOUNT_RATE, HORIZON_DAYS, LifetimeScorer
from ml.lifetime.spend import EACH, FEWEST_REPEATERS, GammaGammaModel, fit_spend

_ALTERNATIVES: tuple[type[PurchaseModel], ...] = (ModifiedBetaGeoModel, ParetoNBDModel)
_MOST_WINDOWS = 4
_FEWEST_DAYS = 28
_PRIOR_SD = 0.10  # noise of a window's common factor, as known beforehand ...
_PRIOR_WINDOWS = 2.0  # ... with the weight of so many windows
_PRIOR_CENTRE = 0.5  # and the weight with which models are held to be right on average
_EXTRAPOLATION_SD = 0.10  # uncertainty of the speed over a horizon e times as long as the windows
_LONG_ENOUGH = 0.9  # share of the horizon from which on a window tells about it without extrapolation
_MOST_PARAMETER_SD = 1.0  # where next to nothing is known; a wider log-normal would have no mean to speak of
_LONGEST = 2.0  # logarithm of the largest common factor looked for
_GROUP, _GROUPS, _DRAWS, _MOST_DRAWN = 50, 1000, 500, 2500


@dataclass(frozen=True)
class LifetimeResult:
    """What customers are worth, and how well that is known.

    Args:
        customers: customer_id, probability_alive, expected_orders_90d, expected_order_value, clv_365d, clv_365d_low,
            clv_365d_high, clv_basis, next_order_on, model_version; sorted by customer_id.
        metrics: Parameters, log-likelihood, common factors, and figures of the holdout; see `estimate_lifetime_value`.
        messages: What a reader has to know, in plain words.
        test_cutoff: Day after which the holdout lies; None without one.
        model_version: Name of the model of purchases and day.
        forecast: The fitted models; None where nothing could be fitted.
        scorer: Made the table, and makes that of any other customers; see `LifetimeScorer.for_parts`.
    """

    customers: pd.DataFrame
    metrics: dict[str, Any]
    messages: list[str]
    test_cutoff: date | None
    model_version: str
    forecast: Forecast | None
    scorer: LifetimeScorer


@dataclass(frozen=True)
class _Window:
    """A past window: what was known when it began, and what customers did in it."""

    cutoff: date
    days: int
    rows: pd.DataFrame
    orders: NDArray[np.int64]
    value: Floats


def estimate_lifetime_value(bookings: pd.DataFrame, as_of: date, *, random_state: int = 0) -> LifetimeResult:
    """Lifetime value over the next 365 days of everyone with an order.

    Orders follow BG/NBD, or MBG/NBD or Pareto/NBD where one of them was better by more than two standard errors of the
    mean log-probability of the orders in the last closed window, if that is as long as the horizon. Their values follow
    the Gamma-Gamma model, of the order days after the first. Two common factors, the speed of the customers' clock and
    the worth of an order, are estimated from past windows with a prior (see `learn_factor`) and are part of every
    prediction: as a correction by their mean and as uncertainty that all customers share.

    Args:
        bookings: See `ml.lifetime.orders.read_bookings`.
        as_of: The day everything is computed for.
        random_state: Seed of the holdout's randomised figures; predictions do not depend on it.

    Returns:
        One row a customer with an order by as_of; typed and empty without any. Its metrics hold customers, repeaters,
        basis, model, parameters, standard_errors, log_likelihood, spend, kept_share, frequency_value_correlation,
        speed, worth, and ``holdout`` (None without one) with figures on the last window, predicted with what was known
        before it: orders and value each with actual, expected, bias, rmse, correlation, pit_ks (Kolmogorov-Smirnov
        distance of the randomised probability integral transforms from uniform), pit_p (share of the forecast's joint
        draws that are as far from it) and group_coverage (share of random groups of 50 customers with their total
        inside its 90 % interval); the last three on at most 2,500 customers.

    Raises:
        ValueError: Bookings that cannot be read.
    """
    ledger = read_bookings(bookings, as_of)
    rows = histories_at(ledger, as_of)
    if not rows["T"].any():
        message = "No customers with an order: no lifetime values."
        if len(rows):
            message = "Everyone ordered for the first time today: there is no behaviour to learn lifetime values from."
        version = f"none-{as_of}"
        scorer = LifetimeScorer(None, ledger.valuation, as_of, version)
        table = scorer.table(ledger, rows)
        return LifetimeResult(table, {"customers": len(rows)}, [message], None, version, None, scorer)
    with one_thread():
        windows = past_windows(ledger, as_of)
        forecast, messages = fit_forecast(ledger, as_of, windows)
        holdout = None
        if windows:
            test = windows[0]
            earlier, _ = fit_forecast(ledger, test.cutoff, past_windows(ledger, test.cutoff), test.days)
            holdout = grade(earlier, test, random_state)
        version = f"{_short(forecast.purchases)}-{as_of}"
        scorer = LifetimeScorer(forecast, ledger.valuation, as_of, version)
        customers = scorer.table(ledger, rows)
    repeaters = rows["valued"] > 0
    metrics = {
        "customers": len(rows),
        "repeaters": int((rows["frequency"] > 0).sum()),
        "basis": ledger.basis,
        "model": type(forecast.purchases).__name__,
        "parameters": forecast.purchases.parameters_,
        "standard_errors": forecast.purchases.standard_errors_,
        "log_likelihood": forecast.purchases.log_likelihood_,
        "spend": forecast.spend.parameters_,
        "kept_share": forecast.kept,
        "frequency_value_correlation": _correlation(
            rows["frequency"].to_numpy()[repeaters], rows["monetary_value"].to_numpy()[repeaters]
        ),
        "speed": asdict(forecast.speed),
        "worth": asdict(forecast.worth),
        "horizon_days": HORIZON_DAYS,
        "annual_discount_rate": ANNUAL_DISCOUNT_RATE,
        "clv_total": float(customers["clv_365d"].sum()),
        "holdout": holdout,
    }
    test_cutoff = windows[0].cutoff if windows else None
    return LifetimeResult(customers, metrics, messages, test_cutoff, version, forecast, scorer)


def past_windows(ledger: Ledger, as_of: date) -> list[_Window]:
    """Closed windows before a day, the latest first, each preceded by at least as long a history.

    They are as long as the horizon, or half of what has been recorded where that is less. Windows that begin with too
    few customers who came back are left out.
    """
    recorded = (as_of - ledger.first_day).days
    days = min(HORIZON_DAYS, recorded // 2)
    windows: list[_Window] = []
    while days >= _FEWEST_DAYS and len(windows) < _MOST_WINDOWS:
        cutoff = as_of - timedelta(days=days * (len(windows) + 1))
        if (cutoff - ledger.first_day).days < days:
            break
        rows = histories_at(ledger, cutoff)
        if (rows["frequency"] > 0).sum() < FEWEST_REPEATERS:
            break
        orders, value = outcomes(ledger, rows["customer"].to_numpy(), cutoff, cutoff + timedelta(days=days))
        windows.append(_Window(cutoff, days, rows, orders, value))
    return windows


def fit_forecast(
    ledger: Ledger, as_of: date, windows: Sequence[_Window], horizon: int = HORIZON_DAYS
) -> tuple[Forecast, list[str]]:
    """Fit everything on what is known at a day.

    Args:
        ledger: The bookings; later ones are not looked at.
        as_of: The day.
        windows: Closed windows before it, the latest first.
        horizon: Days that are to be told.

    Returns:
        The forecast, and messages.
    """
    rows = histories_at(ledger, as_of)
    is_extrapolated = bool(windows) and windows[0].days < _LONG_ENOUGH * horizon
    # Over a short window another model may win that loses over a long one (Pareto/NBD on CDNOW's first months).
    model, messages = _choose([] if is_extrapolated else windows)
    purchases = model().fit(rows)
    spend, spoken = _fit_spend(ledger, as_of, rows)
    messages += spoken
    kept = kept_share(ledger, as_of)
    speeds, worths = [], []
    for window in windows:
        fitted = model().fit(window.rows)
        speeds.append(_speed(fitted, window))
        worths.append(_worth(ledger, window))
    speed_sd, worth_sd = _parameter_sd(purchases, spend, rows)
    if not windows:
        messages.append("Too little history for a backtest: the width of the intervals rests on an assumption.")
    elif is_extrapolated:
        messages.append(f"Backtests span {windows[0].days} days: {horizon} are told by extrapolation.")
        speed_sd = float(np.hypot(speed_sd, _EXTRAPOLATION_SD * np.log(horizon / windows[0].days)))
    if purchases.undetermined_:
        undetermined = ", ".join(purchases.undetermined_)
        messages.append(f"The purchases do not determine {undetermined}: customers hardly differ, or hardly leave.")
    if kept == 0:
        messages.append("After returns and costs sales bring nothing: every lifetime value is 0.")
    forecast = Forecast(
        purchases,
        spend,
        kept,
        learn_factor([found for found in speeds if found], speed_sd),
        learn_factor([found for found in worths if found], worth_sd),
    )
    return forecast, messages


def learn_factor(windows: Sequence[tuple[float, float]], parameter_sd: float) -> CommonFactor:
    """A common factor of the next window from those of past ones.

    Normal on the logarithm, with a conjugate prior: the model is right on average (with the weight of half a window),
    and windows differ by 10 % (with the weight of two). A window whose own factor is known badly counts less. The
    uncertainty of the parameters is added.

    Args:
        windows: Of each past window the logarithm of its factor and that one's sampling variance.
        parameter_sd: Standard deviation that the parameters' uncertainty gives the logarithm of the total.
    """
    logs = np.array([log for log, _ in windows])
    weights = np.array([_PRIOR_SD**2 / (_PRIOR_SD**2 + variance) for _, variance in windows])
    certainty = float(_PRIOR_CENTRE + weights.sum())
    mean = float(weights @ logs / certainty)
    squares = _PRIOR_WINDOWS * _PRIOR_SD**2 + _PRIOR_CENTRE * mean**2 + float(weights @ (logs - mean) ** 2)
    variance = squares / (_PRIOR_WINDOWS + weights.sum()) * (1 + 1 / certainty) + parameter_sd**2
    return CommonFactor(mean, float(np.sqrt(variance)))


def grade(forecast: Forecast, window: _Window, random_state: int) -> dict[str, Any]:
    """How a forecast did in a window that it did not see; the figures are told in `estimate_lifetime_value`."""
    rng = np.random.default_rng(random_state)
    rows, days = window.rows, float(window.days)
    expected = forecast.expected_orders(rows, days)
    figures: dict[str, Any] = {
        "days": window.days,
        "customers": len(rows),
        "orders": _errors(window.orders, expected),
        "value": _errors(window.value, expected * forecast.expected_order_value(rows)),
    }
    chosen = np.arange(len(rows))
    if len(rows) > _MOST_DRAWN:
        chosen = np.sort(rng.choice(len(rows), _MOST_DRAWN, replace=False))
    rows = rows.iloc[chosen]
    orders, value = forecast.sample(rows, days, _DRAWS, random_state)
    # What happened comes first, what might have happened after it.
    orders = np.concatenate([window.orders[None, chosen], orders])
    value = np.concatenate([window.value[None, chosen], value])
    below = np.cumsum(forecast.order_probabilities(rows, days, int(orders.max())), axis=1)
    row = np.arange(len(rows))
    under = np.where(orders > 0, below[row, np.maximum(orders - 1, 0)], 0.0)
    figures["orders"] |= _uniformity(under + rng.random(orders.shape) * (below[row, orders] - under))
    figures["orders"]["log_score"] = float(np.log(np.maximum(below[row, orders[0]] - under[0], 1e-300)).mean())
    figures["orders"]["group_coverage"] = _group_coverage(orders, rng)
    if forecast.kept > 0:
        at = forecast.value_below(rows, days, value)
        figures["value"] |= _uniformity(np.where(value > 0, at, at * rng.random(at.shape)))
        figures["value"]["group_coverage"] = _group_coverage(value, rng)
    return figures


def _choose(windows: Sequence[_Window]) -> tuple[type[PurchaseModel], list[str]]:
    """The model that told the orders of the latest window best; BG/NBD unless clearly beaten."""
    if not windows:
        return BetaGeoModel, []
    window = windows[0]
    most = int(window.orders.max(initial=0))

    def log_probability(model: type[PurchaseModel]) -> Floats:
        fitted = model().fit(window.rows)
        histories = unique_histories(window.rows)
        times = np.full(len(histories), float(window.days))
        table = fitted.distribution(histories, times, most)
        return np.log(np.maximum(table[histories.row_of, window.orders], 1e-300))

    base, best, best_gain = log_probability(BetaGeoModel), BetaGeoModel, 0.0
    for model in _ALTERNATIVES:
        gain = log_probability(model) - base
        error = float(gain.std()) / np.sqrt(len(gain))
        if gain.mean() > max(2 * error, best_gain):
            best, best_gain = model, float(gain.mean())
    if best is BetaGeoModel:
        return best, []
    return best, [f"{best.__name__} told the last window's orders better than BetaGeoModel, and is used."]


def _fit_spend(ledger: Ledger, cutoff: date, rows: pd.DataFrame) -> tuple[GammaGammaModel, list[str]]:
    """The values of orders, or the mean of all where too few customers came back."""
    known = rows[rows["valued"] > 0]
    columns = {"frequency": known["valued"], "monetary_value": known["monetary_value"], EACH: known[EACH]}
    worth = ledger.value[ledger.has_order & (ledger.value > 0) & (ledger.day <= day_number(cutoff))]
    mean = float(worth.mean()) if len(worth) else 1.0
    spread = float(worth.std() / mean) if len(worth) > 1 else 1.0
    return fit_spend(pd.DataFrame(columns), mean, spread)


def _speed(model: PurchaseModel, window: _Window) -> tuple[float, float] | None:
    """Logarithm of the clock's speed at which a window's expected orders equal the actual ones, and its variance.

    None where nobody was expected to order.
    """
    histories = unique_histories(window.rows)
    weight = histories.weight

    def expected(log: float) -> float:
        return float(weight @ model.expectation(histories, np.full(len(histories), window.days * np.exp(log))))

    actual = float(window.orders.sum())
    slowest, fastest = expected(-_LONGEST), expected(_LONGEST)
    if actual <= slowest or actual >= fastest:
        log = -_LONGEST if actual <= slowest else _LONGEST
    else:
        log = float(brentq(lambda at: expected(at) - actual, -_LONGEST, _LONGEST, xtol=1e-8))
    slope = (expected(log + 0.01) - expected(log - 0.01)) / 0.02
    if slope <= 0:
        return None
    each = model.expectation(histories, np.full(len(histories), window.days * np.exp(log)))[histories.row_of]
    return log, float(((window.orders - each) ** 2).sum()) / slope**2


def _worth(ledger: Ledger, window: _Window) -> tuple[float, float] | None:
    """How much more than expected the orders of a window were worth, as a logarithm, and its variance."""
    spend, _ = _fit_spend(ledger, window.cutoff, window.rows)
    kept = kept_share(ledger, window.cutoff)
    valued = pd.DataFrame({"frequency": window.rows["valued"], "monetary_value": window.rows["monetary_value"]})
    expected = kept * window.orders * spend.expected_value(valued)
    total = float(expected.sum())
    if not (total > 0 and window.value.sum() > 0):
        return None
    factor = float(window.value.sum()) / total
    variance = float(((window.value - factor * expected) ** 2).sum()) / float(window.value.sum()) ** 2
    return float(np.clip(np.log(factor), -_LONGEST, _LONGEST)), variance


def _parameter_sd(purchases: PurchaseModel, spend: GammaGammaModel, rows: pd.DataFrame) -> tuple[float, float]:
    """What the parameters' uncertainty does to the logarithms of total orders and of the mean order's worth."""
    histories = unique_histories(rows)
    times = np.full(len(histories), float(HORIZON_DAYS))

    def log_orders(parameters: dict[str, float]) -> float:
        model = type(purchases)().with_parameters(**parameters)
        return float(np.log(max(float(histories.weight @ model.expectation(histories, times)), 1e-300)))

    def log_worth(parameters: dict[str, float]) -> float:
        model = GammaGammaModel().with_parameters(**parameters)
        valued = pd.DataFrame({"frequency": rows["valued"], "monetary_value": rows["monetary_value"]})
        return float(np.log(model.expected_value(valued).mean()))

    if hasattr(spend, "information_"):
        worth_sd = _delta(log_worth, spend.parameters_, spend.information_)
    else:  # the mean of all: a p is 1 / (coefficient of variation)^2
        worth_sd = 1 / np.sqrt(spend.p_ * float((rows["frequency"] + 1).sum()))
    return (
        min(_MOST_PARAMETER_SD, _delta(log_orders, purchases.parameters_, purchases.information_)),
        min(_MOST_PARAMETER_SD, worth_sd),
    )


def _delta(function: Callable[[dict[str, float]], float], parameters: dict[str, float], information: Floats) -> float:
    """Standard deviation of a function of estimates: delta method, after a prior that keeps logarithms within a few.

    The prior (standard deviation 3) only says something where the data do not: along a flat ridge, or at a bound.
    """

    def at(name: str, log: float) -> float:
        return function({**parameters, name: parameters[name] * float(np.exp(log))})

    slope = np.array([(at(name, 0.01) - at(name, -0.01)) / 0.02 for name in parameters])
    values, vectors = np.linalg.eigh(information)
    along = slope @ vectors
    return float(np.sqrt((along**2 / (np.maximum(values, 0.0) + 1 / 3**2)).sum()))


def _errors(actual: NDArray[Any], expected: Floats) -> dict[str, Any]:
    total = float(expected.sum())
    return {
        "actual": float(actual.sum()),
        "expected": total,
        "bias": total / float(actual.sum()) - 1 if actual.sum() != 0 else None,
        "rmse": float(np.sqrt(np.mean((actual - expected) ** 2))),
        "correlation": _correlation(actual, expected),
    }


def _uniformity(transforms: Floats) -> dict[str, float]:
    """How far randomised probability integral transforms are from uniform, and how often draws are as far.

    Customers share the common factors, so that their transforms are not independent and the tabulated distribution of
    the Kolmogorov-Smirnov distance does not hold: the forecast's own joint draws tell it.

    Args:
        transforms: (1 + draws, n), the first row of what happened.
    """
    ordered = np.sort(transforms, axis=1)
    n = ordered.shape[1]
    above = (np.arange(1, n + 1) / n - ordered).max(axis=1)
    distance = np.maximum(above, (ordered - np.arange(n) / n).max(axis=1))
    return {"pit_ks": float(distance[0]), "pit_p": float((distance >= distance[0]).mean())}


def _group_coverage(draws: NDArray[Any], rng: np.random.Generator) -> float | None:
    """Share of random groups of customers whose total lies inside its 90 % interval.

    Args:
        draws: (1 + draws, n), the first row of what happened.
        rng: Where groups come from.
    """
    n = draws.shape[1]
    if n < 2 * _GROUP:
        return None
    members = np.argpartition(rng.random((_GROUPS, n)), _GROUP, axis=1)[:, :_GROUP]
    is_member = np.zeros((n, _GROUPS))
    is_member[members, np.arange(_GROUPS)[:, None]] = 1.0
    totals = draws @ is_member
    low, high = np.quantile(totals[1:], [0.05, 0.95], axis=0)
    return float(((low <= totals[0]) & (totals[0] <= high)).mean())


def _correlation(first: NDArray[Any], second: NDArray[Any]) -> float | None:
    if len(first) < 2 or first.std() == 0 or second.std() == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _short(model: PurchaseModel) -> str:
    names = {BetaGeoModel: "bg-nbd", ModifiedBetaGeoModel: "mbg-nbd", ParetoNBDModel: "pareto-nbd"}
    return names[type(model)]
