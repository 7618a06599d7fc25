"""Whether the reasons of churn scores name what happened: many synthetic businesses, whose bad experiences are planted.

A planted cause is a bad experience of the last 180 days of which the customer told in a negative ticket. Run it with
`.venv/bin/python benchmarks/grade_reasons.py --seeds 10 --first 21`; it takes about a minute of CPU a seed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

from benchmarks.worlds import AS_OF, build, homes, warehouse
from ml.churn_protocol import evaluate_and_score
from orchestration.assets.insights.churn import reasons
from orchestration.scorecard import graded_reasons


def graded(folder: Path, seed: int, customers: int) -> dict[str, float]:
    """The two shares of one business, and how many customers each stands on."""
    source = build(folder, seed, customers, ["customer_features", "fct_sales"])
    with warehouse(folder) as connection:
        features = connection.execute("from marts.customer_features order by cutoff_date, customer_id").df()
        orders = connection.execute("select order_id, min(sold_on) as sold_on from marts.fct_sales group by 1").df()
    features["cutoff_date"] = pd.to_datetime(features["cutoff_date"]).dt.date
    scores = evaluate_and_score(features, AS_OF, 90, reason_texts=reasons(), random_state=seed).scores
    now = features.loc[features["cutoff_date"] == AS_OF, ["customer_id", "negative_ticket_count_180d"]]
    told = scores[["reason_1", "reason_2", "reason_3"]].fillna("").agg(" | ".join, axis=1)
    frame = pd.DataFrame({"customer_id": scores["customer_id"], "names_tickets": told.str.contains("ticket")})
    frame = frame.merge(now, on="customer_id")
    frame["had_tickets"] = frame["negative_ticket_count_180d"] > 0
    caused, others = graded_reasons({"churn_reasons": frame, "orders": orders}, source.truth(AS_OF), AS_OF)
    return {"seed": seed, "caused": caused["value"], "others": others["value"]}


def main() -> None:
    """Grade and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="businesses")
    parser.add_argument("--first", type=int, default=21, help="seed of the first")
    parser.add_argument("--customers", type=int, default=5_000, help="customers of each")
    options = parser.parse_args()
    rows = []
    with homes() as folder:
        for seed in range(options.first, options.first + options.seeds):
            rows.append(graded(folder, seed, options.customers))
            print(rows[-1], file=sys.stderr, flush=True)
    figures = pd.DataFrame(rows).set_index("seed")
    print(figures.round(3).to_string())
    print("mean", figures.mean().round(3).to_dict(), "standard error", figures.sem().round(3).to_dict())


if __name__ == "__main__":
    main()
