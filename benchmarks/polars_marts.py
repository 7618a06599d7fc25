"""The alternative: the sales marts as a careful user of polars would make them, from the same raw Parquet.

Lazy frames on the streaming engine; the sale lines are written once and scanned by the rest; distinct counts drop
duplicates first; money is a double rounded at the end. It checks nothing, publishes nothing and keeps no contract.
Polars is no dependency of this project: `benchmarks/marts.py` runs this in an environment of its own.

Usage: polars_marts.py RAW SEEDS OUT
"""

from __future__ import annotations

import math
import sys
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from polars import col

RAW, SEEDS, OUT = (Path(argument) for argument in sys.argv[1:])
WINDOWS, HORIZONS = (30, 90, 180, 365), (30, 90, 180)
OUT.mkdir(parents=True, exist_ok=True)


def scan(table: str) -> pl.LazyFrame:
    """A raw table, decimals as doubles."""
    frame = pl.scan_parquet(RAW / table / "*.parquet", missing_columns="insert")
    return frame.with_columns(pl.selectors.decimal().cast(pl.Float64))


def write(name: str, frame: pl.LazyFrame | pl.DataFrame) -> None:
    """One mart."""
    frame.lazy().sink_parquet(OUT / f"{name}.parquet", engine="streaming")


def collect(frame: pl.LazyFrame) -> pl.DataFrame:
    """A frame that several marts need."""
    return frame.collect(engine="streaming")


def ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """To six decimals, missing where the denominator is 0."""
    return pl.when(denominator != 0).then(numerator / denominator).round(6)


def distinct(frame: pl.LazyFrame, by: list[str], column: str, name: str) -> pl.LazyFrame:
    """How many different values of a column, by other columns."""
    pairs = frame.filter(col(column).is_not_null()).select(*by, column).unique()
    return pairs.group_by(by).agg(pl.len().alias(name))


AS_OF: date = scan("pulse/clock").select("as_of").collect().item()

# fct_sales, dim_products ----------------------------------------------------------------------------------------------
raw = scan("shop/sales").with_columns(sold_on=col("sold_at").dt.date()).filter(col("sold_on") <= AS_OF)
products = scan("shop/products").select("product_id", "name", "category", "list_price", "unit_cost", "launched_on")
named = raw.filter(col("product_id").is_not_null() & col("category").is_not_null())
common = named.group_by("product_id", "category").len().sort("len", "category", descending=[True, False])
common = common.unique("product_id", keep="first", maintain_order=True).select("product_id", common="category")
seen = pl.concat([raw.select("product_id"), products.select("product_id")]).drop_nulls().unique()
dim = collect(
    seen.join(products.with_columns(has_record=True), on="product_id", how="left")
    .join(common, on="product_id", how="left")
    .with_columns(pl.coalesce("category", "common").alias("category"), col("has_record").fill_null(value=False))
    .drop("common")
)
write("dim_products", dim.with_columns(col("category").fill_null("Uncategorised")))
units, back = col("quantity").fill_null(1), col("returned_at").dt.date()
back = pl.when(back <= AS_OF).then(back)
decided = (
    raw.join(dim.lazy().select("product_id", "unit_cost", known="category"), on="product_id", how="left")
    .with_columns(
        category=pl.coalesce("known", "category", pl.lit("Uncategorised")),
        is_return=((col("amount") < 0) | (col("quantity") < 0)).fill_null(value=False),
        is_order_line=((col("amount") >= 0) & (units >= 0) & ((col("amount") > 0) | (units > 0))).fill_null(
            value=False
        ),
        back_on=back,
        order_id=pl.coalesce(
            "order_id",
            "day-" + col("customer_id") + "-" + col("sold_on").dt.to_string("%Y-%m-%d"),
            "guest-" + col("sale_id"),
        ),
    )
    .with_columns(
        gross_revenue=pl.when(col("is_return")).then(0.0).otherwise("amount"),
        returned_revenue=pl.when(col("is_return") | col("back_on").is_not_null())
        .then(col("amount").abs())
        .otherwise(0.0),
        returned_on=pl.when(col("is_return") | col("back_on").is_not_null()).then(
            pl.max_horizontal("sold_on", "back_on")
        ),
    )
    .with_columns(
        net_revenue=col("gross_revenue") - col("returned_revenue"),
        gross_margin=pl.when(col("is_return"))
        .then(col("unit_cost") * units.abs() - col("returned_revenue"))
        .when(col("back_on").is_not_null())
        .then(0 * col("unit_cost"))
        .otherwise(col("gross_revenue") - col("unit_cost") * units),
    )
)
names = ["sale_id", "order_id", "customer_id", "product_id", "category", "channel", "sold_at", "sold_on"]
names += ["is_order_line", "is_return", "quantity", "unit_price", "discount_rate", "unit_cost", "gross_revenue"]
names += ["returned_on", "returned_revenue", "net_revenue", "gross_margin", "_batch"]
write("fct_sales", decided.select(names))

