"""ml.lifetime.value: hand-made bookings, forecasts whose distributions hold, and what backtests teach."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from ml.lifetime import BetaGeoModel, GammaGammaModel, ParetoNBDModel, estimate_lifetime_value
from ml.lifetime.forecast import CommonFactor, Forecast
from ml.lifetime.orders import histories_at, kept_share, outcomes, read_bookings
from ml.lifetime.value import learn_factor
from sources.synthetic import SyntheticSource
from tests.conftest import ROOT

TYPES = {
    "customer_id": "object",
    "probability_alive": "float64",
    "expected_orders_90d": "float64",
    "expected_order_value": "float64",
    "clv_365d": "float64",
    "clv_365d_low": "float64",
    "clv_365d_high": "float64",
    "clv_basis": "object",
    "next_order_on": "datetime64[s]",
    "model_version": "object",
}
DAY = date(2025, 6, 30)


def bookings(*rows):
    """Rows of customer, day, has_order, revenue; without unit costs."""
    frame = pd.DataFrame(rows, columns=["customer_id", "booked_on", "has_order", "revenue"])
    return frame.assign(margin=np.nan, costed_revenue=0.0)


def orders_of(*rows):
    """Bookings of customers who order on days before DAY."""
    return bookings(*((who, DAY - timedelta(days=ago), True, value) for who, ago, value in rows))


@pytest.fixture(scope="module")
def cdnow():
    names = ["customer_id", "sample", "booked_on", "cds", "revenue"]
    rows = pd.read_csv(
        ROOT / "data/samples/cdnow/CDNOW_sample.txt", sep=r"\s+", header=None, names=names, dtype={"customer_id": str}
    )
    rows["booked_on"] = pd.to_datetime(rows["booked_on"].astype(str))
    days = rows.groupby(["customer_id", "booked_on"], as_index=False)["revenue"].sum()
    return days.assign(has_order=True, margin=np.nan, costed_revenue=0.0)


@pytest.fixture(scope="module")
def result(cdnow):
    return estimate_lifetime_value(cdnow, date(1998, 6, 30))


# ---------------------------------------------------------------------------------------------------------------------
# Bookings
# ---------------------------------------------------------------------------------------------------------------------

LEDGER = bookings(
    ("b", "2025-01-01", True, 10.0),
    ("b", "2025-01-11", True, 20.0),
    ("b", "2025-01-13", False, -20.0),  # the second order comes back
    ("b", "2025-03-01", True, 30.0),
    ("a", "2025-02-01", True, 5.0),
    ("c", "2025-01-05", False, -7.0),  # a return without an order on record
    ("d", "2025-07-01", True, 99.0),  # after the day
)


def test_histories_know_what_had_happened_by_then_and_nothing_later():
    ledger = read_bookings(LEDGER.sample(frac=1, random_state=0), date(2025, 6, 30))
    assert ledger.ids.tolist() == ["a", "b"]
    assert ledger.basis == "revenue"
    early = histories_at(ledger, date(2025, 1, 12))
    assert early.to_dict("records") == [
        {
            "customer": 1,
            "frequency": 1.0,
            "recency": 10.0,
            "T": 11.0,
            "valued": 1.0,
            "monetary_value": 20.0,
            "mean_log_value": pytest.approx(np.log(20)),
        }
    ]
    late = histories_at(ledger, date(2025, 6, 30))
    assert late[["frequency", "recency", "T", "valued"]].to_numpy().tolist() == [[0, 0, 149, 0], [2, 59, 180, 2]]
    assert late["monetary_value"].tolist() == [0.0, 25.0]
    orders, value = outcomes(ledger, early["customer"].to_numpy(), date(2025, 1, 12), date(2025, 3, 1))
    assert (orders.tolist(), value.tolist()) == ([1], [10.0])


def test_the_kept_share_takes_returns_off_from_the_day_they_came_back():
    ledger = read_bookings(LEDGER, date(2025, 6, 30))
    assert kept_share(ledger, date(2025, 1, 12)) == 1.0
    assert kept_share(ledger, date(2025, 1, 13)) == pytest.approx(10 / 30)
    # two order days, one of them free: half of what the other one is worth
    free = read_bookings(orders_of(("a", 5, 10.0), ("a", 4, 0.0)), DAY)
    assert kept_share(free, DAY) == pytest.approx(0.5)


def test_margin_counts_where_it_is_known_and_its_rate_where_it_is_not():
    frame = orders_of(("a", 9, 100.0), ("b", 9, 50.0))
    frame["margin"], frame["costed_revenue"] = [30.0, np.nan], [100.0, 0.0]
    ledger = read_bookings(frame, DAY)
    assert ledger.basis == "margin"
    assert ledger.value.tolist() == pytest.approx([30.0, 15.0])


def test_unreadable_bookings_are_refused():
    with pytest.raises(ValueError, match="more than one row of one day"):
        read_bookings(orders_of(("a", 5, 1.0), ("a", 5, 2.0)), DAY)
    with pytest.raises(ValueError, match="absent"):
        read_bookings(orders_of(("a", 5, 1.0)).drop(columns="margin"), DAY)
    with pytest.raises(ValueError, match="must not be missing"):
        read_bookings(orders_of((None, 5, 1.0)), DAY)


# ---------------------------------------------------------------------------------------------------------------------
# Forecasts
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known_world():
    """Customers of BG/NBD and Gamma-Gamma with known parameters: what is known of them, and what they do in a year."""
    rng = np.random.default_rng(11)
    parameters = {"r": 0.6, "alpha": 40.0, "a": 0.9, "b": 4.0}
    rows = []
    for _ in range(2000):
        rate, chance, nu = rng.gamma(0.6, 1 / 40.0), rng.beta(0.9, 4.0), rng.gamma(3.5, 1 / 20.0)
        T, now, times = rng.integers(1, 500), 0.0, []
        while (now := now + rng.exponential(1 / max(rate, 1e-9))) <= T + 365:
            times.append(now)
            if rng.random() < chance:
                break
        values = rng.gamma(3.0, 1 / nu, len(times))
        before = np.array(times) <= T
        known, later = values[before], values[~before]
        mean = known.mean() if len(known) else 0.0
        recency = np.array(times)[before].max(initial=0.0)
        rows.append((len(known), recency, T, len(known), mean, len(later), later.sum()))
    names = ["frequency", "recency", "T", "valued", "monetary_value", "orders", "value"]
    world = pd.DataFrame(rows, columns=names, dtype="float64")
    forecast = Forecast(
        BetaGeoModel().with_parameters(**parameters),
        GammaGammaModel().with_parameters(p=3.0, q=3.5, v=20.0),
        1.0,
        CommonFactor(),
        CommonFactor(),
    )
    return world, forecast


def test_the_predictive_distributions_are_those_of_the_world(known_world):
    """Randomised probability integral transforms are uniform (Kolmogorov-Smirnov, 1 %), and quantiles hold."""
    world, forecast = known_world
    rng = np.random.default_rng(0)
    orders, value = world["orders"].to_numpy(dtype=int), world["value"].to_numpy()
    below = np.cumsum(forecast.order_probabilities(world, 365.0, orders.max()), axis=1)
    row = np.arange(len(world))
    under = np.where(orders > 0, below[row, np.maximum(orders - 1, 0)], 0.0)
    assert kstest(under + rng.random(len(world)) * (below[row, orders] - under), "uniform").pvalue > 0.01
    at = forecast.value_below(world, 365.0, value)
    assert kstest(np.where(value > 0, at, at * rng.random(len(world))), "uniform").pvalue > 0.01
    quantiles = forecast.value_quantiles(world, 365.0, (0.05, 0.5, 0.95))
    for level, quantile in zip((0.05, 0.5, 0.95), quantiles.T, strict=True):
        # a customer without an order counts as below every quantile, and as above 0 with what is left of the level
        assert (value > quantile).mean() <= 1 - level + 0.012
        moved = quantile > 0
        error = np.sqrt(level * (1 - level) / moved.sum())
        assert (value[moved] <= quantile[moved]).mean() == pytest.approx(level, abs=3 * error)
        assert forecast.value_below(world, 365.0, quantile)[moved] == pytest.approx(level, abs=0.002)
    errors = value - forecast.expected_orders(world, 365.0) * forecast.expected_order_value(world)
    assert abs(errors.mean()) < 3 * errors.std() / np.sqrt(len(world))


def test_draws_have_the_exact_moments_and_share_the_common_factors(known_world):
    world, forecast = known_world
    some = world.head(60)
    orders, value = forecast.sample(some, 365.0, 4000, 5)
    expected = forecast.expected_orders(some, 365.0)
    worth = expected * forecast.expected_order_value(some)
    assert orders.sum(axis=1).mean() == pytest.approx(expected.sum(), rel=0.02)
    assert value.sum(axis=1).mean() == pytest.approx(worth.sum(), rel=0.03)
    shaken = Forecast(forecast.purchases, forecast.spend, 0.5, CommonFactor(0, 0.3), CommonFactor(0.2, 0.3))
    more_orders, more_value = shaken.sample(some, 365.0, 4000, 5)
    assert more_orders.sum(axis=1).std() > 1.3 * orders.sum(axis=1).std()
    expected = shaken.expected_orders(some, 365.0) * shaken.expected_order_value(some)
    assert more_value.sum(axis=1).mean() == pytest.approx(expected.sum(), rel=0.04)


def test_common_factors_widen_and_move_quantiles(known_world):
    world, forecast = known_world
    often = world[world["frequency"] > 8].head(20)
    base = forecast.value_quantiles(often, 365.0, (0.95,))[:, 0]
    worth = Forecast(forecast.purchases, forecast.spend, 1.0, CommonFactor(), CommonFactor(np.log(2)))
    assert worth.value_quantiles(often, 365.0, (0.95,))[:, 0] == pytest.approx(2 * base, rel=0.01)
    kept = Forecast(forecast.purchases, forecast.spend, 0.25, CommonFactor(), CommonFactor())
    assert kept.value_quantiles(often, 365.0, (0.95,))[:, 0] == pytest.approx(base / 4, rel=1e-9)
    wide = Forecast(forecast.purchases, forecast.spend, 1.0, CommonFactor(0, 0.4), CommonFactor(0, 0.4))
    assert (wide.value_quantiles(often, 365.0, (0.95,))[:, 0] > 1.05 * base).all()


@pytest.mark.parametrize("model", ["BetaGeoModel", "ParetoNBDModel"])
def test_the_next_order_is_the_median_day_given_that_it_comes(known_world, model):
    world, forecast = known_world
    purchases = forecast.purchases
    if model == "ParetoNBDModel":
        purchases = ParetoNBDModel().with_parameters(r=0.6, alpha=40.0, s=0.6, beta=80.0)
    forecast = Forecast(purchases, forecast.spend, 1.0, CommonFactor(0.1, 0.2), CommonFactor())
    some = world.head(200)
    days = forecast.days_to_next_order(some, 365)
    ordered = 1 - forecast.order_probabilities(some, 365.0, 0)[:, 0]
    assert (days == -1).tolist() == (ordered < 0.5).tolist()
    for row in np.flatnonzero(days > 0)[:15]:
        one = some.iloc[[row]]
        by_then, day_before = (
            1 - forecast.order_probabilities(one, float(d), 0)[0, 0] for d in (days[row], days[row] - 1)
        )
        assert by_then >= ordered[row] / 2 > day_before


def test_later_money_is_worth_less(known_world):
    world, forecast = known_world
    some = world.head(50)
    factors = forecast.discount(some, 365.0, 0.1)
    # someone who orders evenly is paid after half a year on average; those who leave, earlier
    assert ((factors >= 1.1**-0.5 - 1e-3) & (factors < 1)).all()
    assert forecast.discount(some, 365.0, 0.0) == pytest.approx(1)


def test_common_factors_are_learnt_with_a_prior():
    assert learn_factor([], 0.0).mean == 0
    assert learn_factor([], 0.0).sd == pytest.approx(0.1 * np.sqrt(3))
    assert learn_factor([], 0.4).sd == pytest.approx(np.hypot(0.1 * np.sqrt(3), 0.4))
    # one window known exactly counts twice as much as the belief that the model is right
    once = learn_factor([(0.3, 0.0)], 0.0)
    assert once.mean == pytest.approx(0.2)
    assert once.sd == pytest.approx(np.sqrt((2 * 0.01 + 0.5 * 0.04 + 0.01) / 3 * (1 + 1 / 1.5)))
    # a window with few orders says little
    assert abs(learn_factor([(0.3, 1.0)], 0.0).mean) < 0.01
    steady = learn_factor([(0.1, 0.0)] * 50, 0.0)
    assert steady.mean == pytest.approx(0.1, abs=0.001)
    assert steady.sd < 0.025


# ---------------------------------------------------------------------------------------------------------------------
# The whole
# ---------------------------------------------------------------------------------------------------------------------


def test_cdnow_is_graded_on_its_holdout(result):
    assert result.test_cutoff == date(1997, 10, 1)
    assert result.customers.dtypes.astype(str).to_dict() == TYPES
    assert len(result.customers) == 2357
    holdout = result.metrics["holdout"]
    assert holdout["days"] == 272
    for name, rmse, bias in (("orders", 1.608, 0.121), ("value", 72.3, 0.156)):
        figures = holdout[name]
        assert figures["rmse"] <= rmse
        assert abs(figures["bias"]) <= bias
        # the tabulated Kolmogorov-Smirnov test at 1 %, as if customers were independent, and that of joint draws
        assert figures["pit_ks"] < 1.63 / np.sqrt(2357)
        assert figures["pit_p"] > 0.05
        assert 0.85 <= figures["group_coverage"] <= 0.95


def test_intervals_hold_on_the_synthetic_business():
    """Predicted after two years for the third: orders and value uniform by Kolmogorov-Smirnov at 1 %, groups covered.

    One seed and a small business; `benchmarks/lifetime.py intervals` grades many.
    """
    columns = ["sale_id", "customer_id", "sold_at", "amount"]
    worlds = SyntheticSource(3, 1500, date(2022, 1, 1)).simulation(date(2024, 12, 31)).windows()
    lines = pd.concat([world.table("shop.sales").select(columns).to_pandas() for world in worlds])
    lines = lines.drop_duplicates("sale_id").dropna(subset="customer_id")
    lines["booked_on"], lines["revenue"] = lines["sold_at"].dt.normalize(), lines["amount"].astype("float64")
    days = lines.groupby(["customer_id", "booked_on"], as_index=False)["revenue"].sum()
    days = days.assign(has_order=True, margin=np.nan, costed_revenue=0.0)
    result = estimate_lifetime_value(days, date(2024, 12, 31))
    assert result.test_cutoff == date(2024, 1, 1)
    for name in ("orders", "value"):
        figures = result.metrics["holdout"][name]
        assert figures["pit_p"] > 0.01
        assert 0.85 <= figures["group_coverage"] <= 0.95
        assert abs(figures["bias"]) < 0.15


def test_a_business_that_died_is_expected_to_bring_less():
    """Regulars who all stopped at the same time are held to have left, one by one and by the window after it."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(60):
        ago = np.unique(rng.integers(400, 800, 12))
        rows += [(f"c{i:02}", int(day), 10.0) for day in ago]
    result = estimate_lifetime_value(orders_of(*rows), DAY)
    assert result.metrics["speed"]["mean"] < -0.5
    assert result.customers["probability_alive"].median() < 0.1
    assert result.customers["clv_365d"].mean() < 1


