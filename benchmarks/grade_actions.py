"""What acting on the next best actions earns, in the world's counterfactual: against churn risk, and against the rules.

Each world goes through the assets of a refresh; graded is the table next_best_actions that they make. A hypothetical
message on the day after as_of is judged by what the world would do: the probability of an extra order of a customer who
is still there, the margin of such orders at the offer's discount, orders lost where the message drives somebody away,
the discount that orders take along which would have come anyway, and the cost of the message. Nothing is drawn for the
message itself, so that worlds and customers are the only noise.

Run it with `.venv/bin/python benchmarks/grade_actions.py --first 22 --seeds 12`.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
from dbt.cli.main import dbtRunner
from numpy.typing import NDArray
from rich.console import Console
from scipy import stats

from benchmarks.worlds import AS_OF, ROOT
from orchestration.assets.insights import churn
from orchestration.dbt import close_files
from orchestration.definitions import build_defs
from orchestration.instance import run_job
from orchestration.progress import Progress
from orchestration.settings import Settings
from sources.synthetic import marketing
from sources.synthetic.baskets import OFFER, fill_baskets, make_orders
from sources.synthetic.seasons import DAY, NEVER
from sources.synthetic.world import Simulation

Floats = NDArray[np.float64]

STARTS_ON = AS_OF - timedelta(days=730)
"""As in a home that begins on that day."""

PERCENTS = (0, 5, 10, 15, 20, 25, 30)
"""Discounts whose orders are priced."""
POINTS_COST = 0.02
"""What points cost per amount of an order: the world gives them away, a shop does not (seed offer_options)."""
HORIZONS = (30, 365)
"""Days for which orders are lost when a message drives a customer away."""
_DRAWS = 40  # baskets a customer and discount
_FIRST_ORDINAL = 5_000  # numbers of orders that the world itself never uses
_WINDOW_DAYS = 14
_SHARE = 0.1


@dataclass(frozen=True)
class Counterfactual:
    """What a message on the day after as_of would bring from each of n customers.

    Args:
        simulation: The world, up to as_of.
        position: Customer index by customer_id.
        is_there: (n,) has not left.
        anyway: Orders expected of themselves, (n,) by days.
        margin: Margin of an order, (n,) by discount in per cent.
        revenue: What is paid for it, likewise.
    """

    simulation: Simulation
    position: pd.Series
    is_there: NDArray[np.bool_]
    anyway: dict[int, Floats]
    margin: dict[int, Floats]
    revenue: dict[int, Floats]

    @classmethod
    def of(cls, seed: int, customers: int) -> Self:
        """Simulate a world up to as_of, and price orders of the day after."""
        simulation = Simulation(seed, customers, STARTS_ON, AS_OF)
        for _ in simulation.windows():
            pass
        people, left_at = simulation.shop.customers, simulation.carried.progress.left_at
        days_left = np.where(left_at < NEVER, (left_at - simulation.end) / DAY, np.inf)
        dropout = np.maximum(people.dropout, 1e-9)
        anyway = {}
        for days in (_WINDOW_DAYS, *HORIZONS):
            shown = np.clip(days_left, 0, days)
            # Orders at a constant rate until the customer drops out after one of them.
            orders = -np.expm1(-people.order_rate * dropout * shown) / dropout
            anyway[days] = np.where(np.isinf(people.first_wait), 0.0, orders)
        priced = {percent: _priced(simulation, percent) for percent in PERCENTS}
        return cls(
            simulation,
            pd.Series(np.arange(len(people)), index=people.ids.to_pylist()),
            days_left > 0,
            anyway,
            {percent: margin for percent, (margin, _) in priced.items()},
            {percent: revenue for percent, (_, revenue) in priced.items()},
        )

    def profit(self, actions: pd.DataFrame, message_cost: float, days: int) -> Floats:
        """(k,) expected profit of k messages: customer_id, offer_type and discount_rate."""
        who = self.position[actions["customer_id"]].to_numpy()
        percent = (100 * actions["discount_rate"].astype(float).fillna(0)).round().astype(int).to_numpy()
        kind = actions["offer_type"].map({name: index for index, name in enumerate(marketing.OFFER_TYPES)})
        # A plain message is one without a discount.
        response = marketing.responses(self.simulation.shop, who, kind.fillna(0).astype(int).to_numpy(), percent)
        margin, revenue = (
            np.choose([PERCENTS.index(value) for value in percent], [of[value][who] for value in PERCENTS])
            for of in (self.margin, self.revenue)
        )
        gained, lost = np.maximum(response, 0) * margin, np.maximum(-response, 0) * self.anyway[days][who]
        taken_along = self.anyway[_WINDOW_DAYS][who] * (self.margin[0][who] - margin)
        is_points = (actions["offer_type"] == "loyalty_points").to_numpy()
        points = is_points * POINTS_COST * revenue * (np.maximum(response, 0) + self.anyway[_WINDOW_DAYS][who])
        value = gained - lost * self.margin[0][who] - taken_along - points
        return np.asarray(self.is_there[who] * value - message_cost)


def _priced(simulation: Simulation, percent: int) -> tuple[Floats, Floats]:
    """Mean margin and price of an order of each customer at a discount, in the currency, without what comes back."""
    shop, n = simulation.shop, len(simulation.shop.customers)
    customer = np.tile(np.arange(n), _DRAWS)
    orders = make_orders(
        shop.draws,
        OFFER,
        entity=customer,
        ordinal=_FIRST_ORDINAL + np.repeat(np.arange(_DRAWS), n),
        customer=customer,
        sold_at=np.full(len(customer), simulation.end - DAY // 2),
        offer_percent=np.full(len(customer), percent),
    )
    lines = fill_baskets(shop, orders)
    kept = (lines.returned_at == NEVER) / 100.0 / _DRAWS
    buyer, cost = customer[lines.order], shop.assortment.cost[lines.product] * lines.quantity
    return (
        np.bincount(buyer, weights=kept * (lines.amount - cost), minlength=n),
        np.bincount(buyer, weights=kept * lines.amount, minlength=n),
    )


# ---------------------------------------------------------------------------------------------------------------------
# The actions of a home
# ---------------------------------------------------------------------------------------------------------------------

STEPS = (
    *("raw_tables", "marts", "ml__churn_scores", "ml__customer_lifetime_value", "ml__customer_uplift"),
    *("ml__session_purchase_predictions", "ml__customer_intent", "ml__product_associations"),
)
"""The steps of a refresh on which the actions stand."""
ACTIONS = """
select customer_id, offer_type, discount_rate, expected_incremental_profit, churn_probability, contact_cost
from marts.next_best_actions
where is_contactable
order by customer_id
"""


def fill_home(home: Path, seed: int, customers: int) -> None:
    """Refresh what the actions are made of, through the assets themselves."""
    # The actions read one horizon, and the other models cost most of a refresh.
    churn.HORIZONS = (90,)  # type: ignore[assignment]
    settings = Settings.from_environment(
        {}, home=home, source="synthetic", scale=customers, seed=seed, as_of=AS_OF, threads=1
    )
    definitions = build_defs(settings)
    graph = definitions.resolve_asset_graph()
    steps = {key: graph.get(key).assets_def.node_def.name for key in graph.materializable_asset_keys}
    # A stage of dbt runs whole: a part of one would be tested against tables that are not there.
    only = sorted(key for key, step in steps.items() if step in STEPS)
    output = io.StringIO()
    with dg.DagsterInstance.ephemeral() as instance:
        if not run_job(definitions, "refresh", instance, Progress(Console(file=output, width=200)), only):
            raise RuntimeError(f"the refresh of seed {seed} failed:\n{output.getvalue()[-5000:]}")


def actions_of(home: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The contactable customers' actions: by measured effects, and, built anew without any, by the rules alone."""
    path = str(home / "warehouse.duckdb")
    found = []
    for measured in (True, False):
        with duckdb.connect(path) as connection:
            if not measured:
                connection.execute("delete from ml.customer_uplift")
        _build(home)
        with duckdb.connect(path, read_only=True) as connection:
            found.append(connection.execute(ACTIONS).df())
    return found[0], found[1]