sales = pl.scan_parquet(OUT / "fct_sales.parquet").with_columns(
    units=pl.when("is_order_line").then(col("quantity").fill_null(1)).otherwise(0.0),
    month=col("sold_on").dt.truncate("1mo"),
    returned_month=col("returned_on").dt.truncate("1mo"),
)
lines = sales.filter("is_order_line")
FIRST_DAY: date = sales.select(col("sold_on").min()).collect().item()
MONTH = AS_OF.replace(day=1)

# daily_sales ----------------------------------------------------------------------------------------------------------
days = pl.LazyFrame({"sales_date": pl.date_range(FIRST_DAY, AS_OF, "1d", eager=True)})
returned = sales.filter(col("returned_on").is_not_null()).group_by(sales_date="returned_on")
sold = sales.group_by(sales_date="sold_on").agg(col("gross_revenue").sum(), unit_count=col("units").sum())
days = (
    days.join(sold, on="sales_date", how="left")
    .join(returned.agg(col("returned_revenue").sum()), on="sales_date", how="left")
    .join(distinct(lines, ["sold_on"], "order_id", "order_count"), left_on="sales_date", right_on="sold_on", how="left")
    .join(
        distinct(lines, ["sold_on"], "customer_id", "customer_count"),
        left_on="sales_date",
        right_on="sold_on",
        how="left",
    )
    .fill_null(0)
)
net = (col("gross_revenue") - col("returned_revenue")).alias("net_revenue")
write("daily_sales", days.with_columns(net).with_columns(pl.selectors.float().round(4)))

# monthly_product_sales ------------------------------------------------------------------------------------------------
owned, own_lines = (frame.filter(col("product_id").is_not_null()) for frame in (sales, lines))
starts = owned.group_by("product_id").agg(first_month=col("month").min())
months = pl.LazyFrame({"month": pl.date_range(FIRST_DAY.replace(day=1), MONTH, "1mo", eager=True)})
keys = ["product_id", "month"]
back_months = owned.filter(col("returned_month").is_not_null()).group_by("product_id", month="returned_month")
grid = collect(
    starts.join(months, how="cross")
    .filter(col("month") >= col("first_month"))
    .drop("first_month")
    .join(owned.group_by(keys).agg(col("units").sum(), col("gross_revenue").sum()), on=keys, how="left")
    .join(back_months.agg(col("returned_revenue").sum()), on=keys, how="left")
    .join(distinct(own_lines, keys, "order_id", "order_count"), on=keys, how="left")
    .join(distinct(own_lines, keys, "customer_id", "customer_count"), on=keys, how="left")
    .fill_null(0)
    .with_columns(net, is_complete=col("month").dt.offset_by("1mo") <= AS_OF + timedelta(days=1))
)
write("monthly_product_sales", grid.with_columns(pl.selectors.float().round(4)))

