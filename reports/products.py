"""The products page: what sells, what changes, what sells together, and one product at a time."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from reports.blocks import Chart, Column, Page, Section, Table, Tile, Tone
from reports.figures.products import category_bars, level_changes, monthly_trends, pair_heatmap, product_months
from reports.figures.style import amount, count

TREND_TONES: Mapping[str, Tone] = {"up": "good", "down": "bad", "flat": "plain"}

COLUMNS = (
    Column("name", "Product", is_searched=True, width=22),
    Column("category", "Category", "category", is_filter=True, width=14),
    Column("net_revenue", "Net revenue", "number", width=12),
    Column("gross_margin", "Margin", "number", width=10),
    Column("margin_rate", "Margin rate", "percent", decimals=1, width=9),
    Column("unit_count", "Units", "number", width=9),
    Column("customer_count", "Customers", "number", width=11),
    Column("return_rate", "Returned", "percent", decimals=1, width=10),
    Column("trend_direction", "Trend", "category", tones=TREND_TONES, is_filter=True, width=9),
    Column("ticket_count", "Tickets", "number", width=9),
    Column("product_id", "Product id", is_searched=True, width=11),
    Column("revenue_share", "Share of revenue", "percent", decimals=1, is_detail=True),
    Column("order_count", "Orders", "number", is_detail=True),
    Column("discount_rate", "Average discount", "percent", decimals=1, is_detail=True),
    Column("first_sold_on", "First sold", "date", is_detail=True),
    Column("last_sold_on", "Last sold", "date", is_detail=True),
    Column("changed_on", "Level of sales changed", "date", is_detail=True),
    Column("negative_rate", "Negative tickets", "percent", is_detail=True),
    Column("top_topic", "Most tickets on", "category", is_detail=True),
    Column("bought_together", "Bought together with", is_detail=True),
    Column("top_customers", "Customers of most revenue", is_detail=True),
)


_SOURCE = (
    "From marts.product_360, category_performance, monthly_product_sales, product_trends, product_pairs and "
    "ml.trend_changes, product_associations in pulse.duckdb. Money is in the currency of the sales data."
)


def products_page(
    *,
    products: pd.DataFrame,
    categories: pd.DataFrame,
    months: pd.DataFrame,
    trends: pd.DataFrame,
    changes: pd.DataFrame,
    pairs: pd.DataFrame,
) -> Page:
    """The page.

    Args:
        products: The columns of `COLUMNS`, and revenue_rank; one row a product.
        categories: category, revenue, transaction_count, average_transaction_value, customer_count.
        months: product_id, month, units, net_revenue; complete months only.
        trends: month, direction, is_significant; one row a product and month.
        changes: product_id, name, changed_on, units_per_week_before, units_per_week_after, change_ratio; significant
            ones only.
        pairs: product_id_a, product_id_b, pair_orders, lift, is_associated.
    """
    sold = products[products["unit_count"].fillna(0) > 0]
    if sold.empty:
        return Page("products", "Products", "", [Section("", [_unknown(products)])], _SOURCE)
    revenue, margin = float(sold["net_revenue"].sum()), float(sold["gross_margin"].sum())
    costs_known = bool(sold["gross_margin"].notna().any())
    returned = float((sold["return_rate"] * sold["unit_count"]).sum() / (sold["unit_count"].sum() or 1))
    tiles = [
        Tile(
            "Products sold",
            f"{len(sold):,}",
            note=f"in {count(categories['category'].nunique(), 'category', 'categories')}",
        ),
        Tile("Net revenue", amount(revenue), note="since the first sale"),
        Tile(
            "Margin",
            amount(margin) if costs_known else "not known",
            note=(f"{margin / revenue:.0%} of net revenue" if revenue > 0 else "") if costs_known else "no unit costs",
        ),
        Tile("Returned", f"{returned:.1%}", note="of what was sold"),
    ]
    names = products.set_index("product_id")["name"]
    return Page(
        name="products",
        heading="Products",
        lead=_lead(sold, revenue),
        sections=[
            Section("", [tiles]),
            Section("One product", [product_months(months, products)]),
            Section(
                "Categories and trends", [category_bars(categories), level_changes(changes), monthly_trends(trends)]
            ),
            Section("Sold together", [pair_heatmap(pairs, names)]),
            Section("All products", [_table(products)]),
        ],
        source=_SOURCE,
    )


def _unknown(products: pd.DataFrame) -> Chart:
    if len(products):
        return Chart(
            "No product has been sold yet",
            f"{count(len(products), 'product')} known; the first sale with a product_id begins this page.",
        )
    return Chart(
        "The sales name no products",
        "Add a product_id to the sales to see what sells, what changes and what sells together; add products with "
        "product_id, name, category and unit_cost (table shop.products) to see their names and margins.",
    )


def _lead(sold: pd.DataFrame, revenue: float) -> str:
    if revenue <= 0:
        return "No revenue is left after returns."
    ranked = sold.sort_values("net_revenue", ascending=False)
    fifth = ranked.head(max(1, round(len(ranked) / 5)))
    share = float(fifth["net_revenue"].sum()) / revenue
    top = str(ranked["name"].iloc[0])
    return f"{count(len(fifth), 'product brings', 'products bring')} {share:.0%} of net revenue, {top} the most."


def _table(products: pd.DataFrame) -> Table:
    return Table(
        name="products",
        title=f"{count(len(products), 'product')}: search, sort, filter, open",
        note=(
            "Those of most net revenue first. Open a product for what it is bought with, its tickets and its customers."
        ),
        columns=COLUMNS,
        rows=products,
        noun="products",
    )
