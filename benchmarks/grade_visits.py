"""How well buyers are told apart and visitors named: later visits of several synthetic worlds, and the weeks after.

The world has no planted probability of a purchase: its converting visits are made from its orders. A random forest on
the same columns is the rival, then, and what customers do in the 30 days after a score is the test of their intent.
Run it with `.venv/bin/python benchmarks/grade_visits.py --seeds 5`.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from benchmarks.worlds import AS_OF, build, homes, warehouse
from ml.intent import FEATURES, customer_intent, evaluate_and_score, scored_since
from ml.metrics import binary_report
from ml.personas import SESSION_ROLES, fit_personas

AHEAD_DAYS = 30


def split(visits: pd.DataFrame, as_of: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Visits to learn from and visits to score, as known on a day."""
    visits = visits[visits["started_at"] < pd.Timestamp(as_of) + pd.Timedelta(days=1)]
    is_later = visits["started_at"] >= pd.Timestamp(scored_since(visits["started_at"].min().date(), as_of))
    return visits[~is_later], visits[is_later]


def forest(earlier: pd.DataFrame, later: pd.DataFrame) -> dict[str, Any]:
    """A random forest on the same columns, devices as indicators, missing values as -1."""
    sides = [
        pd.get_dummies(part[list(FEATURES)], columns=["device_type"]).fillna(-1).astype(float)
        for part in (earlier, later)
    ]
    model = RandomForestClassifier(300, min_samples_leaf=10, random_state=0).fit(sides[0], earlier["is_converted"])
    return binary_report(later["is_converted"], model.predict_proba(sides[1])[:, 1])


def foresight(visits: pd.DataFrame, orders: pd.DataFrame) -> dict[str, float]:
    """AUC for an order in the 30 days after a day, of the customers who had come in the 90 days before it."""
    day = AS_OF - timedelta(days=AHEAD_DAYS)
    earlier, later = split(visits, day)
    intent = customer_intent(evaluate_and_score(earlier, [later], day).scores, day)
    buyers = set(orders.loc[pd.to_datetime(orders["sold_on"]) > pd.Timestamp(day), "customer_id"])
    y = intent["customer_id"].isin(buyers)
    return {
        "order within 30 days": float(y.mean()),
        "AUC of intent": roc_auc_score(y, intent["intent_score"]),
        "AUC of number of visits": roc_auc_score(y, intent["session_count"]),
        "AUC of last visit": roc_auc_score(y, pd.to_datetime(intent["last_session_on"]).astype("int64")),
    }


def graded(visits: pd.DataFrame, orders: pd.DataFrame) -> dict[str, float]:
    """Figures of one world."""
    earlier, later = split(visits, AS_OF)
    began = time.process_time()
    result = evaluate_and_score(earlier, [later], AS_OF)
    seconds = time.process_time() - began
    began = time.process_time()
    rivals = {
        "model": result.metrics["model"],
        "random forest": forest(earlier, later),
        "new customers": result.metrics["new_customers"],
        **{name: result.metrics["baselines"][name] for name in ("cart_rule", "device")},
    }
    figures: dict[str, float] = {"visits learned from": len(earlier), "visits scored": len(later)}
    figures |= {"CPU-s": seconds, "CPU-s of the forest": time.process_time() - began}
    for name, report in rivals.items():
        figures |= {f"{name}: {figure}": report[figure] for figure in ("brier", "auc", "ece")}
    personas = fit_personas(later, SESSION_ROLES, key="session_id")
    if personas is not None:
        figures |= {f"personas: {figure}": personas.metrics[figure] for figure in ("stability", "agreement")}
        figures |= {f"share of {name}": share for name, share in personas.metrics["shares"].items()}
    return figures | foresight(visits, orders)


def main() -> None:
    """Grade and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="worlds")
    parser.add_argument("--customers", type=int, default=5_000, help="customers of each")
    options = parser.parse_args()
    rows = []
    with homes() as folder:
        for seed in range(1, options.seeds + 1):
            build(folder, seed, options.customers, ["session_features"])
            with warehouse(folder) as connection:
                visits = connection.execute("from marts.session_features order by session_id").df()
                orders = connection.execute(
                    "select customer_id, sold_on from marts.fct_sales where is_order_line and customer_id is not null"
                ).df()
            visits["cart_value"] = visits["cart_value"].astype(float)
            rows.append(graded(visits, orders))
            print(f"world {seed} of {options.seeds}", file=sys.stderr)
    figures = pd.DataFrame(rows)
    print(
        pd.DataFrame({"mean": figures.mean(), "standard error": figures.sem()}).replace(np.nan, 0).round(4).to_string()
    )


if __name__ == "__main__":
    main()
