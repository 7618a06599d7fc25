"""ml.gains: tables worked out by hand, and laws of ties and profits."""

import numpy as np
import pandas as pd
import pytest

from ml.gains import Contact, Retention, calibration_table, gains_table, most_profitable, profit_curve

Y = [1, 1, 0, 1, 0, 0, 0, 0]
P = [0.9, 0.8, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1]
CONTACT = Contact(value=100, cost=8, success_rate=0.2)


def test_gains_by_hand():
    table = gains_table(Y, P, groups=4)
    assert table["customers"].tolist() == [2, 2, 2, 2]
    assert table["positives"].tolist() == [2, 1, 0, 0]
    assert table["rate"].tolist() == [1, 0.5, 0, 0]
    assert table["captured_rate"].tolist() == pytest.approx([2 / 3, 1, 1, 1])
    # 3 of 8 left: 2/2, 3/4, 3/6, 3/8, each over 3/8
    assert table["lift"].tolist() == pytest.approx([8 / 3, 2, 4 / 3, 1])
    assert table["lowest_probability"].tolist() == [0.8, 0.6, 0.3, 0.1]


def test_customers_of_equal_probability_count_alike():
    one = gains_table([1, 0, 1, 0], [0.5] * 4, groups=2)
    other = gains_table([0, 0, 1, 1], [0.5] * 4, groups=2)
    pd.testing.assert_frame_equal(one, other)
    assert one["positives"].tolist() == [1, 1]
    assert one["lift"].tolist() == [1, 1]


def test_groups_differ_by_one_at_most_and_too_few_rows_have_none():
    assert gains_table([0, 1] * 11, np.linspace(0, 1, 22), groups=10)["customers"].tolist() == [3, 3] + [2] * 8
    assert gains_table([1], [0.3]).empty
    assert gains_table([0] * 10, [0.1] * 10)["lift"].isna().all()


def test_calibration_by_hand_with_wilsons_interval():
    table = calibration_table([1, 0, 1, 1], [0.25, 0.29, 0.95, 1.0])
    assert table["bin"].tolist() == [3, 10]
    assert table["customers"].tolist() == [2, 2]
    assert table["mean_probability"].tolist() == pytest.approx([0.27, 0.975])
    assert table["rate"].tolist() == [0.5, 1]
    # 1 of 2: (0.5 + z^2/4 -+ z sqrt(1/8 + z^2/16)) / (1 + z^2/2) with z = 1.959964
    assert table["rate_low"].tolist() == pytest.approx([0.094531, 0.342380], abs=1e-6)
    assert table["rate_high"].tolist() == pytest.approx([0.905469, 1.0], abs=1e-6)


def test_profit_by_hand():
    # keeping 1 in 5 of those leaving, at 100 each, is worth 20 a leaver and costs 8 a contact
    table = profit_curve(Y, P, CONTACT, steps=4)
    assert table["customers"].tolist() == [2, 4, 6, 8]
    assert table["profit"].tolist() == pytest.approx([40 - 16, 60 - 32, 60 - 48, 60 - 64])
    assert table["expected_profit"].tolist() == pytest.approx([20 * 1.7 - 16, 20 * 3 - 32, 20 * 3.7 - 48, 20 * 4 - 64])


def test_the_threshold_is_cost_over_expected_gain():
    assert CONTACT.threshold == pytest.approx(0.4)
    found = most_profitable(Y, P, CONTACT)
    assert found["threshold"] == pytest.approx(0.4)
    assert (found["contacts"], found["profit"]) == (5, pytest.approx(60 - 40))
    assert (found["best_threshold"], found["best_contacts"]) == (0.6, 4)
    assert found["best_profit"] == pytest.approx(60 - 32)
    assert found["everyone_profit"] == pytest.approx(-4)


def test_the_threshold_of_true_probabilities_is_the_best_one():
    rng = np.random.default_rng(0)
    p = rng.random(200_000)
    y = rng.random(200_000) < p
    found = most_profitable(y, p, CONTACT)
    assert found["best_threshold"] == pytest.approx(CONTACT.threshold, abs=0.03)
    assert found["profit"] == pytest.approx(found["best_profit"], rel=0.002)


def test_where_no_contact_pays_nobody_is_contacted():
    found = most_profitable(Y, P, Contact(value=10, cost=8, success_rate=0.2))
    assert (found["contacts"], found["best_contacts"], found["best_threshold"]) == (0, 0, None)
    assert found["best_profit"] == found["profit"] == 0
    nobody = most_profitable([], [], CONTACT)
    assert (nobody["contacts"], nobody["best_profit"]) == (0, 0.0)
    assert profit_curve([], [], CONTACT).empty


@pytest.mark.parametrize("figures", [(0, 1, 0.5), (10, -1, 0.5), (10, 1, 0), (10, 1, 1.5)])
def test_what_no_contact_can_be_is_refused(figures):
    with pytest.raises(ValueError, match="success_rate"):
        Contact(*figures)


def test_what_is_not_known_of_keeping_customers_is_assumed():
    assert Retention().contact(40.0) == Contact(40.0, 2.0, 0.1)
    assert Retention(value=80).contact(40.0) == Contact(80, 4.0, 0.1)
    assert Retention(cost=1, success_rate=0.3).contact(None) == Contact(1.0, 1, 0.3)
