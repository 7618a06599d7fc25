"""How well the detectors of customers, days and trends and the forecast do against the planted truth, over many seeds.

Prints precision, recall, recall of what an oracle finds, and the coverage and error of forecasts. Run it with
`.venv/bin/python benchmarks/grade_series.py --seeds 20`; it takes about 6 CPU-seconds a seed.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import pandas as pd

from benchmarks import grading
from benchmarks.grading import Business, make_business
from ml.anomalies import FEWEST_TICKETS, unusual_sentiment
from ml.forecast import HORIZON_DAYS, forecast_revenue
from ml.grading import Grade, grade, grade_periods
from ml.trends import trend_changes
from ml.unusual_days import PUBLISHED_DAYS, unusual_days
from orchestration.assets.insights.series import CAMPAIGN_STARTS, DAILY_COUNTS, DAILY_REVENUE, WEEKLY_UNITS
from sources.synthetic.effects import ALL

AS_OF = date(2025, 11, 20)
FORECAST_FROM = (date(2025, 2, 15), date(2025, 5, 31), date(2025, 9, 30), date(2025, 12, 20))
"""Last days known, so that the 90 days after them lie in every season."""
SLACK_DAYS = 28
"""A trend found this many days before it begins, or after it has ended, still counts."""


def graded_customers(business: Business) -> tuple[Grade, pd.DataFrame]:
    """Customers with planted unusual sentiment: the grade over those with enough tickets, and each with its power."""
    frame = business.marts.execute(
        """
        select customer_id, scored_ticket_count as ticket_count, negative_count
        from marts.customer_sentiment order by customer_id
        """
    ).df()
    found = unusual_sentiment(frame).query("is_anomaly")["customer_id"]
    truths = grading.customer_oracle(business, frame, FEWEST_TICKETS)
    result = grade(found, truths["customer_id"])
    return result, truths.assign(found=truths["customer_id"].isin(set(found)))


def graded_days(business: Business) -> tuple[Grade, pd.DataFrame, pd.DataFrame]:
    """Spikes and lulls of the last year: the grade, each truth with its power, and what was found."""
    counts = business.marts.execute(f"select * from ({DAILY_COUNTS}) where kind = 'business'").df()
    campaigns = business.marts.execute(CAMPAIGN_STARTS).df()["starts_on"]
    days = unusual_days(counts, business.as_of, campaigns).days
    whole = days[days["kind"] == "business"]
    anomalies = whole[whole["is_anomaly"]].drop_duplicates("stretch_starts_on")
    found = anomalies.rename(columns={"stretch_starts_on": "starts_on", "stretch_ends_on": "ends_on"})
    orders = counts[counts["kind"] == "business"].set_index("day")["value"].reindex(business.days, fill_value=0)
    truths = grading.spike_oracle(business, orders.to_numpy(dtype=float), PUBLISHED_DAYS)
    # A stretch that shows the end of a spike from before the last year is no false discovery.
    everything = grading.planted_spikes(business)
    result = grade_periods(found, truths, ["direction"])
    result = replace(result, true_found=grade_periods(found, everything, ["direction"]).true_found)
    return result, truths.assign(found=grading.found_flags(found, truths, ["direction"])), found


def graded_trends(business: Business) -> tuple[Grade, pd.DataFrame, pd.DataFrame]:
    """Trends of products: the grade, each truth with its power, and what was found."""
    changes = trend_changes(business.marts.execute(WEEKLY_UNITS).df(), business.as_of).changes
    found = changes[changes["is_change"]].rename(columns={"changed_on": "starts_on", "changed_until": "ends_on"})
    truths = grading.trend_oracle(business)
    keys = ["product_id", "direction"]
    result = grade_periods(found, truths, keys, SLACK_DAYS)
    return result, truths.assign(found=grading.found_flags(found, truths, keys, SLACK_DAYS)), found


def graded_forecasts(seed: int, last_days: tuple[date, ...] = FORECAST_FROM) -> pd.DataFrame:
    """Forecasts after two years of history against what came: error, the naive method's, coverage of the intervals."""
    horizon = timedelta(days=HORIZON_DAYS)
    end = max(last_days) + horizon
    start = min(last_days) - timedelta(days=730)
    business = make_business(seed, end, (end - start).days + 1, truth=False)
    revenue = business.marts.execute(DAILY_REVENUE).df().set_index("day")["value"]
    rows = []
    for last in last_days:
        known = revenue[pd.Timestamp(last - timedelta(days=730)) : pd.Timestamp(last)]
        actual = revenue[pd.Timestamp(last + timedelta(days=1)) : pd.Timestamp(last + horizon)].to_numpy()
        result = forecast_revenue(known.rename_axis("day").reset_index(), last)
        naive = known.to_numpy()[-7:][np.arange(HORIZON_DAYS) % 7]
        scale = np.abs(known.to_numpy()[7:] - known.to_numpy()[:-7]).mean()
        ahead = result.days
        rows.append(
            {
                "seed": seed,
                "last_day": last,
                "method": result.method,
                "mase": np.abs(actual - ahead["forecast"]).mean() / scale,
                "mase_naive": np.abs(actual - naive).mean() / scale,
                "coverage": ((actual >= ahead["lower"]) & (actual <= ahead["upper"])).mean(),
                "total_error": ahead["forecast"].sum() / actual.sum() - 1,
            }
        )
    return pd.DataFrame(rows)


