"""How well effects of messages are found, against what is planted: many synthetic worlds, smaller effects, and none.

The truth of a contact is its probability of an extra order if the customer is still there, less the orders that a
message costs which makes the customer leave. Smaller effects are made by exchanging treated and held-back contacts of a
campaign at random, for a share of all of them. Run it with `.venv/bin/python benchmarks/grade_uplift.py --seeds 20`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.worlds import AS_OF, build, homes, warehouse
from ml.uplift import Ranking, evaluate_and_score
from sources.synthetic import SyntheticSource

SHARES = (1.0, 0.5, 0.25, 0.0)
"""Sizes of the effects, as shares of those planted."""


def expected_effects(contacts: pd.DataFrame, source: SyntheticSource) -> NDArray[np.float64]:
    """Extra orders within 30 days that a message brings from each contact, expected before anything is drawn."""
    truth = source.truth(AS_OF)
    effects = truth["contact_effects"].drop(columns=["campaign_id", "customer_id"])
    customers = truth["customers"][["customer_id", "left_on", "orders_per_day", "never_orders"]]
    told = contacts[["contact_id", "customer_id", "known_on", "is_control"]].merge(effects, on="contact_id", how="left")
    told = told.merge(customers, on="customer_id", how="left")
    left_on = pd.to_datetime(told["left_on"])
    assigned_on = pd.to_datetime(told["known_on"]) + pd.Timedelta(days=1)
    was_there = left_on.isna() | (left_on >= assigned_on)
    driven_away = told["would_leave"] & ~told["is_control"].astype(bool) & (left_on == assigned_on)
    # An extra order comes some four days after the message.
    stays = left_on.isna() | (left_on > assigned_on + pd.Timedelta(days=4)) | driven_away
    lost = told["leaving_probability"] * was_there * ~told["never_orders"] * told["orders_per_day"] * 29
    return (told["effect_probability"] * stays - lost).to_numpy(dtype=float)


def diluted(frame: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """The contacts with only a share of the effect: for the others, who was treated is drawn anew."""
    rng = np.random.default_rng(seed)
    frame = frame.copy()
    for _, rows in frame[frame["contact_id"].notna()].groupby("campaign_id").groups.items():
        moved = np.asarray(rows)[rng.random(len(rows)) >= share]
        frame.loc[moved, "is_control"] = rng.permutation(frame.loc[moved, "is_control"].to_numpy())
    return frame


def graded(frame: pd.DataFrame, effects: pd.Series, seed: int, share: float) -> dict[str, Any]:
    """Figures of one world, estimated beside true."""
    result = evaluate_and_score(diluted(frame, share, seed), AS_OF, random_state=seed)
    model, metrics = result.model, result.metrics
    if model is None:
        raise RuntimeError(" ".join(result.messages))
    drawn = frame[frame["contact_id"].notna() & frame["is_closed"].eq(True)].sort_values(["campaign_id", "contact_id"])
    true = share * effects[drawn["contact_id"]].to_numpy()
    centred = model.out_of_fold_ - pd.Series(model.out_of_fold_).groupby(model.folds_).transform("mean").to_numpy()
    ours, churn = Ranking.by(centred, true), Ranking.by(-model.expected_, true)
    low, high = model.predict_interval(drawn)
    tenths = np.array_split(ours.order, 10)
    within = [low[part].mean() <= true[part].mean() <= high[part].mean() for part in tenths]
    average, top = metrics["average_effect"], metrics["top_20"]
    return {
        "share": share,
        "seed": seed,
        "contacts": metrics["contacts"],
        "average_true": true.mean(),
        "average": average["estimate"],
        "covered": average["low"] <= true.mean() <= average["high"],
        "found": abs(metrics["distinguishable_z"]) > 1.96,
        "found_by_average": average["low"] > 0,
        "qini_true": ours.qini(),
        "churn_qini_true": churn.qini(),
        "active_qini_true": -churn.qini(),
        "qini": metrics["qini"]["estimate"],
        "above_churn": metrics["qini_above_churn"]["estimate"],
        "above_churn_covered": metrics["qini_above_churn"]["low"]
        <= ours.qini() - churn.qini()
        <= metrics["qini_above_churn"]["high"],
        "top_20_true": ours.top(0.2),
        "top_20": top["estimate"],
        "top_20_covered": top["low"] <= ours.top(0.2) <= top["high"],
        "tenths_covered": float(np.mean(within)),
    }


def main() -> None:
    """Grade and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="worlds")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--customers", type=int, default=5_000, help="customers of each")
    options = parser.parse_args()
    rows = []
    with homes() as folder:
        for seed in range(options.first, options.first + options.seeds):
            source = build(folder, seed, options.customers, ["contact_features"])
            with warehouse(folder) as connection:
                frame = connection.execute("from marts.contact_features order by contact_id, customer_id").df()
            contacts = frame[frame["contact_id"].notna()]
            effects = pd.Series(expected_effects(contacts, source), index=contacts["contact_id"])
            rows += [graded(frame, effects, seed, share) for share in SHARES]
            print(f"seed {seed}", file=sys.stderr)
    figures = pd.DataFrame(rows).drop(columns="seed").astype(float)
    grouped = figures.groupby("share")
    print(pd.DataFrame({share: part.drop(columns="share").mean() for share, part in grouped}).round(4).to_string())
    print("\nstandard errors of these means")
    print(pd.DataFrame({share: part.drop(columns="share").sem() for share, part in grouped}).round(4).to_string())


if __name__ == "__main__":
    main()
