"""What lifetime models cost, against the library `lifetimes`, and whether their intervals hold on many businesses.

`cost` fits BG/NBD to the same simulated customers in processes of their own, `lifetimes` in a temporary environment
that this script makes (network needed, or a package index nearby). `counts` fits the models to the sale lines of many
customers, read row by row and counted in SQL, in processes of their own. `intervals` forecasts the last closed window
of synthetic businesses of many seeds and of CDNOW, each with nothing but what was known before it. Run it with
`.venv/bin/python benchmarks/lifetime.py cost`, `... counts` or `... intervals`; but for `intervals` nothing else should
be running.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from ml.lifetime import BetaGeoModel, estimate_lifetime_value
from sources.synthetic import SyntheticSource

ROOT = Path(__file__).resolve().parents[1]
CDNOW = ROOT / "data" / "samples" / "cdnow" / "CDNOW_sample.txt"
# The last releases that the library runs with: it was given up in 2020.
LIFETIMES = ("lifetimes==0.11.3", "numpy<2", "pandas<2.1", "scipy<1.12", "setuptools<81")
STARTS_ON = date(2022, 1, 1)

FIT = """
import json, sys, time
import numpy as np
data = np.load(sys.argv[2])
x, t_x, T = data["x"], data["t_x"], data["T"]
if sys.argv[1] == "ours":
    import pandas as pd
    from ml.lifetime import BetaGeoModel
    frame = pd.DataFrame({"frequency": x, "recency": t_x, "T": T})
    model = BetaGeoModel()
    start = time.process_time()
    model.fit(frame)
    seconds = time.process_time() - start
    parameters = list(model.parameters_.values())
else:
    from lifetimes import BetaGeoFitter
    model = BetaGeoFitter(penalizer_coef=0.0)
    start = time.process_time()
    model.fit(x, t_x, T)
    seconds = time.process_time() - start
    parameters = [float(value) for value in model.params_]
print(json.dumps({"seconds": seconds, "parameters": parameters}))
"""


FIT_SALES = """
import json, resource, sys, time
from datetime import date, timedelta
from functools import partial
import duckdb
from ml.lifetime import BetaGeoModel, GammaGammaModel
from ml.lifetime.counts import refit
from ml.lifetime.forecast import CommonFactor, Forecast
from ml.lifetime.orders import histories_at, read_bookings
from orchestration.assets.insights.lifetime import BOOKINGS, counted
as_of = date.fromisoformat(sys.argv[3])
connection = duckdb.connect(sys.argv[2], read_only=True)
connection.execute("set threads to 1; set memory_limit to '1GB'")
read = lambda query, parameters=(): connection.execute(query, list(parameters)).df()
found = {}
start = time.process_time()
if sys.argv[1] == "rows":
    bookings = read(BOOKINGS)
    rows = histories_at(read_bookings(bookings, as_of), as_of)
    known = rows[rows["valued"] > 0]
    found["rows"] = len(bookings)
else:
    counts = counted(read, as_of)
    found["rows"] = len(counts.histories) + len(counts.spending)
middle = time.process_time()
if sys.argv[1] == "rows":
    purchases = BetaGeoModel().fit(rows)
    spend = GammaGammaModel().fit(known.assign(frequency=known["valued"]))
else:
    start_from = Forecast(BetaGeoModel(), GammaGammaModel(), 1.0, CommonFactor(), CommonFactor())
    fitted, _ = refit(start_from, counts)
    purchases, spend = fitted.purchases, fitted.spend
found |= {"read": middle - start, "fit": time.process_time() - middle}
found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
found["parameters"] = [*purchases.parameters_.values(), *spend.parameters_.values()]
print(json.dumps(found))
"""


def customers(count: int, seed: int) -> dict[str, np.ndarray]:
    """BG/NBD customers with CDNOW's parameters, in weeks of whole days, observed for 27 to 39 of them."""
    rng = np.random.default_rng(seed)
    rate, chance = rng.gamma(0.2426, 1 / 4.4136, count), rng.beta(0.7929, 2.4259, count)
    T = rng.integers(27 * 7, 39 * 7 + 1, count) / 7
    x, t_x, now = np.zeros(count), np.zeros(count), np.zeros(count)
    here = np.arange(count)
    while len(here):
        now[here] += rng.exponential(1 / np.maximum(rate[here], 1e-12))
        # a purchase on the day of the one before does not count as another one
        now[here] = np.maximum(np.ceil(now[here] * 7) / 7, t_x[here] + 1 / 7)
        here = here[now[here] <= T[here]]
        x[here] += 1
        t_x[here] = now[here]
        here = here[rng.random(len(here)) >= chance[here]]
    return {"x": x, "t_x": t_x, "T": T}


