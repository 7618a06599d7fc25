"""What kind of visitor: personas of visits and of customers, from clusters that are named after their profile.

Five names with fixed meanings (`TYPICAL`); their descriptions for readers and their colours are the seed `personas` of
the dbt project. Groups of customers by what they are worth are the business of `ml.segments`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.impute import SimpleImputer
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from ml._threads import one_thread

VIP, RESEARCH, QUICK, BROWSER, CASUAL = "VIP Loyalist", "Research Shopper", "Quick Buyer", "Browser", "Casual Visitor"

TYPICAL: Mapping[str, tuple[float, float, float]] = {
    VIP: (1.5, 0.5, 0.3),
    RESEARCH: (-0.7, -0.7, 0.6),
    QUICK: (0.0, 1.3, 0.0),
    BROWSER: (0.1, -0.4, 0.1),
    CASUAL: (-0.3, -0.6, -1.2),
}
"""The typical profile of each persona: loyalty, buying and effort, in standard deviations from the mean of all.

A VIP Loyalist has ordered far more than others; a Research Shopper looks at more than others and has hardly bought yet;
a Quick Buyer buys far more readily than others, without looking at more; a Browser has bought before and looks around
without buying; a Casual Visitor is gone after a page or two. A cluster is named after the profile nearest to its own.
"""

SIDES = ("loyalty", "buying", "effort")
"""The three sides of a profile: how much was ordered, how readily is bought, how much is looked at."""

SESSION_ROLES: Mapping[str, tuple[str, ...]] = {
    "loyalty": ("orders_before",),
    "buying": ("cart_value",),
    "effort": ("pages_visited", "product_view_count", "seconds_to_decision"),
}
"""Columns of a visit behind each side of its profile."""
CUSTOMER_ROLES: Mapping[str, tuple[str, ...]] = {
    "loyalty": ("order_count", "net_revenue"),
    "buying": ("conversion_rate",),
    "effort": ("pages_per_session", "product_views_per_session", "seconds_per_session"),
}
"""Columns of a customer behind each side of the profile."""

CLUSTERS = 8
"""More clusters than names, so that a name need not be round; more of them come out less alike on other samples."""
FEWEST_OF_A_CLUSTER = 10
"""Times `CLUSTERS`: fewer rows than that are not clustered, and get no persona."""
MOST_ROWS_TO_FIT = 50_000
"""More rows move the centres less than another sample does."""
STABLE = 0.8
"""Mean adjusted Rand index under resampling below which personas are called unstable."""

_PAIRS = 3


def _signed_log1p(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """sign(v) log(1 + abs(v)): returns can make money negative."""
    return np.sign(values) * np.log1p(np.abs(values))


@dataclass(frozen=True)
class PersonaModel:
    """Clusters and their names.

    Args:
        pipeline: From the columns of the roles, in their order, to clusters.
        names: Persona of each cluster, shape (clusters,).
        roles: Columns of each side of the profile.
        profile: One row a cluster: persona, rows, share, loyalty, buying, effort (standard deviations from the mean),
            and the mean of each column as ``mean_<column>``.
        metrics: rows, ``shares`` of the personas, stability (mean adjusted Rand index of the personas that clusterings
            of random halves give to all rows), agreement (share of rows with the same persona in both).
        messages: What a reader has to know, in plain words.
    """

    pipeline: Pipeline
    names: NDArray[np.object_]
    roles: Mapping[str, tuple[str, ...]]
    profile: pd.DataFrame
    metrics: dict[str, Any]
    messages: list[str]

    def predict(self, frame: pd.DataFrame) -> NDArray[np.object_]:
        """Persona of each row, shape (n,); rows with the columns of the roles."""
        if frame.empty:
            return np.empty(0, dtype=object)
        with one_thread():
            return self.names[self.pipeline.predict(_values(frame, self.roles))]


@dataclass(frozen=True)
class VisitNamer:
    """Scores of visits with the persona of each beside them, each visit by itself.

    Args:
        scorer: Scores of visits, in the order of the rows.
        personas: Fitted to visits; None where there were too few.
    """

    scorer: Callable[[pd.DataFrame], pd.DataFrame]
    personas: PersonaModel | None

    def __call__(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The scores and a column persona, None without personas."""
        names = self.personas.predict(rows) if self.personas else np.full(len(rows), None, dtype=object)
        return self.scorer(rows).assign(persona=names)