# product_trends -------------------------------------------------------------------------------------------------------
opening = FIRST_DAY.replace(day=1)
first_month = opening if opening == FIRST_DAY else (opening + timedelta(days=32)).replace(day=1)
z = pl.when(col("units") + col("previous_units") > 0).then(
    (col("units") - col("previous_units")) / (col("dispersion") * (col("units") + col("previous_units"))).sqrt()
)
trend = (
    grid.with_columns(product_month=col("month").min().over("product_id"))
    .filter(
        col("is_complete")
        & (col("month") >= first_month)
        & ((col("product_month") == opening) | (col("month") > col("product_month")))
    )
    .sort(keys)
    .with_columns(
        previous_units=col("units").shift().over("product_id"),
        previous_net_revenue=col("net_revenue").shift().over("product_id"),
        variance=col("units").shift().rolling_var(12, min_samples=2).over("product_id"),
        mean=col("units").shift().rolling_mean(12, min_samples=1).over("product_id"),
    )
    .filter(col("previous_units").is_not_null())
    .with_columns(
        dispersion=pl.when(col("mean") > 0).then(col("variance") / col("mean")).fill_null(1).clip(lower_bound=1)
    )
    .with_columns(
        change_ratio=(ratio(col("units"), col("previous_units")) - 1).round(6),
        p_value=z.map_elements(lambda each: math.erfc(abs(each) / math.sqrt(2)), return_dtype=pl.Float64).fill_null(1),
    )
    .with_columns(
        q_value=(col("p_value") * pl.len().over("month") / col("p_value").rank("max").over("month")).clip(upper_bound=1)
    )
    .sort("month", "p_value", "product_id", descending=[False, True, False])
    .with_columns(q_value=col("q_value").cum_min().over("month"))
    .with_columns(
        is_significant=(
            (col("q_value") <= 0.05) & (col("change_ratio").abs() >= 0.2) & (col("units") + col("previous_units") >= 20)
        ).fill_null(value=False)
    )
    .with_columns(
        direction=pl.when(~col("is_significant"))
        .then(pl.lit("flat"))
        .when(col("units") > col("previous_units"))
        .then(pl.lit("up"))
        .otherwise(pl.lit("down"))
    )
)
kept = ["previous_units", "net_revenue", "previous_net_revenue", "change_ratio", "p_value", "q_value"]
write("product_trends", trend.select(*keys, "units", *kept, "is_significant", "direction"))

# product_performance, category_performance ----------------------------------------------------------------------------
shop = owned.group_by("product_id").agg(
    col("sold_on").min().alias("first_sold_on"),
    col("sold_on").max().alias("last_sold_on"),
    col("units").sum().alias("unit_count"),
    col("is_order_line").sum().alias("line_count"),
    (col("is_order_line") & (col("discount_rate") > 0)).sum().alias("discounted"),
    col("is_return").sum().alias("return_lines"),
    col("returned_on").count().alias("returned_lines"),
    col("gross_revenue", "returned_revenue", "net_revenue").sum(),
    pl.when(col("gross_margin").count() > 0).then(col("gross_margin").sum()).alias("gross_margin"),
    col("net_revenue").filter(col("gross_margin").is_not_null()).sum().alias("costed"),
)
performance = collect(
    shop.join(distinct(own_lines, ["product_id"], "order_id", "order_count"), on="product_id", how="left")
    .join(distinct(own_lines, ["product_id"], "customer_id", "customer_count"), on="product_id", how="left")
    .with_columns(col("order_count", "customer_count").fill_null(0))
    .join(dim.lazy().select("product_id", "name", "category"), on="product_id", how="left")
).with_columns(col("category").fill_null("Uncategorised"))
performance = performance.sort(col("net_revenue").round(4), "product_id", descending=[True, False]).with_columns(
    revenue_rank=pl.int_range(1, pl.len() + 1),
    revenue_share=ratio(col("net_revenue"), col("net_revenue").sum()),
    margin_rate=ratio(col("gross_margin"), col("costed")),
    return_rate=ratio(col("returned_lines"), col("line_count") + col("return_lines")),
    discount_rate=ratio(col("discounted"), col("line_count")),
)
write("product_performance", performance)

groups = (
    sales.group_by("category")
    .agg(revenue=col("net_revenue").sum())
    .join(distinct(lines, ["category"], "order_id", "transaction_count"), on="category", how="left")
    .join(distinct(lines, ["category"], "customer_id", "customer_count"), on="category", how="left")
    .fill_null(0)
    .with_columns(average_transaction_value=ratio(col("revenue"), col("transaction_count")))
)
write("category_performance", groups)