def cost(count: int, rounds: int) -> None:
    """Print CPU-seconds of one fit each."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        venv.create(home / "lifetimes", with_pip=True)
        theirs = home / "lifetimes" / "bin" / "python"
        subprocess.run([theirs, "-m", "pip", "install", "--quiet", *LIFETIMES], check=True)
        data = customers(count, 1)
        np.savez(home / "customers.npz", **data)
        found: dict[str, list[dict]] = {"ours": [], "lifetimes": []}
        for _ in range(rounds):
            for name, python in (("ours", Path(sys.executable)), ("lifetimes", theirs)):
                done = subprocess.run(
                    [python, "-W", "ignore", "-c", FIT, name, home / "customers.npz"],
                    cwd=ROOT if name == "ours" else home,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                found[name].append(json.loads(done.stdout.splitlines()[-1]))
    base = statistics.median(run["seconds"] for run in found["lifetimes"])
    frame = pd.DataFrame({"frequency": data["x"], "recency": data["t_x"], "T": data["T"]})
    print("| BG/NBD | CPU-s, median (min to max) | against lifetimes | log-likelihood | r, alpha, a, b |")
    print("|---|---|---|---|---|")
    for name, runs in found.items():
        seconds = [run["seconds"] for run in runs]
        estimates = dict(zip(("r", "alpha", "a", "b"), runs[0]["parameters"], strict=True))
        # lifetimes reports that of scaled times: both are computed in the same way here
        value = BetaGeoModel().with_parameters(**estimates).score(frame)
        parameters = ", ".join(f"{each:.4f}" for each in estimates.values())
        ratio = statistics.median(seconds) / base
        middle = f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
        print(f"| {name} | {middle} | {ratio:.3f} x | {value:.3f} | {parameters} |")
    print(f"\n{count:,} customers, {rounds} interleaved rounds.")


def sales(file: Path, count: int, seed: int) -> date:
    """Write sale lines of BG/NBD customers, whose purchases are worth what Gamma-Gamma says; returns the last day."""
    rng = np.random.default_rng(seed)
    data = customers(count, seed)
    x = data["x"].astype(int)
    who = np.repeat(np.arange(count), x + 1)
    place = np.arange(len(who)) - np.repeat(np.cumsum(x + 1) - x - 1, x + 1)
    first, last = (np.round(7 * (39 - data["T"][who] + at)) for at in (0, data["t_x"][who]))
    # between the first purchase and the last, evenly; days are all that counts
    share = place / np.maximum(np.repeat(x, x + 1), 1)
    day = np.round(first + share * (last - first)).astype(int)
    value = rng.gamma(6.25, np.repeat(1 / rng.gamma(3.74, 1 / 15.4, count), x + 1)).round(2)
    lines = pd.DataFrame({"who": who, "day": day, "value": value})  # noqa: F841 - read by DuckDB
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            f"""
            create schema marts;
            create table marts.fct_sales as
            select
                'c' || who as customer_id, date '{STARTS_ON}' + cast(day as int) as sold_on,
                cast(null as date) as returned_on, true as is_order_line,
                cast(value as decimal(18, 4)) as gross_revenue,
                cast(0 as decimal(18, 4)) as returned_revenue, false as is_return,
                cast(null as decimal(18, 4)) as unit_cost, cast(1 as decimal(18, 4)) as quantity
            from lines
            """
        )
    return STARTS_ON + timedelta(days=39 * 7)


def counts(count: int, rounds: int) -> None:
    """Print what fits cost on rows and on counts."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sales.duckdb"
        as_of = sales(file, count, 1)
        found: dict[str, list[dict]] = {"rows": [], "counts": []}
        for _ in range(rounds):
            for name, runs in found.items():
                command = [sys.executable, "-c", FIT_SALES, name, str(file), as_of.isoformat()]
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
                runs.append(json.loads(done.stdout.splitlines()[-1]))
    print("| BG/NBD and Gamma-Gamma | rows in Python | CPU-s to read | CPU-s to fit | peak MB |")
    print("|---|---|---|---|---|")
    for name, runs in found.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in ("read", "fit", "peak")}
        print(
            f"| on {name} | {runs[0]['rows']:,} | {middle['read']:.1f} | {middle['fit']:.1f} | {middle['peak']:.0f} |"
        )
    pairs = zip(found["rows"][0]["parameters"], found["counts"][0]["parameters"], strict=True)
    furthest = max(abs(one / other - 1) for one, other in pairs)
    print(
        f"\n{count:,} customers, medians of {rounds} interleaved rounds; parameters differ by {furthest:.0e} at most."
    )


