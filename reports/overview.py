"""The overview page: key figures and three charts. Frames in, HTML out; no file is read or written."""

from __future__ import annotations

from datetime import date
from html import escape

import pandas as pd

from reports.figures import Chart, churn_distribution, segment_sizes, weekly_revenue
from reports.site import PLOTLY_FILE

# The charts' own text and lines take the page's colours here; plotly writes others into each element's style.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Customer Pulse: overview</title>
<script src="{plotly}"></script>
<style>
:root {{ color-scheme: light dark; --page: #fff; --text: #1b1f24; --quiet: #59636e; --line: #d1d9e0; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --page: #0d1117; --text: #e6edf3; --quiet: #9aa4af; --line: #3d444d; }}
}}
* {{ box-sizing: border-box; }}
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem; max-width: 68rem;
  background: var(--page); color: var(--text); }}
h1 {{ font-size: 1.5rem; line-height: 1.25; margin: .5rem 0 0; }}
h2 {{ font-size: 1.1rem; line-height: 1.35; margin: 0; text-wrap: balance; }}
p {{ color: var(--quiet); margin: 0; }}
header p {{ margin-bottom: 1rem; }}
dl {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .75rem; margin: 0 0 1rem; }}
dl div {{ border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; display: flex;
  flex-direction: column; justify-content: space-between; }}
dt {{ color: var(--quiet); font-size: .85rem; line-height: 1.3; }}
dd {{ margin: 0; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; }}
figure {{ margin: 0 0 1rem; border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem; }}
figcaption p {{ font-size: .85rem; margin: .15rem 0 .5rem; }}
details {{ font-size: .85rem; margin-top: .25rem; }}
summary {{ cursor: pointer; color: var(--quiet); }}
.table {{ overflow: auto; max-height: 20rem; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .15rem .8rem .15rem 0; text-align: right; font-weight: inherit; }}
th:first-child {{ text-align: left; }}
thead th {{ color: var(--quiet); border-bottom: 1px solid var(--line); }}
.js-plotly-plot .xtick text, .js-plotly-plot .ytick text, .js-plotly-plot .legendtext
  {{ fill: var(--text) !important; }}
.js-plotly-plot .xtitle, .js-plotly-plot .ytitle {{ fill: var(--quiet) !important; }}
.js-plotly-plot .gridlayer path, .js-plotly-plot .zerolinelayer path {{ stroke: var(--line) !important; }}
footer p {{ font-size: .85rem; }}
</style>
</head>
<body>
<header>
<h1>Customer Pulse</h1>
<p>{day}</p>
</header>
<main>
<dl>{figures}</dl>
{charts}
</main>
<footer><p>From marts.daily_sales and marts.customer_360 in pulse.duckdb. Money is in the currency of the sales data.
</p></footer>
</body>
</html>
"""

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
    return _PAGE.format(
        plotly=PLOTLY_FILE,
        day=escape(f"As of {as_of:%-d %B %Y}, refresh {refresh}"),
        figures="".join(
            f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures.items()
        ),
        charts="\n".join(_chart(name, chart) for name, chart in charts.items()),
    )


def _amount(value: float) -> str:
    """An amount that fits a tile on a telephone."""
    return f"{value / 1e6:,.1f} million" if abs(value) >= _MILLIONS_FROM else f"{value:,.0f}"


def _chart(name: str, chart: Chart) -> str:
    note = f"<p>{escape(chart.note)}</p>" if chart.note else ""
    caption = f'<figcaption><h2 id="{name}-title">{escape(chart.title)}</h2>{note}</figcaption>'
    if chart.figure is None:
        return f"<figure>{caption}</figure>"
    drawing = chart.figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        # Fixed element ids keep the page a function of its data.
        div_id=name,
        config={"responsive": True, "displayModeBar": False},
    )
    table = "" if chart.table is None else f"<details><summary>The numbers</summary>{_table(chart.table)}</details>"
    return f'<figure>{caption}<div role="img" aria-labelledby="{name}-title">{drawing}</div>{table}</figure>'


def _table(frame: pd.DataFrame) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in frame.columns)
    rows = "".join(
        f'<tr><th scope="row">{escape(first)}</th>{"".join(f"<td>{escape(value)}</td>" for value in rest)}</tr>'
        for first, *rest in frame.itertuples(index=False)
    )
    # A region that scrolls has to be reachable by keyboard.
    return f'<div class="table" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