# product_pairs --------------------------------------------------------------------------------------------------------
baskets = own_lines.select("order_id", "product_id").unique()
total = lines.select(col("order_id").n_unique()).collect(engine="streaming").item()
single = baskets.group_by("product_id").agg(own=pl.len())
support, own_a, own_b = (col(name) / total for name in ("pair_orders", "orders_a", "orders_b"))
pairs = (
    baskets.join(baskets, on="order_id", suffix="_b")
    .rename({"product_id": "product_id_a"})
    .filter(col("product_id_a") < col("product_id_b"))
    .group_by("product_id_a", "product_id_b")
    .agg(pair_orders=pl.len())
    .filter(col("pair_orders") >= max(3, 0.0005 * total))
    .join(single.rename({"own": "orders_a"}), left_on="product_id_a", right_on="product_id")
    .join(single.rename({"own": "orders_b"}), left_on="product_id_b", right_on="product_id")
    .with_columns(
        support=support.round(6),
        confidence_a_to_b=ratio(col("pair_orders"), col("orders_a")),
        confidence_b_to_a=ratio(col("pair_orders"), col("orders_b")),
        lift=ratio(support, own_a * own_b),
        leverage=(support - own_a * own_b).round(6),
    )
)
write("product_pairs", pairs)

# customers: dim_customers, customer_metrics, cohort_retention ---------------------------------------------------------
known = sales.filter(col("customer_id").is_not_null())
mine = known.filter("is_order_line")
write("dim_customers", known.select("customer_id").unique().with_columns(has_profile=pl.lit(value=False)))
moments = mine.group_by("customer_id").agg(
    first_purchase_at=col("sold_at").min(), last_purchase_at=col("sold_at").max()
)
spent = known.group_by("customer_id").agg(
    col("net_revenue").sum().alias("total_spend"),
    col("gross_revenue", "returned_revenue").sum(),
    pl.when(col("gross_margin").count() > 0).then(col("gross_margin").sum()).alias("gross_margin"),
)
since = col("days_since_last_purchase")
metrics = collect(
    moments.join(distinct(mine, ["customer_id"], "order_id", "purchase_count"), on="customer_id")
    .join(spent, on="customer_id")
    .with_columns(
        average_transaction_value=ratio(col("total_spend"), col("purchase_count")),
        days_since_last_purchase=(pl.lit(AS_OF) - col("last_purchase_at").dt.date()).dt.total_days(),
        lifetime_days=(col("last_purchase_at").dt.date() - col("first_purchase_at").dt.date()).dt.total_days(),
    )
    .with_columns(
        churn_risk_tier=pl.when(since > 180)
        .then(pl.lit("High"))
        .when(since > 90)
        .then(pl.lit("Medium"))
        .otherwise(pl.lit("Low"))
    )
)
write("customer_metrics", metrics)

cohorts = metrics.lazy().select("customer_id", cohort_month=col("first_purchase_at").dt.date().dt.truncate("1mo"))
cost = col("unit_cost") * col("quantity").fill_null(1)
sold = known.select(
    "customer_id",
    "month",
    revenue=col("gross_revenue"),
    margin=pl.when(~col("is_return")).then(col("gross_revenue") - cost),
)
gone = known.filter(col("returned_month").is_not_null()).select(
    "customer_id",
    month=col("returned_month"),
    revenue=-col("returned_revenue"),
    margin=cost.abs() - col("returned_revenue"),
)
cells = ["cohort_month", "month"]
booked = (
    pl.concat([sold, gone])
    .join(cohorts, on="customer_id")
    .with_columns(month=pl.max_horizontal("month", "cohort_month"))
    .group_by(cells)
    .agg(
        net_revenue=col("revenue").sum(),
        gross_margin=pl.when(col("margin").count() > 0).then(col("margin").sum()),
    )
)
active = mine.select("customer_id", "month").unique().join(cohorts, on="customer_id")
number = {name: col(name).dt.year() * 12 + col(name).dt.month() for name in cells}
retention = (
    cohorts.group_by("cohort_month")
    .agg(customers=pl.len())
    .join(months, how="cross")
    .filter(col("month") >= col("cohort_month"))
    .join(active.group_by(cells).agg(active_customers=pl.len()), on=cells, how="left")
    .join(booked, on=cells, how="left")
    .with_columns(col("active_customers", "net_revenue").fill_null(0))
    .with_columns(
        months_since_first=number["month"].cast(pl.Int64) - number["cohort_month"],
        is_complete=col("month").dt.offset_by("1mo") <= AS_OF + timedelta(days=1),
        retention_rate=ratio(col("active_customers"), col("customers")),
    )
)
write("cohort_retention", retention)


