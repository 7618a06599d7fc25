"""What clustering a million customers costs: choosing k and fitting, against a full sweep over the same k's.

The sweep fits every k on all rows, as tutorials do for an elbow; its inertia at our k is the yardstick. Run it with
`.venv/bin/python benchmarks/segments.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

ROOT = Path(__file__).resolve().parents[1]


def customers(rows: int, seed: int = 0) -> np.ndarray:
    """Recency, frequency and spend of buyers with gamma-distributed rates, spread over two years."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.6, 4.0, rows)
    frequency = 1 + rng.poisson(rate)
    recency = np.minimum(730, rng.exponential(730 / frequency)).round()
    return np.column_stack([recency, frequency, frequency * rng.lognormal(3.5, 0.6, rows)])


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    from ml._threads import one_thread
    from ml.segments import CustomerClusterer

    X = customers(arguments.rows)
    started = time.process_time()
    ours = CustomerClusterer(random_state=0).fit(X)
    cost = time.process_time() - started
    Z = ours.pipeline_[:-1].transform(X)
    print(f"ours: k = {ours.n_clusters_}, {cost:.1f} CPU-s, stability {ours.stability_}")
    print("| sweep over k = 3 to 8 | CPU-s | ours, of it | our inertia, of the sweep's at our k |")
    print("|---|---|---|---|")
    for n_init in (1, 10):
        spent, best = 0.0, np.nan
        for k in range(3, 9):
            started = time.process_time()
            with one_thread():
                fit = KMeans(k, n_init=n_init, random_state=0).fit(Z)
            spent += time.process_time() - started
            if k == ours.n_clusters_:
                best = fit.inertia_
        inertia = ours.pipeline_["kmeans"].inertia_ / best
        print(f"| n_init={n_init} | {spent:.1f} | {cost / spent:.2f} x | {inertia:.4f} x |")


if __name__ == "__main__":
    main()
