"""The alternative: the sales marts as a careful user of pandas would make them, from the same raw Parquet.

Ids become integer codes, distinct counts drop duplicates first, money is a double rounded at the end. It checks
nothing, publishes nothing and keeps no contract. `benchmarks/marts.py` runs it and compares what it writes.

Usage: pandas_marts.py RAW SEEDS OUT
"""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

RAW, SEEDS, OUT = (Path(argument) for argument in sys.argv[1:])
WINDOWS, HORIZONS = (30, 90, 180, 365), (30, 90, 180)
IDS = ["order_id", "customer_id", "product_id", "category", "channel"]


def read(table: str, dictionaries: list[str]) -> pd.DataFrame:
    """A raw table: ids as categories, decimals as doubles."""
    found = pq.read_table(RAW / table, read_dictionary=dictionaries)
    fields = [(f.name, pa.float64() if pa.types.is_decimal(f.type) else f.type) for f in found.schema]
    return found.cast(pa.schema(fields)).unify_dictionaries().to_pandas(types_mapper={pa.string(): TEXT}.get)


TEXT = pd.ArrowDtype(pa.string())


def write(name: str, frame: pd.DataFrame) -> None:
    """One mart."""
    frame.to_parquet(OUT / f"{name}.parquet", index=False)


def ratio(numerator: pd.Series, denominator: pd.Series | float) -> pd.Series:
    """To six decimals, missing where the denominator is 0."""
    return (numerator / denominator).replace([np.inf, -np.inf], np.nan).round(6)


def money(values: pd.Series) -> pd.Series:
    """To four decimals."""
    return values.round(4)


def distinct(frame: pd.DataFrame, by: list[str], column: str) -> pd.Series:
    """How many different values of a column, by other columns."""
    pairs = frame[[*by, column]]
    return pairs[pairs[column].notna()].drop_duplicates().groupby(by, observed=True).size()


def months_after(months: pd.Series, count: int) -> pd.Series:
    """First days of months some months later."""
    return (months.dt.to_period("M") + count).dt.to_timestamp()


OUT.mkdir(parents=True, exist_ok=True)
AS_OF = pd.Timestamp(pq.read_table(RAW / "pulse/clock")["as_of"][0].as_py())
DAY = pd.Timedelta(days=1)

# fct_sales ------------------------------------------------------------------------------------------------------------
sales = read("shop/sales", IDS)
products = read("shop/products", []).drop(columns=["_batch", "_file", "_line"], errors="ignore")
sales["sold_on"] = sales["sold_at"].dt.normalize()
sales = sales[sales["sold_on"] <= AS_OF]
line_categories = sales[["product_id", "category"]].dropna().groupby(["product_id", "category"], observed=True).size()
line_categories = line_categories.rename("n").reset_index().astype({"product_id": "object", "category": "object"})
line_categories = line_categories.sort_values(["n", "category"], ascending=[False, True]).drop_duplicates("product_id")
seen = sales["product_id"].cat.categories[np.unique(sales["product_id"].dropna().cat.codes)]
dim_products = pd.DataFrame({"product_id": seen.astype(object)}).merge(
    products.astype({"product_id": "object"}), on="product_id", how="outer", indicator="has_record"
)
dim_products["has_record"] = dim_products["has_record"] != "left_only"
common = dim_products["product_id"].map(line_categories.set_index("product_id")["category"])
dim_products["category"] = dim_products["category"].astype(object).fillna(common)

by_id = dim_products.set_index("product_id")
category = sales["product_id"].astype(object).map(by_id["category"]).fillna(sales["category"].astype(object))
sales["category"] = category.fillna("Uncategorised").astype("category")
del category
sales["unit_cost"] = sales["product_id"].map(by_id["unit_cost"]).astype(float)
dim_products["category"] = dim_products["category"].fillna("Uncategorised")
write("dim_products", dim_products)

