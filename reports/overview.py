"""The overview page: key figures and three charts. Frames in, a page out."""

from __future__ import annotations

import pandas as pd

from reports.blocks import Page, Section, Tile
from reports.figures.customers import churn_distribution, segment_sizes
from reports.figures.sales import weekly_revenue
from reports.figures.style import amount


def overview_page(daily_sales: pd.DataFrame, customers: pd.DataFrame) -> Page:
    """The page.

    Args:
        daily_sales: sales_date, net_revenue, order_count; one row a day without gaps.
        customers: segment, is_at_risk, has_unusual_sentiment, churn_probability, total_spend; one row a customer with
            an order.
    """
    at_risk = customers[customers["is_at_risk"].astype(bool)]
    unusual = int(customers["has_unusual_sentiment"].sum())
    # Without probabilities nobody is found at risk, which is not the same as nobody being at risk.
    judged = bool(customers["churn_probability"].notna().any())
    tiles = [
        Tile("Customers with an order", f"{len(customers):,}"),
        Tile("Orders", f"{int(daily_sales['order_count'].sum()):,}"),
        Tile("Net revenue", amount(daily_sales["net_revenue"].sum())),
        Tile("Customers at risk", f"{len(at_risk):,}" if judged else "not known"),
        Tile("Spent by those at risk", amount(at_risk["total_spend"].sum()) if judged else "not known"),
        Tile("With unusual sentiment", f"{unusual:,}" if unusual else "none found"),
    ]
    return Page(
        name="overview",
        heading="Overview",
        lead="Revenue, segments and risk.",
        sections=[
            Section("", [tiles]),
            Section("Revenue", [weekly_revenue(daily_sales)]),
            Section("Customers", [segment_sizes(customers), churn_distribution(customers)]),
        ],
        source=(
            "From marts.daily_sales and marts.customer_360 in pulse.duckdb. Money is in the currency of the sales data."
        ),
    )
