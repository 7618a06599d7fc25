"""What lifetime models cost, against the library `lifetimes`, and whether their intervals hold on many businesses.

`cost` fits BG/NBD to the same simulated customers in processes of their own, `lifetimes` in a temporary environment
that this script makes (network needed, or a package index nearby). `intervals` forecasts the last closed window of
synthetic businesses of many seeds and of CDNOW, each with nothing but what was known before it. Run it with
`.venv/bin/python benchmarks/lifetime.py cost` or `... intervals`; for `cost` nothing else should be running.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from datetime import date
from pathlib import Path

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
    parser.add_argument("part", choices=("cost", "intervals"))
    parser.add_argument("--customers", type=int, help="100,000 for cost, 3,000 a business for intervals")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--master", type=Path, help="CDNOW_master.txt, which is not kept in the repository")
    arguments = parser.parse_args()
    if arguments.part == "cost":
        cost(arguments.customers or 100_000, arguments.rounds)
    else:
        intervals(arguments.seeds, arguments.customers or 3_000, arguments.master)


if __name__ == "__main__":
    main()
