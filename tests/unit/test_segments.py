"""ml.segments: planted groups are found, whatever the order of rows; odd tables give one cluster."""

import numpy as np
import pandas as pd
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from ml.segments import CustomerClusterer, cluster_customers

TYPES = {"customer_id": "object", "cluster_id": "int64", "cluster_name": "string"}


def planted(sizes=(200, 150, 100, 50), seed=0):
    """Four groups: cheap and gone, cheap and active, dear and gone, dear and active."""
    rng = np.random.default_rng(seed)
    parts = []
    for (days, orders, value), size in zip(
        ((400, 1, 20), (20, 2, 60), (200, 12, 900), (5, 40, 8000)), sizes, strict=True
    ):
        noise = rng.lognormal(0, 0.15, (size, 3))
        parts.append(noise * (days, orders, value))
    values = np.vstack(parts)
    return pd.DataFrame(
        {
            "customer_id": pd.Series([f"c{i:05}" for i in range(len(values))], dtype=object),
            "days_since_last_order": values[:, 0],
            "frequency": values[:, 1],
            "monetary": values[:, 2],
        }
    )


def test_planted_groups_are_found_ordered_by_value_and_named():
    frame = planted()
    result = cluster_customers(frame)
    assert result.metrics["n_clusters"] == 4
    assert result.metrics["stability"] > 0.95
    assert result.profile["customers"].tolist() == [200, 150, 100, 50]
    assert result.profile["mean_monetary"].is_monotonic_increasing
    assert result.profile["cluster_name"].tolist() == [
        "Low value, inactive",
        "Low value, active",
        "Mid value, cooling",
        "High value, active",
    ]
    assert result.clusters["cluster_id"].tolist() == [0] * 200 + [1] * 150 + [2] * 100 + [3] * 50
    assert result.clusters.dtypes.astype(str).to_dict() == TYPES
    assert result.messages == []


def test_order_of_rows_changes_nothing():
    frame = planted()
    shuffled = frame.sample(frac=1, random_state=4)
    one, other = cluster_customers(frame), cluster_customers(shuffled)
    pd.testing.assert_frame_equal(one.clusters, other.clusters)
    pd.testing.assert_frame_equal(one.profile, other.profile)
    assert one.metrics == other.metrics


@pytest.mark.parametrize("n", [0, 1, 2, 30])
def test_few_customers(n):
    result = cluster_customers(planted().head(n))
    assert len(result.clusters) == n
    assert result.clusters.dtypes.astype(str).to_dict() == TYPES
    assert result.metrics["n_clusters"] == min(n, 1)
    assert len(result.messages) == 1
    assert result.profile["customers"].sum() == n


def test_identical_customers_form_one_cluster():
    frame = planted().assign(days_since_last_order=3, frequency=1, monetary=9.5)
    result = cluster_customers(frame)
    assert set(result.clusters["cluster_name"]) == {"All customers"}
    assert "one" in result.messages[0]


def test_outliers_do_not_make_a_cluster_of_their_own():
    frame = planted(sizes=(200, 150, 100, 2))
    result = cluster_customers(frame)
    assert result.profile["customers"].min() >= 10
    assert result.profile["share"].min() >= 0.02


def test_missing_and_negative_values_and_more_features():
    frame = planted().assign(returns=-5.0)
    frame.loc[::7, "monetary"] = np.nan
    result = cluster_customers(frame, more_features=["returns"])
    assert result.clusters["cluster_id"].notna().all()
    assert result.profile["cluster_name"].is_unique
    assert "mean_returns" in result.profile


def test_predict_repeats_the_labels_of_fit():
    X = planted().drop(columns="customer_id")
    model = CustomerClusterer(random_state=0).fit(X)
    np.testing.assert_array_equal(model.predict(X), model.labels_)


def test_bad_frames_are_refused():
    with pytest.raises(ValueError, match="absent"):
        cluster_customers(planted().drop(columns="monetary"))
    with pytest.raises(ValueError, match="more than one row"):
        cluster_customers(pd.concat([planted(), planted()]))


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(estimator, check, id=getattr(check.func, "__name__", "check"))
        for estimator, check in estimator_checks_generator(CustomerClusterer(random_state=0), mark=None)
    ],
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
