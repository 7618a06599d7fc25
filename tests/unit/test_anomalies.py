"""ml.anomalies: unusual sentiment on hand-made tables, and its error rates by simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom, binom

from ml.anomalies import unusual_sentiment
from ml.metrics import benjamini_hochberg

TYPES = {
    "customer_id": "object",
    "ticket_count": "int64",
    "negative_count": "int64",
    "negative_rate": "float64",
    "expected_rate": "float64",
    "p_value": "float64",
    "q_value": "float64",
    "is_anomaly": "bool",
}


def tickets(n, k):
    ids = pd.Series([f"c{i:05}" for i in range(len(n))], dtype=object)
    return pd.DataFrame({"customer_id": ids, "ticket_count": n, "negative_count": k})


def simulate(rng, customers, correlation, *, anomalous=0.0, anomalous_rate=0.0, rate=0.25):
    n = 5 + rng.poisson(rng.gamma(2, 6, customers))
    strength = 1 / correlation - 1
    rates = rng.beta(rate * strength, (1 - rate) * strength, customers)
    planted = rng.random(customers) < anomalous
    return n, rng.binomial(n, np.where(planted, anomalous_rate, rates)), planted


def test_one_customer_stands_out_of_equal_ones():
    result = unusual_sentiment(tickets([10] * 40 + [10, 4], [2] * 40 + [10, 4]))
    assert result["is_anomaly"].tolist() == [False] * 40 + [True, False]
    assert result["negative_rate"].tolist() == [0.2] * 40 + [1.0, 1.0]
    # Too few tickets: not tested, however negative.
    assert np.isnan(result["p_value"].iloc[-1])
    assert np.isnan(result["q_value"].iloc[-1])
    # The customers agree more than chance allows: a plain binomial, at a rate the anomaly does not raise by much.
    expected = result["expected_rate"].iloc[0]
    assert expected == pytest.approx(0.2, abs=0.03)
    assert result["p_value"].iloc[40] == pytest.approx(binom.sf(9, 10, expected))
    assert (result["q_value"].iloc[:41] >= result["p_value"].iloc[:41]).all()


def test_empty_single_and_ticketless_frames_are_typed():
    empty = unusual_sentiment(tickets([], []))
    assert empty.dtypes.astype(str).to_dict() == TYPES
    single = unusual_sentiment(tickets([12], [11]))
    assert single.dtypes.astype(str).to_dict() == TYPES
    assert not single["is_anomaly"].any()
    none = unusual_sentiment(tickets([0, 0], [0, 0]))
    assert none[["negative_rate", "expected_rate", "p_value", "q_value"]].isna().all(axis=None)
    assert not none["is_anomaly"].any()


def test_all_or_none_negative_is_nobodys_anomaly():
    assert not unusual_sentiment(tickets([6, 9, 20], [6, 9, 20]))["is_anomaly"].any()
    assert not unusual_sentiment(tickets([6, 9, 20], [0, 0, 0]))["is_anomaly"].any()


def test_impossible_counts_are_refused():
    with pytest.raises(ValueError, match="between 0 and ticket_count"):
        unusual_sentiment(tickets([3], [4]))
    with pytest.raises(ValueError, match="missing"):
        unusual_sentiment(tickets([3.0], [np.nan]))


def test_order_of_rows_changes_nothing():
    n, k, _ = simulate(np.random.default_rng(1), 200, 0.05, anomalous=0.05, anomalous_rate=0.9)
    frame = tickets(n, k)
    shuffled = frame.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(unusual_sentiment(frame), unusual_sentiment(shuffled).sort_index())


def test_rate_and_correlation_of_the_null_are_found_despite_anomalies():
    n, k, planted = simulate(np.random.default_rng(5), 4000, 0.1, anomalous=0.05, anomalous_rate=0.95)
    result = unusual_sentiment(tickets(n, k))
    assert result["expected_rate"].iloc[0] == pytest.approx(0.25, abs=0.015)
    # p-values of ordinary customers near those of the true distribution.
    ordinary = result[~planted]
    true = betabinom.sf(k[~planted] - 1, n[~planted], 0.25 * 9, 0.75 * 9)
    assert np.abs(ordinary["p_value"].to_numpy() - true).max() < 0.04


@pytest.mark.parametrize(("correlation", "least_power"), [(0.05, 0.85), (0.1, 0.6)])
def test_false_discoveries_and_power_when_customers_differ_in_mood(correlation, least_power):
    shares, plain_shares, found, oracle_found = [], [], 0, 0
    total = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        n, k, planted = simulate(rng, 500, correlation, anomalous=0.05, anomalous_rate=0.9)
        flagged = unusual_sentiment(tickets(n, k))["is_anomaly"].to_numpy()
        plain = benjamini_hochberg(binom.sf(k - 1, n, k.sum() / n.sum())) <= 0.05
        strength = 1 / correlation - 1
        oracle = benjamini_hochberg(betabinom.sf(k - 1, n, 0.25 * strength, 0.75 * strength)) <= 0.05
        shares.append((flagged & ~planted).sum() / max(flagged.sum(), 1))
        plain_shares.append((plain & ~planted).sum() / max(plain.sum(), 1))
        found, oracle_found, total = (
            found + (flagged & planted).sum(),
            oracle_found + (oracle & planted).sum(),
            (total + planted.sum()),
        )
    assert np.mean(shares) <= 0.06
    assert np.mean(plain_shares) > 0.1
    assert found / total >= least_power
    assert found >= 0.9 * oracle_found


def test_no_false_alarms_without_anomalies():
    alarms = 0
    for seed in range(8):
        n, k, _ = simulate(np.random.default_rng(100 + seed), 300, 0.1)
        alarms += unusual_sentiment(tickets(n, k))["is_anomaly"].any()
    assert alarms <= 1