def count(frame: pl.DataFrame, name: str) -> pl.LazyFrame:
    """How many rows each customer has."""
    return frame.lazy().group_by("customer_id").agg(pl.len().alias(name))


# customer_features: the sales columns ---------------------------------------------------------------------------------
one = ["customer_id"]
orders = collect(mine.select("customer_id", "order_id", "sold_on").unique())
order_days = (
    orders.select("customer_id", "sold_on")
    .unique()
    .sort("customer_id", "sold_on")
    .with_columns(next_order_on=col("sold_on").shift(-1).over("customer_id"))
)
first_products = collect(
    mine.filter(col("product_id").is_not_null()).group_by("customer_id", "product_id").agg(col("sold_on").min())
)
first_categories = collect(mine.group_by("customer_id", "category").agg(col("sold_on").min()))
first = MONTH.year * 12 + MONTH.month - 1
month_ends = [date((first - back) // 12, (first - back) % 12 + 1, 1) - timedelta(days=1) for back in range(12)]
for cutoff in sorted({*month_ends, AS_OF}):
    known_by = col("sold_on") <= cutoff
    part = (
        mine.filter(known_by)
        .group_by("customer_id")
        .agg(
            pl.len().alias("line_count"),
            col("gross_revenue").sum(),
            col("gross_revenue").max().alias("largest_line_revenue"),
            col("gross_revenue")
            .filter(col("sold_on") > cutoff - timedelta(days=90))
            .sum()
            .round(4)
            .alias("gross_revenue_90d"),
            col("units").sum().alias("unit_count"),
            (col("discount_rate") > 0).sum().alias("discounted"),
            col("sold_on").min().alias("first_order_on"),
            col("sold_on").max().alias("last_order_on"),
        )
    )
    past = orders.filter(known_by)
    counts = [count(past.unique(["customer_id", "order_id"]), "order_count")]
    for window in WINDOWS:
        recent = past.filter(col("sold_on") > cutoff - timedelta(days=window))
        counts.append(count(recent.unique(["customer_id", "order_id"]), f"orders_{window}d"))
    visits = order_days.filter(known_by)
    counts += [
        count(visits, "order_day_count"),
        count(first_products.filter(known_by), "product_count"),
        count(first_categories.filter(known_by), "category_count"),
        known.filter(col("returned_on") <= cutoff)
        .group_by("customer_id")
        .agg(
            pl.len().alias("returned_line_count"),
            col("is_return").sum().alias("return_lines"),
            col("returned_revenue").sum(),
        ),
    ]
    for each in counts:
        part = part.join(each, on="customer_id", how="left")
    part = part.with_columns(pl.selectors.numeric().fill_null(0)).join(
        visits.lazy().unique("customer_id", keep="last", maintain_order=True).select("customer_id", "next_order_on"),
        on="customer_id",
        how="left",
    )
    since_last = (pl.lit(cutoff) - col("last_order_on")).dt.total_days()
    gap = ratio(
        (col("last_order_on") - col("first_order_on")).dt.total_days(), col("order_day_count").cast(pl.Int64) - 1
    )
    labels = [
        (
            ~(col("next_order_on") <= cutoff + timedelta(days=horizon)).fill_null(value=False)
            if cutoff + timedelta(days=horizon) <= AS_OF
            else pl.lit(None, dtype=pl.Boolean)
        ).alias(f"churned_{horizon}d")
        for horizon in HORIZONS
    ]
    shown = col("line_count") + col("return_lines")
    part = part.select(
        "customer_id",
        pl.lit(cutoff).alias("cutoff_date"),
        since_last.alias("days_since_last_order"),
        (pl.lit(cutoff) - col("first_order_on")).dt.total_days().alias("days_since_first_order"),
        "order_count",
        "order_day_count",
        gap.alias("average_gap_days"),
        ratio(since_last, gap).alias("recency_to_gap_ratio"),
        *(f"orders_{window}d" for window in WINDOWS),
        (col("gross_revenue") - col("returned_revenue")).round(4).alias("net_revenue"),
        "gross_revenue_90d",
        ratio(col("gross_revenue"), col("order_count")).alias("average_order_value"),
        "largest_line_revenue",
        "unit_count",
        "product_count",
        "category_count",
        ratio(col("discounted"), col("line_count")).alias("discounted_line_rate"),
        ratio(col("returned_line_count"), shown).alias("returned_line_rate"),
        *labels,
    )
    write(f"features_{cutoff}", part)
features = pl.scan_parquet(OUT / "features_*.parquet")
write("customer_features", features)
features = pl.scan_parquet(OUT / "customer_features.parquet")

# customer_rfm, customer_rfm_history, segment_migration ----------------------------------------------------------------
scores = ["r_score", "f_score", "m_score"]
segments = pl.read_csv(SEEDS / "rfm_segments.csv").lazy().with_columns(col(scores).cast(pl.Int64))
actions = pl.read_csv(SEEDS / "segment_actions.csv").lazy()


def scored(frame: pl.LazyFrame, by: list[str]) -> pl.LazyFrame:
    """Quintile scores, index and segment."""
    values = {"r": "days_since_last_order", "f": "frequency", "m": "monetary"}
    cuts = frame.group_by(by).agg(
        col(column).quantile(share, interpolation="linear").alias(f"{name}{share}")
        for name, column in values.items()
        for share in (0.2, 0.4, 0.6, 0.8)
    )
    below = {
        name: pl.sum_horizontal((col(f"{name}{share}") < col(column)).cast(pl.Int64) for share in (0.2, 0.4, 0.6, 0.8))
        for name, column in values.items()
    }
    joined = frame.join(cuts, on=by).with_columns(
        r_score=5 - below["r"], f_score=1 + below["f"], m_score=1 + below["m"]
    )
    return (
        joined.select(*frame.collect_schema().names(), *scores)
        .with_columns(rfm_index=(100 * (pl.sum_horizontal(scores) - 3) / 12).round(6))
        .join(segments.select(*scores, "segment"), on=scores, how="left")
    )


rfm = metrics.lazy().select(
    "customer_id",
    whole=pl.lit(1),
    days_since_last_order="days_since_last_purchase",
    frequency="purchase_count",
    monetary=col("total_spend").round(4),
)
write(
    "customer_rfm",
    scored(rfm, ["whole"]).join(actions.select("segment", "recommended_action"), on="segment", how="left"),
)
history = features.select(
    "customer_id", "cutoff_date", "days_since_last_order", frequency="order_count", monetary="net_revenue"
)
write("customer_rfm_history", scored(history, ["cutoff_date"]))
history = pl.scan_parquet(OUT / "customer_rfm_history.parquet").select("customer_id", "cutoff_date", "segment")
cutoffs = history.select(col("cutoff_date").unique().sort()).collect(engine="streaming").to_series().to_list()
steps = pl.LazyFrame({"from_date": cutoffs[:-1], "to_date": cutoffs[1:]})
before = history.select("customer_id", from_date="cutoff_date", from_segment="segment")
moves = (
    history.rename({"cutoff_date": "to_date", "segment": "to_segment"})
    .join(steps, on="to_date")
    .join(before, on=["customer_id", "from_date"], how="left")
    .with_columns(col("from_segment").fill_null("No order yet"))
    .group_by("from_date", "to_date", "from_segment", "to_segment")
    .agg(customer_count=pl.len())
)
moves = collect(moves).with_columns(
    customer_share=ratio(col("customer_count"), col("customer_count").sum().over("from_date", "from_segment"))
)
write("segment_migration", moves)