sales["is_return"] = (sales["amount"] < 0) | (sales["quantity"] < 0)
units = sales["quantity"].fillna(1)
sales["is_order_line"] = (sales["amount"] >= 0) & (units >= 0) & ((sales["amount"] > 0) | (units > 0))
back_on = sales["returned_at"].dt.normalize()
back_on = back_on.where(back_on <= AS_OF)
sales["gross_revenue"] = sales["amount"].where(~sales["is_return"], 0.0)
sales["returned_revenue"] = sales["amount"].abs().where(sales["is_return"] | back_on.notna(), 0.0)
given_back = sales["is_return"] | back_on.notna()
latest = np.maximum(back_on.fillna(sales["sold_on"]), sales["sold_on"])
sales["returned_on"] = latest.where(given_back)
sales["net_revenue"] = sales["gross_revenue"] - sales["returned_revenue"]
margin = sales["gross_revenue"] - sales["unit_cost"] * units
margin = margin.where(back_on.isna(), 0 * sales["unit_cost"])
sales["gross_margin"] = margin.where(~sales["is_return"], sales["unit_cost"] * units.abs() - sales["returned_revenue"])
if sales["order_id"].isna().any():
    fallback = "day-" + sales["customer_id"].astype("string") + "-" + sales["sold_on"].dt.strftime("%Y-%m-%d")
    fallback = fallback.fillna("guest-" + sales["sale_id"].astype("string"))
    sales["order_id"] = sales["order_id"].astype("string").fillna(fallback).astype("category")
sales = sales.drop(columns=["amount", "returned_at"])
write("fct_sales", sales.drop(columns=["_file", "_line"], errors="ignore"))
del back_on, latest, margin, given_back

# from here on ids are integers in the order of their names; -1 is missing
ids = {}
for name in ("order_id", "customer_id", "product_id", "category"):
    ordered = sales[name].cat.reorder_categories(sorted(sales[name].cat.categories))
    ids[name], sales[name] = ordered.cat.categories, ordered.cat.codes.astype("int32")
sales["units"] = units.where(sales["is_order_line"], 0.0)
sales["month"] = sales["sold_on"].to_numpy().astype("datetime64[M]").astype("datetime64[ns]")
sales["returned_month"] = sales["returned_on"].to_numpy().astype("datetime64[M]").astype("datetime64[ns]")
sales = sales.drop(columns=["sale_id", "channel", "sold_at_text", "_batch", "_file", "_line"], errors="ignore")
del units
known = sales.assign(customer_id=sales["customer_id"].where(sales["customer_id"] >= 0))
lines = known[known["is_order_line"]]