def test_the_table_is_consistent(result):
    table = result.customers
    assert table["customer_id"].is_monotonic_increasing
    assert table["probability_alive"].between(0, 1).all()
    assert (table["clv_365d_low"] <= table["clv_365d_high"]).all()
    assert (table["clv_365d"] >= 0).all()
    assert table["model_version"].eq("bg-nbd-1998-06-30").all()
    due = table["next_order_on"].dropna()
    assert due.between("1998-07-01", "1999-06-30").all()
    # who is expected soon is expected often
    soon = table["next_order_on"].notna()
    assert table.loc[soon, "expected_orders_90d"].min() > table.loc[~soon, "expected_orders_90d"].median()


def test_order_of_rows_and_repetition_change_nothing(cdnow):
    few = cdnow[cdnow["customer_id"] < "01500"]
    first = estimate_lifetime_value(few, date(1998, 6, 30), random_state=1)
    again = estimate_lifetime_value(few.sample(frac=1, random_state=5), date(1998, 6, 30), random_state=1)
    pd.testing.assert_frame_equal(first.customers, again.customers)
    assert first.metrics == again.metrics
    # the seed moves figures of the holdout and no prediction
    other = estimate_lifetime_value(few, date(1998, 6, 30), random_state=2)
    pd.testing.assert_frame_equal(first.customers, other.customers)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "No customers"),
        ([("a", 0, 5.0), ("b", 0, 6.0)], "first time today"),
        ([("a", 40, 5.0)], "Fewer than 20 customers came back (0)"),
        ([("a", 40, 5.0), ("a", 20, 5.0), ("a", 10, 7.0)], "Too little history"),
        ([(f"c{i:02}", 300 - i, 10.0) for i in range(30)], "do not determine"),
        ([(f"c{i:02}", 300 - 20 * k, 10.0) for i in range(30) for k in range(12)], "do not determine"),
        ([(f"c{i:02}", 300 - 7 * i - 31 * k, 0.0) for i in range(30) for k in range(3)], "every lifetime value is 0"),
    ],
    ids=["nobody", "one day", "one order", "one customer", "nobody came back", "all equal", "nothing earned"],
)
def test_little_data_gives_typed_tables_and_plain_words(rows, message):
    result = estimate_lifetime_value(orders_of(*rows), DAY)
    assert result.customers.dtypes.astype(str).to_dict() == TYPES
    assert len(result.customers) == len({row[0] for row in rows})
    assert any(message in each for each in result.messages), result.messages
    if result.forecast is not None:
        assert result.customers.drop(columns="next_order_on").notna().all(axis=None)
        assert (result.customers["clv_365d_low"] <= result.customers["clv_365d_high"]).all()


