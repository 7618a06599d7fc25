"""What all pages share: the frame, its style, and how a chart with its numbers is laid out. Text in, HTML out."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd

from reports.figures import Chart
from reports.site import PLOTLY_FILE

# The charts' own text and lines take the page's colours here; plotly writes others into each element's style.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
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
<h1>{heading}</h1>
<p>{day}</p>
</header>
<main>
{figures}
{charts}
</main>
<footer><p>{source}</p></footer>
</body>
</html>
"""


def page(
    title: str,
    *,
    heading: str,
    day: str,
    charts: Mapping[str, Chart],
    source: str,
    figures: Mapping[str, str] | None = None,
) -> str:
    """A page as HTML.

    Args:
        title: For the browser.
        heading: Above everything.
        day: Line below the heading.
        charts: By element id, in order.
        source: Line below everything: where the numbers come from.
        figures: Key figures by what they are, or None for none.
    """
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in (figures or {}).items()
    )
    return _PAGE.format(
        plotly=PLOTLY_FILE,
        title=escape(title),
        heading=escape(heading),
        day=escape(day),
        figures=f"<dl>{tiles}</dl>" if tiles else "",
        charts="\n".join(_chart(name, chart) for name, chart in charts.items()),
        source=escape(source),
    )


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