def named(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Codes back to ids."""
    return frame.assign(**{name: ids[name.removesuffix("_a").removesuffix("_b")].take(frame[name]) for name in columns})


# daily_sales ----------------------------------------------------------------------------------------------------------
days = pd.DataFrame(index=pd.date_range(sales["sold_on"].min(), AS_OF, name="sales_date"))
days["gross_revenue"] = sales.groupby("sold_on")["gross_revenue"].sum()
days["returned_revenue"] = sales.groupby("returned_on")["returned_revenue"].sum()
days["order_count"] = distinct(lines, ["sold_on"], "order_id")
days["unit_count"] = sales.groupby("sold_on")["units"].sum()
days["customer_count"] = distinct(lines, ["sold_on"], "customer_id")
days = days.fillna(0)
days["net_revenue"] = days["gross_revenue"] - days["returned_revenue"]
write("daily_sales", days.round(4).reset_index())

# monthly_product_sales ------------------------------------------------------------------------------------------------
MONTH = AS_OF.to_period("M").to_timestamp()
owned, own_lines = known[known["product_id"] >= 0], lines[lines["product_id"] >= 0]
starts = owned.groupby("product_id")["month"].min().rename("first_month").reset_index()
months = pd.DataFrame({"month": pd.date_range(starts["first_month"].min(), MONTH, freq="MS")})
grid = starts.merge(months, how="cross")
grid = grid[grid["month"] >= grid["first_month"]].drop(columns="first_month").set_index(["product_id", "month"])
monthly = owned.groupby(["product_id", "month"])
returned = owned.groupby(["product_id", "returned_month"])["returned_revenue"].sum()
grid["units"], grid["gross_revenue"] = monthly["units"].sum(), monthly["gross_revenue"].sum()
grid["returned_revenue"] = returned.rename_axis(["product_id", "month"])
grid["order_count"] = distinct(own_lines, ["product_id", "month"], "order_id")
grid["customer_count"] = distinct(own_lines, ["product_id", "month"], "customer_id")
grid = grid.fillna(0).reset_index()
grid["net_revenue"] = grid["gross_revenue"] - grid["returned_revenue"]
grid["is_complete"] = months_after(grid["month"], 1) <= AS_OF + DAY
write("monthly_product_sales", named(grid, "product_id").round(4))

# product_trends -------------------------------------------------------------------------------------------------------
opening, first_day = sales["month"].min(), sales["sold_on"].min()
first_month = opening if first_day == opening else opening + pd.offsets.MonthBegin(1)
trend = grid.assign(product_month=grid.groupby("product_id")["month"].transform("min"))
late = (trend["product_month"] == opening) | (trend["month"] > trend["product_month"])
trend = trend[trend["is_complete"] & (trend["month"] >= first_month) & late].sort_values(["product_id", "month"])
own = trend.groupby("product_id")
trend["previous_units"] = own["units"].shift()
trend["previous_net_revenue"] = own["net_revenue"].shift()
before = own["units"].shift().groupby(trend["product_id"]).rolling(12, min_periods=1).agg(["var", "mean"])
before = before.droplevel(0).reindex(trend.index)
dispersion = (before["var"] / before["mean"].replace(0, np.nan)).fillna(1).clip(lower=1)
trend = trend.assign(dispersion=dispersion)[trend["previous_units"].notna()]
both = trend["units"] + trend["previous_units"]
trend["change_ratio"] = ratio(trend["units"], trend["previous_units"].replace(0, np.nan)) - 1
z = (trend["units"] - trend["previous_units"]) / np.sqrt(trend["dispersion"] * both).replace(0, np.nan)
trend["p_value"] = [1.0 if math.isnan(each) else math.erfc(abs(each) / math.sqrt(2)) for each in z]
by_month = trend.groupby("month")["p_value"]
trend["q_value"] = (trend["p_value"] * by_month.transform("size") / by_month.rank(method="max")).clip(upper=1)
trend = trend.sort_values(["month", "p_value", "product_id"], ascending=[True, False, True])
trend["q_value"] = trend.groupby("month")["q_value"].cummin()
change = trend["change_ratio"].abs().round(6)
both = trend["units"] + trend["previous_units"]
trend["is_significant"] = (trend["q_value"] <= 0.05) & (change >= 0.2) & (both >= 20)
rose = np.where(trend["units"] > trend["previous_units"], "up", "down")
trend["direction"] = np.where(trend["is_significant"], rose, "flat")
keep = ["product_id", "month", "units", "previous_units", "net_revenue", "previous_net_revenue", "change_ratio"]
write("product_trends", named(trend[[*keep, "p_value", "q_value", "is_significant", "direction"]], "product_id"))

# product_performance, category_performance ----------------------------------------------------------------------------
flags = owned.assign(
    line_count=owned["is_order_line"],
    discounted=owned["is_order_line"] & (owned["discount_rate"] > 0),
    returned_lines=owned["returned_on"].notna(),
    costed=owned["net_revenue"].where(owned["gross_margin"].notna()),
)
performance = flags.groupby("product_id").agg(
    first_sold_on=("sold_on", "min"),
    last_sold_on=("sold_on", "max"),
    unit_count=("units", "sum"),
    line_count=("line_count", "sum"),
    discounted=("discounted", "sum"),
    return_lines=("is_return", "sum"),
    returned_lines=("returned_lines", "sum"),
    gross_revenue=("gross_revenue", "sum"),
    returned_revenue=("returned_revenue", "sum"),
    net_revenue=("net_revenue", "sum"),
    costed=("costed", "sum"),
)
performance["gross_margin"] = flags.groupby("product_id")["gross_margin"].sum(min_count=1)
performance["order_count"] = distinct(own_lines, ["product_id"], "order_id")
performance["customer_count"] = distinct(own_lines, ["product_id"], "customer_id")
counts = ["order_count", "customer_count"]
performance[counts] = performance[counts].fillna(0)
performance["revenue_share"] = ratio(performance["net_revenue"], performance["net_revenue"].sum())
performance["margin_rate"] = ratio(performance["gross_margin"], performance["costed"])
shown = performance["line_count"] + performance["return_lines"]
performance["return_rate"] = ratio(performance["returned_lines"], shown)
performance["discount_rate"] = ratio(performance["discounted"], performance["line_count"])
performance = named(performance.reset_index(), "product_id").sort_values(
    ["net_revenue", "product_id"], ascending=[False, True]
)
performance["revenue_rank"] = np.arange(1, len(performance) + 1)
performance = performance.merge(dim_products[["product_id", "name", "category"]], on="product_id")
write("product_performance", performance)
del flags, owned

groups = pd.DataFrame({"revenue": money(sales.groupby("category")["net_revenue"].sum())})
groups["transaction_count"] = distinct(lines, ["category"], "order_id")
groups["customer_count"] = distinct(lines, ["category"], "customer_id")
groups = groups.fillna(0)
groups["average_transaction_value"] = ratio(groups["revenue"], groups["transaction_count"])
write("category_performance", named(groups.reset_index(), "category"))

# product_pairs --------------------------------------------------------------------------------------------------------
baskets = own_lines[["order_id", "product_id"]].drop_duplicates()
pairs = baskets.merge(baskets, on="order_id", suffixes=("_a", "_b"))
pairs = pairs[pairs["product_id_a"] < pairs["product_id_b"]]
pairs = pairs.groupby(["product_id_a", "product_id_b"]).size().rename("pair_orders").reset_index()
total, single = lines["order_id"].nunique(), baskets.groupby("product_id").size()
pairs = pairs[pairs["pair_orders"] >= max(3, 0.0005 * total)]
pairs["orders_a"], pairs["orders_b"] = pairs["product_id_a"].map(single), pairs["product_id_b"].map(single)
pairs["support"] = (pairs["pair_orders"] / total).round(6)
pairs["confidence_a_to_b"] = ratio(pairs["pair_orders"], pairs["orders_a"])
pairs["confidence_b_to_a"] = ratio(pairs["pair_orders"], pairs["orders_b"])
expected = pairs["orders_a"] / total * (pairs["orders_b"] / total)
pairs["lift"] = ratio(pairs["pair_orders"] / total, expected)
pairs["leverage"] = (pairs["pair_orders"] / total - expected).round(6)
write("product_pairs", named(pairs, "product_id_a", "product_id_b"))
del baskets, own_lines

# customers: dim_customers, customer_metrics, cohort_retention ---------------------------------------------------------
write("dim_customers", pd.DataFrame({"customer_id": ids["customer_id"], "has_profile": False}))
known = known[known["customer_id"].notna()].astype({"customer_id": "int32"})
mine = known[known["is_order_line"]].drop(columns=["is_return", "returned_month", "channel"], errors="ignore")
first_seen = mine.groupby("customer_id")["sold_at"].agg(["min", "max"])
orders = mine[["customer_id", "order_id", "sold_on"]].drop_duplicates()
metrics = pd.DataFrame(index=first_seen.index)
metrics["purchase_count"] = orders[["customer_id", "order_id"]].drop_duplicates().groupby("customer_id").size()
spent = known.groupby("customer_id")
for name in ("net_revenue", "gross_revenue", "returned_revenue"):
    metrics["total_spend" if name == "net_revenue" else name] = money(spent[name].sum())
metrics["gross_margin"] = money(spent["gross_margin"].sum(min_count=1))
metrics["average_transaction_value"] = ratio(metrics["total_spend"], metrics["purchase_count"])
metrics["first_purchase_at"], metrics["last_purchase_at"] = first_seen["min"], first_seen["max"]
first_day, last_day = first_seen["min"].dt.normalize(), first_seen["max"].dt.normalize()
metrics["days_since_last_purchase"] = (AS_OF - last_day).dt.days
metrics["lifetime_days"] = (last_day - first_day).dt.days
since = metrics["days_since_last_purchase"]
metrics["churn_risk_tier"] = np.select([since > 180, since > 90], ["High", "Medium"], "Low")
write("customer_metrics", named(metrics.reset_index(), "customer_id"))

cohort = mine.groupby("customer_id")["month"].min().rename("cohort_month")
kept = known[known["customer_id"].isin(cohort.index)]
kept = kept.assign(cohort_month=kept["customer_id"].map(cohort))
cost = kept["unit_cost"] * kept["quantity"].fillna(1)
sold = kept.assign(
    gross_margin=(kept["gross_revenue"] - cost).where(~kept["is_return"]),
    month=np.maximum(kept["month"], kept["cohort_month"]),
)
back = kept.assign(gross_margin=cost.abs() - kept["returned_revenue"])[kept["returned_month"].notna()]
back["month"] = np.maximum(back["returned_month"], back["cohort_month"])
cells = ["cohort_month", "month"]
booked = pd.DataFrame({"net_revenue": sold.groupby(cells)["gross_revenue"].sum()})
booked["gross_margin"] = sold.groupby(cells)["gross_margin"].sum(min_count=1)
backs = back.groupby(cells)
booked = booked.join(
    pd.DataFrame({"minus": backs["returned_revenue"].sum(), "margin": backs["gross_margin"].sum(min_count=1)}),
    how="outer",
)
booked["net_revenue"] = booked["net_revenue"].fillna(0) - booked["minus"].fillna(0)
booked["gross_margin"] = booked[["gross_margin", "margin"]].sum(axis=1, min_count=1)
active = mine[["customer_id", "month"]].drop_duplicates()
active = active.assign(cohort_month=active["customer_id"].map(cohort)).groupby(cells).size().rename("active_customers")
sizes = cohort.value_counts().rename("customers").rename_axis("cohort_month").reset_index()
months = pd.DataFrame({"month": pd.date_range(sizes["cohort_month"].min(), MONTH, freq="MS")})
retention = sizes.merge(months, how="cross").query("month >= cohort_month")
retention = retention.join(active, on=cells).join(booked[["net_revenue", "gross_margin"]], on=cells)
filled = ["active_customers", "net_revenue"]
retention[filled] = retention[filled].fillna(0)
numbers = {name: retention[name].dt.year * 12 + retention[name].dt.month for name in cells}
retention["months_since_first"] = numbers["month"] - numbers["cohort_month"]
retention["is_complete"] = months_after(retention["month"], 1) <= AS_OF + DAY
retention["retention_rate"] = ratio(retention["active_customers"], retention["customers"])
write("cohort_retention", retention)
del kept, sold, back


def per_customer(frame: pd.DataFrame) -> pd.Series:
    """How many rows each customer has."""
    return frame.groupby("customer_id").size()


# customer_features: the sales columns ---------------------------------------------------------------------------------
known_returns = known.loc[known["returned_on"].notna(), ["customer_id", "returned_on", "is_return", "returned_revenue"]]
mine = mine[["customer_id", "product_id", "category", "sold_on", "gross_revenue", "units", "discount_rate"]]
mine = mine.assign(discounted=mine.pop("discount_rate") > 0)
del known, lines, sales
first_products = mine[mine["product_id"] >= 0].groupby(["customer_id", "product_id"])["sold_on"].min().reset_index()
first_categories = mine.groupby(["customer_id", "category"])["sold_on"].min().reset_index()
order_days = orders[["customer_id", "sold_on"]].drop_duplicates().sort_values(["customer_id", "sold_on"])
order_days["next_order_on"] = order_days.groupby("customer_id")["sold_on"].shift(-1)
month_ends = pd.date_range(end=MONTH, periods=12, freq="MS") - DAY
parts = []
for cutoff in [*month_ends, *([] if AS_OF in month_ends else [AS_OF])]:
    part = (
        mine[mine["sold_on"] <= cutoff]
        .groupby("customer_id")
        .agg(
            line_count=("sold_on", "size"),
            gross_revenue=("gross_revenue", "sum"),
            largest_line_revenue=("gross_revenue", "max"),
            unit_count=("units", "sum"),
            discounted=("discounted", "sum"),
            first_order_on=("sold_on", "min"),
            last_order_on=("sold_on", "max"),
        )
    )
    past = orders[orders["sold_on"] <= cutoff]
    part["order_count"] = per_customer(past[["customer_id", "order_id"]].drop_duplicates())
    for window in WINDOWS:
        recent = past[past["sold_on"] > cutoff - window * DAY]
        part[f"orders_{window}d"] = per_customer(recent[["customer_id", "order_id"]].drop_duplicates())
    recent = mine[(mine["sold_on"] <= cutoff) & (mine["sold_on"] > cutoff - 90 * DAY)]
    part["gross_revenue_90d"] = recent.groupby("customer_id")["gross_revenue"].sum()
    visits = order_days[order_days["sold_on"] <= cutoff]
    part["order_day_count"] = per_customer(visits)
    part["next_order_on"] = visits.drop_duplicates("customer_id", keep="last").set_index("customer_id")["next_order_on"]
    part["product_count"] = per_customer(first_products[first_products["sold_on"] <= cutoff])
    part["category_count"] = per_customer(first_categories[first_categories["sold_on"] <= cutoff])
    gone = known_returns[known_returns["returned_on"] <= cutoff].groupby("customer_id")
    part["returned_line_count"], part["return_lines"] = gone.size(), gone["is_return"].sum()
    part["returned_revenue"] = gone["returned_revenue"].sum()
    later = part.pop("next_order_on")
    part = part.fillna(dict.fromkeys(part.columns.difference(["first_order_on", "last_order_on"]), 0))
    part["cutoff_date"] = cutoff
    part["days_since_last_order"] = (cutoff - part["last_order_on"]).dt.days
    part["days_since_first_order"] = (cutoff - part["first_order_on"]).dt.days
    gaps = (part["last_order_on"] - part["first_order_on"]).dt.days
    part["average_gap_days"] = ratio(gaps, (part["order_day_count"] - 1).replace(0, np.nan))
    part["recency_to_gap_ratio"] = ratio(part["days_since_last_order"], part["average_gap_days"])
    part["net_revenue"] = money(part["gross_revenue"] - part["returned_revenue"])
    part["average_order_value"] = ratio(part["gross_revenue"], part["order_count"])
    part["discounted_line_rate"] = ratio(part["discounted"], part["line_count"])
    part["returned_line_rate"] = ratio(part["returned_line_count"], part["line_count"] + part["return_lines"])
    part["gross_revenue_90d"] = money(part["gross_revenue_90d"])
    for horizon in HORIZONS:
        closed = cutoff + horizon * DAY <= AS_OF
        churned = ~(later <= cutoff + horizon * DAY)
        part[f"churned_{horizon}d"] = churned.astype("boolean") if closed else pd.array([None] * len(part), "boolean")
    dropped = ["line_count", "gross_revenue", "discounted", "first_order_on", "last_order_on", "return_lines"]
    parts.append(part.drop(columns=[*dropped, "returned_line_count", "returned_revenue"]).reset_index())
features = pd.concat(parts, ignore_index=True)
del parts, mine
write("customer_features", named(features, "customer_id"))

# customer_rfm, customer_rfm_history, segment_migration ----------------------------------------------------------------
segments = pd.read_csv(SEEDS / "rfm_segments.csv").set_index(["r_score", "f_score", "m_score"])["segment"]
actions = pd.read_csv(SEEDS / "segment_actions.csv").set_index("segment")["recommended_action"]


def scored(frame: pd.DataFrame) -> pd.DataFrame:
    """Quintile scores, index and segment."""

    def cuts_below(column: str) -> np.ndarray:
        cuts = np.quantile(frame[column].to_numpy(float), [0.2, 0.4, 0.6, 0.8])
        return np.searchsorted(cuts, frame[column].to_numpy(float), side="left")

    frame = frame.assign(
        r_score=5 - cuts_below("days_since_last_order"),
        f_score=1 + cuts_below("frequency"),
        m_score=1 + cuts_below("monetary"),
    )
    total = frame["r_score"] + frame["f_score"] + frame["m_score"]
    keys = pd.MultiIndex.from_frame(frame[["r_score", "f_score", "m_score"]])
    return frame.assign(rfm_index=(100 * (total - 3) / 12).round(6), segment=segments.reindex(keys).to_numpy())


rfm = scored(
    metrics.reset_index().rename(
        columns={
            "days_since_last_purchase": "days_since_last_order",
            "purchase_count": "frequency",
            "total_spend": "monetary",
        }
    )
)
write("customer_rfm", named(rfm.assign(recommended_action=rfm["segment"].map(actions)), "customer_id"))

history = features[["customer_id", "cutoff_date", "days_since_last_order", "order_count", "net_revenue"]]
history = history.rename(columns={"order_count": "frequency", "net_revenue": "monetary"})
history = pd.concat([scored(part) for _, part in history.groupby("cutoff_date")], ignore_index=True)
write("customer_rfm_history", named(history, "customer_id"))

cutoffs = sorted(history["cutoff_date"].unique())
moves = []
for from_date, to_date in pairwise(cutoffs):
    previous = history[history["cutoff_date"] == from_date].set_index("customer_id")["segment"]
    arrived = history[history["cutoff_date"] == to_date]
    came_from = arrived["customer_id"].map(previous).fillna("No order yet")
    step = arrived.assign(from_segment=came_from).groupby(["from_segment", "segment"]).size()
    step = step.rename("customer_count").reset_index().rename(columns={"segment": "to_segment"})
    moves.append(step.assign(from_date=from_date, to_date=to_date))
moves = pd.concat(moves, ignore_index=True)
moves["customer_share"] = ratio(
    moves["customer_count"], moves.groupby(["from_date", "from_segment"])["customer_count"].transform("sum")
)
write("segment_migration", moves)
