"""How well pairs of products that are bought together are found, against what is planted, over many seeds.

Prints precision, and recall of the pairs that an oracle finds: a test which knows in how many orders each pair would
stand without being planted. Run it with `.venv/bin/python benchmarks/grade_pairs.py --seeds 20`.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd
from scipy.stats import poisson

from benchmarks.grading import POWER, Business, Q, make_business
from ml.grading import Grade, grade
from ml.pairs import Associations, associated_pairs
from orchestration.assets.insights.products import BLOCKS, MONTHS, PAIRS, PRODUCTS

AS_OF = date(2025, 12, 31)

COUNTED = """
attach ':memory:' as work;
create schema work.intermediate;
create table marts.dim_products as select product_id, category from products;
create table work.intermediate.int_pairs__counted as
with lines as (select distinct order_id, product_id from marts.fct_sales where product_id is not null),
orders as (select order_id, date_trunc('month', min(sold_on)) as month from marts.fct_sales group by order_id)
select month, a.product_id as product_id_a, b.product_id as product_id_b, count(*) as pair_orders
from orders
inner join lines as a on orders.order_id = a.order_id
inner join lines as b on a.order_id = b.order_id and a.product_id <= b.product_id
group by all
"""
"""What the asset reads, counted as the model int_pairs__counted counts it."""


def found_pairs(business: Business) -> Associations:
    """What the detector says of a business."""
    business.marts.register("products", business.simulation.whole().table("shop.products"))
    business.marts.execute(COUNTED)
    return associated_pairs(*(business.marts.execute(query).df() for query in (PAIRS, PRODUCTS, BLOCKS, MONTHS)))


def pair_oracle(pairs: pd.DataFrame, found: int, tests: int) -> pd.DataFrame:
    """The planted pairs, with the power of an oracle to find each.

    Args:
        pairs: The truth table product_pairs.
        found: How many pairs were found: Benjamini and Hochberg's threshold follows from it.
        tests: Out of how many.
    """
    pulled = pairs["pull_variance"] / (1 - pairs["pull_probability"])
    ordinary = pairs["expected_pair_orders"] - pulled
    needed = poisson.isf(Q * max(1, found) / tests, ordinary) + 1
    return pairs.assign(power=poisson.sf(needed - 1, pairs["expected_pair_orders"]))


def keys(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """The two products of each row."""
    return list(zip(frame["product_id_a"], frame["product_id_b"], strict=True))


def graded(seed: int, customers: int) -> tuple[Grade, Grade]:
    """The grade of one business over all pairs, and over those that the oracle finds."""
    business = make_business(seed, AS_OF, customers=customers)
    result = found_pairs(business)
    ours = keys(result.pairs[result.pairs["is_associated"].fillna(False)])
    truths = pair_oracle(business.truth["product_pairs"], len(ours), result.metrics["tested"])
    return grade(ours, keys(truths)), grade(ours, keys(truths[truths["power"] >= POWER]))


def main() -> None:
    """Grade and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="businesses")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--customers", type=int, default=5_000, help="customers of each")
    options = parser.parse_args()
    everything, findable, shares = Grade(0, 0, 0, 0), Grade(0, 0, 0, 0), []
    for seed in range(options.first, options.first + options.seeds):
        all_pairs, oracle = graded(seed, options.customers)
        everything, findable = everything + all_pairs, findable + oracle
        shares.append(all_pairs.false_discovery_share)
        print(f"seed {seed}: {all_pairs}", file=sys.stderr)
    print(f"{everything.found} found, {everything.found - everything.true_found} of them false")
    print(f"mean false-discovery share {np.mean(shares):.3f}")
    print(f"{everything.planted_found} of all {everything.planted} planted pairs found")
    print(f"{findable.planted_found} of {findable.planted} that the oracle finds with power {POWER} or more")


if __name__ == "__main__":
    main()