def _build(home: Path) -> None:
    project = str(ROOT / "dbt_project")
    flags = ["--project-dir", project, "--profiles-dir", project, "--target-path", str(home / "dbt" / "target")]
    selection = ["path:models/staging/ml", "customer_situation", "offer_effects", "next_best_actions"]
    os.environ |= {"PULSE_DATA_DIR": str(home), "PULSE_THREADS": "1"}
    try:
        result = dbtRunner().invoke(
            ["--quiet", "build", "--exclude-resource-type", "unit_test", "test", *flags, "--select", *selection]
        )
    finally:
        close_files()
    if not result.success:
        raise RuntimeError(f"dbt could not build the actions in {home}: {result.exception}")


def policies(ours: pd.DataFrame, rules: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Whom each way of choosing contacts, and with what: a tenth of the contactable customers."""
    count = int(np.ceil(_SHARE * len(ours)))
    by_churn = ours.sort_values(["churn_probability", "customer_id"], ascending=[False, True], na_position="last")
    by_rules = _best(rules, count)
    offer = ours.set_index("customer_id")[["offer_type", "discount_rate"]]
    return {
        "ours": _best(ours, count),
        "churn, our offers": by_churn.head(count),
        "churn, 15 % off": by_churn.head(count).assign(offer_type="discount", discount_rate=0.15),
        "rules": by_rules,
        "rules, our offers": by_rules[["customer_id"]].join(offer, on="customer_id"),
        "anybody, our offers": ours,
    }


def _best(actions: pd.DataFrame, count: int) -> pd.DataFrame:
    """The customers with the highest expected profit."""
    worth = actions[actions["offer_type"].notna()]
    return worth.sort_values(["expected_incremental_profit", "customer_id"], ascending=[False, True]).head(count)


def graded(home: Path, seed: int, customers: int) -> list[dict[str, Any]]:
    """Mean true profit per contacted customer of each policy in one world."""
    world = Counterfactual.of(seed, customers)
    ours, rules = actions_of(home)
    cost = float(ours["contact_cost"].astype(float).median())
    rows = []
    for name, contacted in policies(ours, rules).items():
        offered = contacted[contacted["offer_type"].notna()]
        true = {f"{days} days": float(world.profit(offered, cost, days).mean()) for days in HORIZONS}
        there = float(world.is_there[world.position[offered["customer_id"]].to_numpy()].mean())
        rows.append({"seed": seed, "policy": name, "contacted": len(offered), "still there": there} | true)
    rows[0]["expected"] = float(policies(ours, rules)["ours"]["expected_incremental_profit"].astype(float).mean())
    return rows


def summary(figures: pd.DataFrame) -> str:
    """Means over the worlds, and paired differences with 95 % intervals (t)."""
    lines = [figures.drop(columns="seed").groupby("policy", sort=False).mean().round(3).to_string(), ""]
    for days in HORIZONS:
        wide = figures.pivot(index="seed", columns="policy", values=f"{days} days")
        for other in wide.columns.drop("ours"):
            gap = wide["ours"] - wide[other]
            half = stats.t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap))
            lines.append(
                f"{days:>3} days: ours above {other:<20} {gap.mean():6.3f} "
                f"({gap.mean() - half:.3f} to {gap.mean() + half:.3f}), positive in {(gap > 0).sum()} of {len(gap)}"
            )
    return "\n".join(lines)


def main() -> None:
    """Grade and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=12, help="worlds")
    parser.add_argument("--first", type=int, default=22, help="the first seed")
    parser.add_argument("--customers", type=int, default=5_000, help="customers of each")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) / "home"
        for seed in range(options.first, options.first + options.seeds):
            fill_home(home, seed, options.customers)
            rows += graded(home, seed, options.customers)
            shutil.rmtree(home)
            print(f"seed {seed} graded", file=sys.stderr)
    print(summary(pd.DataFrame(rows)))


if __name__ == "__main__":
    main()
