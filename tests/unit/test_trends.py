"""ml.trends: changes of products against their peers, on made-up shops, and their error rate by simulation."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from ml.trends import _candidates, _tail, trend_changes

MONDAY = pd.Timestamp("2024-01-01")
WEEKS = 90
AS_OF = (MONDAY + pd.Timedelta(weeks=WEEKS) - pd.Timedelta(days=1)).date()


def shop(rng, *, products=12, weeks=WEEKS, level=20.0, dispersion=1.5, change=None, category="A"):
    """Weekly units of products that share a season; `change` multiplies (products, weeks) expected units."""
    at = np.arange(weeks)
    season = 1 + 0.5 * np.sin(2 * np.pi * at / 52)
    mean = level * (1 + np.arange(products)[:, None]) ** -0.5 * season * (1.0 if change is None else change)
    # Lines of several units each: over-dispersed, and a count all the same.
    units = rng.negative_binomial(np.maximum(mean, 1e-9) / (dispersion - 1), 1 / dispersion)
    return frame_of(units, category)


def frame_of(units, category="A"):
    products, weeks = units.shape
    return pd.DataFrame(
        {
            "product_id": np.repeat([f"{category}{row:02}" for row in range(products)], weeks),
            "category": category,
            "week": np.tile(MONDAY + pd.to_timedelta(7 * np.arange(weeks), unit="D"), products),
            "units": units.ravel().astype(float),
        }
    )


def found(frame):
    return trend_changes(frame, AS_OF).changes.query("is_change")


def test_a_step_is_found_where_it_happened_and_its_peers_are_steady():
    change = np.ones((12, WEEKS))
    change[2, 50:] = 2.0
    changes = found(shop(np.random.default_rng(1), change=change))
    assert changes["product_id"].tolist() == ["A02"]
    (only,) = changes.itertuples()
    assert abs((only.changed_on - (MONDAY + pd.Timedelta(weeks=50))).days) <= 21
    assert (only.direction, only.change_number) == ("up", 1)
    assert only.change_ratio == pytest.approx(1.0, abs=0.35)
    assert only.units_per_week_after / only.units_per_week_before == pytest.approx(1 + only.change_ratio, rel=1e-3)


def test_who_takes_the_peers_share_does_not_make_them_look_as_if_they_declined():
    """Fixed sales of the category: one product grows tenfold, so that the others sell less than half of before."""
    rng = np.random.default_rng(2)
    weights = np.ones((10, WEEKS))
    weights[0] = np.exp(np.log(10) * np.clip((np.arange(WEEKS) - 40) / 26, 0, 1))
    units = np.stack([rng.multinomial(400, weights[:, week] / weights[:, week].sum()) for week in range(WEEKS)], axis=1)
    assert units[5, 70:].mean() < 0.6 * units[5, :40].mean()
    changes = found(frame_of(units))
    assert set(changes["product_id"]) == {"A00"}
    first = changes.query("change_number == 1").iloc[0]
    assert first["change_ratio"] > 3
    assert abs((first["changed_on"] - (MONDAY + pd.Timedelta(weeks=40))).days) <= 70


def test_up_and_down_again_is_two_changes():
    change = np.ones((12, WEEKS))
    change[1, 30:60] = 2.5
    changes = found(shop(np.random.default_rng(3), change=change))
    assert set(changes["product_id"]) == {"A01"}
    assert sorted(changes["direction"])[:2] == ["down", "up"]
    began = dict(zip(changes["direction"], changes["changed_on"], strict=True))
    for direction, week in (("up", 30), ("down", 60)):
        assert abs((began[direction] - (MONDAY + pd.Timedelta(weeks=week))).days) <= 35


def test_hardly_a_shop_without_changes_has_one():
    shops = [
        pd.concat([shop(np.random.default_rng(100 * seed + k), category=f"{k}") for k in range(3)])
        for seed in range(12)
    ]
    alarms = [len(found(frame)) for frame in shops]
    assert sum(number > 0 for number in alarms) <= 2


def test_demand_that_wanders_is_not_taken_for_changes():
    """Weekly noise that lasts (autocorrelation .5) fools a test that takes weeks for independent."""
    alarms = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        noise = np.zeros((12, WEEKS))
        for week in range(1, WEEKS):
            noise[:, week] = 0.5 * noise[:, week - 1] + 0.15 * rng.standard_normal(12)
        alarms += len(found(shop(rng, level=60.0, change=np.exp(noise))))
    assert alarms <= 4  # of 72 products


def test_the_simulated_tail_and_its_extrapolation():
    weeks = 88
    rest = _candidates(weeks)[2] - _candidates(weeks)[2].mean(axis=0)
    rest /= np.sqrt((rest**2).sum(axis=0))
    noise = np.random.default_rng(77).standard_normal((40_000, weeks))
    largest = np.concatenate([np.abs(part @ rest).max(axis=1) for part in np.array_split(noise, 40)])
    for z in (2.5, 3.0, 3.6, 4.0):
        # The distance whose tail, with the dispersion estimated, is the normal one at z.
        distance = float(student.isf(norm.sf(z), 2 * (weeks - 1) / 3))
        assert _tail(distance, weeks, 0) == pytest.approx((largest >= z).mean(), rel=0.25, abs=2e-4)
    assert _tail(0.0, weeks, 0) > 0.99
    assert 0 < _tail(9.0, weeks, 0) < 1e-8


def test_new_products_few_peers_and_few_units():
    rng = np.random.default_rng(4)
    change = np.ones((12, WEEKS))
    change[3, :70] = 0  # launched 20 weeks before the end
    change[4, :82] = 0  # 8 weeks
    change[5] = 0.005  # hardly sold
    frame = pd.concat([shop(rng, change=change), shop(rng, products=2, category="tiny")])
    result = trend_changes(frame, AS_OF)
    tested = set(result.changes["product_id"])
    assert {"A03", "tiny00", "tiny01"} <= tested
    assert not {"A04", "A05"} & tested
    assert not result.changes["is_change"].any()


def test_too_little_to_look_at():
    nothing = trend_changes(frame_of(np.zeros((0, 5))), AS_OF)
    assert nothing.changes.empty
    assert nothing.messages == ["There are no products to look at."]
    short = trend_changes(shop(np.random.default_rng(0), weeks=8), (MONDAY + pd.Timedelta(days=60)).date())
    assert short.changes.empty
    assert "8 whole weeks" in short.messages[0]
    alone = trend_changes(shop(np.random.default_rng(0), products=1), AS_OF)
    assert alone.changes.empty
    assert len(alone.messages) == 1


def test_order_of_rows_and_later_rows_change_nothing():
    frame = shop(np.random.default_rng(5))
    earlier = (MONDAY + pd.Timedelta(weeks=60, days=3)).date()  # a week that has only begun
    expected = trend_changes(frame[frame["week"] < MONDAY + pd.Timedelta(weeks=60)], earlier).changes
    pd.testing.assert_frame_equal(trend_changes(frame.sample(frac=1, random_state=2), earlier).changes, expected)


def test_impossible_input_is_refused():
    with pytest.raises(ValueError, match="columns are missing"):
        trend_changes(pd.DataFrame({"week": []}), date(2025, 1, 1))
    frame = frame_of(np.ones((1, 3)))
    with pytest.raises(ValueError, match="Monday"):
        trend_changes(frame.assign(week=frame["week"] + pd.Timedelta(days=1)), AS_OF)
    with pytest.raises(ValueError, match="not missing, not negative"):
        trend_changes(frame.assign(units=np.nan), AS_OF)
