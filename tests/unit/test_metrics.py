"""ml.metrics: calibration, reports and false-discovery control against hand-made values and scipy."""

import numpy as np
import pytest
from scipy.stats import false_discovery_control

from ml.metrics import benjamini_hochberg, binary_report, expected_calibration_error, paired_bootstrap


def test_calibration_error_of_two_bins_by_hand():
    # Bin [.2, .3): mean p .25, observed .5, gap .25, weight 2/4. Bin [.9, 1]: mean p .95, observed 1, gap .05.
    assert expected_calibration_error([0, 1, 1, 1], [0.25, 0.25, 0.9, 1.0]) == pytest.approx(0.25 * 0.5 + 0.05 * 0.5)


def test_calibration_error_is_zero_when_each_bin_is_right():
    assert expected_calibration_error([1, 0, 1, 1, 1, 0], [0.5, 0.5, 0.75, 0.75, 0.75, 0.75]) == pytest.approx(0)


def test_fewer_bins_average_more():
    assert expected_calibration_error([0, 1], [0.2, 0.8], bins=1) == pytest.approx(0)
    assert expected_calibration_error([0, 1], [0.2, 0.8], bins=2) == pytest.approx(0.2)


def test_report_by_hand():
    report = binary_report([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert report["n"] == 4
    assert report["positives"] == 2
    assert report["base_rate"] == 0.5
    assert report["mean_probability"] == pytest.approx(0.4125)
    assert report["auc"] == 0.75
    assert report["average_precision"] == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert report["brier"] == pytest.approx((0.01 + 0.16 + 0.4225 + 0.04) / 4)
    assert report["ece"] == pytest.approx((0.1 + 0.4 + 0.65 + 0.2) / 4)


def test_one_class_has_no_auc_and_no_rows_have_nothing():
    one = binary_report([1, 1], [0.5, 0.9])
    assert one["auc"] is None
    assert one["average_precision"] is None
    assert one["brier"] == pytest.approx(0.13)
    none = binary_report([], [])
    assert none["n"] == 0
    assert {none[key] for key in ("base_rate", "auc", "brier", "ece", "log_loss")} == {None}


@pytest.mark.parametrize(
    ("y", "p"), [([0, 2], [0.1, 0.2]), ([0, 1], [0.1, 1.2]), ([0, 1], [0.1, np.nan]), ([0], [0.1, 0.2])]
)
def test_bad_input_is_refused(y, p):
    with pytest.raises(ValueError, match=r"labels|probabilities"):
        binary_report(y, p)


def test_benjamini_hochberg_by_hand():
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


def test_benjamini_hochberg_equals_scipy():
    p = np.random.default_rng(0).random(200) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), false_discovery_control(p))


def test_untested_hypotheses_do_not_count():
    q = benjamini_hochberg([0.01, np.nan, 0.04])
    assert q == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    assert benjamini_hochberg([]).shape == (0,)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        benjamini_hochberg([1.1])


def forecasts(n, seed, noise):
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 2, n)
    return rng.random(n) < truth, truth, np.clip(truth + noise * rng.normal(size=n), 0, 1)


def test_the_bootstraps_differences_are_those_of_the_reports():
    y, p, q = forecasts(500, 0, 0.2)
    found = paired_bootstrap(y, p, q, n_resamples=300)
    one, other = binary_report(y, p), binary_report(y, q)
    assert found["brier_difference"] == pytest.approx(one["brier"] - other["brier"])
    assert found["auc_difference"] == pytest.approx(one["auc"] - other["auc"])
    assert found["brier_low"] < found["brier_difference"] < found["brier_high"] < 0
    assert 0 < found["auc_low"] < found["auc_difference"] < found["auc_high"]
    assert found == paired_bootstrap(y, p, q, n_resamples=300)


def test_ties_count_by_half_in_the_bootstraps_auc():
    found = paired_bootstrap([0, 1, 0, 1], [0.5, 0.5, 0.2, 0.9], [0.5] * 4, n_resamples=200)
    # pairs (negative, positive): .5 against .5, .5 against .9, .2 against .5, .2 against .9
    assert found["auc_difference"] == pytest.approx(3.5 / 4 - 0.5)


def test_the_bootstraps_interval_covers_the_true_difference():
    """Equal forecasts with independent noise differ by nothing on average."""
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth = rng.beta(2, 2, 300)
        p, q = (np.clip(truth + 0.1 * rng.normal(size=300), 0, 1) for _ in range(2))
        found = paired_bootstrap(rng.random(300) < truth, p, q, n_resamples=200, seed=seed)
        covered += found["brier_low"] <= 0 <= found["brier_high"]
    # 95 % of 60 are 57; fewer than 52 would have a chance of 1 in 1000
    assert covered >= 52


def test_the_bootstrap_needs_both_outcomes():
    assert paired_bootstrap([1, 1], [0.5, 0.6], [0.4, 0.4]) == {}