def test_thirty_regular_customers_are_expected_to_go_on():
    rng = np.random.default_rng(0)
    rows = []
    for i in range(30):
        days = np.unique(rng.integers(1, 600, 20))
        rows += [
            (f"c{i:02}", int(day), float(value)) for day, value in zip(days, rng.gamma(4, 5, len(days)), strict=True)
        ]
    result = estimate_lifetime_value(orders_of(*rows), DAY)
    assert result.metrics["holdout"]["orders"]["group_coverage"] is None
    assert result.customers["expected_order_value"].mean() == pytest.approx(20, rel=0.1)
    # 20 orders in 600 days, at 20 each, for 365 days, discounted
    assert result.customers["clv_365d"].mean() == pytest.approx(365 / 600 * 20 * 20 * 0.955, rel=0.25)


def test_values_without_a_mean_fall_back_to_the_mean_of_all():
    rng = np.random.default_rng(4)
    rows = []
    for i in range(80):
        scale = 10.0 ** rng.uniform(0, 8)
        rows += [(f"c{i:02}", 500 - 40 * k - i, scale) for k in range(10)]
    result = estimate_lifetime_value(orders_of(*rows), DAY)
    assert any("Gamma-Gamma does not fit" in message for message in result.messages)
    worth = result.customers["expected_order_value"]
    assert worth.max() == pytest.approx(worth.min(), rel=1e-5)
