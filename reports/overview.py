"""The overview page: key figures and three charts. Frames in, HTML out; no file is read or written."""

from __future__ import annotations

from datetime import date

import pandas as pd

from reports.figures import churn_distribution, segment_sizes, weekly_revenue
from reports.page import page

_MILLIONS_FROM = 10_000_000


def overview_page(daily_sales: pd.DataFrame, customers: pd.DataFrame, as_of: date, refresh: int) -> str:
    """The page as HTML.

    Args:
        daily_sales: sales_date, net_revenue, order_count; one row a day without gaps.
        customers: segment, is_at_risk, has_unusual_sentiment, churn_probability, total_spend; one row a customer with
            an order.
        as_of: The day everything was computed for.
        refresh: Number of the refresh.
    """
    at_risk = customers[customers["is_at_risk"].astype(bool)]
    unusual = int(customers["has_unusual_sentiment"].sum())
    # Without probabilities nobody is found at risk, which is not the same as nobody being at risk.
    judged = bool(customers["churn_probability"].notna().any())
    figures = {
        "Customers with an order": f"{len(customers):,}",
        "Orders": f"{int(daily_sales['order_count'].sum()):,}",
        "Net revenue": _amount(daily_sales["net_revenue"].sum()),
        "Customers at risk": f"{len(at_risk):,}" if judged else "not known",
        "Spent by those at risk": _amount(at_risk["total_spend"].sum()) if judged else "not known",
        "With unusual sentiment": f"{unusual:,}" if unusual else "none found",
    }
    charts = {
        "revenue": weekly_revenue(daily_sales),
        "segments": segment_sizes(customers),
        "churn": churn_distribution(customers),
    }
    return page(
        "Customer Pulse: overview",
        heading="Customer Pulse",
        day=f"As of {as_of:%-d %B %Y}, refresh {refresh}",
        figures=figures,
        charts=charts,
        source=(
            "From marts.daily_sales and marts.customer_360 in pulse.duckdb. Money is in the currency of the sales data."
        ),
    )


def _amount(value: float) -> str:
    """An amount that fits a tile on a telephone."""
    return f"{value / 1e6:,.1f} million" if abs(value) >= _MILLIONS_FROM else f"{value:,.0f}"
