"""The overview page: key figures and three charts. Frames in, HTML out; no file is read or written."""

from __future__ import annotations

from datetime import date
from html import escape

import pandas as pd
import plotly.graph_objects as go

from reports.figures import churn_distribution, segment_sizes, weekly_revenue
from reports.site import PLOTLY_FILE

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Customer Pulse: overview</title>
<script src="{plotly}"></script>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 68rem; color: #1b1f24; }}
h1 {{ font-size: 1.5rem; margin: .5rem 0 0; }}
p.day {{ color: #59636e; margin: 0 0 1rem; }}
dl {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 0 0 1rem; }}
dl div {{ border: 1px solid #d1d9e0; border-radius: .5rem; padding: .6rem .8rem; }}
dt {{ color: #59636e; font-size: .85rem; }}
dd {{ margin: 0; font-size: 1.35rem; font-weight: 600; }}
figure {{ margin: 0 0 1rem; border: 1px solid #d1d9e0; border-radius: .5rem; overflow: hidden; }}
</style>
</head>
<body>
<h1>Customer Pulse</h1>
<p class="day">{day}</p>
<dl>{figures}</dl>
{charts}
</body>
</html>
"""


def overview_page(daily_sales: pd.DataFrame, customers: pd.DataFrame, as_of: date, refresh: int) -> str:
    """The page as HTML.

    Args:
        daily_sales: sales_date, net_revenue, order_count; one row a day without gaps.
        customers: segment, risk_tier, is_at_risk, has_unusual_sentiment, churn_probability, total_spend; one row a
            customer with an order.
        as_of: The day everything was computed for.
        refresh: Number of the refresh.
    """
    at_risk = customers[customers["is_at_risk"].astype(bool)]
    figures = {
        "Customers": f"{len(customers):,}",
        "Net revenue": f"{daily_sales['net_revenue'].sum():,.2f}",
        "Orders": f"{int(daily_sales['order_count'].sum()):,}",
        "At risk": f"{len(at_risk):,}",
        "Spent by those at risk": f"{at_risk['total_spend'].sum():,.2f}",
        "Unusual sentiment": f"{int(customers['has_unusual_sentiment'].sum()):,}",
    }
    charts = {
        "revenue": weekly_revenue(daily_sales),
        "segments": segment_sizes(customers),
        "churn": churn_distribution(customers),
    }
    return _PAGE.format(
        plotly=PLOTLY_FILE,
        day=escape(f"As of {as_of:%-d %B %Y}, refresh {refresh}"),
        figures="".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures.items()),
        charts="\n".join(f"<figure>{_chart(name, figure)}</figure>" for name, figure in charts.items()),
    )


def _chart(name: str, figure: go.Figure) -> str:
    # Fixed element ids keep the page a function of its data.
    html: str = figure.to_html(
        full_html=False, include_plotlyjs=False, div_id=name, config={"responsive": True, "displaylogo": False}
    )
    return html