def fit_personas(
    frame: pd.DataFrame, roles: Mapping[str, tuple[str, ...]], *, key: str, random_state: int = 0
) -> PersonaModel | None:
    """Cluster rows and name the clusters.

    Columns become standardised logarithms, and those of a side of the profile one number; k-means finds clusters in
    these, and each is named after the profile of `TYPICAL` nearest to its centre. So clusters can share a name, and a
    name can be missing.

    Args:
        frame: Rows with a key and the numeric columns of the roles; missing values are imputed by the median.
        roles: Columns of each side of the profile: loyalty, buying, effort.
        key: Column of the key, by which rows are put in order.
        random_state: Seed.

    Returns:
        The model; None for fewer than 80 rows or fewer than 8 different ones.

    Raises:
        ValueError: A column is absent.
    """
    columns = [column for side in SIDES for column in roles[side]]
    absent = [name for name in (key, *columns) if name not in frame.columns]
    if absent:
        raise ValueError(f"columns are absent: {absent}")
    X = _values(frame.sort_values(key), roles)
    if len(X) < CLUSTERS * FEWEST_OF_A_CLUSTER or len(np.unique(X, axis=0)) < CLUSTERS:
        return None
    rng = np.random.default_rng(random_state)
    sample = X if len(X) <= MOST_ROWS_TO_FIT else X[np.sort(rng.choice(len(X), MOST_ROWS_TO_FIT, replace=False))]
    with one_thread():
        pipeline, names = _named(sample, roles, rng)
        agreement = [_agreement(sample, roles, rng) for _ in range(_PAIRS)]
        clusters = pipeline.predict(X)
    profile = _profile(pipeline, names, clusters, X, roles)
    stability, same = (float(np.mean(values)) for values in zip(*agreement, strict=True))
    shares = profile.groupby("persona")["share"].sum()
    messages = []
    if stability < STABLE:
        messages.append(
            f"Personas are unstable: on other samples {same:.0%} get the same (adjusted Rand index {stability:.2f})."
        )
    metrics = {
        "rows": len(X),
        "shares": {name: float(shares.get(name, 0.0)) for name in TYPICAL},
        "stability": stability,
        "agreement": same,
    }
    return PersonaModel(pipeline, names, roles, profile, metrics, messages)


def _values(frame: pd.DataFrame, roles: Mapping[str, tuple[str, ...]]) -> NDArray[np.float64]:
    return frame[[column for side in SIDES for column in roles[side]]].astype("float64").to_numpy()


def _named(
    X: NDArray[np.float64], roles: Mapping[str, tuple[str, ...]], rng: np.random.Generator
) -> tuple[Pipeline, NDArray[np.object_]]:
    """Clusters of rows, and the persona of each."""
    pipeline = Pipeline(
        [
            ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
            ("log", FunctionTransformer(_signed_log1p)),
            ("scale", StandardScaler()),
            ("sides", FunctionTransformer(_sides, kw_args={"widths": [len(roles[side]) for side in SIDES]})),
            ("scale_sides", StandardScaler()),
            ("kmeans", KMeans(CLUSTERS, n_init=5, random_state=int(rng.integers(2**31)))),
        ]
    ).fit(X)
    centres = pipeline["kmeans"].cluster_centers_
    apart = ((centres[:, None, :] - np.array(list(TYPICAL.values()))) ** 2).sum(axis=2)
    return pipeline, np.array(list(TYPICAL), dtype=object)[apart.argmin(axis=1)]


def _sides(Z: NDArray[np.float64], widths: list[int]) -> NDArray[np.float64]:
    """Means of the columns of each side, shape (n, 3)."""
    parts = np.split(Z, np.cumsum(widths)[:-1], axis=1)
    return np.column_stack([part.mean(axis=1) for part in parts])


def _agreement(
    X: NDArray[np.float64], roles: Mapping[str, tuple[str, ...]], rng: np.random.Generator
) -> tuple[float, float]:
    """Adjusted Rand index and share of equal personas, on all rows, of models fitted to two random halves."""
    order = rng.permutation(len(X))
    given = []
    for half in (order[: len(X) // 2], order[len(X) // 2 :]):
        pipeline, names = _named(X[np.sort(half)], roles, rng)
        given.append(names[pipeline.predict(X)])
    return float(adjusted_rand_score(*given)), float(np.mean(given[0] == given[1]))


def _profile(
    pipeline: Pipeline,
    names: NDArray[np.object_],
    clusters: NDArray[np.int32],
    X: NDArray[np.float64],
    roles: Mapping[str, tuple[str, ...]],
) -> pd.DataFrame:
    columns = [f"mean_{column}" for side in SIDES for column in roles[side]]
    means = pd.DataFrame(X, columns=columns).groupby(clusters).mean().reindex(range(CLUSTERS))
    sides = pd.DataFrame(pipeline["kmeans"].cluster_centers_, columns=list(SIDES))
    rows = np.bincount(clusters, minlength=CLUSTERS)
    profile = pd.DataFrame({"persona": names, "rows": rows, "share": rows / len(X)}).join(sides).join(means)
    place = {name: number for number, name in enumerate(TYPICAL)}
    return profile.sort_values(
        ["persona", "rows"], key=lambda c: c.map(place) if c.name == "persona" else -c
    ).reset_index(drop=True)
