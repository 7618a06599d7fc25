"""The alternative: some of the marts as a notebook on pandas would make them, from the same raw Parquet.

It writes customer_metrics, customer_rfm, daily_sales, category_performance and the sales part of customer_features as
Parquet. It checks nothing, publishes nothing and keeps no contract: that is what the difference in cost buys.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

RAW, OUT = Path(sys.argv[1]), Path(sys.argv[2])
OUT.mkdir(parents=True, exist_ok=True)


def read(table: str) -> pd.DataFrame:
    """A raw table."""
    return pd.concat([pd.read_parquet(file) for file in sorted((RAW / table).glob("*.parquet"))], ignore_index=True)


as_of = pd.Timestamp(read("pulse/clock")["as_of"].iloc[0])
sales = read("shop/sales")
products = read("shop/products")[["product_id", "category"]].rename(columns={"category": "product_category"})
sales = sales[sales["sold_at"].dt.normalize() <= as_of]
sales = sales.merge(products, on="product_id", how="left")
sales["category"] = sales["category"].fillna(sales["product_category"]).fillna("Uncategorised")
for column in ("amount", "quantity"):
    sales[column] = sales[column].astype(float)
sales["day"] = sales["sold_at"].dt.normalize()
sales["is_return"] = (sales["amount"] < 0) | (sales["quantity"] < 0)
known = sales["returned_at"].notna() & (sales["returned_at"].dt.normalize() <= as_of)
sales["gross"] = sales["amount"].where(~sales["is_return"], 0.0)
sales["returned"] = sales["amount"].abs().where(sales["is_return"] | known, 0.0)
sales["returned_day"] = sales["day"].where(sales["is_return"], sales["returned_at"].dt.normalize().where(known))
sales["net"] = sales["gross"] - sales["returned"]
fallback = "day-" + sales["customer_id"].astype("string") + "-" + sales["day"].dt.strftime("%Y-%m-%d")
sales["order_id"] = sales["order_id"].fillna(fallback).fillna("guest-" + sales["sale_id"].astype("string"))
lines = sales[~sales["is_return"]]
mine = lines[lines["customer_id"].notna()]

metrics = mine.groupby("customer_id").agg(
    purchase_count=("order_id", "nunique"),
    first_purchase_at=("sold_at", "min"),
    last_purchase_at=("sold_at", "max"),
)
metrics["total_spend"] = sales[sales["customer_id"].notna()].groupby("customer_id")["net"].sum()
metrics["days_since_last_purchase"] = (as_of - metrics["last_purchase_at"].dt.normalize()).dt.days
metrics.to_parquet(OUT / "customer_metrics.parquet")

rfm = metrics[["days_since_last_purchase", "purchase_count", "total_spend"]].copy()
for column in list(rfm):
    cuts = rfm[column].quantile([0.2, 0.4, 0.6, 0.8]).to_numpy()
    rfm[f"{column}_score"] = 1 + (rfm[column].to_numpy()[:, None] > cuts).sum(axis=1)
rfm.to_parquet(OUT / "customer_rfm.parquet")

daily = lines.groupby("day").agg(
    gross=("gross", "sum"), orders=("order_id", "nunique"), customers=("customer_id", "nunique")
)
daily = daily.reindex(pd.date_range(daily.index.min(), as_of)).fillna(0)
daily["net"] = daily["gross"].sub(sales.groupby("returned_day")["returned"].sum(), fill_value=0)
daily.to_parquet(OUT / "daily_sales.parquet")

lines.groupby("category").agg(
    orders=("order_id", "nunique"), revenue=("net", "sum"), customers=("customer_id", "nunique")
).to_parquet(OUT / "category_performance.parquet")

features = []
for cutoff in [*pd.date_range(end=as_of - pd.Timedelta(days=1), periods=12, freq="ME"), as_of]:
    before = mine[mine["day"] <= cutoff]
    row = before.groupby("customer_id").agg(
        order_count=("order_id", "nunique"),
        order_day_count=("day", "nunique"),
        first=("day", "min"),
        last=("day", "max"),
        gross=("gross", "sum"),
        units=("quantity", "sum"),
        product_count=("product_id", "nunique"),
        category_count=("category", "nunique"),
    )
    for days in (30, 90, 180, 365):
        recent = before[before["day"] > cutoff - pd.Timedelta(days=days)]
        row[f"orders_{days}d"] = recent.groupby("customer_id")["order_id"].nunique()
    next_order = mine[mine["day"] > cutoff].groupby("customer_id")["day"].min()
    for horizon in (30, 90, 180):
        row[f"churned_{horizon}d"] = ~(next_order.reindex(row.index) <= cutoff + pd.Timedelta(days=horizon))
    features.append(row.assign(cutoff_date=cutoff))
pd.concat(features).to_parquet(OUT / "customer_features.parquet")