def false_alarms(seed: int) -> int:
    """Stretches found in a business without spikes and without campaigns, where there are none."""
    business = make_business(seed, AS_OF, effects=replace(ALL, spikes=False, campaigns=False), truth=False)
    counts = business.marts.execute(f"select * from ({DAILY_COUNTS}) where kind = 'business'").df()
    days = unusual_days(counts, business.as_of).days
    return int(days[days["is_anomaly"]]["stretch_starts_on"].nunique())


def _summary(name: str, grades: list[Grade], truths: pd.DataFrame) -> None:
    total = grades[0]
    for one in grades[1:]:
        total += one
    findable = truths[truths["power"] >= grading.POWER]
    of_findable = Grade(total.found, total.true_found, len(findable), int(findable["found"].sum()))
    shares = np.array([one.false_discovery_share for one in grades])
    error = shares.std(ddof=1) / np.sqrt(len(shares)) if len(shares) > 1 else float("nan")
    low, high = of_findable.recall_interval
    print(f"\n{name}: {total.found} found, {total.found - total.true_found} of them false")
    print(f"  false-discovery share, mean over seeds: {shares.mean():.3f} (standard error {error:.3f})")
    print(
        f"  recall of what the oracle finds with power .95: {of_findable.recall or 0:.3f} "
        f"({of_findable.planted_found} of {of_findable.planted}; 95 % interval {low:.2f} to {high:.2f})"
    )
    print(grading.recall_by_power(truths).to_string())


def main() -> None:
    """Grade and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    began = time.process_time()
    customers, days, trends, forecasts, alarms = [], [], [], [], []
    for seed in seeds:
        business = make_business(seed, AS_OF)
        customers.append(graded_customers(business))
        days.append(graded_days(business))
        trends.append(graded_trends(business))
        forecasts.append(graded_forecasts(seed))
        alarms.append(false_alarms(seed))
        print(".", end="", flush=True)
    for name, graded in (("customers", customers), ("spikes and lulls", days), ("trends", trends)):
        _summary(name, [one[0] for one in graded], pd.concat([one[1] for one in graded]))
    found = pd.concat([one[2].assign(seed=seed) for one, seed in zip(days, seeds, strict=True)])
    print(f"\nwithout spikes and campaigns: {sum(alarms)} false alarms in {len(alarms)} years")
    table = pd.concat(forecasts)
    print(f"\nforecasts of {len(table)} times 90 days")
    figures = ["mase", "mase_naive", "coverage", "total_error"]
    print(table.groupby("last_day")[figures].mean().round(3).to_string())
    print(table[figures].mean().round(3).to_string())
    print(f"\n{time.process_time() - began:.0f} CPU-seconds, {len(found)} stretches")


if __name__ == "__main__":
    main()
