"""What the churn model costs: training and scoring a million customers, against plain gradient boosting.

Both read the same table of 30 columns, a third of them skewed, a fifth of the values of some missing, five of them
categories. Every line is a process of its own. Run it with `.venv/bin/python benchmarks/churn.py`.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
CONTESTANTS = {
    "ours": "ChurnClassifier: choice of model, calibration, fit",
    "ours, logistic": "the same, logistic only",
    "ours, boosting": "the same, boosting only",
    "plain": "HistGradientBoostingClassifier as it comes",
}


def table(rows: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Customers with 30 columns, and whether they leave: logistic in most of them, with one product of two."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {f"number_{j}": rng.normal(size=rows) for j in range(10)}
    columns |= {f"skewed_{j}": rng.lognormal(3, 1, rows) for j in range(10)}
    columns |= {f"count_{j}": rng.poisson(2, rows).astype(float) for j in range(5)}
    for name in ("number_0", "skewed_0", "count_0"):
        columns[name][rng.random(rows) < 0.2] = np.nan
    columns |= {f"word_{j}": pd.Categorical(rng.choice([f"w{i}" for i in range(8)], rows)) for j in range(5)}
    X = pd.DataFrame(columns)
    score = X["number_1"] - 0.7 * np.log(X["skewed_1"] / 20) + 0.5 * X["number_2"] * X["number_3"] - 0.3 * X["count_1"]
    return X, (rng.random(rows) < 1 / (1 + np.exp(-score - (X["word_0"] == "w1")))).to_numpy()


def contestant(name: str, rows: int) -> None:
    """Train and score in this process; prints CPU-seconds, peak memory in MB, Brier score and what was chosen."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    sys.path.insert(0, str(ROOT))
    from ml.churn import ChurnClassifier

    X, y = table(rows)
    later, outcome = table(rows, seed=1)
    loaded = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kind = name.partition(", ")[2] or "auto"
    model: Any = ChurnClassifier(model=kind, random_state=0)
    if name == "plain":
        model = HistGradientBoostingClassifier(random_state=0, categorical_features="from_dtype")
    started = time.process_time()
    model.fit(X, y)
    trained = time.process_time()
    p = model.predict_proba(later)[:, 1]
    scored = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    chosen = "" if name == "plain" else f"{model.model_} {model.strength_:g}"
    explained = 0.0
    if name != "plain":
        model.explain(later)
        explained = time.process_time() - scored
    brier = float(np.mean((p - outcome) ** 2))
    print(trained - started, scored - trained, explained, peak, loaded, brier, chosen, sep="\t")


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=CONTESTANTS, help="run one contestant in this process")
    arguments = parser.parse_args()
    if arguments.only:
        contestant(arguments.only, arguments.rows)
        return
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    print("| contestant | train, CPU-s | score, CPU-s | reasons, CPU-s | peak MB | data alone, MB | Brier | chosen |")
    print("|---|---|---|---|---|---|---|---|")
    for name, title in CONTESTANTS.items():
        command = [sys.executable, __file__, "--rows", str(arguments.rows), "--only", name]
        result = subprocess.run(
            command, env={**os.environ, **threads}, stdout=subprocess.PIPE, text=True, check=True
        ).stdout.strip("\n")
        train, score, explained, peak, loaded, brier, chosen = result.split("\t")
        print(
            f"| {title} | {float(train):.1f} | {float(score):.1f} | {float(explained):.1f} | {float(peak):,.0f} "
            f"| {float(loaded):,.0f} | {float(brier):.5f} | {chosen} |"
        )


if __name__ == "__main__":
    main()