def cdnow(path: Path) -> pd.DataFrame:
    """CDNOW's purchases as bookings; the sample, or the full file with its header line."""
    is_full = path.read_text(encoding="utf-8").lstrip()[0].isalpha()
    names = ["customer_id", *([] if is_full else ["sample_id"]), "booked_on", "cds", "revenue"]
    rows = pd.read_csv(path, sep=r"\s+", header=None, names=names, skiprows=int(is_full), dtype={"customer_id": str})
    rows["booked_on"] = pd.to_datetime(rows["booked_on"].astype(str))
    days = rows.groupby(["customer_id", "booked_on"], as_index=False)["revenue"].sum()
    return days.assign(has_order=True, margin=np.nan, costed_revenue=0.0)


def synthetic(seed: int, count: int, as_of: date) -> pd.DataFrame:
    """The revenue of a synthetic business as bookings, returns on their own days."""
    worlds = SyntheticSource(seed, count, STARTS_ON).simulation(as_of).windows()
    columns = ["sale_id", "customer_id", "sold_at", "amount", "returned_at"]
    lines = pd.concat([world.table("shop.sales").select(columns).to_pandas() for world in worlds])
    # a line comes again when it is returned
    lines = lines.drop_duplicates("sale_id", keep="last").dropna(subset="customer_id")
    lines["amount"] = lines["amount"].astype("float64")
    sold = lines.assign(booked_on=lines["sold_at"].dt.normalize(), has_order=True, revenue=lines["amount"])
    back = lines[lines["returned_at"].notna()]
    back = back.assign(booked_on=back["returned_at"].dt.normalize(), has_order=False, revenue=-back["amount"])
    booked = pd.concat([sold, back]).groupby(["customer_id", "booked_on"], as_index=False)
    return booked.agg({"has_order": "any", "revenue": "sum"}).assign(margin=np.nan, costed_revenue=0.0)


def graded(name: str, bookings: pd.DataFrame, as_of: date) -> list[dict]:
    """Figures of the last closed window before a day."""
    result = estimate_lifetime_value(bookings, as_of)
    figures = result.metrics["holdout"]
    return [
        {"business": name, "as_of": as_of.isoformat(), "model": result.metrics["model"], "of": of, **figures[of]}
        for of in ("orders", "value")
    ]


def intervals(seeds: int, count: int, master: Path | None) -> None:
    """Print bias, uniformity and coverage of groups."""
    rows = []
    for name, path in (("CDNOW sample", CDNOW), ("CDNOW", master)):
        if path:
            for as_of in (date(1998, 6, 30), date(1997, 9, 30)):
                rows += graded(name, cdnow(path), as_of)
    for seed in range(1, seeds + 1):
        bookings = synthetic(seed, count, date(2025, 12, 31))
        for year in (2023, 2024, 2025):
            rows += graded("synthetic", bookings, date(year, 12, 31))
    table = pd.DataFrame(rows)
    groups = table.groupby(["business", "as_of", "of"], sort=False)
    summary = groups.agg(
        windows=("bias", "size"),
        bias=("bias", "mean"),
        absolute_bias=("bias", lambda bias: bias.abs().mean()),
        rmse=("rmse", "mean"),
        pit_ks=("pit_ks", "mean"),
        rejected_at_5_percent=("pit_p", lambda p: (p < 0.05).mean()),
        group_coverage=("group_coverage", "mean"),
    )
    print(summary.round(3).to_string())


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("cost", "counts", "intervals"))
    parser.add_argument("--customers", type=int, help="100,000 for cost, 1,000,000 for counts, 3,000 a business")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--master", type=Path, help="CDNOW_master.txt, which is not kept in the repository")
    arguments = parser.parse_args()
    if arguments.part == "cost":
        cost(arguments.customers or 100_000, arguments.rounds)
    elif arguments.part == "counts":
        counts(arguments.customers or 1_000_000, arguments.rounds)
    else:
        intervals(arguments.seeds, arguments.customers or 3_000, arguments.master)


if __name__ == "__main__":
    main()
