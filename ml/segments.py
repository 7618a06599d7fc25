"""Groups of customers: k-means clusters whose number is stable, with names that can be read from their profile.

RFM segments by score are decided in the marts; here groups are found in the data. Drawing them happens in the reports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ml._threads import one_thread
from ml.columns import signed_log1p

MOST_ROWS_TO_CHOOSE = 20_000
"""Rows on which the number of clusters is chosen; more change the choice less than the resampling does."""
STABLE = 0.8
"""Mean adjusted Rand index under resampling below which clusters are called unstable."""

_AS_STABLE = 0.02  # adjusted Rand indices closer than this are those of resampling


class CustomerClusterer(ClusterMixin, BaseEstimator):
    """K-means on standardised logarithms, with the number of clusters that comes out again on other samples.

    For each k, pairs of clusterings are fitted to random halves and compared on all rows by the adjusted Rand index
    (Hubert and Arabie 1985). Among the k whose smallest cluster is large enough, the largest is taken whose mean index
    is within .02 of the best: clusters that split into stable ones are worth splitting. (Ben-Hur, Elisseeff and Guyon,
    "A stability based method for discovering structure in clustered data", 2002.) Where no k is, there is one cluster.

    Args:
        smallest_k: Fewest clusters tried.
        largest_k: Most clusters tried.
        smallest_share: Share of rows every cluster must have.
        smallest_size: Number of rows every cluster must have.
        n_resamples: Pairs of clusterings per k.
        random_state: Seed.

    Attributes:
        n_clusters_: The k taken.
        stability_: Mean adjusted Rand index per k tried; empty where nothing could be tried.
        labels_: Cluster of each row of fit, shape (n,).
        pipeline_: The fitted `Pipeline` of imputation, logarithm, scaling and k-means.
    """

    def __init__(
        self,
        *,
        smallest_k: int = 3,
        largest_k: int = 8,
        smallest_share: float = 0.02,
        smallest_size: int = 10,
        n_resamples: int = 6,
        random_state: int | None = None,
    ) -> None:
        self.smallest_k = smallest_k
        self.largest_k = largest_k
        self.smallest_share = smallest_share
        self.smallest_size = smallest_size
        self.n_resamples = n_resamples
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        """Missing values are imputed by the median."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: ArrayLike, y: None = None) -> Self:  # noqa: ARG002 (scikit-learn's signature)
        """Choose the number of clusters and fit them; the order of rows changes nothing.

        Args:
            X: Numeric, shape (n, features), nan for missing.
            y: Ignored.

        Returns:
            Itself.

        Raises:
            ValueError: No row, or values that are infinite or not numeric.
        """
        values = validate_data(self, X, dtype="float64", ensure_all_finite="allow-nan")
        rng = check_random_state(self.random_state)
        prepare = Pipeline(
            [
                ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
                ("log", FunctionTransformer(signed_log1p)),
                ("scale", StandardScaler()),
            ]
        )
        with one_thread():
            # Sorted by value: sums and random samples are then the same for every order of rows.
            values_sorted = values[np.lexsort(values.T[::-1])]
            Z = prepare.fit_transform(values_sorted)
            sample = Z
            if len(Z) > MOST_ROWS_TO_CHOOSE:
                sample = Z[np.sort(rng.choice(len(Z), MOST_ROWS_TO_CHOOSE, replace=False))]
            start = self._choose(sample, rng)
            self.n_clusters_ = len(start)
            kmeans = KMeans(self.n_clusters_, init=start, n_init=1).fit(Z)
            self.pipeline_ = Pipeline([*prepare.steps, ("kmeans", kmeans)])
            self.labels_ = self.pipeline_.predict(values)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int32]:
        """Cluster of each row, shape (n,)."""
        check_is_fitted(self)
        values = validate_data(self, X, dtype="float64", ensure_all_finite="allow-nan", reset=False)
        with one_thread():
            return self.pipeline_.predict(values)

    def _choose(self, Z: NDArray[np.float64], rng: np.random.RandomState) -> NDArray[np.float64]:
        """Centres to start the full fit from; as many as clusters are taken."""
        self.stability_: dict[int, float] = {}
        centres: dict[int, NDArray[np.float64]] = {}
        distinct = len(np.unique(Z, axis=0))
        smallest = max(self.smallest_size, self.smallest_share * len(Z))
        for k in range(self.smallest_k, self.largest_k + 1):
            if distinct < k or len(Z) < k * smallest:
                break
            full = KMeans(k, n_init=3, random_state=rng.randint(2**31)).fit(Z)
            if np.bincount(full.labels_, minlength=k).min() < smallest:
                continue
            self.stability_[k] = float(np.mean([self._agreement(Z, k, rng) for _ in range(self.n_resamples)]))
            centres[k] = full.cluster_centers_
        if not centres:
            return Z.mean(axis=0, keepdims=True)
        bar = max(self.stability_.values()) - _AS_STABLE
        return centres[max(k for k, stability in self.stability_.items() if stability >= bar)]

    @staticmethod
    def _agreement(Z: NDArray[np.float64], k: int, rng: np.random.RandomState) -> float:
        """Adjusted Rand index on all rows of clusterings fitted to the two halves of a random split."""
        order = rng.permutation(len(Z))
        halves = np.sort(order[: len(Z) // 2]), np.sort(order[len(Z) // 2 :])
        labels = [KMeans(k, n_init=3, random_state=rng.randint(2**31)).fit(Z[half]).predict(Z) for half in halves]
        return float(adjusted_rand_score(*labels))


@dataclass(frozen=True)
class ClusterScorer:
    """What it takes to tell the cluster of customers, each by itself: the same whatever other rows come with it.

    Args:
        model: The fitted clusterer.
        features: Columns that it reads, in order.
        ids: Published number of each of its clusters, shape (clusters,).
        names: Name by published number.
    """

    model: CustomerClusterer
    features: list[str]
    ids: NDArray[np.int64]
    names: Mapping[int, str]

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        """customer_id, cluster_id and cluster_name in the order of the rows, which hold what it reads."""
        labels = self.model.predict(rows[self.features].astype("float64")) if len(rows) else np.empty(0, dtype=int)
        return _table(rows["customer_id"].to_numpy(), self.ids[labels], self.names)


@dataclass(frozen=True)
class ClusterResult:
    """Clusters of customers and what they are like.

    Args:
        clusters: customer_id, cluster_id (int64, 0 = lowest mean monetary value), cluster_name; sorted by customer_id.
        profile: One row per cluster: cluster_id, cluster_name, customers, share, and the mean of each feature as
            ``mean_<feature>``.
        metrics: customers, n_clusters, stability (mean adjusted Rand index; None with one cluster), stability_by_k,
            smallest_share, inertia.
        messages: What a reader has to know, in plain words.
        model: The fitted clusterer; None without customers.
        scorer: Tells the clusters of any rows; None without customers.
    """

    clusters: pd.DataFrame
    profile: pd.DataFrame
    metrics: dict[str, Any]
    messages: list[str]
    model: CustomerClusterer | None
    scorer: ClusterScorer | None


def cluster_customers(
    frame: pd.DataFrame,
    *,
    recency: str = "days_since_last_order",
    frequency: str = "frequency",
    monetary: str = "monetary",
    more_features: Sequence[str] = (),
    random_state: int = 0,
) -> ClusterResult:
    """Cluster customers by recency, frequency, monetary value and further numeric columns, and name the clusters.

    Args:
        frame: One row per customer: customer_id, the three named columns and `more_features`, numeric.
        recency: Column of days since the last order.
        frequency: Column of the number of orders.
        monetary: Column of the value by which clusters are ordered, in the source's currency.
        more_features: Further numeric columns to cluster on.
        random_state: Seed.

    Returns:
        Clusters, profile, metrics and messages; typed and empty without customers, independent of the order of rows.

    Raises:
        ValueError: A column is absent, a customer has two rows, or values are infinite.
    """
    features = [recency, frequency, monetary, *more_features]
    absent = [name for name in ("customer_id", *features) if name not in frame.columns]
    if absent:
        raise ValueError(f"columns are absent: {absent}")
    if frame["customer_id"].duplicated().any():
        raise ValueError("a customer has more than one row")
    frame = frame.sort_values("customer_id", ignore_index=True)
    X = frame[features].astype("float64")
    model: CustomerClusterer | None = None
    new_ids, ids = np.empty(0, dtype="int64"), np.empty(0, dtype="int64")
    messages = ["No customers: no clusters."] if X.empty else []
    if not X.empty:
        model = CustomerClusterer(random_state=random_state).fit(X)
        new_ids = _order_by_value(model.labels_, X[monetary].to_numpy())
        ids = new_ids[model.labels_]
        messages += _messages(model)
    profile = _profile(ids, X, (recency, frequency, monetary))
    names = dict(zip(profile["cluster_id"].tolist(), profile["cluster_name"].tolist(), strict=True))
    several = model is not None and model.n_clusters_ > 1
    metrics: dict[str, Any] = {
        "customers": len(X),
        "n_clusters": len(profile),
        "stability": model.stability_[model.n_clusters_] if model is not None and several else None,
        "stability_by_k": model.stability_ if model is not None else {},
        "smallest_share": float(profile["share"].min()) if len(profile) else None,
        "inertia": float(model.pipeline_["kmeans"].inertia_) if model is not None else None,
    }
    clusters = _table(frame["customer_id"].to_numpy(), ids, names)
    scorer = ClusterScorer(model, features, new_ids, names) if model is not None else None
    return ClusterResult(clusters, profile, metrics, messages, model, scorer)


def _table(customer_ids: NDArray[Any], ids: NDArray[np.int64], names: Mapping[int, str]) -> pd.DataFrame:
    """The published columns."""
    words = pd.array([names[i] for i in ids.tolist()], dtype="string")
    return pd.DataFrame({"customer_id": customer_ids, "cluster_id": ids, "cluster_name": words})


def _messages(model: CustomerClusterer) -> list[str]:
    if model.n_clusters_ == 1:
        return ["Too few or too similar customers to form clusters: everyone is in one."]
    stability = model.stability_[model.n_clusters_]
    if stability < STABLE:
        return [
            f"Clusters are unstable: on other samples they agree only to an adjusted Rand index of {stability:.2f}."
        ]
    return []


def _order_by_value(labels: NDArray[np.int32], value: NDArray[np.float64]) -> NDArray[np.int64]:
    """The number of each label, shape (clusters,), by ascending mean value; those without a known value come first."""
    means = pd.Series(value).groupby(labels).mean().sort_values(kind="stable", na_position="first")
    new_ids = np.zeros(int(labels.max()) + 1, dtype="int64")
    new_ids[means.index.to_numpy()] = np.arange(len(means))
    return new_ids


def _profile(ids: NDArray[np.int64], X: pd.DataFrame, roles: tuple[str, str, str]) -> pd.DataFrame:
    """Size, name and feature means of each cluster."""
    groups = X.groupby(ids)
    means = groups.mean()
    return pd.DataFrame(
        {
            "cluster_id": means.index.to_numpy(dtype="int64"),
            "cluster_name": pd.array(_names(means, roles), dtype="string"),
            "customers": groups.size().to_numpy(dtype="int64"),
            "share": groups.size().to_numpy(dtype="float64") / max(len(X), 1),
            **{f"mean_{name}": means[name].to_numpy(dtype="float64") for name in X.columns},
        }
    )


def _names(means: pd.DataFrame, roles: tuple[str, str, str]) -> list[str]:
    """Readable, unique names: value and recency, then frequency where two share them, then a number.

    Words compare the clusters with one another: by thirds of the way from the lowest mean to the highest, of logarithms
    for value and frequency, whose means lie orders of magnitude apart.
    """
    recency, frequency, monetary = roles
    if len(means) == 1:
        return ["All customers"]

    def word(column: str, cluster: int, words: tuple[str, str, str]) -> str:
        known = means[column].fillna(0.0).to_numpy()
        level = pd.Series(known if column == recency else signed_log1p(known), index=means.index)
        width = level.max() - level.min()
        position = (level[cluster] - level.min()) / width if width > 0 else 0.5
        return words[int(np.searchsorted([1 / 3, 2 / 3], position))]

    value_words, recency_words = ("Low value", "Mid value", "High value"), ("active", "cooling", "inactive")
    names = [f"{word(monetary, c, value_words)}, {word(recency, c, recency_words)}" for c in means.index]
    if len(set(names)) < len(names):
        frequency_words = ("few orders", "some orders", "many orders")
        names = [
            f"{name}, {word(frequency, c, frequency_words)}" if names.count(name) > 1 else name
            for name, c in zip(names, means.index, strict=True)
        ]
    seen: dict[str, int] = {}
    unique = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        unique.append(f"{name} ({seen[name]})" if names.count(name) > 1 else name)
    return unique
