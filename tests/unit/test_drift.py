"""ml.drift: the index by hand, what counts as moved, and what survives being stored as JSON."""

import json

import numpy as np
import pandas as pd
import pytest

from ml.drift import moved, profile_columns, stability


def frame(n=2000, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "days": rng.exponential(50, n) + shift,
            "plan": rng.choice(["a", "b", None], n),
            "autopay": rng.random(n) < 0.3,
            "empty": np.nan,
        }
    )


def test_the_index_of_two_categories_by_hand():
    before, after = pd.DataFrame({"x": ["a"] * 50 + ["b"] * 50}), pd.DataFrame({"x": ["a"] * 80 + ["b"] * 20})
    found = stability(profile_columns(before, 100), after, 100)["x"]
    # three bins, the third for any other category; half a customer is added to each
    e, a = (np.array(counts) / 101.5 for counts in ((50.5, 50.5, 0.5), (80.5, 20.5, 0.5)))
    assert found["psi"] == pytest.approx(np.sum((a - e) * np.log(a / e)), abs=1e-6)


def test_the_same_business_has_not_moved_and_a_shifted_one_has():
    profile = json.loads(json.dumps(profile_columns(frame(), 2000)))
    assert moved(stability(profile, frame(seed=1), 2000)) == []
    found = stability(profile, frame(seed=1, shift=40).assign(plan="c"), 2000)
    assert moved(found) == ["plan", "days"]
    assert found["autopay"]["psi"] < 0.02
    assert found["empty"]["psi"] == 0


def test_chance_alone_is_rarely_called_drift_however_few_customers():
    """At 30 customers the plain bound of .25 is mostly noise; the bound that grows with it is not."""
    profile = profile_columns(frame(), 2000)
    days = {"customers": 2000, "columns": {"days": profile["columns"]["days"]}}
    found = [stability(days, frame(30, seed=seed), 30) for seed in range(1, 201)]
    assert np.mean([each["days"]["psi"] > 0.25 for each in found]) > 0.3
    assert sum("days" in moved(each) for each in found) <= 3


def test_nothing_to_compare_is_no_drift():
    assert stability(profile_columns(frame(), 2000), frame(0), 0) == {}


def test_values_missing_now_are_drift():
    now = frame(seed=1)
    found = stability(profile_columns(frame(), 2000), now.assign(days=now["days"].mask(now.index % 2 == 0)), 2000)
    assert moved(found) == ["days"]
